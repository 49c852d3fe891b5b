"""What a certified copy costs: the tariff in force on the day, read from data.

    fee(pages=3, on=date(2026, 11, 23))      # 5000 đồng for one copy

The vectors of DOMAIN.md §4 hold: 1→2,000, 2→4,000, 3→5,000, 10→12,000, 198→200,000, 500→200,000.
"""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from certify.errors import CertifyError

_DATA = Path(__file__).with_name("tariffs.json")


@cache
def _tariffs() -> tuple[dict[str, Any], ...]:
    rows = json.loads(_DATA.read_text("utf-8"))["tariffs"]
    return tuple(sorted(rows, key=lambda row: str(row["effective_from"])))


def fee(*, pages: int, on: date, copies: int = 1, act: str = "copy-from-original") -> int:
    """Đồng for `copies` copies of an original of `pages` pages under the tariff of that day.

    Raises `CertifyError`: `pages-invalid`, `tariff-missing`.
    """
    if pages < 1 or copies < 1:
        raise CertifyError("pages-invalid", pages=pages, copies=copies)
    day = on.isoformat()
    for row in reversed(_tariffs()):
        if row["effective_from"] <= day and (row["effective_to"] or "9999") >= day:
            rule = row["acts"].get(act)
            if rule is not None:
                return copies * _of_one(rule, pages)
    raise CertifyError("tariff-missing", act=act, day=day)


def _of_one(rule: dict[str, Any], pages: int) -> int:
    if "flat" in rule:
        return int(rule["flat"])
    total, counted = 0, 0
    for tier in rule["tiers"]:
        last = pages if tier["through"] is None else min(pages, tier["through"])
        total += max(0, last - counted) * int(tier["each"])
        counted = max(counted, last)
    return min(total, int(rule["maximum"]))
