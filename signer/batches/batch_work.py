"""The work of running batches, chunk by chunk, in as many processes as there are.

    while True:
        if not work_once(desk, shelves, holder=holder, clock=clock):
            rest()

A chunk is up to two hundred documents of one batch, so of one signer. Two commits carry it: the
intention (documents in hand, digests reserved, audited) and the outcome. What dies between the
two was never delivered: its documents wait again, and their signatures are void. docs/flows/
batch.md has the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from records.errors import DomainError, RecordsError
from signer import in_groups, signing
from signer.batches import batch_packs
from signer.batches.batch_intention import LEASE, Chunk, intend, next_batch
from signer.batches.batch_models import BatchItemRow, BatchRow
from signer.batches.batch_outcome import Outcome, give_back, pause, record_outcomes, void_expired
from signer.batches.batch_packs import Shelves
from signer.errors import ActivationRefused, CredentialUnusable, SignerError
from signer.in_groups import Written
from signer.keys import activation, credentials
from signer.looks import appearance
from signer.models import AuthorizationRow
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.signature import Pen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from records.blobs import BlobStore
    from signer.desk import Desk
    from signer.keys.credentials import Credential
    from signer.looks.drawing import Placed

__all__ = ["CHUNK", "LEASE", "forget_ended", "pending", "work_once"]

CHUNK = 200
WARM = timedelta(minutes=1)
_OF_ONE_DOCUMENT = ("blob-damaged", "blob-missing")


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
    chunk = intend(desk, holder, size, now=now, by=by)
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
        if next_batch(session) is not None:
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


def _carried_out(desk: Desk, store: BlobStore, chunk: Chunk, *, now: datetime) -> list[Outcome]:
    # 3. Read.
    data = batch_packs.get(store, [one.place for one in chunk.tasks])
    # 4. The credential and its certificate must be good at this moment.
    credential = credentials.find(desk, chunk.authorization.credential_id)
    credentials.require_usable(desk, credential, now=now)
    pen = _pen(desk, chunk, credential, now=now)
    look = chunk.request.appearance
    picture = appearance.picture_for(desk, look, credential) if look is not None else None

    def stamp_of(document: Document) -> Placed | None:
        if look is None:
            return None
        return appearance.place(
            document, look, signer=credential.name, picture=picture, shelf=desk.stamps
        )

    def all_of_them() -> list[Written | SignerError]:
        return _written(desk, chunk, data, credential, pen, stamp_of, now=now)

    # 5. Sign each, on the token's own thread.
    made = desk.authority.token.on_token_thread(all_of_them)
    if chunk.request.level.time_stamped:
        desk.tsa.flush(now=now)
    # 6. Keep what was appended, on disk.
    tails = [b"".join(one.revisions) for one in made if isinstance(one, Written)]
    kept = iter(batch_packs.put(store, tails))
    return [
        Outcome(
            position=task.position,
            signature_id=task.signature_id,
            authorized=task.authorized,
            document=task.digest,
            result=one.digest if isinstance(one, Written) else None,
            place=next(kept) if isinstance(one, Written) else None,
            field=one.field_name if isinstance(one, Written) else None,
            refusal=one if isinstance(one, SignerError) else None,
        )
        for task, one in zip(chunk.tasks, made, strict=True)
    ]


def _written(
    desk: Desk,
    chunk: Chunk,
    data: Sequence[bytes],
    credential: Credential,
    pen: Pen,
    stamp_of: Callable[[Document], Placed | None],
    *,
    now: datetime,
) -> list[Written | SignerError]:
    """What is signed is what was authorised, octet for octet."""
    originals = [Original.of(one) for one in data]
    for task, original in zip(chunk.tasks, originals, strict=True):
        if original.sha256.hex() != task.digest:
            raise RecordsError("blob-damaged", digest=task.digest)
    written = in_groups.write_in_groups(
        desk, originals, chunk.request, credential, pen, stamp_of, now=now
    )
    return list(written)


def _pen(desk: Desk, chunk: Chunk, credential: Credential, *, now: datetime) -> Pen:
    granted = chunk.authorization
    wrapped = activation.opened_key(desk, granted, now=now)
    key = desk.custody.kept(wrapped, handle=granted.id, until=granted.expires_at, now=now)
    return Pen(signing.template_for(desk, credential, chunk.request.scheme), key, credential.name)
