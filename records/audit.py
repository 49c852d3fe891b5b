"""What happened, in the order it happened, so that nobody can change it unseen.

    with database.transaction() as session:
        ...                                             # the act
        record(session, tag=Tag.CERTIFICATE_ISSUED, by="official:0388…", subject="serial:1f…",
               details={"profile": "official"}, now=now)     # last: it takes the audit lock

An entry is a row and a leaf of a Merkle tree (RFC 9162): its hash covers its position, time,
actor, tag, subject and details. Triggers refuse to change or remove rows; who removes the
triggers is found by `verify`; who rewrites the whole log is found by the checkpoints that
were signed before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from records import merkle
from records.audit_check import AuditReport, verify
from records.checkpoints import ORIGIN, Checkpoint, SigningKey, sign_note
from records.database import Base, Database
from records.entry import canonical, entry_bytes, plain
from records.errors import RecordsError
from records.models import AuditCheckpoint, AuditEntry, AuditHead
from records.rows import insert_all
from records.tags import Tag

__all__ = [
    "AuditReport",
    "Checkpoint",
    "checkpoint",
    "latest_checkpoint",
    "prove_consistency",
    "prove_inclusion",
    "record",
    "record_all",
    "verify",
]

AUDITOR = "system:audit"
_heads = Base.metadata.tables["audit_head"]
_head = select(AuditHead.size, AuditHead.edge)


def record(
    session: Session,
    *,
    tag: Tag,
    by: str,
    subject: str,
    details: Mapping[str, object],
    now: datetime,
) -> int:
    """Append one entry to the session's transaction; return its position.

    Call it last: from here to the commit every other append waits, which is what gives the
    log one order. `details` holds text, whole numbers, true/false, times, bytes (kept as
    hex), lists and objects of these, and never a secret.
    """
    return record_all(session, tag=tag, by=by, acts=[(subject, details)], now=now)


def record_all(
    session: Session,
    *,
    tag: Tag,
    by: str,
    acts: Sequence[tuple[str, Mapping[str, object]]],
    now: datetime,
) -> int:
    """Append one entry per (subject, details), as `record` does, with the lock taken once.

    For a batch: a thousand certificates cost a tenth of a thousand calls. Returns the position
    of the first.
    """
    session.flush()
    tree = _locked_tree(session)
    first = tree.size
    at, by = now.astimezone(UTC), plain(by)
    rows = []
    for position, (subject, details) in enumerate(acts, start=first):
        subject, written = plain(subject), canonical(details)
        entry = entry_bytes(
            position=position, at=at, by=by, tag=tag.value, subject=subject, details=written
        )
        rows.append(
            {
                "position": position,
                "at": at,
                "by": by,
                "tag": tag.value,
                "subject": subject,
                "details": written,
                "nodes": b"".join(tree.append(merkle.leaf_hash(entry))),
            }
        )
    if rows:
        insert_all(session, AuditEntry, rows)
        session.execute(update(_heads).values(size=tree.size, edge=tree.packed()))
    return first


def checkpoint(
    database: Database, signing_key: SigningKey, *, now: datetime, origin: str = ORIGIN
) -> Checkpoint:
    """Sign the log as it is, and record that it was signed.

    Nothing new since the last checkpoint (but its own entry): that one is returned. A log
    that contradicts its last checkpoint is not signed: `audit-checkpoint-contradicted`.
    """
    # 1. Look: what the log is, and whether it still contains what was signed last.
    with database.reading() as session:
        tree = _unpacked(session.execute(_head).one_or_none())
        size, root = tree.size, tree.root()
        last = latest_checkpoint(session)
        if last is not None and (last.size > size or _root_at(session, last.size) != last.root):
            raise RecordsError("audit-checkpoint-contradicted", size=last.size)
        if root != _root_at(session, size):
            raise RecordsError("audit-head-contradicted")
    if last is not None and size <= last.size + 1:
        return last

    # 2. Sign, outside any transaction: the key may be far away.
    signed = sign_note(signing_key, size=size, root=root, at=now, origin=origin)

    # 3. Keep it, unless another process was quicker.
    with database.transaction() as session:
        _locked_tree(session)
        quicker = session.get(AuditCheckpoint, size)
        if quicker is not None:
            return _parsed(quicker)
        session.add(AuditCheckpoint(size=size, at=signed.at, root=root, note=signed.note))
        record(
            session,
            tag=Tag.AUDIT_CHECKPOINT_SIGNED,
            by=AUDITOR,
            subject=f"audit:{size}",
            details={"size": size, "root": root},
            now=now,
        )
    return signed


def latest_checkpoint(session: Session) -> Checkpoint | None:
    """The newest signed tree head, if any was made."""
    newest = select(AuditCheckpoint).order_by(AuditCheckpoint.size.desc()).limit(1)
    row = session.scalars(newest).one_or_none()
    return None if row is None else _parsed(row)


def prove_inclusion(session: Session, position: int, size: int) -> list[bytes]:
    """Hashes that show entry `position` is in the log of `size` (`merkle.includes`)."""
    return merkle.inclusion_proof(position, size, _kept_hashes(session))


def prove_consistency(session: Session, first: int, second: int) -> list[bytes]:
    """Hashes that show the log of `first` entries was only added to (`merkle.consistent`)."""
    return merkle.consistency_proof(first, second, _kept_hashes(session))


def _locked_tree(session: Session) -> merkle.Tree:
    """The tree, and with it the right to append. SQLite's write lock is taken already."""
    return _unpacked(session.execute(_head.with_for_update()).one_or_none())


def _unpacked(head: Row[int, bytes] | None) -> merkle.Tree:
    """No head, or one that fits no log: nothing is added to it until `verify` was read."""
    try:
        if head is not None:
            return merkle.Tree.unpack(head.size, head.edge)
    except ValueError:
        pass
    raise RecordsError("audit-head-contradicted")


def _root_at(session: Session, size: int) -> bytes:
    return merkle.root_of(size, _kept_hashes(session))


def _kept_hashes(session: Session) -> merkle.Subtree:
    """Look a perfect subtree's hash up where its last leaf keeps it."""

    def subtree(level: int, index: int) -> bytes:
        last = ((index + 1) << level) - 1
        nodes = session.scalars(
            select(AuditEntry.nodes).where(AuditEntry.position == last)
        ).one_or_none()
        if nodes is None or len(nodes) < (level + 1) * merkle.HASH_SIZE:
            raise RecordsError("audit-tree-contradicted", position=last)
        return nodes[level * merkle.HASH_SIZE : (level + 1) * merkle.HASH_SIZE]

    return subtree


def _parsed(row: AuditCheckpoint) -> Checkpoint:
    try:
        return Checkpoint.parse(row.note)
    except ValueError:
        raise RecordsError("audit-checkpoint-signature", size=row.size) from None
