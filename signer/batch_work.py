"""The work of running batches, chunk by chunk, in as many processes as there are.

    while True:
        if not work_once(desk, shelves, holder=holder, clock=clock):
            rest()

A chunk is up to a hundred documents of one batch, so of one signer. Two commits carry it: the
intention (documents in hand, digests reserved, audited) and the outcome. What dies between the
two was never delivered: its documents wait again, and their signatures are void. docs/flows/
batch.md has the same numbers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from records import audit
from records.errors import DomainError, RecordsError
from records.tags import Tag
from signer import activation, appearance, batch_packs, credentials, signing
from signer.activation import Authorization
from signer.batch import failure_of, unpacked
from signer.batch_models import BatchItemRow, BatchRow
from signer.batch_outcome import (
    Outcome,
    finish_if_empty,
    give_back,
    pause,
    record_finish,
    record_outcomes,
    void_expired,
)
from signer.batch_packs import Place, Shelves
from signer.document import Document, Original
from signer.errors import ActivationRefused, BatchRefused, CredentialUnusable, SignerError
from signer.models import AuthorizationRow, AuthorizedDigestRow, SignatureRow
from signer.signature import Pen, SignatureRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from records.blobs import BlobStore
    from signer.credentials import Credential
    from signer.desk import Desk
    from signer.images import Picture

CHUNK = 100
CHUNK_BYTES = 64 << 20
"""A chunk is held in memory twice: as it was and as it becomes."""
LEASE = timedelta(minutes=2)
WARM = timedelta(minutes=1)
_OF_ONE_DOCUMENT = ("blob-damaged", "blob-missing")


@dataclass(frozen=True)
class _Task:
    """A document in hand."""

    position: int
    digest: str
    place: Place
    authorized: int
    signature_id: str


@dataclass(frozen=True)
class _Chunk:
    batch_id: str
    authorization: Authorization
    request: SignatureRequest
    tasks: tuple[_Task, ...]


def work_once(
    desk: Desk,
    shelves: Shelves,
    *,
    holder: str,
    clock: Callable[[], datetime],
    size: int = CHUNK,
) -> int:
    """One chunk of whichever batch has waited longest; how many documents were taken in hand.

    Raises what has nothing to do with a document (token or database away, disk full), with the
    documents put back: the caller rests and calls again.
    """
    by = f"system:batch:{holder}"
    # 1. What a dead worker held waits again.
    void_expired(desk, now=clock(), by=by)
    # 2. Take a chunk in hand and commit the intention.
    now = clock()
    chunk = _intend(desk, holder, size, now=now, by=by)
    if chunk is None:
        return 0
    try:
        # 3. to 6. Read, check the credential, sign, keep the results on disk.
        outcomes = _carried_out(desk, shelves.of(chunk.batch_id), chunk, now=now)
    except (ActivationRefused, CredentialUnusable) as refusal:
        # Nobody may sign this batch now: its holder, or the office, has to do something.
        give_back(desk, chunk.batch_id, holder, refusal.code, now=clock(), by=by)
        pause(desk, chunk.batch_id, refusal.code, now=clock(), by=by)
        return len(chunk.tasks)
    except Exception as failure:
        code = failure.code if isinstance(failure, DomainError) else type(failure).__name__
        tried = not isinstance(failure, DomainError) or code in _OF_ONE_DOCUMENT
        give_back(desk, chunk.batch_id, holder, code, tried=tried, now=clock(), by=by)
        raise
    # 7. Commit the outcomes; a batch without anything left to do is done.
    record_outcomes(desk, chunk.batch_id, holder, outcomes, now=clock(), by=by)
    return len(chunk.tasks)


def pending(desk: Desk, *, now: datetime) -> bool:
    """Are workers needed: does anything wait, is anything in hand, or is a batch being filled?

    The last so that they are ready when the PIN is given: a process takes seconds to open.
    """
    soon = BatchRow.claimed_at > now - WARM
    with desk.database.reading() as session:
        if _next_batch(session) is not None:
            return True
        wanted = (
            select(BatchItemRow.batch_id).where(BatchItemRow.state == "signing"),
            select(BatchRow.id).where(BatchRow.state == "open", soon),
        )
        return any(session.scalar(one.limit(1)) is not None for one in wanted)


def forget_ended(desk: Desk) -> None:
    """Drop the keys this process kept for batches that were cancelled or finished elsewhere."""
    kept = list(desk.opened)
    with desk.database.reading() as session:
        ended = session.scalars(
            select(AuthorizationRow.id).where(
                AuthorizationRow.id.in_(kept), AuthorizationRow.ended.is_(True)
            )
        ).all()
    for one in ended:
        activation.forget(desk, one)


def _next_batch(session: Session) -> str | None:
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


def _intend(desk: Desk, holder: str, size: int, *, now: datetime, by: str) -> _Chunk | None:
    with desk.database.reading() as session:
        batch_id = _next_batch(session)
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
) -> _Chunk:
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
        task = _Task(one.position, one.digest, place, one.authorized, secrets.token_hex(16))
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
    return _Chunk(batch.id, granted, request, tuple(tasks))


def _carried_out(desk: Desk, store: BlobStore, chunk: _Chunk, *, now: datetime) -> list[Outcome]:
    # 3. Read.
    data = batch_packs.get(store, [one.place for one in chunk.tasks])
    # 4. The credential and its certificate must be good at this moment.
    credential = credentials.find(desk, chunk.authorization.credential_id)
    credentials.require_usable(desk, credential, now=now)
    pen = _pen(desk, chunk, credential, now=now)
    look = chunk.request.appearance
    picture = appearance.picture_for(desk, look, credential) if look is not None else None

    def all_of_them() -> list[_Signed | SignerError]:
        return [
            _signed(desk, task, one, chunk.request, credential, pen, picture, now=now)
            for task, one in zip(chunk.tasks, data, strict=True)
        ]

    # 5. Sign each, on the token's own thread.
    made = desk.authority.token.on_token_thread(all_of_them)
    if chunk.request.level.time_stamped:
        desk.tsa.flush(now=now)
    # 6. Keep what was appended, on disk.
    tails = [one.appended for one in made if isinstance(one, _Signed)]
    kept = iter(batch_packs.put(store, tails))
    return [
        Outcome(
            position=task.position,
            signature_id=task.signature_id,
            authorized=task.authorized,
            document=task.digest,
            result=one.digest if isinstance(one, _Signed) else None,
            place=next(kept) if isinstance(one, _Signed) else None,
            field=one.field if isinstance(one, _Signed) else None,
            refusal=one if isinstance(one, SignerError) else None,
        )
        for task, one in zip(chunk.tasks, made, strict=True)
    ]


def _pen(desk: Desk, chunk: _Chunk, credential: Credential, *, now: datetime) -> Pen:
    granted = chunk.authorization
    wrapped = activation.opened_key(desk, granted, now=now)
    key = desk.custody.kept(wrapped, handle=granted.id, until=granted.expires_at, now=now)
    return Pen(signing.template_for(desk, credential, chunk.request.scheme), key, credential.name)


@dataclass(frozen=True)
class _Signed:
    appended: bytes
    digest: str
    field: str


def _signed(
    desk: Desk,
    task: _Task,
    data: bytes,
    request: SignatureRequest,
    credential: Credential,
    pen: Pen,
    picture: Picture | None,
    *,
    now: datetime,
) -> _Signed | SignerError:
    """One document, or why this one cannot be signed; anything else concerns the whole chunk."""
    try:
        original = Original.of(data)
        if original.sha256.hex() != task.digest:
            raise RecordsError("blob-damaged", digest=task.digest)
        with Document.open(original, desk.limits) as document:
            document.require_signable()
            stamp = None
            if request.appearance is not None:
                stamp = appearance.place(
                    document,
                    request.appearance,
                    signer=credential.name,
                    picture=picture,
                    shelf=desk.stamps,
                )
            appender, name = signing.write_signature(
                desk, document, request, credential, pen, stamp, now=now
            )
            digest = appender.state().hexdigest()
            return _Signed(b"".join(appender.revisions), digest, name)
    except (ActivationRefused, CredentialUnusable):
        raise
    except SignerError as refusal:
        return refusal
