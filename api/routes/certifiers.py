"""Who may certify for a unit: appointed by a decision, from when to when, ended."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query, Security
from pydantic import BaseModel, Field, model_validator

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.shapes import Shape, problems
from certify import competence
from certify.competence import Delegation

router = APIRouter(prefix="/api/v1/certifiers", tags=["certified copies"])
Officer = Annotated[Client, Security(caller, scopes=["enrol"])]
UnitQuery = Annotated[str, Query(max_length=16, examples=["14797"])]
Line = Annotated[str, Field(min_length=1, max_length=128)]


class CertifierOrder(Shape):
    """A standing permission to certify copies for a unit."""

    unit: str = Field(max_length=16, examples=["14797"])
    official: str = Field(min_length=1, max_length=64, examples=["CCCD:038800000001"])
    name: Line = Field(examples=["Lê Văn Thử"])
    title: Line = Field(description="As the register shows it", examples=["Phó Chủ tịch"])
    authority_lines: list[Line] = Field(
        min_length=1, max_length=3, examples=[["KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"]]
    )
    basis: str = Field(min_length=1, max_length=400, examples=["Quyết định số 01/QĐ-UBND"])
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    @model_validator(mode="after")
    def aware(self) -> Self:
        for one in (self.valid_from, self.valid_to):
            if one is not None and (one.tzinfo is None or not 2000 <= one.year <= 2200):
                raise ValueError("times need a zone, such as +07:00")
        return self


class CertifierShape(BaseModel):
    """A delegation as it stands."""

    id: str
    unit: str
    official: str
    name: str
    title: str
    authority_lines: list[str]
    basis: str
    valid_from: datetime
    valid_to: datetime | None
    in_force: bool

    @classmethod
    def of(cls, one: Delegation, now: datetime) -> Self:
        return cls(
            id=one.id,
            unit=one.unit,
            official=one.holder_id,
            name=one.name,
            title=one.title,
            authority_lines=list(one.authority_lines),
            basis=one.basis,
            valid_from=one.valid_from,
            valid_to=one.valid_to,
            in_force=one.in_force(now),
        )


@router.post(
    "",
    status_code=201,
    summary="Let an official certify for a unit",
    response_model=CertifierShape,
    responses=problems(404),
)
def appoint(order: CertifierOrder, wired: Wired, now: Now, client: Officer) -> CertifierShape:
    """Checked again at the moment of each signature; the official signs with their own key."""
    _require_unit(client, order.unit)
    made = competence.delegate(
        wired.house.office,
        unit=order.unit,
        holder_id=order.official,
        name=order.name,
        title=order.title,
        authority_lines=order.authority_lines,
        basis=order.basis,
        valid_from=order.valid_from,
        valid_to=order.valid_to,
        now=now,
        by=client.by,
    )
    return CertifierShape.of(made, now)


@router.get(
    "",
    summary="Who may certify for a unit",
    response_model=list[CertifierShape],
    responses=problems(),
)
def listed(unit: UnitQuery, wired: Wired, now: Now, client: Officer) -> list[CertifierShape]:
    """Ended ones too, newest first."""
    _require_unit(client, unit)
    return [CertifierShape.of(one, now) for one in competence.of_unit(wired.house.office, unit)]


@router.post(
    "/{delegation_id}/end",
    summary="End a delegation to certify",
    response_model=CertifierShape,
    responses=problems(404, 409),
)
def end(
    delegation_id: Annotated[str, Path(max_length=64)],
    unit: UnitQuery,
    wired: Wired,
    now: Now,
    client: Officer,
) -> CertifierShape:
    """From this moment nothing is certified under it."""
    _require_unit(client, unit)
    office = wired.house.office
    ended = competence.end_delegation(office, delegation_id, unit=unit, now=now, by=client.by)
    return CertifierShape.of(ended, now)


def _require_unit(client: Client, unit: str) -> None:
    if not client.may_touch(unit):
        raise ApiError("unit-not-allowed", unit=unit)
