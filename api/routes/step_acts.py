"""What is done to a document on its route, for programs: initial, sign, number, seal, and the rest.

The acts of `api.routes.steps`' documents, each on behalf of an official that the program names.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, File, Path, UploadFile
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired
from api.idempotency import Answer
from api.routes.documents import Signer
from api.routes.shapes import IdempotencyKey, problems
from api.routes.signatures import require_credential
from api.routes.step_orders import (
    ActOrder,
    AssignmentOrder,
    InitialOrder,
    RecallOrder,
    RefusalOrder,
)
from api.routes.step_shapes import RoutedDocumentShape
from api.routes.steps import RoutedId, actor_of, told
from api.services import Services
from signer.keys import activation, credentials, mandates
from signer.routing import step_changes, step_routes, steps
from signer.routing.routed_documents import RoutedDocument
from signer.routing.step_routes import StepKind

router = APIRouter(prefix="/api/v1/routed-documents", tags=["steps"])


@router.post(
    "/{document_id}/initial",
    summary="An official agrees with the draft (ký nháy)",
    response_model=RoutedDocumentShape,
    responses=problems(404, 409),
)
def initial(
    document_id: RoutedId,
    order: InitialOrder,
    wired: Wired,
    now: Now,
    client: Signer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Bound to the digest that was shown; it falls away when the file is replaced."""

    def act() -> Answer:
        actor = actor_of(wired, client, order.official)
        made = steps.initial(
            wired.house.desk, document_id, shown=order.digest, actor=actor, now=now
        )
        return told(made)

    request = ("POST initial", document_id, order.model_dump_json())
    return wired.idempotency.once(
        idempotency_key, client_id=client.client_id, request=request, act=act, now=now
    )


def _signing_route(kind: StepKind, summary: str, text: str) -> None:
    """The three signatures differ in who does them, not in how they are asked for."""

    def sign(
        document_id: RoutedId,
        order: ActOrder,
        wired: Wired,
        now: Now,
        client: Signer,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        secret = order.pin.get_secret_value() if order.pin is not None else ""
        shown = order.model_dump_json(exclude={"pin"})
        return wired.idempotency.once(
            idempotency_key,
            client_id=client.client_id,
            request=(f"POST {kind.value}", document_id, shown, secret),
            act=lambda: told(_sign(wired, client, document_id, kind, order, now=now)),
            now=now,
        )

    sign.__doc__ = text
    sign.__name__ = f"step_{kind.value}"
    router.post(
        f"/{{document_id}}/{kind.value}",
        summary=summary,
        response_model=RoutedDocumentShape,
        responses=problems(404, 409, 410, 507),
    )(sign)


_signing_route(
    StepKind.SIGNATURE,
    "The authorised person signs",
    "Under the delegation in force at this moment. Five wrong PINs lock the credential.",
)
_signing_route(
    StepKind.NUMBER,
    "The clerk gives number and date",
    "The next number of the unit's series goes into the blanks of the first page.",
)
_signing_route(
    StepKind.SEAL,
    "The agency seals",
    "Only over valid signatures of the earlier steps, which are validated, not assumed.",
)


@router.post(
    "/{document_id}/refusal",
    summary="Refuse a step, with the reason",
    response_model=RoutedDocumentShape,
    responses=problems(404, 409),
)
def refuse(
    document_id: RoutedId, order: RefusalOrder, wired: Wired, now: Now, client: Signer
) -> RoutedDocumentShape:
    """Back to the drafter; once a signature is on it, the end of it."""
    actor = actor_of(wired, client, order.official)
    made = step_changes.refuse(
        wired.house.desk, document_id, reason=order.reason, actor=actor, now=now
    )
    return RoutedDocumentShape.of(made)


@router.post(
    "/{document_id}/recall",
    summary="Take a document back",
    response_model=RoutedDocumentShape,
    responses=problems(404, 409),
)
def recall(
    document_id: RoutedId, order: RecallOrder, wired: Wired, now: Now, client: Signer
) -> RoutedDocumentShape:
    """Before its last step is done; its file is then given to nobody."""
    actor = actor_of(wired, client, None)
    made = step_changes.recall(
        wired.house.desk, document_id, reason=order.reason, actor=actor, now=now
    )
    return RoutedDocumentShape.of(made)


@router.put(
    "/{document_id}/content",
    summary="Replace the file before the first signature",
    response_model=RoutedDocumentShape,
    responses=problems(404, 409, 507),
)
def replace(
    document_id: RoutedId,
    wired: Wired,
    now: Now,
    client: Signer,
    file: Annotated[UploadFile, File(description="An unsigned PDF")],
) -> RoutedDocumentShape:
    """A new version: every initial falls away, the first step begins again."""
    actor = actor_of(wired, client, None)
    made = step_changes.replace(
        wired.house.desk, document_id, file.file.read(), actor=actor, now=now
    )
    return RoutedDocumentShape.of(made)


@router.put(
    "/{document_id}/steps/{position}/official",
    summary="Give a step to another official of its unit",
    response_model=RoutedDocumentShape,
    responses=problems(404, 409),
)
def assign(
    document_id: RoutedId,
    position: Annotated[int, Path(ge=0, lt=step_routes.MOST_STEPS)],
    order: AssignmentOrder,
    wired: Wired,
    now: Now,
    client: Signer,
) -> RoutedDocumentShape:
    """Only a step that is not done."""
    actor = actor_of(wired, client, None)
    made = step_changes.assign(
        wired.house.desk,
        document_id,
        position,
        holder_id=order.official,
        actor=actor,
        now=now,
    )
    return RoutedDocumentShape.of(made)


def _sign(
    wired: Services,
    client: Client,
    document_id: str,
    kind: StepKind,
    order: ActOrder,
    *,
    now: datetime,
) -> RoutedDocument:
    desk = wired.house.desk
    require_credential(wired, client, order.credential_id)
    official = order.official
    if official is None and kind is StepKind.SIGNATURE:
        official = credentials.find(desk, order.credential_id).holder_id

    def authorize(digests: list[bytes]) -> activation.Authorization:
        if order.mandate_id is not None:
            return mandates.authorize(
                desk,
                mandate_id=order.mandate_id,
                digests=digests,
                client=client.by,
                now=now,
                by=client.by,
            )
        assert order.pin is not None
        return activation.authorize(
            desk,
            credential_id=order.credential_id,
            pin=order.pin.get_secret_value(),
            digests=digests,
            client=client.by,
            now=now,
            by=client.by,
        )

    return steps.sign(
        desk,
        document_id,
        kind,
        shown=order.digest,
        credential_id=order.credential_id,
        authorize=lambda digests: authorize(list(digests)),
        actor=actor_of(wired, client, official),
        now=now,
    )
