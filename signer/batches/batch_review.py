"""A batch as its signer meets it: whose key it asks for, and each document before the PIN.

A batch belongs to the client that opened it. The holder of the key it names may look through it,
leave documents out, authorise it, follow it and stop it, whoever opened it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from signer.batches import batch_packs, batch_reading
from signer.batches.batch_models import BatchItemRow, BatchRow
from signer.batches.batch_packs import Place, Shelves
from signer.batches.batch_reading import Batch
from signer.errors import BatchRefused

if TYPE_CHECKING:
    from signer.desk import Desk

WAITING = ("open", "paused")


@dataclass(frozen=True)
class Offered:
    """A batch and the client it belongs to."""

    batch: Batch
    client: str


def of_keys(desk: Desk, credential_ids: Sequence[str], *, limit: int = 50) -> list[Offered]:
    """The batches that ask for these keys, the newest first."""
    wanted = (
        select(BatchRow.id, BatchRow.client)
        .where(BatchRow.credential_id.in_(credential_ids))
        .order_by(BatchRow.created_at.desc(), BatchRow.id)
        .limit(limit)
    )
    with desk.database.reading() as session:
        found = [(row.id, row.client) for row in session.execute(wanted)]
    return [Offered(batch_reading.look(desk, one, client=client), client) for one, client in found]


def waiting(desk: Desk, credential_ids: Sequence[str]) -> int:
    """How many batches with documents wait for a PIN of these keys."""
    wanted = select(func.count()).where(
        BatchRow.credential_id.in_(credential_ids),
        BatchRow.state.in_(WAITING),
        select(BatchItemRow.position)
        .where(BatchItemRow.batch_id == BatchRow.id, BatchItemRow.state == "waiting")
        .exists(),
    )
    with desk.database.reading() as session:
        return session.scalar(wanted) or 0


def offered(desk: Desk, batch_id: str, credential_ids: Sequence[str]) -> Offered:
    """A batch for one of these keys; `batch-not-found` for any other."""
    with desk.database.reading() as session:
        row = session.get(BatchRow, batch_id)
    if row is None or row.credential_id not in credential_ids:
        raise BatchRefused("batch-not-found", batch=batch_id[:64])
    return Offered(batch_reading.look(desk, batch_id, client=row.client), row.client)


@dataclass(frozen=True)
class Original:
    """A document as it came in: what is shown is what is signed."""

    name: str
    digest: str
    pages: int
    data: bytes


def original(
    desk: Desk, shelves: Shelves, batch_id: str, position: int, *, client: str
) -> Original:
    """Raises BatchRefused `batch-document-not-found` once its bytes are gone."""
    batch_reading.look(desk, batch_id, client=client)
    with desk.database.reading() as session:
        row = session.get(BatchItemRow, (batch_id, position))
    if row is None or not row.pack:
        raise BatchRefused("batch-document-not-found", position=position)
    places = [Place(row.pack, row.pack_offset, row.size)]
    (data,) = batch_packs.joined(shelves.of(batch_id), [(places, row.digest)])
    return Original(row.name, row.digest, row.pages or 0, data)


def known_page(desk: Desk, batch_id: str, position: int, *, client: str) -> tuple[str, int]:
    """Digest and number of pages of a document, without reading it."""
    batch_reading.look(desk, batch_id, client=client)
    with desk.database.reading() as session:
        row = session.get(BatchItemRow, (batch_id, position))
    if row is None:
        raise BatchRefused("batch-document-not-found", position=position)
    return row.digest, row.pages or 0
