"""The register of a unit: its lines, and the monthly export as PDF and CSV."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query, Security
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.shapes import problems
from api.services import Services
from certify.register import Entry, entries
from certify.register_export import register_csv, register_pdf
from records import audit
from records.tags import Tag

router = APIRouter(prefix="/api/v1/registers", tags=["certified copies"])
Certifier = Annotated[Client, Security(caller, scopes=["certify"])]
UnitCode = Annotated[str, Path(max_length=16, examples=["14797"])]
Year = Annotated[int, Path(ge=2025, le=2200, examples=[2026])]
Month = Annotated[int | None, Query(ge=1, le=12, description="The whole year when absent")]


class EntryShape(BaseModel):
    """The eight columns, and the state of the line."""

    number: str = Field(examples=["01"])
    day: date
    requester_name: str
    document_name: str
    certifier_name: str
    certifier_title: str
    copies: int
    fee: int = Field(description="In đồng")
    notes: str
    state: str = Field(description="open, issued or void")

    @classmethod
    def of(cls, entry: Entry, number: str) -> EntryShape:
        return cls(
            number=number,
            day=entry.day,
            requester_name=entry.requester_name,
            document_name=entry.document_name,
            certifier_name=entry.certifier_name,
            certifier_title=entry.certifier_title,
            copies=entry.copies,
            fee=entry.fee,
            notes=entry.notes,
            state=entry.state.value,
        )


class EntryList(BaseModel):
    """In order of number."""

    entries: list[EntryShape]


@router.get(
    "/{unit}/{year}",
    summary="The register's lines",
    response_model=EntryList,
    responses=problems(404),
)
def lines(
    unit: UnitCode, year: Year, wired: Wired, client: Certifier, month: Month = None
) -> EntryList:
    """Voided numbers stay in the register, with their reason."""
    _allowed(client, unit)
    office = wired.house.office
    found = entries(office, unit=unit, year=year, month=month)
    shapes = [EntryShape.of(one, office.register.number(one.number)) for one in found]
    return EntryList(entries=shapes)


@router.get(
    "/{unit}/{year}/export",
    summary="The register as PDF or CSV",
    response_class=Response,
    responses={
        200: {
            "content": {"application/pdf": {}, "text/csv": {}},
            "description": "The eight columns of the register",
        },
        **problems(404),
    },
)
def export(
    unit: UnitCode,
    year: Year,
    wired: Wired,
    now: Now,
    client: Certifier,
    month: Month = None,
    form: Annotated[str, Query(pattern="^(pdf|csv)$")] = "pdf",
) -> Response:
    """Names stand in it: every export is recorded."""
    _allowed(client, unit)
    office = wired.house.office
    if form == "pdf":
        data = register_pdf(office, unit=unit, year=year, month=month, now=now)
        media_type = "application/pdf"
    else:
        data = register_csv(office, unit=unit, year=year, month=month)
        media_type = "text/csv; charset=utf-8"
    _record(wired, client, unit, {"year": year, "month": month, "form": form}, now)
    period = f"{year}" if month is None else f"{year}-{month:02d}"
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="register-{unit}-{period}.{form}"',
    }
    return Response(data, media_type=media_type, headers=headers)


def _record(
    wired: Services, client: Client, unit: str, details: dict[str, object], now: Now
) -> None:
    with wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.REGISTER_EXPORTED,
            by=client.by,
            subject=f"unit:{unit}",
            details=details,
            now=now,
        )


def _allowed(client: Client, unit: str) -> None:
    if not client.may_touch(unit):
        raise ApiError("unit-not-allowed", unit=unit)
