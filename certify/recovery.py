"""After an interruption: every open number is either taken up again on its day, or voided.

    recover(office, now=now, by="system:recovery")

Run when the service starts and from time to time. Nothing acknowledged can be lost: a copy is
acknowledged only after its outcome was committed. What was signed and not committed was given to
nobody, and its number is used again for the same original, or stays in the register as void.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select

from certify import digital_copies, register_closing
from certify.counter import appointments
from certify.models import EntryRow, EntryState
from certify.office import Office
from certify.register import void
from signer.routing.working_days import local

STOPPED = "hệ thống dừng khi đang chứng thực"


@dataclass(frozen=True)
class Recovery:
    """What was found open: cases whose number waits, and numbers that were voided."""

    waiting: tuple[str, ...]
    voided: tuple[str, ...]


def recover(office: Office, *, now: datetime, by: str) -> Recovery:
    """Free the claims of dead workers; void what was left; record appointments nobody kept."""
    today = local(now).date()
    waiting: list[str] = []
    voided: list[str] = []
    query = select(EntryRow.id).where(
        EntryRow.state == EntryState.OPEN.value,
        or_(EntryRow.claimed_until.is_(None), EntryRow.claimed_until < now),
    )
    with office.database.reading() as session:
        candidates = list(session.scalars(query))
    for entry_id in candidates:
        with office.database.transaction() as session:
            row = session.get_one(EntryRow, entry_id, with_for_update=True)
            held = row.claimed_until is not None and row.claimed_until >= now
            if row.state != EntryState.OPEN.value or held:
                continue
            if row.day == today:
                row.claim = row.claimed_until = None
                waiting.append(row.case_id)
            else:
                void(session, row, reason=STOPPED, now=now, by=by)
                voided.append(row.id)
    digital_copies.void_unfinished(office, now=now, by=by)
    register_closing.reopen_unfinished(office, now=now, by=by)
    appointments.sweep_missed(office, now=now, by=by)
    return Recovery(tuple(waiting), tuple(voided))
