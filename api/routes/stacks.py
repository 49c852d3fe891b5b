"""Stacks over HTTP: the list, the scans, the one authorisation, progress and result."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Query, Security, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.certification_shapes import Hand
from api.routes.shapes import Shape, problems
from api.routes.visit_shapes import ReasonOrder
from api.services import Services
from certify.errors import NotFound
from certify.stacks import stack_approval, stack_ending, stack_jobs
from certify.stacks.stack_jobs import Outcome, Stack

router = APIRouter(prefix="/api/v1/stacks", tags=["certified copies"])
Certifier = Annotated[Client, Security(caller, scopes=["certify"])]
StackId = Annotated[str, Path(max_length=32)]
_LARGEST_SCAN = 50 * 1024 * 1024
_MOST_SCANS = 5000
_CSV = {"content": {"text/csv": {}}, "description": "One line for each original"}


class StackShape(BaseModel):
    """How far a stack is."""

    id: str
    unit: str
    state: str = Field(examples=["open", "preparing", "ready", "running", "finished", "dropped"])
    total: int
    counts: dict[str, int]
    scans_missing: int
    created_at: datetime
    finished_at: datetime | None
    failure: str | None

    @classmethod
    def of(cls, stack: Stack) -> StackShape:
        return cls(
            id=stack.id,
            unit=stack.unit,
            state=stack.state.value,
            total=stack.total,
            counts=dict(stack.counts),
            scans_missing=stack.waiting_scans,
            created_at=stack.created_at,
            finished_at=stack.finished_at,
            failure=stack.failure,
        )


class OutcomeShape(BaseModel):
    """What became of one original."""

    line: int
    state: str
    case_id: str | None
    number: str | None
    code: str | None
    failure: str | None

    @classmethod
    def of(cls, one: Outcome) -> OutcomeShape:
        return cls(
            line=one.position + 1,
            state=one.state.value,
            case_id=one.case_id,
            number=one.number,
            code=one.code,
            failure=one.failure,
        )


class OutcomeList(BaseModel):
    """In the list's order."""

    outcomes: list[OutcomeShape]


class StartOrder(Shape):
    """Whose credentials will sign and seal."""

    person: str = Field(max_length=64)
    seal: str = Field(max_length=64)


class AuthorizationOrder(Shape):
    """Both PINs, once for the whole stack."""

    person: Hand
    seal: Hand


@router.post("", status_code=201, summary="Open a stack with its list", responses=problems(404))
def open_stack(
    wired: Wired,
    now: Now,
    client: Certifier,
    unit: Annotated[str, Form(max_length=16)],
    place: Annotated[str, Form(max_length=200, description="Where the originals were presented")],
    comparison_list: Annotated[UploadFile, File(description="CSV or XLSX")],
    waiver: Annotated[str | None, Form(max_length=300)] = None,
) -> StackShape:
    """Lines that cannot be taken fail at once, with their reason; the others go on."""
    if not client.may_touch(unit):
        raise ApiError("unit-not-allowed", unit=unit)
    made = stack_jobs.open_stack(
        wired.house.office,
        unit=unit,
        data=comparison_list.file.read(_LARGEST_SCAN),
        place=place,
        waiver=waiver,
        now=now,
        by=client.by,
    )
    return StackShape.of(made)


@router.get("", summary="A unit's stacks", responses=problems(404))
def list_stacks(
    wired: Wired, client: Certifier, unit: Annotated[str, Query(max_length=16)]
) -> list[StackShape]:
    """Newest first."""
    if not client.may_touch(unit):
        raise ApiError("unit-not-allowed", unit=unit)
    return [StackShape.of(one) for one in stack_jobs.stacks(wired.house.office, unit=unit)]


@router.post(
    "/{stack_id}/scans", summary="Upload scans, or a ZIP of them", responses=problems(404, 409)
)
def add_scans(
    stack_id: StackId,
    wired: Wired,
    now: Now,
    client: Certifier,
    scans: Annotated[list[UploadFile], File(description="By the names in the list")],
) -> StackShape:
    """In as many requests as you like."""
    _stack(wired, client, stack_id)
    add_files(wired, stack_id, scans, now)
    return StackShape.of(stack_jobs.look(wired.house.office, stack_id))


@router.post("/{stack_id}/start", summary="The scans are complete", responses=problems(404, 409))
def start(
    stack_id: StackId, order: StartOrder, wired: Wired, now: Now, client: Certifier
) -> StackShape:
    """Cases, numbers and files are prepared in the background; then it waits for the PINs."""
    _stack(wired, client, stack_id)
    office = wired.house.office
    return StackShape.of(
        stack_jobs.start(
            office,
            stack_id,
            person_id=order.person,
            seal_id=order.seal,
            now=now,
            by=client.by,
        )
    )


@router.post(
    "/{stack_id}/authorization", summary="Authorise the whole stack", responses=problems(404, 409)
)
def authorize(
    stack_id: StackId, order: AuthorizationOrder, wired: Wired, now: Now, client: Certifier
) -> StackShape:
    """For exactly the documents prepared; good for an hour, and across restarts."""
    found = _stack(wired, client, stack_id)
    if (order.person.credential_id, order.seal.credential_id) != (found.person_id, found.seal_id):
        raise ApiError("authorization-of-another-credential")
    made = stack_approval.authorize(
        wired.house.office,
        stack_id,
        person=order.person.pair()[1],
        seal=order.seal.pair()[1],
        now=now,
        by=client.by,
    )
    return StackShape.of(made)


@router.post(
    "/{stack_id}/drop", summary="Drop a stack before it is signed", responses=problems(404, 409)
)
def drop(
    stack_id: StackId, order: ReasonOrder, wired: Wired, now: Now, client: Certifier
) -> StackShape:
    """Numbers already taken are voided with the reason, fees given back; its scans are deleted."""
    _stack(wired, client, stack_id)
    office = wired.house.office
    return StackShape.of(
        stack_ending.drop(office, stack_id, reason=order.reason, now=now, by=client.by)
    )


@router.get("/{stack_id}", summary="How far it is", responses=problems(404))
def look(stack_id: StackId, wired: Wired, client: Certifier) -> StackShape:
    """Ask again as often as you like."""
    return StackShape.of(_stack(wired, client, stack_id))


@router.get("/{stack_id}/outcomes", summary="Each line's outcome", responses=problems(404))
def outcomes(stack_id: StackId, wired: Wired, client: Certifier) -> OutcomeList:
    """Numbers and codes of what was issued, reasons of what was not."""
    _stack(wired, client, stack_id)
    found = stack_jobs.outcomes(wired.house.office, stack_id)
    return OutcomeList(outcomes=[OutcomeShape.of(one) for one in found])


@router.get(
    "/{stack_id}/results",
    summary="The result as CSV",
    response_class=Response,
    responses={200: _CSV, **problems(404)},
)
def results(stack_id: StackId, wired: Wired, client: Certifier) -> Response:
    """Names stand in it."""
    _stack(wired, client, stack_id)
    return results_file(wired, stack_id)


def add_files(wired: Services, stack_id: str, scans: list[UploadFile], now: datetime) -> int:
    """Scans one by one, ZIPs unpacked; never more at once in memory than one file."""
    taken = 0
    for one in scans:
        data = one.file.read(wired.house.settings.max_upload_bytes)
        name = (one.filename or "").replace("\\", "/").rpartition("/")[2]
        if data.startswith(b"PK\x03\x04"):
            taken += _unpacked(wired, stack_id, data, now)
        else:
            taken += stack_jobs.add_scans(wired.house.office, stack_id, {name: data}, now=now)
    return taken


def results_file(wired: Services, stack_id: str) -> Response:
    """The CSV as a download."""
    data = stack_jobs.results_csv(wired.house.office, stack_id)
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="stack-{stack_id[:8]}.csv"',
    }
    return Response(data, media_type="text/csv; charset=utf-8", headers=headers)


def _unpacked(wired: Services, stack_id: str, data: bytes, now: datetime) -> int:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            members = [one for one in package.infolist() if not one.is_dir()]
            if len(members) > _MOST_SCANS or any(one.file_size > _LARGEST_SCAN for one in members):
                raise ApiError("stack-zip-wrong")
            taken = 0
            for one in members:
                with package.open(one) as opened:
                    content = opened.read(_LARGEST_SCAN)
                name = one.filename.rpartition("/")[2]
                taken += stack_jobs.add_scans(
                    wired.house.office, stack_id, {name: content}, now=now
                )
            return taken
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise ApiError("stack-zip-wrong") from error


def _stack(wired: Services, client: Client, stack_id: str) -> Stack:
    found = stack_jobs.look(wired.house.office, stack_id)
    if not client.may_touch(found.unit):
        raise NotFound("stack-unknown")
    return found
