"""Which days are worked in Vietnamese offices, and which hour ends them.

    next_working(date(2026, 11, 20), 2)     # Tuesday: the weekend does not count

Holidays are data (`holidays.json`), announced for each year; a correction is a change of that file.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache
from pathlib import Path

VIETNAM = timezone(timedelta(hours=7))
CLOSING = time(17, 0)
_DATA = Path(__file__).with_name("holidays.json")


def local(moment: datetime) -> datetime:
    """The moment on the clock of the office, whatever the server's zone."""
    return moment.astimezone(VIETNAM)


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


def closing(day: date) -> datetime:
    """When the office closes on that day."""
    return datetime.combine(day, CLOSING, VIETNAM).astimezone(UTC)


def due_after(moment: datetime, days: int) -> datetime:
    """The close of the `days`-th working day after `moment`; 0 is today while the office is open.

    What comes in after hours or on a day off counts from the next working day.
    """
    day = local(moment).date()
    if not is_working(day) or moment >= closing(day):
        day = next_working(day)
    return closing(next_working(day, days))


@cache
def _days(kind: str) -> frozenset[date]:
    years = json.loads(_DATA.read_text("utf-8"))["years"]
    return frozenset(date.fromisoformat(day) for year in years.values() for day in year[kind])
