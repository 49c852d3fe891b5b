"""What becomes of a batch: followed by server-sent events, fetched as table, ZIP and single files.

Fetches are recorded: who and when. Another client's batch does not exist.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from api.auth.guard import Now, Wired
from api.batch_archive import archive
from api.batch_work import shelves_of
from api.routes.batch_shapes import BatchId, BatchItemShape, BatchShape
from api.routes.documents import Signer
from api.routes.shapes import problems
from api.services import Services
from records import audit
from records.tags import Tag
from signer.batches import batch, batch_reading
from signer.desk import Desk

router = APIRouter(prefix="/api/v1", tags=["batches"])
LOOK = 0.5  # seconds between two looks at a batch somebody follows
BREATH = 15.0  # seconds after which a quiet stream says that it is alive


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
