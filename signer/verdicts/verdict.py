"""The words of ETSI EN 319 102-1: indications, sub-indications, and why.

Everything a validation concludes is said in this vocabulary (clauses 5.1.3 and 5.1.4), so that
a report can be compared with any other validator's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from signer.errors import SignerError

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Indication(StrEnum):
    """The three verdicts (EN 319 102-1, table 5)."""

    TOTAL_PASSED = "TOTAL_PASSED"
    TOTAL_FAILED = "TOTAL_FAILED"
    INDETERMINATE = "INDETERMINATE"


class SubIndication(StrEnum):
    """Why a verdict is not TOTAL_PASSED (EN 319 102-1, table 6).

    The last two are not the standard's: it has no word for a file without any signature, nor
    for one that cannot be read at all.
    """

    FORMAT_FAILURE = "FORMAT_FAILURE"
    HASH_FAILURE = "HASH_FAILURE"
    SIG_CRYPTO_FAILURE = "SIG_CRYPTO_FAILURE"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    SIG_CONSTRAINTS_FAILURE = "SIG_CONSTRAINTS_FAILURE"
    CHAIN_CONSTRAINTS_FAILURE = "CHAIN_CONSTRAINTS_FAILURE"
    CERTIFICATE_CHAIN_GENERAL_FAILURE = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE = "CRYPTO_CONSTRAINTS_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE_NO_POE = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    TIMESTAMP_ORDER_FAILURE = "TIMESTAMP_ORDER_FAILURE"
    NO_SIGNING_CERTIFICATE_FOUND = "NO_SIGNING_CERTIFICATE_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND = "NO_CERTIFICATE_CHAIN_FOUND"
    REVOKED_NO_POE = "REVOKED_NO_POE"
    REVOKED_CA_NO_POE = "REVOKED_CA_NO_POE"
    OUT_OF_BOUNDS_NO_POE = "OUT_OF_BOUNDS_NO_POE"
    OUT_OF_BOUNDS_NOT_REVOKED = "OUT_OF_BOUNDS_NOT_REVOKED"
    NO_POE = "NO_POE"
    TRY_LATER = "TRY_LATER"
    SIGNED_DATA_NOT_FOUND = "SIGNED_DATA_NOT_FOUND"
    NO_SIGNATURE_FOUND = "NO_SIGNATURE_FOUND"
    UNREADABLE = "UNREADABLE"


_FAILED = frozenset(
    {
        SubIndication.FORMAT_FAILURE,
        SubIndication.HASH_FAILURE,
        SubIndication.SIG_CRYPTO_FAILURE,
        SubIndication.REVOKED,
        SubIndication.EXPIRED,
        SubIndication.NOT_YET_VALID,
    }
)


def indication_of(sub: SubIndication | None) -> Indication:
    """The verdict a sub-indication belongs to (EN 319 102-1, table 6)."""
    if sub is None:
        return Indication.TOTAL_PASSED
    return Indication.TOTAL_FAILED if sub in _FAILED else Indication.INDETERMINATE


class Weight(StrEnum):
    """What a finding does to the verdict: a failed constraint, a warning, or a plain fact."""

    FAILS = "fails"
    WARNS = "warns"
    INFORMS = "informs"


@dataclass(frozen=True)
class Finding:
    """One constraint that was not met, or one thing worth telling, as a message key.

    `code` is a key of the message catalogues (`records/messages/validation.*.json`), `params`
    what its text names. A finding that fails carries the sub-indication it leads to.
    """

    code: str
    sub: SubIndication | None = None
    params: Mapping[str, object] = field(default_factory=lambda: _NOTHING, hash=False)
    weight: Weight = Weight.FAILS


def fails(code: str, sub: SubIndication, **params: object) -> Finding:
    """A constraint that is not met: the verdict cannot be TOTAL_PASSED."""
    return Finding(code, sub, params)


def warns(code: str, **params: object) -> Finding:
    """Something unusual that does not change the verdict."""
    return Finding(code, None, params, Weight.WARNS)


def informs(code: str, **params: object) -> Finding:
    """A plain fact for the reader."""
    return Finding(code, None, params, Weight.INFORMS)


class Rejected(Exception):
    """One signature or time-stamp cannot be used; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


class Unreadable(SignerError):
    """No verdict can be given: not a PDF, encrypted, broken, or beyond the limits."""


# A broken file or signature outweighs a missing proof; among missing proofs the first found
# is reported, in the order of the standard's building blocks.
def worst(findings: tuple[Finding, ...] | list[Finding]) -> SubIndication | None:
    """The sub-indication that decides: FAILED before INDETERMINATE, then first come."""
    subs = [found.sub for found in findings if found.sub is not None]
    for sub in subs:
        if sub in _FAILED:
            return sub
    return subs[0] if subs else None
