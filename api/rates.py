"""How often one caller may ask. Per process; a front server adds its own."""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from api.errors import RateLimited


class Rates:
    """Named limits over sliding windows."""

    def __init__(self, *, per_minute: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._items: dict[str, RateLimitItem] = {
            "api": parse(f"{per_minute}/minute"),
            # Guessing a code or a secret must be hopeless; a person never asks this often.
            "code": parse(f"{max(1, per_minute // 100)}/minute"),
            "upload": parse(f"{max(1, per_minute // 200)}/minute"),
            "token": parse(f"{max(1, per_minute // 50)}/minute"),
            "token-failure": parse("10/minute"),
        }

    def take(self, name: str, caller: str) -> None:
        """Count one request; RateLimited when there were too many."""
        item = self._items[name]
        if not self._limiter.hit(item, caller):
            raise RateLimited(self._seconds_left(item, caller))

    def check(self, name: str, caller: str) -> None:
        """Refuse without counting: for limits that only failures use up."""
        item = self._items[name]
        if not self._limiter.test(item, caller):
            raise RateLimited(self._seconds_left(item, caller))

    def _seconds_left(self, item: RateLimitItem, caller: str) -> int:
        reset = self._limiter.get_window_stats(item, caller).reset_time
        return max(1, math.ceil(reset - time.time()))
