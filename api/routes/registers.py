"""The register of a unit: its lines, the monthly export as PDF and CSV, the year closed."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Security
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.certification_shapes import Hand
from api.routes.shapes import Shape, problems
from api.services import Services
from certify.closing_page import lines_name
from certify.errors import NotFound
from certify.register import Entry, entries, open_volume, void_of_year
from certify.register_closing import (
    Closing,
    close_year,
    closed_lines,
    find_closing,
)
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
    unit: UnitCode,
    year: Year,
    wired: Wired,
    client: Certifier,
    month: Month = None,
    search: Annotated[
        str | None, Query(max_length=200, description="A number, or part of either name")
    ] = None,
) -> EntryList:
    """Voided numbers stay in the register, with their reason."""
    _allowed(client, unit)
    office = wired.house.office
    found = entries(office, unit=unit, year=year, month=month, search=search)
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
    return _download(data, media_type, f"register-{unit}-{period}.{form}")


class VolumeShape(BaseModel):
    """The volume that numbers are written in from now on."""

    volume: int = Field(examples=[2])
    book: str = Field(examples=["02/2026-SCTĐT/BS"])


class VoidOrder(Shape):
    """Why a number ends without a copy."""

    reason: str = Field(min_length=1, max_length=300)


@router.post(
    "/{unit}/{year}/volumes",
    status_code=201,
    summary="Begin the next volume",
    response_model=VolumeShape,
    responses=problems(404, 409),
)
def next_volume(
    unit: UnitCode, year: Year, wired: Wired, now: Now, client: Certifier
) -> VolumeShape:
    """Numbers go on within the year."""
    _allowed(client, unit)
    office = wired.house.office
    volume = open_volume(office, unit=unit, year=year, now=now, by=client.by)
    return VolumeShape(volume=volume, book=office.register.book(volume, year))


@router.post(
    "/{unit}/{year}/numbers/{number}/void",
    summary="Void an open number",
    response_model=EntryShape,
    responses=problems(404, 409),
)
def void(
    unit: UnitCode,
    year: Year,
    number: Annotated[int, Path(ge=1, le=10**8)],
    order: VoidOrder,
    wired: Wired,
    now: Now,
    client: Certifier,
) -> EntryShape:
    """It stays in the register with its reason; its case may be certified under another."""
    _allowed(client, unit)
    office = wired.house.office
    entry = void_of_year(
        office, unit=unit, year=year, number=number, reason=order.reason, now=now, by=client.by
    )
    return EntryShape.of(entry, office.register.number(entry.number))


class ClosingOrder(Shape):
    """Who signs the closing page and who seals it, in this order."""

    person: Hand
    seal: Hand


class ClosingShape(BaseModel):
    """A closed year, its totals and where its page is."""

    unit: str
    register_symbol: str
    year: int
    last_number: int
    issued: int
    void: int
    copies: int
    fees: int = Field(description="In đồng")
    closed_at: datetime
    signer: str
    page_sha256: str
    lines_sha256: str = Field(description="Of the lines as CSV, named on the page")
    page_url: str
    lines_url: str

    @classmethod
    def of(cls, made: Closing) -> ClosingShape:
        home = f"/api/v1/registers/{made.unit}/{made.year}/closing"
        return cls(
            unit=made.unit,
            register_symbol=made.register,
            year=made.year,
            last_number=made.last_number,
            issued=made.issued,
            void=made.void,
            copies=made.copies,
            fees=made.fees,
            closed_at=made.closed_at,
            signer=made.signer,
            page_sha256=made.digest,
            lines_sha256=made.lines_digest,
            page_url=f"{home}/page",
            lines_url=f"{home}/lines",
        )


@router.post(
    "/{unit}/{year}/closing",
    status_code=201,
    summary="Close a year: totals on a page, signed and sealed",
    response_model=ClosingShape,
    responses=problems(404, 409),
)
def close(
    unit: UnitCode, year: Year, order: ClosingOrder, wired: Wired, now: Now, client: Certifier
) -> ClosingShape:
    """From 31 December on. No number is taken from the year afterwards."""
    _allowed(client, unit)
    made = close_year(
        wired.house.office,
        unit=unit,
        year=year,
        person=order.person.pair(),
        seal=order.seal.pair(),
        now=now,
        by=client.by,
    )
    return ClosingShape.of(made)


@router.get(
    "/{unit}/{year}/closing",
    summary="A year's closing",
    response_model=ClosingShape,
    responses=problems(404),
)
def closing(unit: UnitCode, year: Year, wired: Wired, client: Certifier) -> ClosingShape:
    """Its totals, who signed, and the digests."""
    return ClosingShape.of(_closed(wired, client, unit, year))


@router.get(
    "/{unit}/{year}/closing/page",
    summary="The signed closing page",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}, "description": "PDF/A"}, **problems(404)},
)
def closing_page(unit: UnitCode, year: Year, wired: Wired, client: Certifier) -> Response:
    """PDF/A-2b with the certifying person's and the unit's signatures, both B-LTA."""
    data = _closed(wired, client, unit, year).data
    return _download(data, "application/pdf", f"closing-{unit}-{year}.pdf")


@router.get(
    "/{unit}/{year}/closing/lines",
    summary="The lines as they were closed",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}, "description": "CSV"}, **problems(404)},
)
def closing_lines(
    unit: UnitCode, year: Year, wired: Wired, now: Now, client: Certifier
) -> Response:
    """The very bytes whose SHA-256 the page names. Names stand in them: the export is recorded."""
    _closed(wired, client, unit, year)
    data = closed_lines(wired.house.office, unit=unit, year=year)
    _record(wired, client, unit, {"year": year, "month": None, "form": "closed"}, now)
    return _download(data, "text/csv; charset=utf-8", lines_name(unit, year))


def _closed(wired: Services, client: Client, unit: str, year: int) -> Closing:
    _allowed(client, unit)
    found = find_closing(wired.house.office, unit=unit, year=year)
    if found is None:
        raise NotFound("register-not-closed", year=year)
    return found


def _download(data: bytes, media_type: str, name: str) -> Response:
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
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
