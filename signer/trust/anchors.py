"""On what terms an anchor is believed: for this purpose, for something done at this moment?

A trust store may say of an anchor what it is for and since when (`ca.trust.AnchorTerms`: a reviewed
file, or a trusted list whose services were granted and withdrawn). EN 319 102-1, 5.2.6.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from ca.trust import AnchorTerms
from signer.trust.certificates import Certificate, is_timestamper
from signer.verdicts.verdict import Finding, SubIndication, fails, informs

SIGNATURES, TIME_STAMPS = "signatures", "time-stamps"
Terms = Mapping[str, AnchorTerms]


def suits(terms: Terms, path: Sequence[Certificate], moment: datetime) -> bool:
    """Whether the anchor at the end of this path may be relied on for its first certificate."""
    known = terms.get(path[-1].digest.hex())
    return known is None or (_purpose(path[0]) in known.purposes and known.accepted_at(moment))


def finding(terms: Terms, path: Sequence[Certificate], moment: datetime) -> Finding | None:
    """Why the anchor cannot be relied on, or None when it can."""
    known = terms.get(path[-1].digest.hex())
    if known is None or suits(terms, path, moment):
        return None
    sub = SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    if _purpose(path[0]) not in known.purposes:
        return fails("validation-anchor-purpose", sub, anchor=known.name)
    when = f"{moment:%d-%m-%Y}"
    return fails("validation-anchor-dates", sub, anchor=known.name, time=when)


def told(terms: Terms, path: Sequence[Certificate]) -> list[Finding]:
    """Through which anchor a signature is believed, and what its list says of the service."""
    known = terms.get(path[-1].digest.hex()) if path else None
    if known is None:
        return []
    kind = ", ".join((known.kind, *known.facts))
    return [informs("validation-trusted-by", anchor=known.name, kind=kind)]


def as_rows(terms: Terms) -> list[list[object]]:
    """Plain JSON, for the pipe to a confined process."""
    return [
        [
            mark,
            one.name,
            one.kind,
            sorted(one.purposes),
            [[begin.isoformat(), end.isoformat()] for begin, end in one.periods],
            list(one.facts),
        ]
        for mark, one in terms.items()
    ]


def from_rows(rows: Iterable[Sequence[object]]) -> dict[str, AnchorTerms]:
    """Read back `as_rows`."""
    found = {}
    for mark, name, kind, purposes, periods, facts in rows:
        assert isinstance(purposes, list)
        assert isinstance(periods, list)
        assert isinstance(facts, list)
        found[str(mark)] = AnchorTerms(
            name=str(name),
            kind=str(kind),
            purposes=frozenset(purposes),
            periods=tuple((_moment(begin), _moment(end)) for begin, end in periods),
            facts=tuple(facts),
        )
    return found


def _purpose(leaf: Certificate) -> str:
    return TIME_STAMPS if is_timestamper(leaf) else SIGNATURES


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC) if text[:4] != "9999" else _LAST


_LAST = datetime.max.replace(tzinfo=UTC)
