"""Which failures end a line, and which only pass: a token or a disk that is away comes back.

A line that met something passing keeps its state and is taken up at the next turn; one that failed
for its own reasons would fail again.
"""

from __future__ import annotations

from records.errors import DomainError

_PASSING = frozenset(
    {
        "copy-in-progress",  # a dead worker's claim, until it runs out
        "token-absent",
        "token-closed",
        "token-refused",
        "database-busy",
        "database-unreachable",
        "blob-store-unreachable",
        "disk-full",
        "clock-stepped-back",
        "time-not-available",
        "provider-unavailable",
    }
)


def passes(error: DomainError) -> bool:
    """The same line can be had later, with nothing changed about it."""
    return error.code in _PASSING
