"""The hours a unit's counters can be booked, as data with effective dates.

    plan_on("14797", day).hours(day)     # [(07:30, 08:00), (08:00, 08:30), …] as aware moments

Only working days have hours (`certify.counter.deadlines`); nothing is offered closer than the
plan's lead time or further away than so many working days.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from certify.errors import CertifyError
from signer.routing.working_days import VIETNAM, is_working, local, next_working

_DATA = Path(__file__).with_name("slots.json")

Hours = tuple[datetime, datetime]


@dataclass(frozen=True)
class Plan:
    """One version of a unit's hours, or of the province's where the unit has none of its own."""

    unit: str | None
    effective_from: date
    windows: tuple[tuple[time, time], ...]
    minutes: int
    seats: int
    ahead_working_days: int
    lead_minutes: int
    grace_minutes: int
    most_open: int
    missed_limit: int
    missed_days: int

    def hours(self, day: date) -> list[Hours]:
        """The day's slots in order; none on a day off."""
        if not is_working(day):
            return []
        step = timedelta(minutes=self.minutes)
        found = []
        for opens, closes in self.windows:
            start = datetime.combine(day, opens, VIETNAM)
            end = datetime.combine(day, closes, VIETNAM)
            while start + step <= end:
                found.append((start.astimezone(UTC), (start + step).astimezone(UTC)))
                start += step
        return found


@cache
def plans() -> tuple[Plan, ...]:
    """Every plan, oldest first."""
    rows = json.loads(_DATA.read_text("utf-8"))["plans"]
    return tuple(sorted((_plan(row) for row in rows), key=lambda plan: plan.effective_from))


def _plan(row: dict[str, Any]) -> Plan:
    windows = tuple((time.fromisoformat(a), time.fromisoformat(b)) for a, b in row["windows"])
    day = date.fromisoformat(row["effective_from"])
    return Plan(**{**row, "effective_from": day, "windows": windows})


def plan_on(unit: str, day: date) -> Plan:
    """The plan in force for the unit that day. Raises `CertifyError`: `slots-not-planned`."""
    valid = [plan for plan in plans() if plan.effective_from <= day]
    for wanted in (unit, None):
        own = [plan for plan in valid if plan.unit == wanted]
        if own:
            return own[-1]
    raise CertifyError("slots-not-planned", day=day.isoformat())


def bookable(unit: str, *, now: datetime) -> list[Hours]:
    """All hours that may be asked for at this moment, whether taken or not."""
    today = local(now).date()
    ahead = plan_on(unit, today).ahead_working_days
    earliest = now + timedelta(minutes=plan_on(unit, today).lead_minutes)
    found: list[Hours] = []
    day = today
    for _ in range(ahead + 1):
        found += [hours for hours in plan_on(unit, day).hours(day) if hours[0] >= earliest]
        day = next_working(day)
    return found


def hours_at(unit: str, starts_at: datetime, *, now: datetime) -> Hours:
    """The bookable hours that begin then. Raises `CertifyError`: `slot-not-offered`."""
    for hours in bookable(unit, now=now):
        if hours[0] == starts_at:
            return hours
    raise CertifyError("slot-not-offered", at=local(starts_at).isoformat(timespec="minutes"))
