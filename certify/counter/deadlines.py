"""When a copy is due: same day, and the exceptions.

    due(received, long=False)     # the end of the working day the person may come back on

DOMAIN.md §4 *Time*: same day; received after 15:00 → next working day; up to two more working
days for long originals; beyond that only by written agreement. Which days are worked is
`signer.routing.working_days`: documents to be signed have deadlines of the same kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

from certify.errors import CertifyError
from signer.routing.working_days import closing, is_working, local, next_working

CUT_OFF = time(15, 0)
LONG_EXTRA_DAYS = 2


@dataclass(frozen=True)
class Deadline:
    """`slip` says whether an appointment slip is owed: anything that is not the same day."""

    at: datetime
    slip: bool


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
    return Deadline(closing(day), slip=day != moment.date())
