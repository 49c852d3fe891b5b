"""The verdict on signatures that carry their own proofs: CAdES, XAdES, and both in ASiC-E.

EN 319 102-1 §5.6. What a format's reader found (`Claim`: mathematics checked, proofs collected) is
judged here the same way for all of them: archive time-stamps from the newest, each dating the
evidence it covers; then the signature's own time-stamps; then certificate, chain and status at the
best signature time; then level and verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise

from signer.long_life.evidence_records import Proof, believe_all
from signer.trust import anchors
from signer.trust.certificates import issued, read_all, read_certificate, spoiled_copies
from signer.trust.chain import Chain, Material, judge_chain
from signer.trust.path import Paths, Trust
from signer.trust.revocation_status import is_answered, vouched
from signer.verdicts.acceptance import acceptance_findings, own_stamp_findings
from signer.verdicts.examination import Examination, Examined, ExaminedSignature, SignedReference
from signer.verdicts.policy import Policy
from signer.verdicts.report import Changes, Report, SignatureVerdict
from signer.verdicts.signed_data import SignedData
from signer.verdicts.time_stamps import (
    UNCERTIFIED,
    Stamp,
    judge_stamp,
    sub_indication,
    timestamp_verdict,
)
from signer.verdicts.verdict import (
    Finding,
    Indication,
    SubIndication,
    Weight,
    fails,
    indication_of,
    informs,
    warns,
    worst,
)

_NAMES = {"B": "BES", "T": "T", "LT": "XL", "LTA": "A"}


def counter_name(name: str, number: int) -> str:
    """What a counter-signature is called: after the signatures it stands among."""
    return f"{name}:counter-{number}"


@dataclass(frozen=True)
class ArchiveStamp:
    """An archive time-stamp and the certificates and revocation data it proves to be as old."""

    stamp: Stamp
    covers: frozenset[bytes]


@dataclass(frozen=True)
class Claim:
    """One signature as it was found: read, its mathematics checked, with all it carries.

    `archives` are oldest first. `baseline` says whether it has what a baseline signature must
    have signed; `whole_file` whether it signs everything there is to sign. `digests` are those of
    references beside the signature's own; `references` what it vouches for, for reports.
    """

    name: str
    family: str
    signed: SignedData | None
    findings: tuple[Finding, ...] = ()
    stamps: tuple[Stamp, ...] = ()
    archives: tuple[ArchiveStamp, ...] = ()
    certificates: frozenset[bytes] = frozenset()
    revocation: frozenset[bytes] = frozenset()
    digests: frozenset[str] = frozenset()
    baseline: bool = True
    whole_file: bool = True
    size: int = 0
    references: tuple[SignedReference, ...] = ()
    countersigns: bool = False
    """Whether it confirms another signature and not the document."""


@dataclass(frozen=True)
class Claims:
    """Everything found in a file, and what is wrong with the file itself."""

    signatures: tuple[Claim, ...]
    findings: tuple[Finding, ...] = ()
    spoils: tuple[Finding, ...] = field(default=())
    """What keeps every signature of the file from passing."""


def judge(
    claims: Claims,
    *,
    trust: Trust,
    at: datetime,
    revocation: Iterable[bytes],
    policy: Policy,
    proof: Proof | None = None,
    examined: Examined | None = None,
) -> Report:
    """The report on a file as of `at`. No signature at all is never passed.

    `proof` is an evidence record about the whole file.
    """
    findings = [*claims.findings, *claims.spoils]
    if not claims.signatures:
        none = fails("validation-no-signature", SubIndication.NO_SIGNATURE_FOUND)
        decisive = worst(findings) or SubIndication.NO_SIGNATURE_FOUND
        return Report(decisive, findings=(*findings, none), policy=policy.title, validation_time=at)
    claims = replace(claims, spoils=(*claims.spoils, *_doubled(claims.signatures)))
    findings = [*claims.findings, *claims.spoils]
    lists, proof = tuple(revocation), proof or Proof(())
    material = _material(claims.signatures, trust, at, lists, policy, proof)
    record = believe_all(proof, material, lists)
    findings += record.findings
    judged = [
        _judge(claim, record.material, claims.spoils, record.since) for claim in claims.signatures
    ]
    timestamps = [timestamp_verdict(one, covers_file=True) for one in record.stamps]
    for each in judged:
        timestamps += [timestamp_verdict(one, covers_file=True) for one in each.archives]
        timestamps += [timestamp_verdict(one, covers_file=False) for one in each.own]
    report = Report(
        worst([*findings, *(Finding("", one.verdict.sub_indication) for one in judged)]),
        signatures=tuple(one.verdict for one in judged),
        timestamps=tuple(timestamps),
        findings=tuple(findings),
        policy=policy.title,
        validation_time=at,
        certificates=material.paths.offered,
    )
    if examined is not None:
        stamps = tuple(one for each in judged for one in each.archives)
        examined(Examination(report, policy, material, tuple(judged), stamps))
    return report


def _doubled(claims: Iterable[Claim]) -> Iterator[Finding]:
    """One signature shown as two: nobody signed twice (EU DSS: SignatureDuplicated)."""
    made = Counter(one.signed.essence for one in claims if one.signed is not None)
    if any(count > 1 for count in made.values()):
        yield fails("validation-signature-doubled", SubIndication.FORMAT_FAILURE)


def _material(
    claims: Iterable[Claim],
    trust: Trust,
    at: datetime,
    revocation: tuple[bytes, ...],
    policy: Policy,
    proof: Proof,
) -> Material:
    certificates: dict[bytes, None] = dict.fromkeys(sorted(proof.certificates))
    evidence: dict[bytes, datetime] = dict.fromkeys((*revocation, *sorted(proof.revocation)), at)
    for link in proof.links:
        if link.signed is not None:
            certificates |= dict.fromkeys((link.signed.certificate.der, *link.signed.bag))
            evidence |= dict.fromkeys(link.signed.revocation, at)
    for claim in claims:
        stamps = [*claim.stamps, *(one.stamp for one in claim.archives)]
        for signed in (claim.signed, *(one.signed for one in stamps)):
            if signed is not None:
                certificates |= dict.fromkeys((signed.certificate.der, *signed.bag))
                evidence |= dict.fromkeys(signed.revocation, at)
        certificates |= dict.fromkeys(sorted(claim.certificates))
        evidence |= dict.fromkeys(sorted(claim.revocation), at)
    paths = Paths(trust, read_all(certificates), policy.limits.path_seconds)
    return Material(paths, evidence, at, policy)


def _judge(
    claim: Claim, material: Material, spoils: tuple[Finding, ...], since: datetime | None
) -> ExaminedSignature:
    findings = [*spoils, *claim.findings]
    signed, policy, at = claim.signed, material.policy, material.at
    if signed is None:
        verdict = _verdict(claim, findings, None, None, policy)
        return ExaminedSignature(verdict, references=claim.references, spoils=spoils)

    # 1. Archive time-stamps, newest first: each proves when what it covers existed.
    archives, material, proof = _believe(claim, material, since)
    findings += _archive_findings(claim, archives, material)

    # 2. The signature's own time-stamps, judged at the moment the archive proves.
    moment, proven = (proof, True) if proof else (at, False)
    own = [judge_stamp(one, moment, material, proven=proven) for one in claim.stamps]
    findings += own_stamp_findings(own)
    times = [one.time for one in own if one.good]
    best = min(times) if times else proof
    findings += [informs("validation-time-not-proven")] if best is None else []

    # 3. The signing certificate at the best signature time.
    moment = best or at
    chain = judge_chain(signed.certificate, moment, best is not None, material)
    findings += acceptance_findings(signed, moment, best is not None, policy)
    findings += _reference_findings(claim, moment, best is not None, policy)
    findings += chain.findings
    if any(one.code == "validation-no-chain" for one in chain.findings):
        # Of an authority that nobody knows nothing at hand can say that its papers are whole.
        findings = [one for one in findings if one.code != "validation-archive-damaged"]
    findings += spoiled_copies(signed.bag, chain.certificates)
    findings += anchors.told(material.paths.terms, chain.certificates)
    if signed.claimed_time and signed.claimed_time > moment + policy.clock_skew:
        findings.append(warns("validation-claimed-time-later"))

    # 4. The level, by what is there and fits, whoever is trusted.
    level = _level(claim, archives, own, chain)
    return ExaminedSignature(
        _verdict(claim, findings, best, level, policy),
        signed=signed,
        chain=chain,
        read=claim.stamps,
        own=tuple(own),
        archives=tuple(archives),
        references=claim.references,
        certificates=claim.certificates,
        revocation=claim.revocation,
        material=material,
        spoils=spoils,
    )


def _believe(
    claim: Claim, material: Material, since: datetime | None
) -> tuple[list[Stamp], Material, datetime | None]:
    judged: list[Stamp] = []
    proof = since
    for archive in reversed(claim.archives):
        moment = proof or material.at
        one = judge_stamp(archive.stamp, moment, material, proven=proof is not None)
        judged.append(one)
        if one.good:
            proof = min(moment, one.time)
            known = material.evidence
            earlier = {der: min(proof, known[der]) for der in archive.covers if der in known}
            evidence = {**known, **earlier}
            material = Material(material.paths, evidence, material.at, material.policy)
    judged.reverse()
    return judged, material, proof


def _archive_findings(claim: Claim, archives: list[Stamp], material: Material) -> list[Finding]:
    """A broken archive time-stamp, or evidence that no authority issued and nothing protects."""
    found = []
    protected: frozenset[bytes] = frozenset()
    for stamp, archive in zip(archives, claim.archives, strict=True):
        if stamp.broken:
            sub = sub_indication(stamp) or SubIndication.FORMAT_FAILURE
            found.append(fails("validation-archive-timestamp-broken", sub))
        found += [warns(UNCERTIFIED)] if not stamp.certified else []
        found += [one for one in stamp.findings if one.code == "validation-bag-damaged"]
        if not stamp.compared:
            found.append(warns("validation-archive-not-compared"))
        if stamp.good:
            protected |= archive.covers
    known = material.paths.known
    sound = all(vouched(der, known) for der in claim.revocation - protected)
    for der in claim.certificates - protected:
        one = read_certificate(der)
        sound = sound and one is not None and any(issued(one, issuer) for issuer in known)
    if not sound:
        found.append(fails("validation-archive-damaged", SubIndication.SIG_CONSTRAINTS_FAILURE))
    return found


def _reference_findings(
    claim: Claim, moment: datetime, proven: bool, policy: Policy
) -> list[Finding]:
    sub = (
        SubIndication.CRYPTO_CONSTRAINTS_FAILURE
        if proven
        else SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
    )
    return [
        fails("validation-weak-digest", sub, algorithm=name.upper())
        for name in sorted(claim.digests)
        if not policy.digest_good(name, moment)
    ]


def _level(claim: Claim, archives: list[Stamp], own: list[Stamp], chain: Chain) -> str:
    """EN 319 122-1 §6, EN 319 132-1 §6: the highest level whose parts are all there."""
    signed = claim.signed
    assert signed is not None

    def named(level: str) -> str:
        if claim.baseline:
            return f"{claim.family}-BASELINE-{level}"
        return f"{claim.family}-{_NAMES[level]}"

    fitting = [one for one in own if one.fits]
    if not fitting:
        return named("B")
    chains = [chain, *(one.chain for one in fitting if one.chain)]
    links = [link for one in chains for link in pairwise(one.certificates)]
    held = {*claim.certificates, *signed.bag, signed.certificate.der}
    for one in fitting:
        held.update(one.signed.bag if one.signed else ())

    def answered(sources: frozenset[bytes]) -> bool:
        told = tuple(sources)
        return bool(told) and all(is_answered(child, above, told) for child, above in links)

    if not answered(claim.revocation) or any(child.der not in held for child, _above in links):
        return named("T")
    archived = any(
        stamp.compared and stamp.fits and answered(archive.covers)
        for stamp, archive in zip(archives, claim.archives, strict=True)
    )
    return named("LTA" if archived else "LT")


def _verdict(
    claim: Claim,
    found: list[Finding],
    best: datetime | None,
    level: str | None,
    policy: Policy,
) -> SignatureVerdict:
    signed, findings = claim.signed, policy.weighed(found)
    sub = worst([one for one in findings if one.weight is Weight.FAILS])
    spoiled = indication_of(sub) is Indication.TOTAL_FAILED
    return SignatureVerdict(
        sub_indication=sub,
        signer=signed.certificate.common_name() if signed else None,
        level=level,
        signing_time=signed.claimed_time if signed else None,
        best_signature_time=best,
        covers_whole_file=claim.whole_file and signed is not None,
        # What could not be looked at (an unknown algorithm, no document) accuses nobody.
        changes=Changes.NOT_ALLOWED if signed is None and spoiled else Changes.UNTOUCHED,
        field=claim.name,
        findings=tuple(dict.fromkeys(findings)),
        signer_certificate=signed.certificate.der if signed else None,
        covered_bytes=claim.size,
        countersigns=claim.countersigns,
    )
