"""What became of a chunk: made, refused, given back. Each in one transaction, counted once.

Only the worker that holds a document may settle it, and only while its intention stands; a result
that comes too late, after its lease was given to another, is not delivered to anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from records import audit
from records.tags import Tag
from signer.batches.batch_models import BatchItemRow, BatchRow
from signer.batches.batch_packs import Place
from signer.batches.batch_request import failure_of
from signer.batches.batch_upkeep import erase_key
from signer.errors import BatchRefused, SignerError
from signer.keys import activation
from signer.models import AuthorizedDigestRow, SignatureRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from signer.desk import Desk

MOST_TRIES = 3
"""A document in hand when a worker died this often is refused: it may be what kills them."""


@dataclass(frozen=True)
class Outcome:
    """One document's: a result, or a refusal."""

    position: int
    signature_id: str
    authorized: int
    document: str
    result: str | None
    place: Place | None
    field: str | None
    refusal: SignerError | None


def record_outcomes(
    desk: Desk, batch_id: str, holder: str, outcomes: Sequence[Outcome], *, now: datetime, by: str
) -> int:
    """Commit a chunk; how many results now exist for everybody."""
    with desk.database.transaction() as session:
        batch = session.get_one(BatchRow, batch_id, with_for_update=True)
        mine = _still_held(session, batch_id, holder)
        standing = [one for one in outcomes if mine.get(one.signature_id) == one.position]
        made = [one for one in standing if one.result is not None]
        refused = [one for one in standing if one.refusal is not None]
        if made:
            _signatures(
                session,
                [
                    {
                        "id": one.signature_id,
                        "state": "made",
                        "finished_at": now,
                        "field": one.field,
                        "result": one.result,
                    }
                    for one in made
                ],
            )
            _items(
                session,
                [
                    {
                        **_settled(batch_id, one.position, "signed", now),
                        "result": one.result,
                        "result_pack": one.place.pack,
                        "result_offset": one.place.offset,
                        "result_size": one.place.size,
                    }
                    for one in made
                    if one.place is not None
                ],
            )
            _digests(session, batch, [one.authorized for one in made], "used")
        if refused:
            _signatures(
                session,
                [
                    {
                        "id": one.signature_id,
                        "state": "void",
                        "finished_at": now,
                        "failure": one.refusal.code if one.refusal else None,
                    }
                    for one in refused
                ],
            )
            _items(
                session,
                [
                    {
                        **_settled(batch_id, one.position, "refused", now),
                        "failure": failure_of(one.refusal),
                    }
                    for one in refused
                ],
            )
            _digests(session, batch, [one.authorized for one in refused], "open")
        ended = finish_if_empty(session, batch, now=now)
        audit.record_all(
            session,
            tag=Tag.SIGNATURE_MADE,
            by=by,
            acts=[
                (
                    f"document:{one.document}",
                    {
                        "signature": one.signature_id,
                        "credential": batch.credential_id,
                        "field": one.field,
                        "result": one.result,
                        "batch": batch_id,
                    },
                )
                for one in made
            ],
            now=now,
        )
        audit.record_all(
            session,
            tag=Tag.SIGNATURE_VOIDED,
            by=by,
            acts=[
                (
                    f"document:{one.document}",
                    {
                        "signature": one.signature_id,
                        "failure": one.refusal.code if one.refusal else "",
                        "batch": batch_id,
                    },
                )
                for one in refused
            ],
            now=now,
        )
        record_finish(session, batch, ended, now=now, by=by)
    if ended and batch.authorization_id is not None:
        activation.forget(desk, batch.authorization_id)
    return len(made)


def give_back(
    desk: Desk,
    batch_id: str,
    holder: str,
    reason: str,
    *,
    now: datetime,
    by: str,
    tried: bool = False,
) -> int:
    """Void what this worker holds of the batch; the documents wait again. How many."""
    return _void(desk, batch_id, reason, now=now, by=by, holder=holder, tried=tried)


def void_expired(desk: Desk, *, now: datetime, by: str, holder: str | None = None) -> int:
    """Void what dead workers held: leases that ran out, or at once all of a `holder` known dead."""
    wanted = select(BatchItemRow.batch_id).where(BatchItemRow.state == "signing").distinct()
    if holder is None:
        wanted = wanted.where(BatchItemRow.lease_until <= now)
    else:
        wanted = wanted.where(BatchItemRow.holder == holder)
    with desk.database.reading() as session:
        batches = list(session.scalars(wanted))
    return sum(
        _void(desk, one, "interrupted", now=now, by=by, holder=holder, tried=True)
        for one in batches
    )


def pause(desk: Desk, batch_id: str, reason: str, *, now: datetime, by: str) -> None:
    """Nothing more is taken in hand until the holder authorises the rest anew."""
    with desk.database.transaction() as session:
        batch = session.get_one(BatchRow, batch_id, with_for_update=True)
        if batch.state != "running":
            return
        batch.state, batch.failure = "paused", reason
        erase_key(session, batch)
        audit.record(
            session,
            tag=Tag.BATCH_PAUSED,
            by=by,
            subject=f"batch:{batch_id}",
            details={"reason": reason},
            now=now,
        )
    if batch.authorization_id is not None:
        activation.forget(desk, batch.authorization_id)


def _void(
    desk: Desk,
    batch_id: str,
    reason: str,
    *,
    now: datetime,
    by: str,
    holder: str | None,
    tried: bool,
) -> int:
    with desk.database.transaction() as session:
        batch = session.get_one(BatchRow, batch_id, with_for_update=True)
        wanted = select(BatchItemRow).where(
            BatchItemRow.batch_id == batch_id, BatchItemRow.state == "signing"
        )
        if holder is None:
            wanted = wanted.where(BatchItemRow.lease_until <= now)
        else:
            wanted = wanted.where(BatchItemRow.holder == holder)
        rows = list(session.scalars(wanted))
        if not rows:
            return 0
        for one in rows:
            one.holder = one.lease_until = None
            one.tries += tried
            one.state = "waiting" if batch.state != "cancelled" else "cancelled"
            if one.tries >= MOST_TRIES:
                one.state = "refused"
                one.failure = failure_of(BatchRefused("batch-document-interrupts", tries=one.tries))
            if one.state != "waiting":
                one.finished_at = now
        session.flush()
        session.execute(
            update(SignatureRow)
            .where(
                SignatureRow.id.in_([one.signature_id for one in rows]),
                SignatureRow.state == "intended",
            )
            .values(state="void", finished_at=now, failure=reason)
        )
        _digests(session, batch, [one.authorized for one in rows], "open", only="reserved")
        ended = finish_if_empty(session, batch, now=now)
        audit.record_all(
            session,
            tag=Tag.SIGNATURE_VOIDED,
            by=by,
            acts=[
                (
                    f"document:{one.digest}",
                    {"signature": one.signature_id, "failure": reason, "batch": batch_id},
                )
                for one in rows
            ],
            now=now,
        )
        record_finish(session, batch, ended, now=now, by=by)
    return len(rows)


def _still_held(session: Session, batch_id: str, holder: str) -> dict[str, int]:
    """The signatures this worker may still deliver, and their documents' positions."""
    rows = session.execute(
        select(SignatureRow.id, BatchItemRow.position)
        .join(BatchItemRow, BatchItemRow.signature_id == SignatureRow.id)
        .where(
            BatchItemRow.batch_id == batch_id,
            BatchItemRow.state == "signing",
            BatchItemRow.holder == holder,
            SignatureRow.state == "intended",
        )
    )
    return {row[0]: row[1] for row in rows}


def _settled(batch_id: str, position: int, state: str, now: datetime) -> dict[str, object]:
    return {
        "batch_id": batch_id,
        "position": position,
        "state": state,
        "holder": None,
        "lease_until": None,
        "finished_at": now,
    }


def _signatures(session: Session, rows: list[dict[str, object]]) -> None:
    session.execute(update(SignatureRow), rows)


def _items(session: Session, rows: list[dict[str, object]]) -> None:
    session.execute(update(BatchItemRow), rows)


def _digests(
    session: Session,
    batch: BatchRow,
    positions: Sequence[int | None],
    state: str,
    *,
    only: str | None = None,
) -> None:
    wanted = (
        update(AuthorizedDigestRow)
        .where(
            AuthorizedDigestRow.authorization_id == batch.authorization_id,
            AuthorizedDigestRow.position.in_([one for one in positions if one is not None]),
        )
        .values(state=state)
    )
    if only is not None:
        wanted = wanted.where(AuthorizedDigestRow.state == only)
    session.execute(wanted)


def finish_if_empty(session: Session, batch: BatchRow, *, now: datetime) -> bool:
    """The batch is done when nothing waits and nothing is in hand; its key is erased then."""
    left = session.scalar(
        select(BatchItemRow.position)
        .where(BatchItemRow.batch_id == batch.id, BatchItemRow.state.in_(("waiting", "signing")))
        .limit(1)
    )
    if left is not None or batch.state not in ("running", "paused"):
        return False
    batch.state, batch.finished_at, batch.failure = "done", now, None
    erase_key(session, batch)
    return True


def record_finish(
    session: Session, batch: BatchRow, ended: bool, *, now: datetime, by: str
) -> None:
    if ended:
        audit.record(
            session,
            tag=Tag.BATCH_FINISHED,
            by=by,
            subject=f"batch:{batch.id}",
            details={"authorization": batch.authorization_id or ""},
            now=now,
        )
