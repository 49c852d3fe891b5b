"""What is over: documents of old batches are removed, keys that have no more to do erased."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from signer.batches.batch_models import BatchItemRow, BatchRow
from signer.batches.batch_packs import Shelves
from signer.models import AuthorizationRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from signer.desk import Desk

KEPT_FOR = timedelta(days=2)
ENDED = ("done", "cancelled")


def purge(desk: Desk, shelves: Shelves, *, now: datetime) -> int:
    """Remove the documents of batches older than two days; what became of each stays on record.

    Running ones are left alone: no authorisation lasts that long, so they are paused by then.
    """
    old = select(BatchRow.id).where(
        BatchRow.created_at < now - KEPT_FOR, BatchRow.state.in_(("open", "paused", *ENDED))
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
        if row.state not in ENDED:
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
