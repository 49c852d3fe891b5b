"""Evidence records renewed before they grow weak (RFC 4998 §5.2).

    renew(desk, now=now, by="system:renewal")

Two ways, chosen by what ends first. A certificate, a key or the time-stamp's signature: the old
time-stamps themselves become the leaves of one new tree, thousands of trees for one token. The
digest of the tree: every document is hashed anew, with all that was said about it before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select
from sqlalchemy.orm import Session

from records import audit
from records.tags import Tag
from signer.long_life import evidence_records
from signer.long_life.evidence_store import (
    DOCUMENTS,
    TIME_STAMPS,
    chain_of,
    stamped,
    time_stamp_material,
)
from signer.long_life.evidence_syntax import Chain, sequence_of
from signer.long_life.hash_tree import ALGORITHMS, HashTree, hashed
from signer.long_life.long_life_models import ArchivedDocumentRow, ArchiveTreeRow
from signer.trust.certificates import read_all
from signer.verdicts.policy import Policy, load_policy
from signer.verdicts.strength import (
    RenewalPolicy,
    Strength,
    digest_end,
    load_renewal_policy,
    of_path,
    of_token,
)

if TYPE_CHECKING:
    from signer.desk import Desk

ReadDocument = Callable[[str], bytes | None]
_TREES_AT_ONCE = 2000


@dataclass(frozen=True)
class Due:
    """A tree whose time-stamp ends soon, and what ends."""

    tree_id: str
    kind: str
    algorithm: str
    documents: int
    strength: Strength

    def needs_new_tree(self, policy: Policy, rules: RenewalPolicy) -> bool:
        """Whether the digest of its tree ends too, or so soon that a time-stamp gains little."""
        return self.strength.until > digest_end(self.algorithm, policy) - rules.least_gain


@dataclass(frozen=True)
class Renewed:
    """What a call did. `waiting` trees would gain too little now: a stronger time-stamp unit or
    policy must come first. `absent` documents were not there to be hashed anew."""

    trees: int
    documents: int
    time_stamps: int
    waiting: int
    absent: tuple[str, ...] = ()


def due(
    desk: Desk,
    *,
    now: datetime,
    policy: Policy | None = None,
    rules: RenewalPolicy | None = None,
) -> list[Due]:
    """Every tree that is the newest proof of something and ends within the margin."""
    judged, rules = policy or load_policy(), rules or load_renewal_policy()
    query = select(ArchiveTreeRow).where(
        ArchiveTreeRow.renewed_by.is_(None), ArchiveTreeRow.superseded_by.is_(None)
    )
    found = []
    with desk.database.reading() as session:
        for row in session.scalars(query.order_by(ArchiveTreeRow.stamped_at, ArchiveTreeRow.id)):
            strength = of_token(row.token, judged)
            if strength.until - rules.margin <= now:
                found.append(Due(row.id, row.kind, row.algorithm, row.size, strength))
    return found


def renew(
    desk: Desk,
    *,
    now: datetime,
    by: str,
    policy: Policy | None = None,
    rules: RenewalPolicy | None = None,
    read: ReadDocument | None = None,
) -> Renewed:
    """Renew what is due. Interrupted or repeated, it goes on with what is left.

    `read` finds a document by its digest when it must be hashed anew; the blob store when absent.
    """
    judged, rules = policy or load_policy(), rules or load_renewal_policy()
    waiting = due(desk, now=now, policy=judged, rules=rules)
    # 1. Would a time-stamp of today live longer than those that end?
    unit = read_all(
        one.public_bytes(Encoding.DER) for one in (desk.tsa.certificate, *desk.tsa.chain)
    )
    until = of_path(unit, judged).until - rules.least_gain
    # 2. A new time-stamp over the old ones, where the tree's digest still holds.
    rebuilt = [one for one in waiting if one.needs_new_tree(judged, rules)]
    plain = [one for one in waiting if one not in rebuilt]
    trees, time_stamps, left = 0, 0, 0
    for algorithm in ALGORITHMS:
        ending = [one for one in plain if one.algorithm == algorithm]
        gaining = [one for one in ending if one.strength.until <= until]
        left += len(ending) - len(gaining)
        for some in _groups(gaining, _TREES_AT_ONCE):
            if _cover(desk, some, algorithm, now=now, by=by):
                trees, time_stamps = trees + len(some), time_stamps + 1
    # 3. A new tree, where it is the digest that ends.
    documents, absent = 0, []
    for one in rebuilt:
        algorithm = stronger(one.algorithm, judged)
        if one.strength.until > min(until, digest_end(algorithm, judged) - rules.least_gain):
            left += 1
            continue
        for tree_id in document_trees(desk, one.tree_id):
            found = _rebuild(desk, tree_id, algorithm, read or in_store(desk), now=now, by=by)
            if found is not None:
                made, missing = found
                documents, trees, time_stamps = documents + made, trees + 1, time_stamps + 1
                absent += missing
        _close(desk, one.tree_id)
    return Renewed(trees, documents, time_stamps, left, tuple(absent))


def stronger(algorithm: str, policy: Policy) -> str:
    """The digest that the policy believes longest; the weakest of those that last as long."""
    best = max(ALGORITHMS, key=lambda name: digest_end(name, policy))
    return best if digest_end(best, policy) > digest_end(algorithm, policy) else algorithm


def document_trees(desk: Desk, tree_id: str) -> list[str]:
    """The trees of documents that this time-stamp stands for and that have none of their own."""
    found, above = [], [tree_id]
    with desk.database.reading() as session:
        while above:
            row = session.get_one(ArchiveTreeRow, above.pop())
            if row.kind == DOCUMENTS and row.superseded_by is None:
                found.append(row.id)
            beneath = select(ArchiveTreeRow.id).where(ArchiveTreeRow.renewed_by == row.id)
            above += session.scalars(beneath)
    return sorted(found)


def in_store(desk: Desk) -> ReadDocument:
    """Documents by their digest from the blob store; None for one that is not there."""

    def read(digest: str) -> bytes | None:
        return desk.blobs.get(digest) if desk.blobs.exists(digest) else None

    return read


def _cover(desk: Desk, some: Sequence[Due], algorithm: str, *, now: datetime, by: str) -> bool:
    """One time-stamp over the time-stamps of these trees; False when somebody was quicker."""
    material = time_stamp_material(desk, now)
    with desk.database.reading() as session:
        tokens = [session.get_one(ArchiveTreeRow, one.tree_id).token for one in some]
    # The status of the old authority goes into the old time-stamp, so that the new one covers it.
    complete = [evidence_records.completed(one, material) for one in tokens]
    leaves = [(hashed(one, algorithm),) for one in complete]
    tree = HashTree.over(leaves, algorithm)
    row = stamped(desk, tree, leaves, TIME_STAMPS, algorithm, None, now=now, by=by)
    with desk.database.transaction() as session:
        session.add(row)
        session.flush()
        for place, (one, token) in enumerate(zip(some, complete, strict=True)):
            old = session.get_one(ArchiveTreeRow, one.tree_id, with_for_update=True)
            if old.renewed_by is not None or old.superseded_by is not None:
                session.rollback()
                return False
            old.token, old.renewed_by, old.renewed_at = token, row.id, place
        details = {"trees": len(some), "way": "time-stamp", "algorithm": algorithm}
        _audit(session, row, details, now=now, by=by)
    return True


def _rebuild(
    desk: Desk, tree_id: str, algorithm: str, read: ReadDocument, *, now: datetime, by: str
) -> tuple[int, list[str]] | None:
    """A new tree for the documents of an old one: (how many, those that were not there).

    None when somebody was quicker, or when none of the documents is there.
    """
    # 1. What was said so far about each document, the last time-stamp with its status.
    material = time_stamp_material(desk, now)
    with desk.database.reading() as session:
        old = session.get_one(ArchiveTreeRow, tree_id)
        closing = evidence_records.completed(_newest(session, old).token, material)
        query = select(ArchivedDocumentRow).where(ArchivedDocumentRow.tree_id == tree_id)
        places = session.scalars(query.order_by(ArchivedDocumentRow.position)).all()
        trees: dict[str, HashTree] = {}
        earlier = {one.digest: _said(desk, session, one, closing, trees) for one in places}
    companion = desk.blobs.get(old.companion) if old.companion else None
    # 2. Each document hashed anew, together with it.
    kept, leaves, absent = [], [], []
    for one in places:
        data = read(one.digest)
        if data is None:
            absent.append(one.digest)
            continue
        before = hashed(sequence_of(earlier[one.digest]), algorithm)
        objects = [data] if companion is None else [data, companion]
        leaves.append([hashed(hashed(each, algorithm) + before, algorithm) for each in objects])
        kept.append(one)
    if not kept:
        return None
    # 3. The new tree, its time-stamp, and all of it in the tables at once.
    tree = HashTree.over(leaves, algorithm)
    row = stamped(desk, tree, leaves, DOCUMENTS, algorithm, old.companion, now=now, by=by)
    with desk.database.transaction() as session:
        session.add(row)
        session.flush()
        closed = session.get_one(ArchiveTreeRow, tree_id, with_for_update=True)
        if closed.superseded_by is not None:
            session.rollback()
            return None
        closed.superseded_by, closed.closing_token = row.id, closing
        session.add_all(
            ArchivedDocumentRow(
                digest=one.digest, generation=one.generation + 1, tree_id=row.id, position=place
            )
            for place, one in enumerate(kept)
        )
        details = {
            "documents": len(kept),
            "absent": len(absent),
            "way": "hash-tree",
            "algorithm": algorithm,
        }
        _audit(session, row, details, now=now, by=by)
    return len(kept), absent


def _said(
    desk: Desk,
    session: Session,
    place: ArchivedDocumentRow,
    closing: bytes,
    trees: dict[str, HashTree],
) -> tuple[Chain, ...]:
    query = select(ArchivedDocumentRow).where(
        ArchivedDocumentRow.digest == place.digest,
        ArchivedDocumentRow.generation <= place.generation,
    )
    rows = session.scalars(query.order_by(ArchivedDocumentRow.generation))
    chains = [chain_of(desk, session, one, trees) for one in rows]
    last = chains[-1]
    chains[-1] = (*last[:-1], replace(last[-1], token=closing))
    return tuple(chains)


def _newest(session: Session, tree: ArchiveTreeRow) -> ArchiveTreeRow:
    while tree.renewed_by is not None:
        tree = session.get_one(ArchiveTreeRow, tree.renewed_by)
    return tree


def _close(desk: Desk, tree_id: str) -> None:
    """A tree of time-stamps that stands for no documents any more is not looked at again."""
    if document_trees(desk, tree_id):
        return
    with desk.database.transaction() as session:
        row = session.get_one(ArchiveTreeRow, tree_id)
        beneath = row
        while beneath.kind == TIME_STAMPS:
            query = select(ArchiveTreeRow).where(ArchiveTreeRow.renewed_by == beneath.id)
            beneath = session.scalars(query.limit(1)).one()
        row.superseded_by = beneath.superseded_by


def _groups(values: Sequence[Due], most: int) -> Iterator[Sequence[Due]]:
    return (values[start : start + most] for start in range(0, len(values), most))


def _audit(
    session: Session,
    row: ArchiveTreeRow,
    details: dict[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(
        session,
        tag=Tag.EVIDENCE_RENEWED,
        by=by,
        subject=f"archive-tree:{row.id}",
        details=details,
        now=now,
    )
