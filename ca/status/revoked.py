"""Who is revoked now: a view in memory of the status changes, brought up to date by reading
only what was added since.

    view = authority.revoked.view(authority.database, "persons-g1", now=now)
    view.entry_of(serial)                 # the CRL entry, or None: not revoked
    view.entries(shard=None)              # all of them, ready to be joined

The rows of `ca_status_changes` are the truth; losing the view costs one read of them. CRLs and
OCSP answers are both made from it, so they cannot disagree.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from ca.models import serial_text
from ca.status.status_models import StatusChangeRow
from records.database import Database

GLANCE = timedelta(seconds=1)
"""How long a process may go on without looking whether another one has revoked something."""


@dataclass
class IssuerView:
    """One issuer's revoked certificates as of change number `sequence`."""

    issuer: str
    sequence: int = 0
    looked_at: datetime | None = None
    _shards: dict[int | None, dict[str, bytes]] = field(default_factory=dict)
    _entries: dict[str, bytes] = field(default_factory=dict)
    _changed: dict[str, int] = field(default_factory=dict)
    _log: list[tuple[str, bytes]] = field(default_factory=list)

    def entry_of(self, serial: int) -> bytes | None:
        return self._entries.get(serial_text(serial))

    def entries(self, shard: int | None = None) -> Collection[bytes]:
        """Encoded entries of one shard, or of the whole issuer."""
        if shard is None:
            return self._entries.values()
        return self._shards.get(shard, {}).values()

    def shards(self) -> list[int]:
        return sorted(number for number in self._shards if number is not None)

    def changed_after(self, serial: int, sequence: int) -> bool:
        """Whether an answer made at `sequence` has been overtaken."""
        return self._changed.get(serial_text(serial), 0) > sequence

    def changes_since(self, sequence: int) -> dict[str, bytes]:
        """The last entry per serial after `sequence`; for a resumed one its removeFromCRL entry."""
        return dict(self._log[sequence:])

    def apply(self, sequence: int, serial: str, shard: int | None, entry: bytes, on: bool) -> None:
        """The next change; `sequence` has no gaps."""
        if sequence != self.sequence + 1:
            raise RuntimeError(f"status change {self.sequence + 1} of {self.issuer} is missing")
        part = self._shards.setdefault(shard, {})
        # A re-revoked serial goes to the end, so that equal histories give equal lists.
        part.pop(serial, None)
        self._entries.pop(serial, None)
        if on:
            part[serial] = self._entries[serial] = entry
        self._changed[serial] = sequence
        self._log.append((serial, entry))
        self.sequence = sequence


class RevokedLists:
    """The views of one process. Nothing is read before somebody asks."""

    def __init__(self) -> None:
        self._views: dict[str, IssuerView] = {}
        self._lock = threading.Lock()

    def view(
        self, database: Database, issuer: str, *, now: datetime, within: timedelta = GLANCE
    ) -> IssuerView:
        """The view, at most `within` behind what is committed."""
        recent = self.recent(issuer, now=now, within=within)
        if recent is not None:
            return recent
        with database.reading() as session:
            return self.caught_up(session, issuer, now=now)

    def recent(
        self, issuer: str, *, now: datetime, within: timedelta = GLANCE
    ) -> IssuerView | None:
        """The view if it was brought up to date less than `within` ago; reads nothing."""
        view = self._views.get(issuer)
        if view is None or view.looked_at is None:
            return None
        return view if timedelta(0) <= now - view.looked_at < within else None

    def caught_up(self, session: Session, issuer: str, *, now: datetime) -> IssuerView:
        """The view with everything this session can see that is committed.

        Inside a write transaction call it before appending a change of your own: an uncommitted
        change must not enter a view that outlives a rollback.
        """
        with self._lock:
            view = self._views.setdefault(issuer, IssuerView(issuer))
            rows = session.execute(
                select(
                    StatusChangeRow.sequence,
                    StatusChangeRow.serial,
                    StatusChangeRow.shard,
                    StatusChangeRow.entry,
                    StatusChangeRow.reason,
                )
                .where(StatusChangeRow.issuer == issuer, StatusChangeRow.sequence > view.sequence)
                .order_by(StatusChangeRow.sequence)
            )
            for sequence, serial, shard, entry, reason in rows:
                view.apply(sequence, serial, shard, entry, reason != "removeFromCRL")
            view.looked_at = now
            return view
