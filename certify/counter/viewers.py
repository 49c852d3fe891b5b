"""Who may see and touch what: a citizen their own, an official their unit's (DOMAIN.md §6).

    viewer = Viewer.official(unit="14797", by="official:0388…")
    viewer.require_sight(unit=row.unit, owner_id=row.requester_id)      # NotFound for the others

The rule is asked inside the functions that read and change cases, not at the edges: what is
somebody else's does not exist for the asker, whichever door they come through.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from certify.errors import CertifyError, NotFound


@dataclass(frozen=True)
class Viewer:
    """`units`: whose cases are seen and worked on (None: all); `owner_id`: one's own cases."""

    by: str
    units: frozenset[str] | None = frozenset()
    owner_id: str | None = None

    @classmethod
    def official(cls, *, unit: str, by: str) -> Viewer:
        return cls(by, frozenset({unit}))

    @classmethod
    def citizen(cls, owner_id: str) -> Viewer:
        """`owner_id` as in the store: `citizen:0388…` or `organisation:28…`."""
        return cls(owner_id, owner_id=owner_id)

    @classmethod
    def system(cls, *, by: str, units: Iterable[str] | None = None) -> Viewer:
        """A client system with the units it works for, or with none named: the whole province."""
        return cls(by, None if units is None else frozenset(units))

    def works_for(self, unit: str) -> bool:
        return self.units is None or unit in self.units

    def sees(self, *, unit: str, owner_id: str) -> bool:
        return self.works_for(unit) or (self.owner_id is not None and self.owner_id == owner_id)

    def require_sight(self, *, unit: str, owner_id: str, code: str = "case-unknown") -> None:
        """Raises `NotFound` with `code`."""
        if not self.sees(unit=unit, owner_id=owner_id):
            raise NotFound(code)

    def require_work(self, *, unit: str, owner_id: str) -> None:
        """For the acts of an office: raises `NotFound`, or `CertifyError` `act-of-the-office` for
        a person on their own case."""
        self.require_sight(unit=unit, owner_id=owner_id)
        if not self.works_for(unit):
            raise CertifyError("act-of-the-office")


SERVICE = Viewer("system:service", units=None)
"""The service itself: recovery, schedules, and callers that checked the unit themselves."""
