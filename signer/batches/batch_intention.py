"""Take a chunk of a batch in hand: leases, reserved digests and intentions in one commit."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from records import audit
from records.tags import Tag
from signer.batches.batch_models import BatchItemRow, BatchRow
from signer.batches.batch_outcome import finish_if_empty, pause, record_finish
from signer.batches.batch_packs import Place
from signer.batches.batch_request import failure_of, unpacked
from signer.errors import BatchRefused
from signer.keys.activation import Authorization
from signer.models import AuthorizationRow, AuthorizedDigestRow, SignatureRow
from signer.signature import SignatureRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from signer.desk import Desk

CHUNK_BYTES = 64 << 20
"""A chunk is held in memory twice: as it was and as it becomes."""
LEASE = timedelta(minutes=2)


@dataclass(frozen=True)
class Task:
    """A document in hand."""

    position: int
    digest: str
    place: Place
    authorized: int
    signature_id: str


@dataclass(frozen=True)
class Chunk:
    """What one worker has promised to sign, all of one batch and so of one signer."""

    batch_id: str
    authorization: Authorization
    request: SignatureRequest
    tasks: tuple[Task, ...]


def next_batch(session: Session) -> str | None:
    """Batches take turns by the chunk: a small one does not wait for a large one to end."""
    waiting = (
        select(BatchItemRow.position)
        .where(BatchItemRow.batch_id == BatchRow.id, BatchItemRow.state == "waiting")
        .exists()
    )
    return session.scalar(
        select(BatchRow.id)
        .where(BatchRow.state == "running", waiting)
        .order_by(BatchRow.claimed_at, BatchRow.id)
        .limit(1)
    )


def intend(desk: Desk, holder: str, size: int, *, now: datetime, by: str) -> Chunk | None:
    """Documents of whichever batch has waited longest: in hand, reserved and written down."""
    with desk.database.reading() as session:
        batch_id = next_batch(session)
    if batch_id is None:
        return None
    with desk.database.transaction() as session:
        batch = session.get_one(BatchRow, batch_id, with_for_update=True)
        if batch.state != "running":
            return None
        row = session.get_one(AuthorizationRow, batch.authorization_id, with_for_update=True)
        over = row.ended or row.expires_at <= now
        if not over:
            rows = _next_rows(session, batch_id, size)
            chunk = _reserved(session, batch, row, rows, holder, now=now, by=by)
            batch.claimed_at = now
            if chunk.tasks:
                return chunk
            record_finish(session, batch, finish_if_empty(session, batch, now=now), now=now, by=by)
            return None
    pause(desk, batch_id, "authorization-expired", now=now, by=by)
    return None


def _next_rows(session: Session, batch_id: str, size: int) -> list[BatchItemRow]:
    """The next documents. One that was tried before goes alone: it may be what killed a worker."""
    rows = session.scalars(
        select(BatchItemRow)
        .where(BatchItemRow.batch_id == batch_id, BatchItemRow.state == "waiting")
        .order_by(BatchItemRow.tries, BatchItemRow.position)
        .limit(size)
    ).all()
    taken: list[BatchItemRow] = []
    held = 0
    for one in rows:
        held += one.size
        if taken and (one.tries or held > CHUNK_BYTES):
            break
        taken.append(one)
    return taken


def _reserved(
    session: Session,
    batch: BatchRow,
    authorization: AuthorizationRow,
    rows: Sequence[BatchItemRow],
    holder: str,
    *,
    now: datetime,
    by: str,
) -> Chunk:
    """Digests reserved, intentions written, leases taken: all in the caller's transaction."""
    request = unpacked(batch.request)
    wanted = [one.authorized for one in rows if one.authorized is not None]
    reservable = {
        one.position: one.digest
        for one in session.scalars(
            select(AuthorizedDigestRow).where(
                AuthorizedDigestRow.authorization_id == authorization.id,
                AuthorizedDigestRow.position.in_(wanted),
                AuthorizedDigestRow.state == "open",
            )
        )
    }
    tasks = []
    for one in rows:
        if one.authorized is None or reservable.get(one.authorized) != bytes.fromhex(one.digest):
            one.state, one.finished_at = "refused", now
            one.failure = failure_of(BatchRefused("digest-not-authorized"))
            continue
        place = Place(one.pack, one.pack_offset, one.size)
        task = Task(one.position, one.digest, place, one.authorized, secrets.token_hex(16))
        one.state, one.holder, one.lease_until = "signing", holder, now + LEASE
        one.signature_id = task.signature_id
        tasks.append(task)
    session.flush()
    if tasks:
        session.execute(
            update(AuthorizedDigestRow)
            .where(
                AuthorizedDigestRow.authorization_id == authorization.id,
                AuthorizedDigestRow.position.in_([one.authorized for one in tasks]),
            )
            .values(state="reserved")
        )
        session.execute(
            insert(SignatureRow),
            [
                {
                    "id": one.signature_id,
                    "authorization_id": authorization.id,
                    "position": one.authorized,
                    "credential_id": batch.credential_id,
                    "document": one.digest,
                    "level": request.level.value,
                    "details": {"batch": batch.id, "reason": request.reason or ""},
                    "state": "intended",
                    "intended_at": now,
                    "intended_by": batch.created_by,
                }
                for one in tasks
            ],
        )
        audit.record_all(
            session,
            tag=Tag.SIGNATURE_INTENDED,
            by=by,
            acts=[
                (
                    f"document:{one.digest}",
                    {
                        "signature": one.signature_id,
                        "credential": batch.credential_id,
                        "authorization": authorization.id,
                        "client": batch.client,
                        "level": request.level.value,
                        "batch": batch.id,
                    },
                )
                for one in tasks
            ],
            now=now,
        )
    granted = Authorization(
        id=authorization.id,
        token="",  # the batch is bound to the authorisation itself; nobody holds its SAD
        credential_id=batch.credential_id,
        client=batch.client,
        expires_at=authorization.expires_at,
    )
    return Chunk(batch.id, granted, request, tuple(tasks))
