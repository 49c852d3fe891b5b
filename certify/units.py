"""Who certifies: the 166 commune-level units of the province, as data.

    unit("14797").committee      # "Ủy ban nhân dân phường Hạc Thành"

DOMAIN.md §1 and §5. The province has no official sub-code for each unit that we could confirm, so
the agency codes here carry the word DEMO.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from certify.errors import NotFound

_DATA = Path(__file__).with_name("commune_units.json")
_GROUPS = re.compile(r"[A-Z0-9]+(\.[A-Z0-9]+)*\Z")
_MODERN_FIRST = re.compile(r"[A-Z][0-9]{2}\Z")
_LEGACY_LAST = re.compile(r"[A-Z][0-9]{2}\Z")


@dataclass(frozen=True)
class Unit:
    """A commune-level unit; `agency_code` is a demonstration code while `demo` is true."""

    code: str
    name: str
    agency_code: str
    demo: bool

    @property
    def committee(self) -> str:
        """The people's committee, as it is written inside a sentence."""
        return f"Ủy ban nhân dân {self.inline}"

    @property
    def inline(self) -> str:
        """The name inside a sentence: `phường Hạc Thành`."""
        return f"{self.name[0].lower()}{self.name[1:]}"

    @property
    def place(self) -> str:
        """The name without its kind: what stands before the date (decree 30/2020, annex I)."""
        return self.name.partition(" ")[2]


@cache
def units() -> dict[str, Unit]:
    """Every unit by its code."""
    data = json.loads(_DATA.read_text("utf-8"))
    return {
        row["code"]: Unit(row["code"], row["name"], f"H56.DEMO.{row['code']}", demo=True)
        for row in data["units"]
    }


def unit(code: str) -> Unit:
    """The unit with this code. Raises `NotFound`: `unit-unknown`."""
    try:
        return units()[code]
    except KeyError:
        raise NotFound("unit-unknown", unit=code) from None


def is_agency_code(text: str) -> bool:
    """DOMAIN.md §5: at most 35 characters, groups of A–Z 0–9; `H56.…` or legacy `000.….H56`."""
    if len(text) > 35 or not _GROUPS.match(text):
        return False
    first, *rest = text.split(".")
    if first == "000":
        return len(rest) >= 1 and bool(_LEGACY_LAST.match(rest[-1]))
    return bool(_MODERN_FIRST.match(first))
