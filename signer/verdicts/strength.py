"""Until when can a time-stamp be believed, and which part of it ends first?

Its certificates have dates, its algorithms have theirs in the validation policy (TS 119 312).
What ends first decides when the proof must be renewed, and how: a weak digest in the hash tree
asks for a new tree, everything else for one more time-stamp (RFC 4998 §5.2).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import yaml

from ca import der
from signer.cms_parts import CmsParts
from signer.long_life.evidence_records import imprint_algorithm
from signer.trust.certificates import Certificate, read_all
from signer.verdicts.policy import Policy
from signer.verdicts.signed_data import (
    TIMESTAMP_CONTENT,
    SignedData,
    read_signed_data,
    read_timestamp_info,
)

CURRENT = "renewal-2026-1"
_FOLDER = Path(__file__).parents[1] / "policies"
NEVER = datetime.min.replace(tzinfo=UTC)


class Cause(StrEnum):
    """What ends first."""

    CERTIFICATE = "certificate"
    KEY = "key"
    SIGNATURE_DIGEST = "signature-digest"
    TREE_DIGEST = "tree-digest"


@dataclass(frozen=True)
class Strength:
    """Until when a proof stands by itself, and what it is that ends then."""

    until: datetime
    cause: Cause
    what: str


@dataclass(frozen=True)
class RenewalPolicy:
    """When proofs are renewed: versioned data (`policies/renewal-*.yaml`)."""

    name: str
    version: str
    margin: timedelta
    least_gain: timedelta
    documents_per_time_stamp: int
    time_stamp_life: timedelta

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"


@functools.cache
def load_renewal_policy(name: str = CURRENT) -> RenewalPolicy:
    """Read one version; raises FileNotFoundError or KeyError when it is not whole."""
    raw = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text("utf-8"))
    return RenewalPolicy(
        name=raw["name"],
        version=raw["version"],
        margin=timedelta(days=raw["margin_days"]),
        least_gain=timedelta(days=raw["least_gain_days"]),
        documents_per_time_stamp=raw["documents_per_time_stamp"],
        time_stamp_life=timedelta(days=365 * raw["time_stamp_years"]),
    )


def of_token(token: bytes, policy: Policy, above: Iterable[bytes] = ()) -> Strength:
    """The strength of one time-stamp token; `above` are certificates it does not carry itself.

    Raises `Rejected` or MalformedDer when it is no token.
    """
    signed = read_signed_data(token, content_type=TIMESTAMP_CONTENT, digest_of=None)
    bag = [one for one in CmsParts.read(token).certificates if one[0] == der.SEQUENCE]
    return of_signature(signed, imprint_algorithm(token), policy, [*bag, *above])


def of_signature(
    signed: SignedData, imprint: str | None, policy: Policy, others: Iterable[bytes]
) -> Strength:
    """Of a signature or a time-stamp whose mathematics was checked."""
    path = _path(signed.certificate, read_all(others))
    found = [_digest(Cause.SIGNATURE_DIGEST, signed.digest, policy)]
    if imprint is not None:
        found.append(_digest(Cause.TREE_DIGEST, imprint, policy))
    return min([*found, of_path(path, policy)], key=lambda one: one.until)


def of_path(path: Sequence[Certificate], policy: Policy) -> Strength:
    """Of what can be made with the first of these certificates: certificates, keys, digests."""
    found = []
    for one in path:
        name = one.common_name()
        found.append(Strength(one.not_after, Cause.CERTIFICATE, name))
        found.append(Strength(key_end(one.x509.public_key(), policy), Cause.KEY, name))
        digest = one.x509.signature_hash_algorithm
        if digest is not None and not one.self_signed:
            found.append(_digest(Cause.SIGNATURE_DIGEST, digest.name, policy))
    return min(found, key=lambda one: one.until)


def genuine_time(token: bytes) -> datetime:
    """genTime of a token."""
    return read_timestamp_info(
        read_signed_data(token, content_type=TIMESTAMP_CONTENT, digest_of=None)
    ).time


def key_end(key: object, policy: Policy) -> datetime:
    """Until when the policy believes a key of this kind and size."""
    return policy.key_end(key) or NEVER


def digest_end(name: str, policy: Policy) -> datetime:
    """Until when the policy believes this digest."""
    return policy.digests.get(name.replace("-", "_"), NEVER)


def _digest(cause: Cause, name: str, policy: Policy) -> Strength:
    return Strength(digest_end(name, policy), cause, name.upper())


def _path(leaf: Certificate, pool: Sequence[Certificate]) -> list[Certificate]:
    """By names: strength asks when something ends, not whether it is to be believed."""
    path = [leaf]
    while path[-1].issuer != path[-1].subject:
        above = next(
            (one for one in pool if one.subject == path[-1].issuer and one not in path), None
        )
        if above is None:
            return path
        path.append(above)
    return path
