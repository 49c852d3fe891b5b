"""Proofs kept alive: what the schedule and `dauso renew run` do, and nothing else does.

    done = keep(house, now=now, by="system:renewal")

Steps 1 to 3 of docs/flows/long-life.md. Each is safe to repeat and to interrupt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from signer.long_life import evidence_renewal, evidence_store
from signer.long_life.evidence_renewal import Renewed

if TYPE_CHECKING:
    from api.house import House

AT_ONCE = 40_960


@dataclass(frozen=True)
class Kept:
    """What one round did."""

    protected: int
    time_stamps: int
    renewed: Renewed


def keep(house: House, *, now: datetime, by: str, most: int = AT_ONCE) -> Kept:
    """One round over everything that this house has signed and delivered."""
    desk = house.desk
    # 1. What is new gets its place in a tree while its authorities can still be asked.
    waiting = evidence_store.delivered(desk, limit=most)
    protected = evidence_store.protect(desk, waiting, now=now, by=by)
    # 2. and 3. What ends soon is renewed.
    renewed = evidence_renewal.renew(desk, now=now, by=by)
    return Kept(protected.documents, protected.time_stamps + renewed.time_stamps, renewed)
