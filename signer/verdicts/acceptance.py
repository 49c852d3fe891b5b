"""What a signature must meet beyond mathematics and chain, and the level it reaches.

EN 319 102-1, clause 5.2.8 (signature acceptance validation); EN 319 142-1, clause 6 (levels).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise

from signer.pdf.signature_objects import SignatureObject
from signer.trust.certificates import is_signer
from signer.trust.chain import Chain
from signer.trust.revocation_status import is_answered
from signer.verdicts.archive_data import ArchiveData
from signer.verdicts.policy import Policy
from signer.verdicts.signed_data import SignedData
from signer.verdicts.time_stamps import UNCERTIFIED, Stamp
from signer.verdicts.verdict import Finding, SubIndication, fails, warns

CADES = "/ETSI.CAdES.detached"
_MOST_TOLD = 5


def own_stamp_findings(inner: Iterable[Stamp]) -> list[Finding]:
    """A signature time-stamp that is broken, or younger than its archive, is no accident.

    One that is whole but not believed (its authority unknown, expired, revoked) is told of: the
    level names a time-stamp, and nobody should wonder why it proves no time.
    """
    found = []
    for one in inner:
        if one.broken:
            sub = SubIndication.SIG_CONSTRAINTS_FAILURE
            found.append(fails("validation-signature-timestamp-broken", sub))
        elif not one.certified:
            found.append(warns(UNCERTIFIED))
        elif not one.good and one.signed is not None:
            name = one.signed.certificate.common_name()
            found.append(warns("validation-timestamp-not-believed", authority=name))
        for finding in one.findings:
            if finding.sub is SubIndication.TIMESTAMP_ORDER_FAILURE or (
                finding.code == "validation-bag-damaged"
            ):
                found.append(finding)
    return found


def acceptance_findings(
    signed: SignedData, moment: datetime, proven: bool, policy: Policy
) -> list[Finding]:
    """Purpose of the certificate, digest of the signature and of its certificate reference."""
    findings = []
    if not is_signer(signed.certificate, policy.signer_key_usage, policy.signer_extended_key_usage):
        findings.append(fails("validation-wrong-purpose", SubIndication.CHAIN_CONSTRAINTS_FAILURE))
    key = signed.certificate.x509.public_key()
    findings += policy.padding_findings(key, signed.mask_digest, moment, proven=proven)
    names = {signed.digest} | (set() if signed.reference_is_v2 else {"sha1"})
    for name in sorted(names):
        if not policy.digest_good(name, moment):
            sub = (
                SubIndication.CRYPTO_CONSTRAINTS_FAILURE
                if proven
                else SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
            )
            findings.append(fails("validation-weak-digest", sub, algorithm=name.upper()))
    for attribute in signed.unknown_attributes[:_MOST_TOLD]:
        findings.append(warns("validation-unknown-attribute", attribute=attribute))
    return findings


def claim_findings(
    place: SignatureObject, signed: SignedData, proof: datetime, policy: Policy
) -> list[Finding]:
    """Some tools write local time as UTC: the time-stamp counts, the claim is warned of."""
    claimed = place.claimed_time or signed.claimed_time
    if claimed and claimed > proof + policy.clock_skew:
        return [warns("validation-claimed-time-later")]
    return []


def reached_level(
    place: SignatureObject,
    signed: SignedData,
    stamps: Iterable[Stamp],
    inner: Iterable[Stamp],
    chain: Chain,
    archive: ArchiveData,
) -> str:
    """PAdES level by what is there and fits (EN 319 142-1, 6), whoever is trusted."""
    family = "PAdES-BASELINE-" if place.subfilter == CADES else "PKCS7-"
    over = [stamp for stamp in stamps if stamp.fits and stamp.end > place.end]
    own = [stamp for stamp in inner if stamp.fits]
    if not over and not own:
        return family + "B"
    chains = [chain, *(one.chain for one in own if one.chain)]
    links = [link for one in chains for link in pairwise(one.certificates)]
    certificates, statements = archive.now
    inside = frozenset(signed.revocation)
    held = {*certificates, *signed.bag}
    for stamp in own:
        held.update(stamp.signed.bag if stamp.signed else ())

    def answered(sources: frozenset[bytes]) -> bool:
        told = tuple(sources | inside)
        return bool(sources) and all(is_answered(child, above, told) for child, above in links)

    if not answered(statements) or any(child.der not in held for child, _above in links):
        return family + "T"
    archived = any(answered(archive.at(stamp.end)[1]) for stamp in over)
    return family + ("LTA" if archived else "LT")
