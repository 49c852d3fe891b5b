"""Batches: thousands of documents, reviewed, authorised with one PIN, signed in the background.

Open one, put documents in (several in a request), tick and untick, give the PIN once, follow it by
server-sent events, fetch the results. Another client's batch does not exist.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal, Self
from urllib.parse import quote

from fastapi import APIRouter, File, Path, Query, Request, UploadFile
from pydantic import Field, SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from api.auth.guard import Now, Wired
from api.batch_archive import archive
from api.batch_work import shelves_of
from api.errors import ApiError
from api.routes.documents import Signer
from api.routes.placement import How
from api.routes.shapes import Moment, Shape, problems
from api.routes.signatures import require_credential
from api.services import Services
from api.transit import safe_name
from records import audit
from records.tags import Tag
from signer.batches import batch, batch_reading
from signer.batches.batch_reading import Batch, Item
from signer.desk import Desk

router = APIRouter(prefix="/api/v1", tags=["batches"])
BatchId = Annotated[str, Path(max_length=64, examples=["bat_0d3cb1a2…"])]
Position = Annotated[int, Field(ge=0, lt=batch.MOST_DOCUMENTS)]
LOOK = 0.5  # seconds between two looks at a batch somebody follows
BREATH = 15.0  # seconds after which a quiet stream says that it is alive
PAGE = 1000


class BatchOrder(Shape):
    """Who signs, and how each document is to be signed."""

    credential_id: str = Field(max_length=64, examples=["4b1c7a…"])
    how: How | None = Field(None, description="Absent: B-LTA, not shown")


class BatchShape(Shape):
    """A batch as it stands."""

    id: str
    credential_id: str
    state: str = Field(description="open, running, paused, done or cancelled")
    counts: dict[str, int] = Field(
        description="Documents: waiting, left-out, signing, signed, refused, cancelled",
        examples=[{"signed": 4998, "refused": 2}],
    )
    total: int
    paused_because: str | None = Field(description="A code, when the state is paused")
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, one: Batch) -> Self:
        return cls(
            id=one.id,
            credential_id=one.credential_id,
            state=one.state,
            counts=one.counts,
            total=one.total,
            paused_because=one.failure,
            created_at=one.created_at,
            finished_at=one.finished_at,
        )


class BatchItemShape(Shape):
    """One document of a batch and its outcome."""

    position: int
    name: str
    digest: str = Field(description="SHA-256 in hex: what the holder authorises")
    size: int
    pages: int | None
    state: str
    result: str | None = Field(description="SHA-256 of the signed document")
    code: str | None = Field(description="Why it was refused")
    messages: dict[str, str] | None
    content_url: str | None = Field(description="The signed document")

    @classmethod
    def of(cls, batch_id: str, one: Item) -> Self:
        failure = one.failure
        return cls(
            position=one.position,
            name=one.name,
            digest=one.digest,
            size=one.size,
            pages=one.pages,
            state=one.state,
            result=one.result,
            code=failure.code if failure else None,
            messages={lang: failure.message(lang) for lang in ("vi", "en")} if failure else None,
            content_url=_content_url(batch_id, one) if one.result else None,
        )


class Choice(Shape):
    """Positions to take in and to leave out."""

    tick: list[Position] = Field(default_factory=list, max_length=batch.MOST_DOCUMENTS)
    untick: list[Position] = Field(default_factory=list, max_length=batch.MOST_DOCUMENTS)


class BatchAuthorization(Shape):
    """The holder's PIN, once for all ticked documents."""

    pin: SecretStr = Field(description="Never logged, never kept", examples=["246813"])
    minutes: int = Field(60, ge=1, le=60, description="After these, what is left needs a new PIN")


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


@router.get(
    "/batches/{batch_id}/events",
    summary="Follow a batch (server-sent events)",
    response_class=Response,
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "`progress` with a batch at each change; `end` with the last one",
        },
        **problems(404),
    },
)
async def events(batch_id: BatchId, request: Request, wired: Wired, client: Signer) -> Response:
    """Reconnecting is safe: each event holds the whole state. Ends when nothing runs any more."""
    return await followed(request, wired.house.desk, batch_id, client=client.by)


async def followed(request: Request, desk: Desk, batch_id: str, *, client: str) -> Response:
    """The stream of a batch; another client's does not exist."""
    first = await run_in_threadpool(batch_reading.look, desk, batch_id, client=client)

    async def told() -> AsyncIterator[str]:
        seen, now, quiet, number = "", first, 0.0, 0
        while True:
            text = BatchShape.of(now).model_dump_json()
            ended = now.settled or now.state == "paused"
            if text != seen or ended:
                number, quiet, seen = number + 1, 0.0, text
                yield f"id: {number}\nevent: {'end' if ended else 'progress'}\ndata: {text}\n\n"
            if ended or await request.is_disconnected():
                return
            await asyncio.sleep(LOOK)
            quiet += LOOK
            if quiet >= BREATH:
                quiet = 0.0
                yield ": still here\n\n"
            now = await run_in_threadpool(batch_reading.look, desk, batch_id, client=client)

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(told(), media_type="text/event-stream", headers=headers)


@router.get(
    "/batches/{batch_id}/results",
    summary="The result file",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {}, "application/json": {}}, "description": "The outcomes"},
        **problems(404),
    },
)
def results(
    batch_id: BatchId,
    wired: Wired,
    client: Signer,
    form: Annotated[Literal["csv", "json"], Query()] = "json",
) -> Response:
    """One row for each document, in order; at any time, also while the batch runs."""
    desk = wired.house.desk
    stands = batch_reading.look(desk, batch_id, client=client.by)
    rows = [
        BatchItemShape.of(batch_id, one)
        for one in batch_reading.items(desk, batch_id, client=client.by, limit=batch.MOST_DOCUMENTS)
    ]
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="{batch_id}.{form}"',
    }
    if form == "csv":
        return Response(table(rows), media_type="text/csv; charset=utf-8", headers=headers)
    whole = {
        "batch": BatchShape.of(stands).model_dump(mode="json"),
        "documents": [one.model_dump(mode="json") for one in rows],
    }
    text = json.dumps(whole, ensure_ascii=False)
    return Response(text, media_type="application/json", headers=headers)


@router.get(
    "/batches/{batch_id}/archive",
    summary="Fetch all signed documents in one ZIP",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": {}}, "description": "With the result file"},
        **problems(404),
    },
)
def fetch_all(batch_id: BatchId, wired: Wired, now: Now, client: Signer) -> Response:
    """What is signed by now; the fetch is recorded."""
    return archived(wired, batch_id, client=client.by, now=now, by=client.by)


def archived(
    wired: Services, batch_id: str, *, client: str, now: datetime, by: str
) -> StreamingResponse:
    """The ZIP as it is made; another client's batch does not exist."""
    desk = wired.house.desk
    found = batch_reading.items(desk, batch_id, client=client, limit=batch.MOST_DOCUMENTS)
    rows = [BatchItemShape.of(batch_id, one) for one in found]
    with wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.DOCUMENT_DELIVERED,
            by=by,
            subject=f"batch:{batch_id}",
            details={"documents": sum(one.result is not None for one in found)},
            now=now,
        )
    pieces = archive(
        desk,
        shelves_of(wired.house.settings),
        batch_id,
        client=client,
        results=table(rows),
    )
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="{batch_id}.zip"',
    }
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)


@router.get(
    "/batches/{batch_id}/items/{position}/content",
    summary="Fetch a signed document",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {}}, "description": "The signed PDF"},
        **problems(404),
    },
)
def fetch(
    batch_id: BatchId,
    position: Annotated[int, Path(ge=0, lt=batch.MOST_DOCUMENTS)],
    wired: Wired,
    now: Now,
    client: Signer,
) -> Response:
    """Every fetch is recorded: who and when."""
    shelves = shelves_of(wired.house.settings)
    data = batch_reading.content(wired.house.desk, shelves, batch_id, position, client=client.by)
    (one,) = batch_reading.items(
        wired.house.desk, batch_id, client=client.by, after=position - 1, limit=1
    )
    digest = one.result or ""
    with wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.DOCUMENT_DELIVERED,
            by=client.by,
            subject=f"batch:{batch_id}",
            details={"position": position, "digest": digest},
            now=now,
        )
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(one.name)}",
        "ETag": f'"{digest}"',
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:",
    }
    return Response(data, media_type="application/pdf", headers=headers)


def _content_url(batch_id: str, one: Item) -> str:
    return f"/api/v1/batches/{batch_id}/items/{one.position}/content"


def table(rows: list[BatchItemShape]) -> str:
    """For a spreadsheet: UTF-8 with its mark, and no cell that it would take for a formula."""
    out = io.StringIO()
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow(("position", "name", "digest", "state", "result", "code", "message", "url"))
    for one in rows:
        message = (one.messages or {}).get("vi", "")
        cells = (
            *(one.position, one.name, one.digest, one.state, one.result or ""),
            *(one.code or "", message, one.content_url or ""),
        )
        writer.writerow([_harmless(str(cell)) for cell in cells])
    return out.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
