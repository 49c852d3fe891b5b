"""Which part of an issuer's certificates a list speaks about, and where it is served.

Small issuers have one complete list, `/pki/crl/{issuer}.crl`, with a delta beside it. A large one
also opens shards: each takes the next so many certificates, whose distribution point names it,
and its list carries that same address in an IssuingDistributionPoint (RFC 5280 §5.2.5). Without
the address in the list an attacker could pass one shard off as another. The complete list stays
true for every certificate and needs no such extension.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from ca.issuer import Issuer

_NEXT_PLACES = text(
    "INSERT INTO ca_crl_shards (issuer, issued) VALUES (:issuer, :count) ON CONFLICT (issuer)"
    " DO UPDATE SET issued = ca_crl_shards.issued + :count RETURNING issued"
)
_ISSUED = text("SELECT issued FROM ca_crl_shards WHERE issuer = :issuer")


@dataclass(frozen=True)
class Scope:
    """`complete`, `delta`, or the shard with this number (from 1)."""

    name: str
    shard: int | None = None

    @classmethod
    def of_shard(cls, number: int) -> Scope:
        return cls(f"shard-{number}", number)

    def file_name(self, issuer: str) -> str:
        if self == COMPLETE:
            return f"{issuer}.crl"
        return f"{issuer}-{'delta' if self == DELTA else self.shard}.crl"

    def address(self, issuer: Issuer) -> str:
        return crl_address(issuer.base_url, issuer.name, self)


COMPLETE = Scope("complete")
DELTA = Scope("delta")


def crl_address(base_url: str, issuer: str, scope: Scope = COMPLETE) -> str:
    return f"{base_url}/pki/crl/{scope.file_name(issuer)}"


def scope_of(file_name: str, issuers: set[str]) -> tuple[str, Scope] | None:
    """Issuer and scope a file name of `/pki/crl/` asks for; None for anything else."""
    stem = file_name.removesuffix(".crl")
    if stem in issuers:
        return stem, COMPLETE
    issuer, _, part = stem.rpartition("-")
    if issuer not in issuers:
        return None
    if part == "delta":
        return issuer, DELTA
    if part.isascii() and part.isdigit() and not part.startswith("0") and len(part) <= 6:
        return issuer, Scope.of_shard(int(part))
    return None


def shards_for(session: Session, issuer: str, count: int, *, size: int) -> list[int]:
    """The shards of the next certificates; a place taken and not used is left empty.

    `size` is how many certificates share one list: 10,000 keep it near 350 kB should all of them
    be revoked.
    """
    wanted = {"issuer": issuer, "count": count}
    last: int = session.execute(_NEXT_PLACES, wanted).scalar_one()
    return [place // size + 1 for place in range(last - count, last)]


def shards_in_use(session: Session, issuer: str, *, size: int) -> range:
    """All shards with certificates and the next one: its list is there before its first user."""
    issued = session.execute(_ISSUED, {"issuer": issuer}).scalar_one_or_none()
    return range(1, (issued - 1) // size + 3) if issued else range(0)
