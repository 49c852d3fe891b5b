"""A batch as it stands, its documents, and the signed ones fetched: each client sees its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from records.errors import DomainError
from signer.batches import batch_packs
from signer.batches.batch_models import BatchItemRow, BatchRow
from signer.batches.batch_packs import Place, Shelves
from signer.errors import BatchRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from signer.desk import Desk


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


def look(desk: Desk, batch_id: str, *, client: str) -> Batch:
    """The batch as it stands; another client's does not exist (`batch-not-found`)."""
    with desk.database.reading() as session:
        return batch_of(mine(session, batch_id, client), counts(session, batch_id))


def listed(
    desk: Desk,
    *,
    client: str,
    state: str | None = None,
    before: datetime | None = None,
    limit: int = 50,
) -> list[Batch]:
    """The client's batches, newest first: who lost an answer, or its own notes, finds them here."""
    wanted = select(BatchRow).where(BatchRow.client == client)
    if state is not None:
        wanted = wanted.where(BatchRow.state == state)
    if before is not None:
        wanted = wanted.where(BatchRow.created_at < before)
    wanted = wanted.order_by(BatchRow.created_at.desc(), BatchRow.id).limit(limit)
    with desk.database.reading() as session:
        return [batch_of(row, counts(session, row.id)) for row in session.scalars(wanted).all()]


def items(
    desk: Desk, batch_id: str, *, client: str, after: int = -1, limit: int = 100
) -> list[Item]:
    """The documents in order, those behind position `after`."""
    with desk.database.reading() as session:
        mine(session, batch_id, client)
        found = session.scalars(
            select(BatchItemRow)
            .where(BatchItemRow.batch_id == batch_id, BatchItemRow.position > after)
            .order_by(BatchItemRow.position)
            .limit(limit)
        )
        return [item_of(one) for one in found]


def content(desk: Desk, shelves: Shelves, batch_id: str, position: int, *, client: str) -> bytes:
    """A signed document, checked against its digest; `batch-document-not-found` for any other."""
    return contents(desk, shelves, batch_id, [position], client=client)[0]


def contents(
    desk: Desk, shelves: Shelves, batch_id: str, positions: Sequence[int], *, client: str
) -> list[bytes]:
    """Several of them, in order; the packs they lie in are read once."""
    with desk.database.reading() as session:
        mine(session, batch_id, client)
        found = [session.get(BatchItemRow, (batch_id, position)) for position in positions]
    wanted = []
    for position, row in zip(positions, found, strict=True):
        if row is None or row.result is None or row.result_pack is None:
            raise BatchRefused("batch-document-not-found", position=position)
        places = [
            Place(row.pack, row.pack_offset, row.size),
            Place(row.result_pack, row.result_offset or 0, row.result_size or 0),
        ]
        wanted.append((places, row.result))
    return batch_packs.joined(shelves.of(batch_id), wanted)


def mine(session: Session, batch_id: str, client: str, *, lock: bool = False) -> BatchRow:
    """The client's own batch; another's does not exist (`batch-not-found`)."""
    row = session.get(BatchRow, batch_id, with_for_update=lock)
    if row is None or row.client != client:
        raise BatchRefused("batch-not-found", batch=batch_id[:64])
    return row


def counts(session: Session, batch_id: str) -> dict[str, int]:
    """How many documents are in each state."""
    found = session.execute(
        select(BatchItemRow.state, func.count())
        .where(BatchItemRow.batch_id == batch_id)
        .group_by(BatchItemRow.state)
    )
    return {row[0]: row[1] for row in found}


def rows(desk: Desk, batch_id: str, positions: Sequence[int]) -> list[BatchItemRow]:
    """The documents at these positions, in order."""
    with desk.database.reading() as session:
        return list(
            session.scalars(
                select(BatchItemRow)
                .where(BatchItemRow.batch_id == batch_id, BatchItemRow.position.in_(positions))
                .order_by(BatchItemRow.position)
            )
        )


def batch_of(row: BatchRow, found: dict[str, int]) -> Batch:
    """A row as others see it."""
    return Batch(
        id=row.id,
        credential_id=row.credential_id,
        state=row.state,
        counts=found,
        failure=row.failure,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def item_of(row: BatchItemRow) -> Item:
    """A row as others see it."""
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
