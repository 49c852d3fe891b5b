"""The log of time-stamps: what was stamped, when, under which serial.

Entries are written in groups, with one audit entry per group, so that a signature and not a disk
flush sets the pace. A crash loses at most the group in memory (a second's worth); the tokens
themselves are with those who asked, and their serials are random, so nothing is issued twice.
`rows=1` writes each one before it is given out, at the price of a disk flush per stamp.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ca.errors import CaError
from ca.status.status_models import TimeStampRow
from ca.time.tst_encoding import Imprint
from records import audit
from records.database import Database
from records.errors import RecordsError
from records.rows import insert_all
from records.tags import Tag


@dataclass
class TimeStampLog:
    """Entries of one time-stamp authority in one process."""

    database: Database
    tsa: str
    rows: int = 500
    interval: timedelta = timedelta(seconds=1)
    limit: int = 50_000
    aside: bool = False
    _waiting: list[tuple[int, Imprint, datetime]] = field(default_factory=list)
    _written_at: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _writer: threading.Lock = field(default_factory=threading.Lock)

    def add(self, serial: int, imprint: Imprint, gen_time: datetime) -> None:
        """Call it before the token is given out. Raises `time-stamp-log-full` when the database
        has been refusing for so long that more would be lost than may be."""
        with self._lock:
            if len(self._waiting) >= self.limit:
                raise CaError("time-stamp-log-full", waiting=len(self._waiting))
            self._waiting.append((serial, imprint, gen_time))
            due = (
                len(self._waiting) >= self.rows
                or self._written_at is None
                or abs(gen_time - self._written_at) >= self.interval
            )
        if due and self._writer.acquire(blocking=False):
            if self.aside and self.rows > 1:
                threading.Thread(
                    target=self._write_due, args=(gen_time,), name="time-stamp-log"
                ).start()
            else:
                self._write_due(gen_time)

    def _write_due(self, now: datetime) -> None:
        """What is due, by whoever holds `_writer`; lets go of it."""
        try:
            self._write(now)
        except RecordsError:
            if self.rows == 1:
                raise
            # Kept in memory; `limit` says for how long.
        finally:
            self._writer.release()

    def flush(self, *, now: datetime) -> int:
        """Write what waits, as before the process ends; returns how many entries."""
        with self._writer:
            return self._write(now)

    def _write(self, now: datetime) -> int:
        with self._lock:
            group, self._waiting = self._waiting, []
        if not group:
            return 0
        rows = [
            {
                "tsa": self.tsa,
                "serial": f"{serial:032x}",
                "algorithm": imprint.name,
                "imprint": imprint.digest,
                "gen_time": gen_time,
            }
            for serial, imprint, gen_time in group
        ]
        try:
            with self.database.transaction() as session:
                insert_all(session, TimeStampRow, rows)
                serials = "".join([str(row["serial"]) for row in rows])
                audit.record(
                    session,
                    tag=Tag.TIME_STAMPS_ISSUED,
                    by=f"system:{self.tsa}",
                    subject=f"tsa:{self.tsa}",
                    details={
                        "count": len(rows),
                        "first": rows[0]["gen_time"],
                        "last": rows[-1]["gen_time"],
                        "serials_sha256": hashlib.sha256(serials.encode()).digest(),
                    },
                    now=now,
                )
        except BaseException:
            with self._lock:
                self._waiting = group + self._waiting
            raise
        self._written_at = now
        return len(group)
