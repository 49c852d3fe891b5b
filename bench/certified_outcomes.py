"""What must be true of certified copies after any number of interruptions.

    problems(settings, acknowledged, year=2026)       # {"acknowledged copies lost": 0, …}

Every acknowledged copy is there with its bytes and its number, nobody has two, no number is missing
or used twice, a number without a copy has its reason, and the audit log is whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from api.house import House
from api.settings import Settings
from certify.models import CopyRow, EntryRow, EntryState, ItemRow
from certify.register import gaps
from records import audit
from tests.certify.town_hall import UNIT


@dataclass(frozen=True)
class Acknowledged:
    """What a worker said it had issued."""

    case_id: str
    number: str
    code: str
    digest: str


def problems(
    settings: Settings, acknowledged: Sequence[Acknowledged], *, year: int
) -> dict[str, int]:
    """In a process without a token: everything is in the tables and the blobs."""
    with House(settings) as house:
        with house.database.reading() as session:
            copies = {row.code: row for row in session.scalars(select(CopyRow))}
            entries = session.scalars(select(EntryRow)).all()
            items = set(session.scalars(select(ItemRow.copy_id)))
        lines = {row.id: row for row in entries}
        lost = 0
        for one in acknowledged:
            copy = copies.get(one.code)
            line = lines.get(copy.entry_id) if copy is not None else None
            lost += (
                copy is None
                or line is None
                or copy.digest != one.digest
                or f"{line.number:02d}" != one.number
                or line.state != EntryState.ISSUED.value
                or line.case_id != one.case_id
                or not house.blobs.exists(one.digest)
                or copy.id not in items
            )
        numbers = Counter((row.year, row.number) for row in entries)
        issued = Counter(row.case_id for row in entries if row.state == EntryState.ISSUED.value)
        told = Counter(one.number for one in acknowledged)
        unexplained = sum(
            row.state == EntryState.OPEN.value
            or (row.state == EntryState.VOID.value and not row.notes.strip())
            for row in entries
        )
        without_copy = {row.id for row in entries if row.state == EntryState.ISSUED.value} - {
            copy.entry_id for copy in copies.values()
        }
        return {
            "acknowledged copies lost": lost,
            "numbers used twice": sum(n > 1 for n in numbers.values())
            + sum(n > 1 for n in told.values()),
            "cases with two copies": sum(n > 1 for n in issued.values()),
            "numbers missing": len(_gaps(house, year)),
            "numbers without copy or reason": unexplained + len(without_copy),
            "problems in the audit log": len(audit.verify(house.database).problems),
        }


def _gaps(house: House, year: int) -> list[int]:
    class Tables:
        database = house.database

        class register:
            symbol = "SCTĐT/BS"

    return gaps(Tables, unit=UNIT, year=year)  # type: ignore[arg-type]  # its tables are all it needs
