"""Procedure 2.000815 over HTTP: case, capture, comparison, fee, certification, the copy itself.

The legal basis is an original presented in person: a case opened by a system is captured only
after an official has recorded the presentation.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, File, Path, Query, Security, UploadFile
from sqlalchemy import select
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.idempotency import Answer
from api.routes.certification_shapes import (
    CaptureShape,
    CaseList,
    CaseOrder,
    CaseShape,
    CertificationOrder,
    ComparisonOrder,
    ComparisonShape,
    CopyShape,
    PaymentOrder,
    PresentationShape,
    ReceiptShape,
)
from api.routes.shapes import IdempotencyKey, problems
from api.services import Services
from certify.counter import case_lookup, intake
from certify.counter.cases import Case, Requester
from certify.errors import NotFound
from certify.issuance import certify_copy
from certify.models import CaseState, CopyRow, EntryRow, EntryState, ItemRow
from certify.money import payments
from certify.scans import captures, comparison
from certify.scans.comparison import Checklist, PageFinding
from certify.stores import store

router = APIRouter(prefix="/api/v1/certified-copies", tags=["certified copies"])
Certifier = Annotated[Client, Security(caller, scopes=["certify"])]
CaseId = Annotated[str, Path(max_length=32, examples=["5f0c0e2d9b8f4f0e8a4a9d3f4b6c7d8e"])]


@router.post(
    "/cases",
    status_code=201,
    summary="Open a case",
    response_model=CaseShape,
    responses=problems(404, 409),
)
def open_case(
    order: CaseOrder,
    wired: Wired,
    now: Now,
    client: Certifier,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """One original brought by one person. The deadline follows from the hour (15:00 rule)."""
    _allowed(client, order.unit)

    def act() -> Answer:
        case = intake.open_case(
            wired.house.office,
            unit=order.unit,
            requester=Requester(**order.requester.model_dump()),
            document_kind=order.document_kind,
            original=order.original.description(),
            copies=order.copies,
            presented=order.presented.presentation() if order.presented else None,
            dossier_code=order.dossier_code,
            channel="procedure-system",
            now=now,
            by=client.by,
        )
        return Answer(
            201,
            headers={"Location": f"/api/v1/certified-copies/cases/{case.id}"},
            text=CaseShape.of(case).model_dump_json(),
        )

    return _once(wired, client, idempotency_key, ("case", order.model_dump_json()), act, now)


@router.get("/cases", summary="A unit's cases", response_model=CaseList, responses=problems(404))
def list_cases(
    wired: Wired,
    client: Certifier,
    unit: Annotated[str, Query(max_length=16, examples=["14797"])],
    state: CaseState | None = None,
) -> CaseList:
    """At most a hundred, those due first at the top."""
    _allowed(client, unit)
    found = case_lookup.list_cases(wired.house.office, unit=unit, state=state)
    return CaseList(cases=[CaseShape.of(one) for one in found])


@router.get(
    "/cases/{case_id}", summary="One case", response_model=CaseShape, responses=problems(404)
)
def look(case_id: CaseId, wired: Wired, client: Certifier) -> CaseShape:
    """Where it stands."""
    return CaseShape.of(_case(wired, client, case_id))


@router.post(
    "/cases/{case_id}/presentation",
    summary="The original has been presented in person",
    response_model=CaseShape,
    responses=problems(404, 409),
)
def present(
    case_id: CaseId, order: PresentationShape, wired: Wired, now: Now, client: Certifier
) -> CaseShape:
    """For a case that was opened before the person came."""
    _case(wired, client, case_id)
    shown = order.presentation()
    office = wired.house.office
    return CaseShape.of(intake.record_presentation(office, case_id, shown, now=now, by=client.by))


@router.post(
    "/cases/{case_id}/captures",
    status_code=201,
    summary="Upload the scans of the original",
    response_model=CaptureShape,
    responses=problems(404, 409, 507),
)
def capture(
    case_id: CaseId,
    wired: Wired,
    now: Now,
    client: Certifier,
    scans: Annotated[list[UploadFile], File(description="JPEG, PNG, TIFF or PDF, 200 dpi or more")],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """In colour, true size, as many pages as declared. A later capture supersedes this one."""
    _case(wired, client, case_id)
    data = [one.file.read() for one in scans]

    def act() -> Answer:
        office = wired.house.office
        made = captures.record_capture(office, case_id, data, now=now, by=client.by)
        return Answer(201, text=CaptureShape.of(made).model_dump_json())

    return _once(wired, client, idempotency_key, ("capture", case_id, *data), act, now)


@router.post(
    "/cases/{case_id}/comparison",
    summary="Record the comparison with the original",
    response_model=ComparisonShape,
    responses=problems(404, 409),
)
def compare(
    case_id: CaseId,
    order: ComparisonOrder,
    wired: Wired,
    now: Now,
    client: Certifier,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """A ground that is met ends the case with a reasoned refusal; no number is given."""
    _case(wired, client, case_id)

    def act() -> Answer:
        found = comparison.record_comparison(
            wired.house.office,
            case_id,
            pages=[PageFinding(one.matches, one.note) for one in order.pages],
            checklist=Checklist(**order.checklist.model_dump()),
            security_elements=order.security_elements,
            now=now,
            by=f"{client.by}/{order.official}",
        )
        return Answer(200, text=ComparisonShape.of(found).model_dump_json())

    request = ("comparison", case_id, order.model_dump_json())
    return _once(wired, client, idempotency_key, request, act, now)


@router.post(
    "/cases/{case_id}/payment",
    summary="Record the fee, or waive it",
    response_model=ReceiptShape,
    responses=problems(404, 409),
)
def pay(
    case_id: CaseId,
    order: PaymentOrder,
    wired: Wired,
    now: Now,
    client: Certifier,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Nothing is issued unpaid unless it was waived."""
    _case(wired, client, case_id)

    def act() -> Answer:
        office = wired.house.office
        if order.waiver_reason is not None:
            made = payments.waive(
                office, case_id, reason=order.waiver_reason, now=now, by=client.by
            )
        else:
            made = payments.pay(
                office,
                case_id,
                method=order.method,
                amount=order.amount,
                reference=order.reference,
                now=now,
                by=client.by,
            )
        return Answer(200, text=ReceiptShape.of(made).model_dump_json())

    request = ("payment", case_id, order.model_dump_json())
    return _once(wired, client, idempotency_key, request, act, now)


@router.post(
    "/cases/{case_id}/certification",
    status_code=201,
    summary="Certify: number, statement, signature, seal",
    response_model=CopyShape,
    responses=problems(404, 409, 507),
)
def certify(
    case_id: CaseId,
    order: CertificationOrder,
    wired: Wired,
    now: Now,
    client: Certifier,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """The certifying person signs, then the unit seals, both B-LTA; the number is gapless."""
    _case(wired, client, case_id)
    person, seal = order.person.pair(), order.seal.pair()

    def act() -> Answer:
        office = wired.house.office
        made = certify_copy(office, case_id, person=person, seal=seal, now=now, by=client.by)
        return Answer(201, text=CopyShape.of(made, case_id).model_dump_json())

    request = ("certification", case_id, *person, *seal)
    return _once(wired, client, idempotency_key, request, act, now)


@router.get(
    "/cases/{case_id}/copy",
    summary="Fetch the certified copy of a case",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {}}, "description": "PDF/A with both signatures"},
        **problems(404, 410),
    },
)
def fetch(
    case_id: CaseId,
    wired: Wired,
    now: Now,
    client: Certifier,
    purpose: Annotated[str, Query(max_length=200, min_length=1)] = "giao kết quả",
) -> Response:
    """From the requester's store; the requester sees who fetched it, when and why."""
    case = _case(wired, client, case_id)
    office = wired.house.office
    with office.database.reading() as session:
        found = session.execute(
            select(ItemRow.id, CopyRow.digest, CopyRow.code)
            .join(CopyRow, CopyRow.id == ItemRow.copy_id)
            .join(EntryRow, EntryRow.id == CopyRow.entry_id)
            .where(EntryRow.case_id == case_id, EntryRow.state == EntryState.ISSUED.value)
        ).first()
    if found is None:
        raise NotFound("copy-unknown")
    item_id, digest, code = found
    data = store.fetch(
        office,
        item_id,
        owner_id=case.requester.owner_id,
        purpose=purpose,
        now=now,
        by=client.by,
    )
    name = quote(f"ban-sao-{code}.pdf")
    proof = base64.b64encode(bytes.fromhex(digest)).decode()
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "ETag": f'"{digest}"',
        "Repr-Digest": f"sha-256=:{proof}:",
    }
    return Response(data, media_type="application/pdf", headers=headers)


def _allowed(client: Client, unit: str) -> None:
    if not client.may_touch(unit):
        raise ApiError("unit-not-allowed", unit=unit)


def _case(wired: Services, client: Client, case_id: str) -> Case:
    """A case of a unit that the client works for; another unit's does not exist for it."""
    case = case_lookup.find_case(wired.house.office, case_id)
    if not client.may_touch(case.unit):
        raise NotFound("case-unknown")
    return case


def _once(
    wired: Services,
    client: Client,
    key: str | None,
    request: tuple[str | bytes, ...],
    act: Callable[[], Answer],
    now: datetime,
) -> Response:
    return wired.idempotency.once(
        key, client_id=client.client_id, request=request, act=act, now=now
    )
