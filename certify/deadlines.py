"""When a copy is due: same day, and the exceptions.

    due(received, long=False)     # the end of the working day the person may come back on

DOMAIN.md §4 *Time*: same day; received after 15:00 → next working day; up to two more working
days for long originals; beyond that only by written agreement.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache
from pathlib import Path

from certify.errors import CertifyError

VIETNAM = timezone(timedelta(hours=7))
CUT_OFF = time(15, 0)
CLOSING = time(17, 0)
LONG_EXTRA_DAYS = 2
_DATA = Path(__file__).with_name("holidays.json")


@dataclass(frozen=True)
class Deadline:
    """`slip` says whether an appointment slip is owed: anything that is not the same day."""

    at: datetime
    slip: bool


def local(moment: datetime) -> datetime:
    """The moment on the clock of the office, whatever the server's zone."""
    return moment.astimezone(VIETNAM)


@cache
def _days(kind: str) -> frozenset[date]:
    years = json.loads(_DATA.read_text("utf-8"))["years"]
    return frozenset(date.fromisoformat(day) for year in years.values() for day in year[kind])


def is_working(day: date) -> bool:
    """Monday to Friday but holidays, and the Saturdays worked in exchange."""
    if day in _days("worked"):
        return True
    return day.weekday() < 5 and day not in _days("off")


def next_working(day: date, count: int = 1) -> date:
    """The `count`-th working day after `day`."""
    while count:
        day += timedelta(days=1)
        if is_working(day):
            count -= 1
    return day


def due(received: datetime, *, long: bool = False, agreed: date | None = None) -> Deadline:
    """The deadline for an original received at that moment.

    `agreed` is a later day the person has accepted in writing; an earlier one than the law gives
    is refused (`agreed-day-too-early`), as nothing would need agreeing.
    """
    moment = local(received)
    same_day = is_working(moment.date()) and moment.time() <= CUT_OFF
    day = moment.date() if same_day else next_working(moment.date())
    if long:
        day = next_working(day, LONG_EXTRA_DAYS)
    if agreed is not None:
        if agreed <= day:
            raise CertifyError("agreed-day-too-early", day=agreed.isoformat())
        day = agreed
    at = datetime.combine(day, CLOSING, VIETNAM).astimezone(UTC)
    return Deadline(at, slip=day != moment.date())
