"""Kinds of originals, as data; the code is what systems exchange, the name is what people read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from certify.errors import CertifyError

_DATA = Path(__file__).with_name("kinds.json")


@dataclass(frozen=True)
class Kind:
    """`legalisation_exempt`: a foreign one needs no consular legalisation (DOMAIN.md §4)."""

    code: str
    vi: str
    en: str
    legalisation_exempt: bool

    def name(self, language: str) -> str:
        return self.en if language == "en" else self.vi


@cache
def kinds() -> dict[str, Kind]:
    """Every kind by its code."""
    rows = json.loads(_DATA.read_text("utf-8"))["kinds"]
    return {row["code"]: Kind(**row) for row in rows}


def kind(text: str) -> Kind:
    """The kind with this code or Vietnamese name. Raises `CertifyError`: `kind-unknown`."""
    found = kinds().get(text)
    if found is None:
        wanted = text.strip().casefold()
        found = next((one for one in kinds().values() if one.vi.casefold() == wanted), None)
    if found is None:
        raise CertifyError("kind-unknown", kind=text)
    return found
