"""Documents through the steps of signing, for programs: submit, look, fetch.

A program acts on behalf of officials: it says which of them agrees, refuses or hands on, having
checked who they are itself; a signature wants the holder's PIN, or the clerk's mandate for a seal.
It sees the documents it submitted and no others. `api.routes.step_acts` is what it may do to them.
"""

from __future__ import annotations

import base64
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Path, Query, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired
from api.errors import ApiError
from api.idempotency import Answer
from api.routes.documents import Signer
from api.routes.shapes import IdempotencyKey, Moment, problems
from api.routes.step_orders import HolderId, SubmissionOrder
from api.routes.step_shapes import EventShape, RoutedDocumentShape
from api.services import Services
from api.transit import safe_name
from signer.keys import credentials
from signer.routing import routed_documents, step_routes, steps
from signer.routing.routed_documents import Actor, RoutedDocument
from signer.routing.steps import Submission

router = APIRouter(prefix="/api/v1/routed-documents", tags=["steps"])
RoutedId = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9_]+$", examples=["rd_0d3cb1a2…"])]
OrderForm = Annotated[
    str,
    Form(
        description="JSON: unit, title, kind, symbol, drafter, route_id or steps",
        max_length=32_768,
        examples=[
            '{"unit": "14797", "title": "Thành lập tổ", "kind": "QĐ", "symbol": "QĐ-UBND", '
            '"drafter": "CCCD:038900000009", "steps": [{"kind": "signature", "unit": "14797", '
            '"official": "CCCD:038800000001"}]}'
        ],
    ),
]


@router.post(
    "",
    status_code=201,
    summary="Submit a draft",
    response_model=RoutedDocumentShape,
    responses=problems(404, 409, 507),
)
def submit(
    wired: Wired,
    now: Now,
    client: Signer,
    file: Annotated[UploadFile, File(description="An unsigned PDF")],
    order: OrderForm,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """What a later step would stumble over is refused now, while it can be mended."""
    data = file.file.read()
    wanted = _order(order)

    def act() -> Answer:
        planned = _planned(wired, wanted)
        for unit in {wanted.unit, *(one.unit for one in planned)}:
            if not client.may_touch(unit):
                raise ApiError("unit-not-allowed", unit=unit)
        submission = Submission(
            unit=wanted.unit,
            title=wanted.title,
            kind=wanted.kind,
            symbol=wanted.symbol,
            name=safe_name(file.filename),
            drafter=wanted.drafter,
            steps=planned,
        )
        actor = actor_of(wired, client, None)
        made = steps.submit(wired.house.desk, data, submission, actor=actor, now=now)
        return told(made, status=201)

    return wired.idempotency.once(
        idempotency_key,
        client_id=client.client_id,
        request=("POST routed-documents", file.filename or "", data, order),
        act=act,
        now=now,
    )


@router.get(
    "",
    summary="The client's documents, or what waits for an official",
    response_model=list[RoutedDocumentShape],
    responses=problems(),
)
def listed(
    wired: Wired,
    client: Signer,
    state: Annotated[
        Literal["under-way", "returned", "complete", "refused", "recalled"] | None, Query()
    ] = None,
    waiting_for: Annotated[
        HolderId | None, Query(description="An official: only what waits for them")
    ] = None,
    before: Annotated[Moment | None, Query(description="created_at of the last one seen")] = None,
    limit: Annotated[int, Query(ge=1, le=routed_documents.MOST_LISTED)] = 50,
) -> list[RoutedDocumentShape]:
    """Newest first."""
    desk = wired.house.desk
    if waiting_for is not None:
        actor = actor_of(wired, client, waiting_for)
        found = routed_documents.inbox(desk, actor=actor, limit=limit)
    else:
        actor = actor_of(wired, client, None)
        found = routed_documents.listed(desk, actor=actor, state=state, before=before, limit=limit)
    return [RoutedDocumentShape.of(one) for one in found]


@router.get(
    "/{document_id}",
    summary="A document and its steps",
    response_model=RoutedDocumentShape,
    responses=problems(404),
)
def look(document_id: RoutedId, wired: Wired, client: Signer) -> RoutedDocumentShape:
    """Another client's document does not exist."""
    actor = actor_of(wired, client, None)
    return RoutedDocumentShape.of(routed_documents.look(wired.house.desk, document_id, actor=actor))


@router.get(
    "/{document_id}/history",
    summary="What happened to a document",
    response_model=list[EventShape],
    responses=problems(404),
)
def history(document_id: RoutedId, wired: Wired, client: Signer) -> list[EventShape]:
    """In order."""
    actor = actor_of(wired, client, None)
    found = routed_documents.history(wired.house.desk, document_id, actor=actor)
    return [EventShape.of(one) for one in found]


@router.get(
    "/{document_id}/content",
    summary="Fetch the file as it stands",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {}}, "description": "The PDF"},
        **problems(404, 410),
    },
)
def fetch(document_id: RoutedId, wired: Wired, now: Now, client: Signer) -> Response:
    """Complete: the document to hand out. Every fetch is recorded."""
    actor = actor_of(wired, client, None)
    found, data = routed_documents.content(wired.house.desk, document_id, actor=actor, now=now)
    digest = base64.b64encode(bytes.fromhex(found.file)).decode()
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name)}",
        "ETag": f'"{found.file}"',
        "Repr-Digest": f"sha-256=:{digest}:",
    }
    return Response(data, media_type="application/pdf", headers=headers)


def actor_of(wired: Services, client: Client, official: str | None) -> Actor:
    """The program, on behalf of an official with the name their certificate gives."""
    known = credentials.by_holder(wired.house.desk, official) if official else []
    return Actor(
        by=client.by,
        holder_id=official,
        name=known[0].name if known else "",
        unit=known[0].unit if known else None,
        roles=frozenset(step_routes.ROLES.values()),
        client=client.client_id,
    )


def told(document: RoutedDocument, *, status: int = 200) -> Answer:
    """The document as it stands, for an answer that may be asked for twice."""
    return Answer(
        status,
        headers={"Location": f"/api/v1/routed-documents/{document.id}"} if status == 201 else {},
        text=RoutedDocumentShape.of(document).model_dump_json(),
    )


def _planned(wired: Services, order: SubmissionOrder) -> tuple[step_routes.PlannedStep, ...]:
    if order.steps is not None:
        return tuple(one.planned() for one in order.steps)
    assert order.route_id is not None
    route = step_routes.find(wired.house.desk, order.route_id)
    if route.retired or route.unit != order.unit:
        raise ApiError("route-not-found")
    return route.steps


def _order(text: str) -> SubmissionOrder:
    try:
        return SubmissionOrder.model_validate_json(text)
    except ValidationError as error:
        places = [{**one, "loc": ("body", "order", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(places) from error
