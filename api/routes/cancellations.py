"""Cancelling and replacing over HTTP: the decision drafted, signed elsewhere, and brought back."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Security, UploadFile
from pydantic import BaseModel, Field
from sqlalchemy import select
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.routes.shapes import Shape, problems
from api.services import Services
from certify import cancellation, codes, decisions
from certify.decisions import Decision
from certify.errors import NotFound
from certify.models import CopyRow
from certify.verification import verify_code
from signer.verdicts.sandbox import shared_pool

router = APIRouter(prefix="/api/v1/certified-copies/copies/{code}", tags=["certified copies"])
Certifier = Annotated[Client, Security(caller, scopes=["certify"])]
Code = Annotated[str, Path(max_length=40, examples=["K7QF-2M9X-H4TB-0DVW-C6RE"])]
_PDF = {"content": {"application/pdf": {}}, "description": "PDF/A-2b, to be signed"}


class DraftOrder(Shape):
    """What the decision says, and who will sign it."""

    number: str = Field(min_length=1, max_length=64, examples=["131/QĐ-UBND"])
    reason: str = Field(min_length=1, max_length=1000)
    holder_id: str = Field(max_length=64, description="The competent person", examples=["CCCD:…"])


class ReplacementOrder(Shape):
    """The copy that takes the place of a cancelled one."""

    by: str = Field(max_length=40, description="Its code")


class StatusShape(BaseModel):
    """What anybody sees from now on."""

    code: str
    status: str = Field(examples=["cancelled"])
    status_since: datetime
    cancellation_number: str | None
    replaced_by: str | None
    told: list[str] = Field(default_factory=list, description="Who had fetched it, and is told")


@router.post(
    "/cancellation-draft",
    summary="Draft the decision to cancel",
    response_class=Response,
    responses={200: _PDF, **problems(404)},
)
def draft(code: Code, order: DraftOrder, wired: Wired, now: Now, client: Certifier) -> Response:
    """To be signed by the competent person with `POST /api/v1/signatures` and brought back."""
    copy_id = _copy(wired, client, code)
    data = decisions.draft(
        wired.house.office,
        copy_id,
        number=order.number,
        reason=order.reason,
        holder_id=order.holder_id,
        now=now,
    )
    return Response(data, media_type="application/pdf", headers={"Cache-Control": "no-store"})


@router.post(
    "/cancellation",
    summary="Cancel a copy by a signed decision",
    response_model=StatusShape,
    responses=problems(404, 409),
)
def cancel(
    code: Code,
    wired: Wired,
    now: Now,
    client: Certifier,
    number: Annotated[str, Form(max_length=64)],
    day: Annotated[date, Form()],
    reason: Annotated[str, Form(max_length=1000)],
    signer: Annotated[str, Form(max_length=200)],
    decision: Annotated[UploadFile, File(description="The signed decision (PDF)")],
) -> StatusShape:
    """Public at once. The decision is signed by who may certify for the unit, about this copy."""
    copy_id = _copy(wired, client, code)
    house = wired.house
    data = decision.file.read()
    judged = shared_pool().validate(
        data, trust=house.trust, now=now, revocation=house.published_lists()
    )
    done = cancellation.cancel(
        house.office,
        copy_id,
        Decision(number, day, reason, signer),
        signed_decision=data,
        judged=judged,
        now=now,
        by=client.by,
    )
    return _status(wired, code, now, list(done.fetched_by))


@router.post(
    "/replacement",
    summary="Link a cancelled copy to its replacement",
    response_model=StatusShape,
    responses=problems(404, 409),
)
def replace(
    code: Code, order: ReplacementOrder, wired: Wired, now: Now, client: Certifier
) -> StatusShape:
    """Both are the same unit's and the same owner's."""
    old, new = _copy(wired, client, code), _copy(wired, client, order.by)
    cancellation.replace(wired.house.office, old, by_copy=new, now=now, by=client.by)
    return _status(wired, code, now, [])


def _copy(wired: Services, client: Client, code: str) -> str:
    """The copy of a unit that the client works for; another unit's does not exist for it."""
    wanted = codes.read(code)
    with wired.house.office.database.reading() as session:
        row = session.scalars(select(CopyRow).where(CopyRow.code == wanted)).one_or_none()
        if row is None or not client.may_touch(row.unit):
            raise NotFound("copy-unknown")
        return row.id


def _status(wired: Services, code: str, now: datetime, told: list[str]) -> StatusShape:
    status = verify_code(wired.house.office, code, now=now)
    # Systems are named, people are only counted: who looked is the owner's to know.
    systems = sorted(one for one in told if one.startswith("client:"))
    return StatusShape(
        code=status.code,
        status=status.status.value,
        status_since=status.status_since,
        cancellation_number=status.cancellation_number,
        replaced_by=status.replaced_by,
        told=systems,
    )
