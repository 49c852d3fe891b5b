"""Does the log still say what it said? Everything is computed again from the entries.

The entries are read once, in order. Each one's leaf hash is computed from its content, and
the subtrees it completes from the leaves before it; both must be what was kept with it. At
the sizes that were signed, the root must be the signed one. A finding is reported where it
is and does not drown the rest in consequences: after a contradiction the kept hash is
believed, so that the next finding is a finding of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, cast, column, select, table
from sqlalchemy.orm import Session

from records import merkle
from records.checkpoints import Checkpoint, VerifyingKey
from records.database import Database
from records.entry import entry_bytes
from records.errors import RecordsError
from records.models import AuditCheckpoint, AuditHead
from records.tags import Tag

_MOST_PROBLEMS = 100
_TEXTS = ("at", "by", "tag", "subject", "details")
# Plain columns, without types: a tampered row must be reported, not break its own reading.
_entries = table("audit_entries", column("position"), *map(column, _TEXTS), column("nodes"))


@dataclass(frozen=True)
class AuditReport:
    """The verdict on a log. `problems` holds at most a hundred findings, in order."""

    size: int
    root: bytes | None
    checkpoints: int
    problems: tuple[RecordsError, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def verify(
    database: Database,
    *,
    public_key: VerifyingKey | Sequence[VerifyingKey] | None = None,
    kept: Iterable[Checkpoint] = (),
) -> AuditReport:
    """Check the whole log, its head and its checkpoints.

    `public_key` is the audit key, or all it ever was; without it signatures are not checked.
    `kept` are checkpoints that somebody kept outside this database: they find a log that was
    rewritten together with its checkpoints.
    """
    with database.reading() as session:
        checking = _Checking(session, public_key, kept)
        checking.read_entries()
        checking.compare_with_the_end()
        return AuditReport(
            checking.fold.size,
            checking.fold.root(),
            len(checking.signed),
            tuple(checking.problems),
        )


class _Checking:
    """One reading of the log, with what was found so far."""

    def __init__(
        self,
        session: Session,
        public_key: VerifyingKey | Sequence[VerifyingKey] | None,
        kept: Iterable[Checkpoint],
    ) -> None:
        self.session = session
        self.problems: list[RecordsError] = []
        self.fold = _Fold()
        if public_key is None or isinstance(public_key, Sequence):
            self.keys = public_key
        else:
            self.keys = (public_key,)
        self.stored: set[int] = set()
        self.signed: dict[int, set[bytes]] = {}
        for row in session.scalars(select(AuditCheckpoint).order_by(AuditCheckpoint.size)):
            self.stored.add(row.size)
            self._believe(row.size, _parsed(row))
        for one in kept:
            self._believe(one.size, one)
        head = session.execute(select(AuditHead.size, AuditHead.edge)).one_or_none()
        self.size: int | None = None if head is None else head.size
        self.edge: bytes = b"" if head is None else head.edge

    def read_entries(self) -> None:
        self._compare_with_signed()
        for row in _rows(self.session):
            position = row.position
            if position < self.fold.size or (self.size is not None and position >= self.size):
                self._add(RecordsError("audit-entry-inserted", position=position, size=self.size))
                continue
            self._skip_to(position)
            self._read(row)
            self._compare_with_signed()
        if self.size is not None:
            self._skip_to(self.size)

    def compare_with_the_end(self) -> None:
        if self.size is None or not self.fold.matches(self.edge):
            self._add(RecordsError("audit-head-contradicted"))
        for size in sorted(self.signed):
            if size > self.fold.size:  # these entries were signed, and then cut off
                self._add(RecordsError("audit-checkpoint-contradicted", size=size))

    def _read(self, row: Any) -> None:
        fields, (leaf, *nodes) = _fields(row), _hashes(row.nodes)
        if fields is None or merkle.leaf_hash(entry_bytes(**fields)) != leaf:
            self._add(RecordsError("audit-entry-altered", position=row.position))
        if not self.fold.append(leaf, nodes):
            self._add(RecordsError("audit-tree-contradicted", position=row.position))
        if fields is not None and fields["tag"] == Tag.AUDIT_CHECKPOINT_SIGNED:
            size = json.loads(fields["details"]).get("size")
            if size not in self.stored:
                self._add(RecordsError("audit-checkpoint-missing", position=row.position))

    def _skip_to(self, position: int) -> None:
        if position > self.fold.size:
            gap = {"first": self.fold.size, "last": position - 1}
            self._add(RecordsError("audit-entries-missing", **gap))
            self.fold.skip_to(position)

    def _compare_with_signed(self) -> None:
        roots, found = self.signed.get(self.fold.size, ()), self.fold.root()
        if found is not None and any(root != found for root in roots):
            self._add(RecordsError("audit-checkpoint-contradicted", size=self.fold.size))

    def _believe(self, size: int, one: Checkpoint | None) -> None:
        """Hold the log against a checkpoint, once its signature has been checked."""
        trusted = one is not None and one.size == size
        if one is not None and self.keys is not None:
            trusted = trusted and any(one.signed_by(key) for key in self.keys)
        if one is None or not trusted:
            self._add(RecordsError("audit-checkpoint-signature", size=size))
        else:
            self.signed.setdefault(size, set()).add(one.root)

    def _add(self, problem: RecordsError) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


class _Fold:
    """The tree computed again; `None` stands for what a missing entry leaves unknown."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes | None] = []

    def append(self, leaf: bytes | None, kept: Sequence[bytes | None]) -> bool:
        """Add a leaf; say whether the subtrees it completes are the kept ones."""
        merges = merkle.trailing_ones(self.size)
        agrees = len(kept) == merges
        node = leaf
        for number in range(merges):
            left, right = self._edge.pop(), node
            node = kept[number] if number < len(kept) else None
            if left is not None and right is not None:
                computed = merkle.node_hash(left, right)
                agrees = agrees and node == computed
                node = node or computed
        self._edge.append(node)
        self.size += 1
        return agrees

    def skip_to(self, position: int) -> None:
        """Step over missing entries, by whole subtrees."""
        changed = (self.size ^ position).bit_length()
        same = (position >> changed).bit_count()  # subtrees that end before the gap
        self._edge = self._edge[:same] + [None] * (position.bit_count() - same)
        self.size = position

    def root(self) -> bytes | None:
        """The root, when every entry was there."""
        known = [node for node in self._edge if node is not None]
        if len(known) != len(self._edge):
            return None
        return merkle.Tree(self.size, known).root()

    def matches(self, edge: bytes) -> bool:
        """Whether the kept right edge is this one, as far as it is known."""
        try:
            kept = merkle.Tree.unpack(self.size, edge).edge
        except ValueError:
            return False
        return all(mine in (None, theirs) for mine, theirs in zip(self._edge, kept, strict=True))


def _rows(session: Session) -> Iterator[Any]:
    """Every entry as the database has it: a tampered row must not break its own reading."""
    texts: list[ColumnElement[Any]] = [_entries.c[name] for name in _TEXTS]
    if session.get_bind().dialect.name == "sqlite":  # which checks neither type nor UTF-8
        texts = [cast(_entries.c[name], LargeBinary).label(name) for name in _TEXTS]
    query = select(_entries.c.position, *texts, _entries.c.nodes).order_by(_entries.c.position)
    return iter(session.execute(query, execution_options={"yield_per": 2000}))


def _fields(row: Any) -> dict[str, Any] | None:
    """What was hashed, or None when no entry ever looked like this."""
    try:
        fields = {name: _text(getattr(row, name)) for name in _TEXTS}
        at = fields["at"]
        if isinstance(at, str):
            at = datetime.fromisoformat(at).replace(tzinfo=UTC)
        json.loads(fields["details"])
    except (ValueError, TypeError):
        return None
    return {**fields, "at": at, "position": row.position}


def _text(value: Any) -> Any:
    return bytes(value).decode() if isinstance(value, bytes | memoryview) else value


def _hashes(nodes: Any) -> list[bytes | None]:
    try:
        return [*merkle.split(bytes(nodes))] or [None]
    except (ValueError, TypeError):
        return [None]


def _parsed(row: AuditCheckpoint) -> Checkpoint | None:
    try:
        one = Checkpoint.parse(row.note)
    except ValueError:
        return None
    return one if (one.size, one.root, one.at) == (row.size, row.root, row.at) else None
