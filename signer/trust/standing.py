"""May a certificate from elsewhere sign? Its path to an anchor, its purpose, its status now.

    found = standing(desk, certificate, others=[…], revocation=[…], now=now)
    found.path, found.proven, found.material

A citizen's own token or another provider signs with certificates that this house did not issue. Who
is believed is the trust store's affair (anchors are configured and pinned, DOMAIN.md §2); the
checks are those of validation (EN 319 102-1 §5.2.6), so that what is accepted here passes there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.errors import CaError
from signer.errors import SignerRefused
from signer.pdf import dss
from signer.trust.certificates import Certificate, is_signer, read_all, read_certificate
from signer.trust.chain import Material, judge_chain
from signer.trust.path import Paths
from signer.trust.revocation_status import read_ocsp
from signer.verdicts.policy import load_policy
from signer.verdicts.verdict import SubIndication

if TYPE_CHECKING:
    from signer.desk import Desk

_UNPROVEN = frozenset({"validation-revocation-missing", "validation-revocation-stale"})


@dataclass(frozen=True)
class Standing:
    """A certificate that leads to an anchor and against which nothing is known.

    `proven` says whether fresh revocation data of every certificate of `path` say so.
    """

    path: tuple[x509.Certificate, ...]
    proven: bool
    material: dss.Material = field(repr=False)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What stands above the certificate, the anchor last."""
        return self.path[1:]


def standing(
    desk: Desk,
    certificate: x509.Certificate,
    *,
    others: Iterable[bytes] = (),
    revocation: Sequence[bytes] = (),
    now: datetime,
) -> Standing:
    """Judge a signing certificate at this moment.

    `others` are certificates at hand, `revocation` CRLs and OCSP answers, all in DER; about our own
    certificates our responder is asked. Raises SignerRefused `signer-certificate-unreadable`,
    `signer-not-for-signing`, `signer-not-trusted`, with what validation found.
    """
    rules = load_policy()
    leaf = read_certificate(certificate.public_bytes(Encoding.DER))
    if leaf is None:
        raise SignerRefused("signer-certificate-unreadable")
    if not is_signer(leaf, rules.signer_key_usage, rules.signer_extended_key_usage):
        raise SignerRefused("signer-not-for-signing", holder=leaf.common_name())
    answers = (*revocation, *_own_answers(desk, certificate, now=now))
    paths = Paths(desk.trust, read_all(others), rules.limits.path_seconds)
    material = Material(paths, dict.fromkeys(answers, now), now, rules)
    chain = judge_chain(leaf, now, False, material)
    wrong = [one for one in chain.findings if one.code not in _UNPROVEN]
    if wrong:
        reason = wrong[0].sub or SubIndication.NO_CERTIFICATE_CHAIN_FOUND
        raise SignerRefused("signer-not-trusted", holder=leaf.common_name(), reason=reason.value)
    return Standing(
        tuple(one.x509 for one in chain.certificates),
        chain.good,
        _kept(chain.certificates, chain.sources),
    )


def _own_answers(desk: Desk, certificate: x509.Certificate, *, now: datetime) -> tuple[bytes, ...]:
    """What our responder says of a certificate of ours and those above it."""
    try:
        path = (certificate, *desk.authority.chain(certificate))
    except CaError:
        return ()
    found = dss.gather(path, responder=desk.responder, shelf=desk.revocation, fresh=True, now=now)
    return found.ocsp


def _kept(chain: Sequence[Certificate], sources: Iterable[bytes]) -> dss.Material:
    """Only what spoke: nobody's other lists travel in the file."""
    told = sorted(sources)
    return dss.Material(
        tuple(one.der for one in chain),
        tuple(one for one in told if read_ocsp(one) is not None),
        tuple(one for one in told if read_ocsp(one) is None),
    )
