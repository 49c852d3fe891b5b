"""Batches: thousands of documents, reviewed, authorised with one PIN, signed in the background.

Open one, put documents in (several in a request), tick and untick, give the PIN once; follow it and
fetch the results by `api.routes.batch_results`. Another client's batch does not exist.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, File, Query, UploadFile

from api.auth.guard import Now, Wired
from api.batch_work import shelves_of
from api.errors import ApiError
from api.routes.batch_shapes import (
    BatchAuthorization,
    BatchId,
    BatchItemShape,
    BatchOrder,
    BatchShape,
    Choice,
)
from api.routes.documents import Signer
from api.routes.placement import How
from api.routes.shapes import Moment, problems
from api.routes.signatures import require_credential
from api.transit import safe_name
from signer.batches import batch, batch_reading

router = APIRouter(prefix="/api/v1", tags=["batches"])
PAGE = 1000


@router.post(
    "/batches",
    status_code=201,
    summary="Open a batch",
    response_model=BatchShape,
    responses=problems(404),
)
def open_batch(order: BatchOrder, wired: Wired, now: Now, client: Signer) -> BatchShape:
    """An empty batch harms nobody: a repeated request makes another one."""
    require_credential(wired, client, order.credential_id)
    made = batch.open_batch(
        wired.house.desk,
        credential_id=order.credential_id,
        client=client.by,
        request=(order.how or How.model_validate({})).request(),
        now=now,
        by=client.by,
    )
    return BatchShape.of(made)


@router.get(
    "/batches",
    summary="The client's batches",
    response_model=list[BatchShape],
    responses=problems(),
)
def listed(
    wired: Wired,
    client: Signer,
    state: Annotated[
        Literal["open", "running", "paused", "done", "cancelled"] | None, Query()
    ] = None,
    before: Annotated[Moment | None, Query(description="created_at of the last one seen")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> list[BatchShape]:
    """Newest first. Whoever lost the answer to an opening finds the batch here."""
    found = batch_reading.listed(
        wired.house.desk, client=client.by, state=state, before=before, limit=limit
    )
    return [BatchShape.of(one) for one in found]


@router.post(
    "/batches/{batch_id}/documents",
    status_code=201,
    summary="Put documents in",
    response_model=list[BatchItemShape],
    responses=problems(404, 409, 507),
)
def add(
    batch_id: BatchId,
    wired: Wired,
    now: Now,
    client: Signer,
    files: Annotated[list[UploadFile], File(description="PDFs", max_length=PAGE)],
) -> list[BatchItemShape]:
    """Each is inspected at once. A document that is there already is not taken twice."""
    given = [(safe_name(one.filename), one.file.read()) for one in files]
    if not all(data for _, data in given):
        raise ApiError("document-empty")
    added = batch.add(
        wired.house.desk,
        shelves_of(wired.house.settings),
        batch_id,
        given,
        client=client.by,
        now=now,
        by=client.by,
    )
    return [BatchItemShape.of(batch_id, one) for one in added]


@router.get(
    "/batches/{batch_id}",
    summary="A batch as it stands",
    response_model=BatchShape,
    responses=problems(404),
)
def look(batch_id: BatchId, wired: Wired, client: Signer) -> BatchShape:
    """State and counts."""
    return BatchShape.of(batch_reading.look(wired.house.desk, batch_id, client=client.by))


@router.get(
    "/batches/{batch_id}/items",
    summary="Its documents, page by page",
    response_model=list[BatchItemShape],
    responses=problems(404),
)
def items(
    batch_id: BatchId,
    wired: Wired,
    client: Signer,
    after: Annotated[int, Query(ge=-1, description="The last position seen")] = -1,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
) -> list[BatchItemShape]:
    """To review before the PIN is given, and to see what became of each."""
    found = batch_reading.items(
        wired.house.desk, batch_id, client=client.by, after=after, limit=limit
    )
    return [BatchItemShape.of(batch_id, one) for one in found]


@router.patch(
    "/batches/{batch_id}/items",
    summary="Tick and untick documents",
    response_model=BatchShape,
    responses=problems(404, 409),
)
def choose(batch_id: BatchId, order: Choice, wired: Wired, client: Signer) -> BatchShape:
    """Only what is ticked is authorised. All are, until they are unticked."""
    found = batch.choose(
        wired.house.desk, batch_id, tick=order.tick, untick=order.untick, client=client.by
    )
    return BatchShape.of(found)


@router.post(
    "/batches/{batch_id}/authorization",
    summary="The holder authorises the ticked documents, and work begins",
    response_model=BatchShape,
    responses=problems(404, 409),
)
def authorize(
    batch_id: BatchId, order: BatchAuthorization, wired: Wired, now: Now, client: Signer
) -> BatchShape:
    """Also lets a paused batch go on. Five wrong PINs lock the credential."""
    started = batch.authorize(
        wired.house.desk,
        batch_id,
        pin=order.pin.get_secret_value(),
        client=client.by,
        minutes=order.minutes,
        now=now,
        by=client.by,
    )
    return BatchShape.of(started)


@router.post(
    "/batches/{batch_id}/cancellation",
    summary="Stop a batch",
    response_model=BatchShape,
    responses=problems(404, 409),
)
def cancel(batch_id: BatchId, wired: Wired, now: Now, client: Signer) -> BatchShape:
    """What is signed stays signed, the rest is not touched, the key is erased at once."""
    stopped = batch.cancel(wired.house.desk, batch_id, client=client.by, now=now, by=client.by)
    return BatchShape.of(stopped)
