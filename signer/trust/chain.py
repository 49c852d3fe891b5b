"""A signing certificate judged at one moment: path, periods, revocation, algorithms.

EN 319 102-1, clause 5.2.6 (X.509 certificate validation), with the moment given by the proofs
of existence (5.5, 5.6): the best signature time when a trusted time-stamp gives one, the
validation time when none does.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from signer.trust import anchors
from signer.trust.certificates import Certificate
from signer.trust.crl_statements import Signers, crl_signed_by
from signer.trust.path import Paths
from signer.trust.revocation_status import status_at
from signer.verdicts.policy import Policy
from signer.verdicts.verdict import Finding, SubIndication, fails

_DEEPEST = 4
"""How many lists may depend on each other's signers."""


@dataclass(frozen=True)
class Material:
    """Everything a chain is judged with; `evidence` maps revocation data to its proven time."""

    paths: Paths
    evidence: Mapping[bytes, datetime]
    at: datetime
    policy: Policy


@dataclass(frozen=True)
class Chain:
    """The outcome: the certificates up to the anchor, what is wrong, which sources answered."""

    certificates: tuple[Certificate, ...]
    findings: tuple[Finding, ...]
    sources: frozenset[bytes]

    @property
    def good(self) -> bool:
        return not self.findings


def judge_chain(
    leaf: Certificate,
    moment: datetime,
    proven: bool,
    material: Material,
    *,
    above: frozenset[Certificate] = frozenset(),
) -> Chain:
    """Judge the chain of `leaf` for something done with it at `moment`.

    `proven` says whether `moment` comes from a proof of existence or is merely the present.
    `above` are certificates being judged already: whose list would be needed to believe it.
    """
    certificates, sound = material.paths.best(leaf, moment)
    if not certificates:
        finding = fails("validation-no-chain", SubIndication.NO_CERTIFICATE_CHAIN_FOUND)
        return Chain((leaf,), (finding,), frozenset())
    if not sound:
        finding = fails("validation-chain-constraints", SubIndication.CHAIN_CONSTRAINTS_FAILURE)
        return Chain(certificates, (finding,), frozenset())
    unsuitable = None if above else anchors.finding(material.paths.terms, certificates, moment)
    findings = [] if unsuitable is None else [unsuitable]
    findings += _periods(certificates, moment, proven)
    findings += _algorithms(certificates, moment, proven, material.policy)
    if any(found.sub is SubIndication.NOT_YET_VALID for found in findings):
        return Chain(certificates, tuple(findings), frozenset())
    other_signers = _other_signers(certificates, moment, proven, material, above)
    sources: set[bytes] = set()
    revoked: datetime | None = None
    # From the anchor down: what a CA said after its own revocation is not heard.
    for position in range(len(certificates) - 2, -1, -1):
        status = status_at(
            certificates[position],
            certificates[position + 1],
            moment,
            evidence=material.evidence,
            at=material.at,
            policy=material.policy,
            issuer_revoked=revoked,
            signers=other_signers,
        )
        revoked = min(filter(None, (revoked, status.revoked_at)), default=None)
        sources.update(status.sources)
        if status.finding is not None:
            findings.append(status.finding)
    return Chain(certificates, tuple(findings), frozenset(sources))


def _other_signers(
    certificates: tuple[Certificate, ...],
    moment: datetime,
    proven: bool,
    material: Material,
    above: frozenset[Certificate],
) -> Signers:
    """Who else signed a list under its name: a certificate of that name with a good chain of its
    own to the same anchor (RFC 5280, 6.3.3 (f))."""

    inner = above | {certificates[0]}

    @functools.cache
    def believed(one: Certificate) -> bool:
        usage = one.key_usage()
        if one in inner or len(inner) > _DEEPEST or usage is None or not usage.crl_sign:
            return False
        chain = judge_chain(one, moment, proven, material, above=inner | {one})
        return chain.good and chain.certificates[-1] == certificates[-1]

    def signer(name: bytes, der: bytes) -> Certificate | None:
        candidates = (one for one in material.paths.named(name) if crl_signed_by(der, one))
        return next((one for one in candidates if believed(one)), None)

    return signer


def _periods(
    certificates: tuple[Certificate, ...], moment: datetime, proven: bool
) -> list[Finding]:
    checked = certificates[:-1] or certificates
    for one in checked:
        params = {"holder": one.common_name(), "until": f"{one.not_after:%d-%m-%Y}"}
        if moment < one.not_before:
            # It existed before the certificate did: no later proof can repair that.
            sub = SubIndication.NOT_YET_VALID if proven else SubIndication.OUT_OF_BOUNDS_NO_POE
            return [fails("validation-not-yet-valid", sub, **params)]
        if moment > one.not_after:
            return [fails("validation-expired", SubIndication.OUT_OF_BOUNDS_NO_POE, **params)]
    return []


def _algorithms(
    certificates: tuple[Certificate, ...], moment: datetime, proven: bool, policy: Policy
) -> list[Finding]:
    sub = (
        SubIndication.CRYPTO_CONSTRAINTS_FAILURE
        if proven
        else SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
    )
    for one in certificates:
        if not policy.key_good(one.x509.public_key(), moment):
            return [fails("validation-weak-key", sub, holder=one.common_name())]
    for one, issuer in pairwise(certificates):
        digest = one.x509.signature_hash_algorithm
        name = digest.name if digest else "?"
        if not policy.digest_good(name, moment):
            return [fails("validation-weak-digest", sub, algorithm=name.upper())]
        key = issuer.x509.public_key()
        padded = policy.padding_findings(key, one.mask_digest, moment, proven=proven)
        if padded:
            return padded
    return []
