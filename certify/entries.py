"""Audit entries that wait for the end of a transaction, where the log's lock is taken.

entries = [Entry(Tag.VISIT_OPENED, f"visit:{row.id}", {"unit": unit})]
write(session, entries, now=now, by=by)          # the last thing before the commit
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from records import audit
from records.tags import Tag


@dataclass(frozen=True)
class Entry:
    """What happened to whom, for the log."""

    tag: Tag
    subject: str
    details: Mapping[str, object]


def write(session: Session, entries: Iterable[Entry | None], *, now: datetime, by: str) -> None:
    """Write them in order; None stands for an act that was not needed."""
    for entry in entries:
        if entry is not None:
            audit.record(
                session,
                tag=entry.tag,
                by=by,
                subject=entry.subject,
                details=entry.details,
                now=now,
            )
