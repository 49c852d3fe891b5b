"""Whether the time can be believed: the rule a time-stamp authority stops itself by.

    clock = ClockWatch(accuracy=timedelta(seconds=1), references=[KernelClock()])
    clock.check(now)                       # raises ClockDoubtful when it cannot

EN 319 421 TIS-7.7.2: "If it is detected that the time that would be indicated in a time-stamp
drifts or jumps out of synchronization with UTC ... the TSU shall stop time-stamp issuance." Three
observations, each against the declared accuracy:

1. the wall clock against the monotonic one since the last good moment: a step, by hand or by a
   restored virtual machine, shows as a difference;
2. the references, each an estimate of how far this clock is off;
3. `now`, which is what goes into the token, against the wall clock, where `follows_now` is set: a
   time taken before a long wait is not the time of the stamp. With `own_time` the token bears the
   watched clock's time instead of the caller's, so that a request may have waited.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from ca.errors import CaError

_STA_UNSYNC = 0x0040


_since_boot = partial(time.clock_gettime_ns, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Goes on while the machine is suspended, as the wall clock does."""


class ClockDoubtful(CaError):
    """The clock is, or may be, further off than declared."""

    def __init__(self, reason: str) -> None:
        super().__init__("time-not-available", reason=reason)


class Reference(Protocol):
    """Something that knows the time: `offset` is how far this clock is ahead of it, at most.

    Raises OSError when it cannot tell.
    """

    @property
    def name(self) -> str: ...

    def offset(self) -> timedelta: ...


@dataclass
class ClockWatch:
    """Watches one machine's clock. `wall` and `monotonic` are nanoseconds, as `time` gives them.

    `look_every` bounds how often references are asked, `patience` how long they may be silent. A
    step is remembered until a reference says that the new time is right; without references the
    clock is believed again when it is back where the monotonic one expects it.
    """

    accuracy: timedelta
    references: Sequence[Reference] = ()
    follows_now: bool = False
    own_time: bool = False
    look_every: timedelta = timedelta(seconds=16)
    patience: timedelta = timedelta(minutes=10)
    wall: Callable[[], int] = time.time_ns
    monotonic: Callable[[], int] = _since_boot
    _expected: int | None = None
    _asked_at: int | None = None
    _heard_at: int | None = None
    _off: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._allowed = _ns(self.accuracy)

    def believed(self, now: datetime) -> datetime:
        """The time to claim: `now`, or the clock's own; raises `ClockDoubtful` like `check`."""
        wall = self.wall()
        self._judge(now, wall)
        if not self.own_time:
            return now
        # Whole microseconds: a float of seconds has no more.
        return datetime.fromtimestamp(wall // 10**9, UTC) + timedelta(
            microseconds=wall % 10**9 // 1000
        )

    def is_undoubted(self) -> bool:
        """Whether the next look at the clock asks nobody, and finds nothing wrong."""
        return self._undoubted(self.wall(), self.monotonic())

    def check(self, now: datetime) -> None:
        """Raises `ClockDoubtful` with the observation that fails."""
        self._judge(now, self.wall())

    def _judge(self, now: datetime, wall: int) -> None:
        monotonic = self.monotonic()
        if not self._undoubted(wall, monotonic):
            self._judge_anew(wall, monotonic)
        if self.follows_now:
            behind = datetime.fromtimestamp(wall / 1e9, UTC) - now
            if abs(behind) > self.accuracy:
                raise ClockDoubtful(
                    f"the time given differs from the clock by {behind.total_seconds():+.3f} s"
                )

    def _undoubted(self, wall: int, monotonic: int) -> bool:
        """Nothing was wrong, nothing is now, and no reference is due: for every time-stamp but one
        in sixteen seconds that is all there is to see, and it takes no lock."""
        expected, asked_at = self._expected, self._asked_at
        return (
            expected is not None
            and self._off is None
            and abs(wall - monotonic - expected) <= self._allowed
            and (
                not self.references
                or (asked_at is not None and monotonic - asked_at < _ns(self.look_every))
            )
        )

    def _judge_anew(self, wall: int, monotonic: int) -> None:
        with self._lock:
            if self._expected is None:
                self._expected = wall - monotonic
                self._heard_at = monotonic
            self._ask_references(wall, monotonic)
            if self._off is not None:
                raise ClockDoubtful(self._off)
            drift = wall - monotonic - self._expected
            if abs(drift) > self._allowed:
                self._asked_at = None  # do not wait for the next turn: ask at the next check
                raise ClockDoubtful(f"the clock jumped by {drift / 1e9:+.3f} s")

    def _ask_references(self, wall: int, monotonic: int) -> None:
        if not self.references:
            return
        if self._asked_at is not None and monotonic - self._asked_at < _ns(self.look_every):
            return
        self._asked_at = monotonic
        offsets: list[tuple[str, timedelta]] = []
        for reference in self.references:
            try:
                offsets.append((reference.name, reference.offset()))
            except OSError:
                continue  # silence is judged below, over all of them
        if not offsets:
            assert self._heard_at is not None
            if monotonic - self._heard_at > _ns(self.patience):
                self._off = "no time reference answers"
            return
        self._heard_at = monotonic
        # The median: with three references one may lie.
        name, offset = sorted(offsets, key=lambda pair: pair[1])[len(offsets) // 2]
        if abs(offset) > self.accuracy:
            self._off = f"{name} says the clock is {offset.total_seconds():+.3f} s off"
        else:
            self._off = None
            self._expected = wall - monotonic


def _ns(span: timedelta) -> int:
    return int(span.total_seconds() * 1e9)


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2)."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", ctypes.c_long * 2),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("counts", ctypes.c_long * 4),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    ]


@dataclass(frozen=True)
class KernelClock:
    """What chrony or ntpd told the kernel: the estimated error, or nothing when unsynchronised."""

    name: str = "kernel"

    def offset(self) -> timedelta:
        buffer = _Timex()
        if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(buffer)) < 0:
            raise OSError(ctypes.get_errno(), "adjtimex")
        if buffer.status & _STA_UNSYNC:
            raise OSError("the kernel's clock is not synchronised")
        return timedelta(microseconds=buffer.esterror)
