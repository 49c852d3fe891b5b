"""Sign thousands of documents under one authorisation, each with an outcome of its own.

    batch = open_batch(desk, credential_id=…, client=…, request=SignatureRequest(…), now=, by=)
    add(desk, shelves, batch.id, [("a.pdf", data), …], client=…, now=, by=)     # inspected at once
    choose(desk, batch.id, tick=[], untick=[3], client=…)                       # reviewed
    authorize(desk, batch.id, pin=…, client=…, now=, by=)                       # one PIN; it runs

`signer.batches.batch_work` does the work, in as many processes as there are; docs/flows/batch.md
has the numbers of both. What is authorised are the digests of the ticked documents, nothing else.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from records import audit
from records.tags import Tag
from signer import signing
from signer.batches import batch_packs
from signer.batches.batch_models import BatchItemRow, BatchRow
from signer.batches.batch_packs import Shelves
from signer.batches.batch_reading import (
    Batch,
    Item,
    batch_of,
    counts,
    item_of,
    mine,
    rows,
)
from signer.batches.batch_request import failure_of, packed, unpacked
from signer.batches.batch_upkeep import erase_key
from signer.errors import BatchRefused, SignerError
from signer.keys import activation, credentials
from signer.looks import appearance
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.signature import SignatureRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.orm import Session

    from signer.desk import Desk
    from signer.keys.activation import Authorization
    from signer.keys.credentials import Credential

    Authorizer = Callable[[Sequence[bytes]], Authorization]


MOST_DOCUMENTS = activation.MOST_DIGESTS


def open_batch(
    desk: Desk,
    *,
    credential_id: str,
    client: str,
    request: SignatureRequest,
    now: datetime,
    by: str,
) -> Batch:
    """An empty batch; every document in it will be signed by this holder in this way."""
    credential = credentials.find(desk, credential_id)
    credentials.require_usable(desk, credential, now=now)
    signing.template_for(desk, credential, request.scheme)  # refuses a scheme unfit for the key
    if request.appearance is not None:
        appearance.require_sound(request.appearance)
    batch_id = f"bat_{secrets.token_hex(16)}"
    with desk.database.transaction() as session:
        row = BatchRow(
            id=batch_id,
            credential_id=credential_id,
            client=client,
            request=packed(request),
            state="open",
            created_at=now,
            created_by=by,
            claimed_at=now,
        )
        session.add(row)
        audit.record(
            session,
            tag=Tag.BATCH_OPENED,
            by=by,
            subject=f"batch:{batch_id}",
            details={"credential": credential_id, "client": client, "level": request.level.value},
            now=now,
        )
    return batch_of(row, {})


def add(
    desk: Desk,
    shelves: Shelves,
    batch_id: str,
    files: Sequence[tuple[str, bytes]],
    *,
    client: str,
    now: datetime,
    by: str,
) -> list[Item]:
    """Put documents in, in order. One that cannot be signed is kept as refused, with its reason.

    A document that is in the batch already is not taken twice: sending again after a lost answer
    adds nothing. Raises BatchRefused `batch-state-wrong`, `batch-too-large`.
    """
    with desk.database.reading() as session:
        row = mine(session, batch_id, client)
        _require(row, "open")
        request = unpacked(row.request)
    # 1. Inspect each as it will be inspected before signing.
    credential = credentials.find(desk, row.credential_id)
    originals = [(name, Original.of(data)) for name, data in files]
    seen = [_inspected(desk, one, request, credential) for _, one in originals]
    # 2. Keep the bytes, on disk, before anything says that they are here.
    places = batch_packs.put(shelves.of(batch_id), [data for _, data in files])
    digests = [one.sha256.hex() for _, one in originals]
    # 3. Enter them, if nobody closed the batch meanwhile.
    with desk.database.transaction() as session:
        locked = session.get_one(BatchRow, batch_id, with_for_update=True)
        _require(locked, "open")
        present = select(BatchItemRow).where(BatchItemRow.batch_id == batch_id)
        known = {one.digest: one.position for one in session.scalars(present)}
        added = []
        for (name, _), digest, place, (pages, refusal) in zip(
            originals, digests, places, seen, strict=True
        ):
            if digest in known:
                continue
            known[digest] = len(known)
            added.append(
                BatchItemRow(
                    batch_id=batch_id,
                    position=known[digest],
                    name=name,
                    digest=digest,
                    size=place.size,
                    pack=place.pack,
                    pack_offset=place.offset,
                    pages=pages,
                    state="waiting" if refusal is None else "refused",
                    tries=0,
                    failure=failure_of(refusal),
                    finished_at=None if refusal is None else now,
                )
            )
        if len(known) > MOST_DOCUMENTS:
            raise BatchRefused("batch-too-large", limit=MOST_DOCUMENTS)
        session.add_all(added)
        locked.claimed_at = now
        if added:
            audit.record(
                session,
                tag=Tag.BATCH_FILLED,
                by=by,
                subject=f"batch:{batch_id}",
                details={"first": added[0].position, "documents": [one.digest for one in added]},
                now=now,
            )
        wanted = [known[one] for one in dict.fromkeys(digests)]
    return [item_of(one) for one in rows(desk, batch_id, wanted)]


def choose(
    desk: Desk, batch_id: str, *, tick: Iterable[int], untick: Iterable[int], client: str
) -> Batch:
    """Take documents in or leave them out, before the PIN; what was refused stays refused."""
    with desk.database.transaction() as session:
        row = mine(session, batch_id, client, lock=True)
        _require(row, "open", "paused")
        for positions, before, after in (
            (list(tick), "left-out", "waiting"),
            (list(untick), "waiting", "left-out"),
        ):
            session.execute(
                update(BatchItemRow)
                .where(
                    BatchItemRow.batch_id == batch_id,
                    BatchItemRow.position.in_(positions),
                    BatchItemRow.state == before,
                )
                .values(state=after)
            )
        return batch_of(row, counts(session, batch_id))


def authorize(
    desk: Desk,
    batch_id: str,
    *,
    pin: str | None = None,
    authorizer: Authorizer | None = None,
    client: str,
    now: datetime,
    by: str,
    minutes: int = activation.LONGEST_MINUTES,
) -> Batch:
    """The holder's PIN, once: the ticked documents' digests are bound to it and work begins.

    `authorizer` opens the key for the digests in another way than by `pin`: with a passkey.

    Also how a paused batch goes on. Raises BatchRefused `batch-state-wrong`, `batch-in-hand`,
    `batch-changed`, and what `activation.authorize` raises.
    """
    # 1. What is to be signed, as it was reviewed.
    with desk.database.reading() as session:
        row = mine(session, batch_id, client)
        _require(row, "open", "paused")
        chosen = _chosen(session, batch_id)
    # 2. The PIN opens the key for exactly these; each attempt is counted and audited there.
    digests = [bytes.fromhex(digest) for _, digest in chosen]
    if authorizer is not None:
        authorization = authorizer(digests)
    else:
        authorization = activation.authorize(
            desk,
            credential_id=row.credential_id,
            pin=pin or "",
            digests=digests,
            client=client,
            now=now,
            by=by,
            minutes=minutes,
        )
    # 3. Start, unless the choice changed while the PIN was typed.
    try:
        with desk.database.transaction() as session:
            row = mine(session, batch_id, client, lock=True)
            _require(row, "open", "paused")
            if counts(session, batch_id).get("signing"):
                raise BatchRefused("batch-in-hand")
            if _chosen(session, batch_id) != chosen:
                raise BatchRefused("batch-changed")
            row.state, row.authorization_id, row.failure = "running", authorization.id, None
            row.claimed_at = now
            session.execute(
                update(BatchItemRow),
                [
                    {"batch_id": batch_id, "position": position, "authorized": number}
                    for number, (position, _) in enumerate(chosen)
                ],
            )
            audit.record(
                session,
                tag=Tag.BATCH_STARTED,
                by=by,
                subject=f"batch:{batch_id}",
                details={"authorization": authorization.id, "documents": len(chosen)},
                now=now,
            )
            return batch_of(row, counts(session, batch_id))
    except BaseException:
        activation.close(desk, authorization, now=now, by=by)
        raise


def cancel(desk: Desk, batch_id: str, *, client: str, now: datetime, by: str) -> Batch:
    """Stop: nothing more is taken in hand. What a worker holds at this moment is finished.

    The key is erased at once. Cancelling twice is fine; a batch that is done stays done.
    """
    with desk.database.transaction() as session:
        row = mine(session, batch_id, client, lock=True)
        if row.state != "cancelled":
            _require(row, "open", "running", "paused")
            row.state, row.finished_at = "cancelled", now
            session.execute(
                update(BatchItemRow)
                .where(BatchItemRow.batch_id == batch_id, BatchItemRow.state == "waiting")
                .values(state="cancelled", finished_at=now)
            )
            erase_key(session, row)
            audit.record(
                session,
                tag=Tag.BATCH_CANCELLED,
                by=by,
                subject=f"batch:{batch_id}",
                details=dict(counts(session, batch_id)),
                now=now,
            )
        found = batch_of(row, counts(session, batch_id))
    if row.authorization_id is not None:
        activation.forget(desk, row.authorization_id)
    return found


def chosen_digests(desk: Desk, batch_id: str, *, client: str) -> list[bytes]:
    """The digests that an authorisation given now would be for, in order."""
    with desk.database.reading() as session:
        mine(session, batch_id, client)
        return [bytes.fromhex(digest) for _, digest in _chosen(session, batch_id)]


def _inspected(
    desk: Desk, original: Original, request: SignatureRequest, credential: Credential
) -> tuple[int | None, SignerError | None]:
    try:
        with Document.open(original, desk.limits) as document:
            document.require_signable()
            appearance.prepare(desk, document, request, credential)
            return document.pages, None
    except SignerError as refusal:
        return None, refusal


def _require(row: BatchRow, *states: str) -> None:
    if row.state not in states:
        raise BatchRefused("batch-state-wrong", state=row.state)


def _chosen(session: Session, batch_id: str) -> list[tuple[int, str]]:
    found = session.execute(
        select(BatchItemRow.position, BatchItemRow.digest)
        .where(BatchItemRow.batch_id == batch_id, BatchItemRow.state == "waiting")
        .order_by(BatchItemRow.position)
    )
    return [(position, digest) for position, digest in found]
