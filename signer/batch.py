"""Sign thousands of documents under one authorisation, each with an outcome of its own.

    batch = open_batch(desk, credential_id=…, client=…, request=SignatureRequest(…), now=, by=)
    add(desk, shelves, batch.id, [("a.pdf", data), …], client=…, now=, by=)     # inspected at once
    choose(desk, batch.id, tick=[], untick=[3], client=…)                       # reviewed
    authorize(desk, batch.id, pin=…, client=…, now=, by=)                       # one PIN; it runs

`signer.batch_work` does the work, in as many processes as there are; docs/flows/batch.md has the
numbers of both. What is authorised are the digests of the ticked documents, nothing else.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer import activation, appearance, batch_packs, credentials, signing
from signer.appearance import Appearance
from signer.batch_models import BatchItemRow, BatchRow
from signer.batch_packs import Place, Shelves
from signer.cms import Scheme
from signer.document import Document, Original
from signer.errors import BatchRefused, SignerError
from signer.levels import Level
from signer.models import AuthorizationRow
from signer.signature import SignatureRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.orm import Session

    from signer.activation import Authorization
    from signer.credentials import Credential
    from signer.desk import Desk

    Authorizer = Callable[[Sequence[bytes]], Authorization]

MOST_DOCUMENTS = activation.MOST_DIGESTS
KEPT_FOR = timedelta(days=2)
_ENDED = ("done", "cancelled")


@dataclass(frozen=True)
class Batch:
    """A job as it stands; `counts` by state of its documents."""

    id: str
    credential_id: str
    state: str
    counts: dict[str, int]
    failure: str | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def settled(self) -> bool:
        """Nothing is going to change any more."""
        return self.state == "done" or (
            self.state == "cancelled" and not self.counts.get("signing")
        )


@dataclass(frozen=True)
class Item:
    """One document of a batch and what became of it."""

    position: int
    name: str
    digest: str
    size: int
    pages: int | None
    state: str
    result: str | None
    failure: DomainError | None = field(default=None)
    finished_at: datetime | None = None


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
    return _batch(row, {})


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
        row = _mine(session, batch_id, client)
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
    return [_item(one) for one in _rows(desk, batch_id, wanted)]


def choose(
    desk: Desk, batch_id: str, *, tick: Iterable[int], untick: Iterable[int], client: str
) -> Batch:
    """Take documents in or leave them out, before the PIN; what was refused stays refused."""
    with desk.database.transaction() as session:
        row = _mine(session, batch_id, client, lock=True)
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
        return _batch(row, _counts(session, batch_id))


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
        row = _mine(session, batch_id, client)
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
            row = _mine(session, batch_id, client, lock=True)
            _require(row, "open", "paused")
            if _counts(session, batch_id).get("signing"):
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
            return _batch(row, _counts(session, batch_id))
    except BaseException:
        activation.close(desk, authorization, now=now, by=by)
        raise


def cancel(desk: Desk, batch_id: str, *, client: str, now: datetime, by: str) -> Batch:
    """Stop: nothing more is taken in hand. What a worker holds at this moment is finished.

    The key is erased at once. Cancelling twice is fine; a batch that is done stays done.
    """
    with desk.database.transaction() as session:
        row = _mine(session, batch_id, client, lock=True)
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
                details=dict(_counts(session, batch_id)),
                now=now,
            )
        found = _batch(row, _counts(session, batch_id))
    if row.authorization_id is not None:
        activation.forget(desk, row.authorization_id)
    return found


def chosen_digests(desk: Desk, batch_id: str, *, client: str) -> list[bytes]:
    """The digests that an authorisation given now would be for, in order."""
    with desk.database.reading() as session:
        _mine(session, batch_id, client)
        return [bytes.fromhex(digest) for _, digest in _chosen(session, batch_id)]


def look(desk: Desk, batch_id: str, *, client: str) -> Batch:
    """The batch as it stands; another client's does not exist (`batch-not-found`)."""
    with desk.database.reading() as session:
        return _batch(_mine(session, batch_id, client), _counts(session, batch_id))


def items(
    desk: Desk, batch_id: str, *, client: str, after: int = -1, limit: int = 100
) -> list[Item]:
    """The documents in order, those behind position `after`."""
    with desk.database.reading() as session:
        _mine(session, batch_id, client)
        rows = session.scalars(
            select(BatchItemRow)
            .where(BatchItemRow.batch_id == batch_id, BatchItemRow.position > after)
            .order_by(BatchItemRow.position)
            .limit(limit)
        )
        return [_item(one) for one in rows]


def content(desk: Desk, shelves: Shelves, batch_id: str, position: int, *, client: str) -> bytes:
    """A signed document, checked against its digest; `batch-document-not-found` for any other."""
    with desk.database.reading() as session:
        _mine(session, batch_id, client)
        row = session.get(BatchItemRow, (batch_id, position))
    if row is None or row.result is None or row.result_pack is None:
        raise BatchRefused("batch-document-not-found", position=position)
    places = [
        Place(row.pack, row.pack_offset, row.size),
        Place(row.result_pack, row.result_offset or 0, row.result_size or 0),
    ]
    return batch_packs.joined(shelves.of(batch_id), places, row.result)


def purge(desk: Desk, shelves: Shelves, *, now: datetime) -> int:
    """Remove the documents of batches older than two days; what became of each stays on record.

    Running ones are left alone: no authorisation lasts that long, so they are paused by then.
    """
    old = select(BatchRow.id).where(
        BatchRow.created_at < now - KEPT_FOR, BatchRow.state.in_(("open", "paused", *_ENDED))
    )
    kept = select(BatchItemRow.batch_id).where(
        BatchItemRow.batch_id.in_(old), BatchItemRow.pack != ""
    )
    with desk.database.reading() as session:
        found = list(session.scalars(kept.distinct().limit(100)))
    for batch_id in found:
        _empty(desk, shelves, batch_id, now=now)
    return len(found)


def _empty(desk: Desk, shelves: Shelves, batch_id: str, *, now: datetime) -> None:
    mine = BatchItemRow.batch_id == batch_id
    with desk.database.reading() as session:
        packs = set(session.scalars(select(BatchItemRow.pack).where(mine)))
        packs |= set(session.scalars(select(BatchItemRow.result_pack).where(mine)))
    store = shelves.of(batch_id)
    for pack in packs:
        if pack:
            store.delete(pack)
    with desk.database.transaction() as session:
        row = session.get_one(BatchRow, batch_id, with_for_update=True)
        if row.state not in _ENDED:
            row.state, row.finished_at = "cancelled", now
            erase_key(session, row)
        session.execute(
            update(BatchItemRow)
            .where(mine, BatchItemRow.state.in_(("waiting", "left-out")))
            .values(state="cancelled", finished_at=now)
        )
        session.execute(update(BatchItemRow).where(mine).values(pack="", result_pack=None))


def erase_key(session: Session, row: BatchRow) -> None:
    """The authorisation's sealed key has no more to do."""
    session.execute(
        update(AuthorizationRow)
        .where(AuthorizationRow.id == row.authorization_id)
        .values(ended=True, sealed_key=None)
    )


def failure_of(refusal: DomainError | None) -> dict[str, Any] | None:
    """A refusal as it is kept with its document."""
    if refusal is None:
        return None
    params = {
        name: value if isinstance(value, int | float) else str(value)
        for name, value in refusal.params.items()
    }
    return {"code": refusal.code, "params": params}


def packed(request: SignatureRequest) -> dict[str, Any]:
    """How to sign, as JSON."""
    return {**asdict(replace(request, signing_time=None)), "level": request.level.value}


def unpacked(kept: dict[str, Any]) -> SignatureRequest:
    """The request again."""
    values = {**kept, "level": Level(kept["level"])}
    look_ = values.pop("appearance")
    if look_ is not None:
        box = look_["box"]
        look_ = Appearance(
            **{
                **look_,
                "box": (box[0], box[1], box[2], box[3]) if box is not None else None,
                "lines": tuple(look_["lines"]),
            }
        )
    for name in ("lock_fields", "lock_fields_except"):
        locked = values.get(name)
        values[name] = tuple(locked) if locked is not None else None
    if values.get("scheme") is not None:
        values["scheme"] = Scheme(values["scheme"])
    return SignatureRequest(**values, appearance=look_)


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


def _mine(session: Session, batch_id: str, client: str, *, lock: bool = False) -> BatchRow:
    row = session.get(BatchRow, batch_id, with_for_update=lock)
    if row is None or row.client != client:
        raise BatchRefused("batch-not-found", batch=batch_id[:64])
    return row


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


def _counts(session: Session, batch_id: str) -> dict[str, int]:
    found = session.execute(
        select(BatchItemRow.state, func.count())
        .where(BatchItemRow.batch_id == batch_id)
        .group_by(BatchItemRow.state)
    )
    return {row[0]: row[1] for row in found}


def _rows(desk: Desk, batch_id: str, positions: Sequence[int]) -> list[BatchItemRow]:
    with desk.database.reading() as session:
        return list(
            session.scalars(
                select(BatchItemRow)
                .where(BatchItemRow.batch_id == batch_id, BatchItemRow.position.in_(positions))
                .order_by(BatchItemRow.position)
            )
        )


def _batch(row: BatchRow, counts: dict[str, int]) -> Batch:
    return Batch(
        id=row.id,
        credential_id=row.credential_id,
        state=row.state,
        counts=counts,
        failure=row.failure,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _item(row: BatchItemRow) -> Item:
    failure = None
    if row.failure is not None:
        failure = BatchRefused(row.failure["code"], **row.failure["params"])
    return Item(
        position=row.position,
        name=row.name,
        digest=row.digest,
        size=row.size,
        pages=row.pages,
        state=row.state,
        result=row.result,
        failure=failure,
        finished_at=row.finished_at,
    )
