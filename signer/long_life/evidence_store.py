"""Evidence records kept for a population of documents: one time-stamp for thousands of them.

    protect(desk, digests, now=now, by=by)          # those that no tree holds yet
    evidence_of(desk, digest)                       # the record of one, put together
    evidence_renewal.renew(desk, now=now, by=by)    # what has to be renewed now

Documents are known by their SHA-256 alone, so copies already given away are protected as well as
those in the store. A call that is interrupted leaves whole trees behind and nothing half done:
the next one takes up what is left. The numbers are those of docs/flows/long-life.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from records import audit
from records.tags import Tag
from signer.errors import SignerError
from signer.levels import Level
from signer.long_life import evidence_records
from signer.long_life.evidence_records import Evidence
from signer.long_life.evidence_syntax import ArchiveTimeStamp, Chain, EvidenceRecord
from signer.long_life.hash_tree import HashTree
from signer.long_life.long_life_models import ArchivedDocumentRow, ArchiveTreeRow
from signer.models import SignatureRow
from signer.pdf import dss
from signer.verdicts.strength import genuine_time, load_renewal_policy

if TYPE_CHECKING:
    from records.blobs import BlobStore
    from records.database import Database
    from signer.desk import Desk

DOCUMENTS = "documents"
TIME_STAMPS = "time-stamps"
_ALGORITHM = "sha256"
_ASKED_AT_ONCE = 500
_DIGEST_SIZE = 32


@dataclass(frozen=True)
class Protected:
    """What a call did: how many documents got a proof, with how many time-stamps."""

    documents: int
    time_stamps: int


def protect(desk: Desk, digests: Iterable[str], *, now: datetime, by: str) -> Protected:
    """Give every document of these a place in an evidence record, if it has none.

    `digests` are SHA-256 in hex. Raises CaError or HsmError when no time-stamp can be had.
    """
    wanted = sorted({_checked(one) for one in digests})
    known = _known(desk, wanted)
    waiting = [one for one in wanted if one not in known]
    most = load_renewal_policy().documents_per_time_stamp
    made = 0
    for group in _groups(waiting, most):
        # 1. What shows the status of the time-stamp authorities in those documents now.
        companion = desk.blobs.put(evidence_records.companion(time_stamp_material(desk, now)))
        # 2. The tree, 3. its time-stamp, 4. rows and audit entry, all at once.
        leaves = [(bytes.fromhex(one), bytes.fromhex(companion)) for one in group]
        tree = HashTree.over(leaves, _ALGORITHM)
        row = stamped(desk, tree, leaves, DOCUMENTS, _ALGORITHM, companion, now=now, by=by)
        with desk.database.transaction() as session:
            session.add(row)
            session.flush()
            session.add_all(
                ArchivedDocumentRow(digest=one, generation=0, tree_id=row.id, position=place)
                for place, one in enumerate(group)
            )
            _audit(session, row, now=now, by=by)
        made += 1
    return Protected(len(waiting), made)


class Shelf(Protocol):
    """Where trees are kept: a desk, or a house that has not opened its token."""

    @property
    def database(self) -> Database: ...

    @property
    def blobs(self) -> BlobStore: ...


def delivered(desk: Desk, *, limit: int) -> list[str]:
    """Documents made here at level B-LTA, in their last form, that no tree holds yet.

    At the lower levels a proof of existence would not help: nothing in them shows the status of
    their authorities for so long. They are raised first (`augment`).
    """
    later = aliased(SignatureRow)
    known = select(ArchivedDocumentRow.digest).where(
        ArchivedDocumentRow.digest == SignatureRow.result
    )
    query = (
        select(SignatureRow.result)
        .where(
            SignatureRow.state == "made",
            SignatureRow.level == Level.B_LTA.value,
            SignatureRow.result.is_not(None),
            ~select(later.id).where(later.document == SignatureRow.result).exists(),
            ~known.exists(),
        )
        .distinct()
        .order_by(SignatureRow.result)
        .limit(limit)
    )
    with desk.database.reading() as session:
        return [one for one in session.scalars(query) if one is not None]


def evidence_of(desk: Shelf, digest: str) -> Evidence | None:
    """The evidence record of a document with its companion, or None when there is none."""
    with desk.database.reading() as session:
        query = select(ArchivedDocumentRow).where(ArchivedDocumentRow.digest == digest)
        places = session.scalars(query.order_by(ArchivedDocumentRow.generation)).all()
        if not places:
            return None
        first = session.get_one(ArchiveTreeRow, places[0].tree_id)
        trees: dict[str, HashTree] = {}
        chains = tuple(chain_of(desk, session, one, trees) for one in places)
    companion = desk.blobs.get(first.companion) if first.companion else None
    record = EvidenceRecord(chains).encode()
    return Evidence(record, (companion,) if companion is not None else ())


def chain_of(
    desk: Shelf, session: Session, place: ArchivedDocumentRow, trees: dict[str, HashTree]
) -> Chain:
    """One chain: the document's own archive time-stamp and the renewals above it (§5.1).

    `trees` keeps what was read, for the next document of the same trees.
    """
    tree = session.get_one(ArchiveTreeRow, place.tree_id)
    closing = tree.closing_token
    position, chain = place.position, []
    while True:
        if tree.id not in trees:
            trees[tree.id] = HashTree.over(leaves_of(desk, tree), tree.algorithm)
        lists = trees[tree.id].reduced(position)
        chain.append(ArchiveTimeStamp(tree.algorithm, lists, tree.token))
        if tree.renewed_by is None or tree.renewed_at is None:
            if closing is not None:
                chain[-1] = replace(chain[-1], token=closing)
            return tuple(chain)
        position = tree.renewed_at
        tree = session.get_one(ArchiveTreeRow, tree.renewed_by)


def leaves_of(desk: Shelf, tree: ArchiveTreeRow) -> list[tuple[bytes, ...]]:
    """The data groups of a tree, in order."""
    data = desk.blobs.get(tree.leaves)
    size = len(data) // (tree.size * tree.width)
    values = [data[start : start + size] for start in range(0, len(data), size)]
    return [
        tuple(values[start : start + tree.width]) for start in range(0, len(values), tree.width)
    ]


def stamped(
    desk: Desk,
    tree: HashTree,
    leaves: Sequence[Sequence[bytes]],
    kind: str,
    algorithm: str,
    companion: str | None,
    *,
    now: datetime,
    by: str,
) -> ArchiveTreeRow:
    """A row for a new tree, time-stamped and its leaves stored; nothing names it yet.

    The time-stamp takes along what shows its authority's status now, for validators elsewhere.
    """
    blob = desk.blobs.put(b"".join(value for group in leaves for value in group))
    token = desk.tsa.stamp(tree.root, algorithm, now=now)
    token = evidence_records.completed(token, unit_material(desk, now))
    return ArchiveTreeRow(
        id=uuid.uuid4().hex,
        kind=kind,
        algorithm=algorithm,
        size=len(leaves),
        width=len(leaves[0]),
        leaves=blob,
        companion=companion,
        token=token,
        stamped_at=genuine_time(token),
        made_by=by,
    )


def time_stamp_material(desk: Desk, now: datetime) -> dss.Material:
    """Certificates and status of every time-stamp unit of ours that is still within its term."""
    material = dss.Material()
    for unit in desk.tsa.units(now=now):
        path = (unit, *desk.authority.chain(unit))
        material += dss.gather(
            path, responder=desk.responder, shelf=desk.revocation, fresh=False, now=now
        )
    return material


def unit_material(desk: Desk, now: datetime) -> dss.Material:
    """Certificates and status of the time-stamp unit in use."""
    path = (desk.tsa.certificate, *desk.tsa.chain)
    return dss.gather(path, responder=desk.responder, shelf=desk.revocation, fresh=False, now=now)


def coverage(desk: Desk) -> tuple[int, int]:
    """(documents with an evidence record, trees that are the newest proof of something)."""
    with desk.database.reading() as session:
        documents = session.scalar(select(func.count()).where(ArchivedDocumentRow.generation == 0))
        trees = session.scalar(
            select(func.count()).where(
                ArchiveTreeRow.renewed_by.is_(None), ArchiveTreeRow.superseded_by.is_(None)
            )
        )
    return documents or 0, trees or 0


def _known(desk: Desk, digests: Sequence[str]) -> set[str]:
    found: set[str] = set()
    with desk.database.reading() as session:
        for some in _groups(digests, _ASKED_AT_ONCE):
            query = select(ArchivedDocumentRow.digest).where(
                ArchivedDocumentRow.digest.in_(some), ArchivedDocumentRow.generation == 0
            )
            found.update(session.scalars(query))
    return found


def _groups(values: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    return (values[start : start + most] for start in range(0, len(values), most))


def _checked(digest: str) -> str:
    try:
        whole = len(bytes.fromhex(digest)) == _DIGEST_SIZE
    except ValueError:
        whole = False
    if not whole:
        raise SignerError("evidence-digest-wrong", digest=digest[:80])
    return digest.lower()


def _audit(session: Session, row: ArchiveTreeRow, *, now: datetime, by: str) -> None:
    audit.record(
        session,
        tag=Tag.EVIDENCE_MADE,
        by=by,
        subject=f"archive-tree:{row.id}",
        details={"kind": row.kind, "documents": row.size, "algorithm": row.algorithm},
        now=now,
    )
