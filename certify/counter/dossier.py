"""Dossier codes of the procedure system: three forms in use, all accepted and checked.

    parse("H56.17.22-261123-0001").received      # date(2026, 11, 23)

DOMAIN.md §5: legacy `000.17.22.H56-210531-0001`; current `H56.17.22-261123-0001`; and
`…-YYMMDD-AAXXXX`, AA being the owner system's code and XXXX at least four digits, unbounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from certify.errors import CertifyError
from certify.units import is_agency_code

_SHAPE = re.compile(r"(?P<agency>[A-Z0-9.]+)-(?P<day>[0-9]{6})-(?P<tail>[A-Z0-9]+)\Z")
_PLAIN = re.compile(r"[0-9]{4,}\Z")
_WITH_SYSTEM = re.compile(r"(?P<system>[A-Z0-9]{2})(?P<sequence>[0-9]{4,})\Z")


@dataclass(frozen=True)
class DossierCode:
    """A dossier code taken apart; `system` is the owner system's code where the form has one."""

    text: str
    agency: str
    received: date
    system: str | None
    sequence: int


def parse(text: str) -> DossierCode:
    """Take a dossier code apart. Raises `CertifyError`: `dossier-code-invalid`.

    A tail of digits only is a plain sequence: the form with a system code made of two digits
    cannot be told from it, and both mean the same dossier.
    """
    found = _SHAPE.match(text.strip())
    if found is None or not is_agency_code(found["agency"]):
        raise CertifyError("dossier-code-invalid", dossier=text)
    day, tail = found["day"], found["tail"]
    try:
        received = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
    except ValueError:
        raise CertifyError("dossier-code-invalid", dossier=text) from None
    if _PLAIN.match(tail):
        return DossierCode(found[0], found["agency"], received, None, int(tail))
    named = _WITH_SYSTEM.match(tail)
    if named is None:
        raise CertifyError("dossier-code-invalid", dossier=text)
    return DossierCode(found[0], found["agency"], received, named["system"], int(named["sequence"]))
