"""Time-stamps: who says that these bytes existed, since when, and can it be believed?

EN 319 102-1, clauses 5.4 (time-stamp validation) and 5.6 (proofs of existence). Document
time-stamps are judged from the newest to the oldest: each is believed at the moment the newer
one proves for it, the newest at the validation time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from signer.trust.certificates import is_timestamper, spoiled_copies
from signer.trust.chain import Chain, Material, judge_chain
from signer.verdicts.report import TimestampVerdict
from signer.verdicts.signed_data import (
    CERTIFICATE_MISSING,
    TIMESTAMP_CONTENT,
    DigestOf,
    Others,
    SignedData,
    TimestampInfo,
    no_others,
    read_signed_data,
    read_timestamp_info,
)
from signer.verdicts.verdict import Finding, Rejected, SubIndication, fails, worst

UNCERTIFIED = "validation-timestamp-certificate-missing"


@dataclass(frozen=True)
class Stamp:
    """One time-stamp: read, and once judged, with its chain and findings.

    `compared` says whether what it is about was at hand: without it (a document that stays with
    its owner) the token may be whole and still proves nothing.
    """

    field: str
    end: int
    signed: SignedData | None
    info: TimestampInfo | None
    findings: tuple[Finding, ...] = ()
    chain: Chain | None = None
    judged: bool = False
    compared: bool = True
    certified: bool = True
    """Whether its certificate is at hand: a token may come without (RFC 3161, certReq)."""

    @property
    def fits(self) -> bool:
        """Made by its certificate, for these bytes; whether it is believed is another matter."""
        return self.signed is not None and self.info is not None

    @property
    def broken(self) -> bool:
        """Not the bytes it was made for, or not made by its certificate: never honest."""
        return self.certified and not self.fits

    @property
    def good(self) -> bool:
        return self.judged and self.fits and not self.findings

    @property
    def time(self) -> datetime:
        assert self.info is not None
        return self.info.time


def read_stamp(
    der: bytes, digest_of: DigestOf, *, field: str, end: int = 0, others: Others = no_others
) -> Stamp:
    """Check a token's mathematics and that it is about these bytes.

    Its certificate may stand among `others`, the document's (EN 319 142-1 §5.4.2.2, EN 319 122-1
    §5.4.1); where it is nowhere, nothing can be said of the token (EN 319 102-1 §5.2.3).
    """
    try:
        signed = read_signed_data(
            der, content_type=TIMESTAMP_CONTENT, digest_of=None, others=others
        )
        info = read_timestamp_info(signed)
        if digest_of(info.digest) != info.imprint:
            raise Rejected(fails("validation-timestamp-hash", SubIndication.HASH_FAILURE))
    except Rejected as rejected:
        found = (rejected.finding,)
        if rejected.finding.code == CERTIFICATE_MISSING:
            sub = SubIndication.NO_SIGNING_CERTIFICATE_FOUND
            return Stamp(field, end, None, None, (fails(UNCERTIFIED, sub),), certified=False)
        if rejected.finding.sub is SubIndication.SIGNED_DATA_NOT_FOUND:
            return Stamp(field, end, signed, info, found, compared=False)
        return Stamp(field, end, None, None, found)
    return Stamp(field, end, signed, info)


def judge_stamp(stamp: Stamp, moment: datetime, material: Material, *, proven: bool) -> Stamp:
    """Whether the token can be believed, as something that existed at `moment`."""
    if stamp.signed is None or stamp.info is None:
        return replace(stamp, judged=True)
    findings = list(stamp.findings)
    policy = material.policy
    if not is_timestamper(stamp.signed.certificate):
        findings.append(fails("validation-not-a-tsa", SubIndication.CHAIN_CONSTRAINTS_FAILURE))
    if stamp.info.time > moment + policy.clock_skew:
        findings.append(fails("validation-timestamp-order", SubIndication.TIMESTAMP_ORDER_FAILURE))
    key, mask = stamp.signed.certificate.x509.public_key(), stamp.signed.mask_digest
    findings += policy.padding_findings(key, mask, moment, proven=proven)
    for name in {stamp.info.digest, stamp.signed.digest}:
        if not policy.digest_good(name, moment):
            sub = (
                SubIndication.CRYPTO_CONSTRAINTS_FAILURE
                if proven
                else SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
            )
            findings.append(fails("validation-weak-digest", sub, algorithm=name.upper()))
    chain = judge_chain(stamp.signed.certificate, moment, proven, material)
    if not stamp.signed.certificate.valid_at(stamp.info.time):
        findings.append(
            fails("validation-timestamp-outside", SubIndication.CHAIN_CONSTRAINTS_FAILURE)
        )
    findings += chain.findings
    findings += spoiled_copies(stamp.signed.bag, chain.certificates)
    return replace(stamp, findings=tuple(findings), chain=chain, judged=True)


def sub_indication(stamp: Stamp) -> SubIndication | None:
    return worst(stamp.findings)


def timestamp_verdict(stamp: Stamp, *, covers_file: bool) -> TimestampVerdict:
    """A judged time-stamp as a report tells of it."""
    return TimestampVerdict(
        sub_indication=sub_indication(stamp),
        time=stamp.info.time if stamp.info else None,
        authority=stamp.signed.certificate.common_name() if stamp.signed else None,
        field=stamp.field,
        covers_file=covers_file,
        findings=stamp.findings,
        certificate=stamp.signed.certificate.der if stamp.signed else None,
    )
