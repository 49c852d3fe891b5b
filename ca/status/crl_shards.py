"""Which part of a large issuer's list a certificate names, decided when it is issued.

    issuer = named(authority, [issuer], now=now, by=by)[0]      # issuer.crl_url is the part's

With `CrlPolicy.shard_size` set, every so many certificates of persons and agencies share one list
of their own (RFC 5280 §5.2.5): a validator fetches 350 kB at most instead of the whole province's.
Places are taken in blocks, one commit for many certificates; the list of a part is published
before the first certificate that names it. Services' certificates are few and name the complete
list, which stays true for everybody.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import select

from ca.issuer import Issuer
from ca.profiles import Kind, Profile
from ca.status import crl
from ca.status.crl_scope import Scope, shards_for
from ca.status.status_models import CrlRow

if TYPE_CHECKING:
    from ca.authority import Authority

_BLOCK = 100
_SHARDED = (Kind.NATURAL_PERSON, Kind.LEGAL_PERSON)


class Places:
    """The places one process has taken and not given away yet; one per `Authority`."""

    def __init__(self) -> None:
        self._left: dict[str, deque[int]] = {}
        self._listed: set[tuple[str, int]] = set()
        self._lock = threading.Lock()

    def take(
        self, authority: Authority, issuer: str, count: int, *, now: datetime, by: str
    ) -> list[int]:
        """The shards of the next `count` certificates."""
        size = authority.crl_policy.shard_size
        assert size is not None
        with self._lock:
            left = self._left.setdefault(issuer, deque())
            if len(left) < count:
                wanted = max(count - len(left), min(_BLOCK, size))
                with authority.database.transaction() as session:
                    taken = shards_for(session, issuer, wanted, size=size)
                self._publish(authority, issuer, taken[0], taken[-1] + 1, now=now, by=by)
                left.extend(taken)
            return [left.popleft() for _ in range(count)]

    def _publish(
        self, authority: Authority, issuer: str, first: int, last: int, *, now: datetime, by: str
    ) -> None:
        """The lists of these shards are there, and that of the one that comes next."""
        wanted = [
            Scope.of_shard(number)
            for number in range(first, last + 1)
            if (issuer, number) not in self._listed
        ]
        if not wanted:
            return
        names = [scope.name for scope in wanted]
        with authority.database.reading() as session:
            there = set(
                session.scalars(
                    select(CrlRow.scope).where(
                        CrlRow.issuer == issuer, CrlRow.scope.in_(names), CrlRow.der.is_not(None)
                    )
                )
            )
        missing = [scope for scope in wanted if scope.name not in there]
        if missing:
            crl.publish_scopes(authority, issuer, missing, now=now, by=by)
        self._listed.update((issuer, scope.shard) for scope in wanted if scope.shard is not None)


def named(
    authority: Authority,
    wanted: Sequence[tuple[Issuer, Profile]],
    *,
    now: datetime,
    by: str,
) -> list[Issuer]:
    """Each issuer as the certificate that is about to be made names it."""
    found = [issuer for issuer, _ in wanted]
    if authority.crl_policy.shard_size is None:
        return found
    positions: dict[str, list[int]] = {}
    for position, (issuer, profile) in enumerate(wanted):
        if profile.kind in _SHARDED and profile.crl_distribution_point:
            positions.setdefault(issuer.name, []).append(position)
    for name, of_this in positions.items():
        shards = authority.places.take(authority, name, len(of_this), now=now, by=by)
        for position, shard in zip(of_this, shards, strict=True):
            found[position] = _with_shard(found[position], shard)
    return found


@lru_cache(maxsize=256)
def _with_shard(issuer: Issuer, shard: int) -> Issuer:
    return replace(issuer, shard=shard)
