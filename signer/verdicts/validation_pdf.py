"""A signed PDF judged: revisions, mathematics, proofs of existence, chains, level.

The steps are those of `signer.verdicts.validation.validate` and of docs/flows/validate.md. Each
has its own module; this one puts them in order and keeps what each finds for the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from signer.long_life.evidence_records import Evidence, Proof, believe_all, read_proof
from signer.pdf.signature_objects import SignatureObject
from signer.trust import anchors
from signer.trust.certificates import read_all, spoiled_copies
from signer.trust.chain import Chain, Material, judge_chain
from signer.trust.path import Paths, Trust
from signer.verdicts import unsigned_end
from signer.verdicts.acceptance import (
    acceptance_findings,
    claim_findings,
    own_stamp_findings,
    reached_level,
)
from signer.verdicts.archive_data import ArchiveData, damage
from signer.verdicts.changes import Judgement, judge_changes
from signer.verdicts.cms_shape import DATA_CONTENT
from signer.verdicts.examination import Examination, Examined, ExaminedSignature, SignedReference
from signer.verdicts.mathematics import digest
from signer.verdicts.policy import Policy
from signer.verdicts.report import Changes, Report, SignatureVerdict
from signer.verdicts.signed_data import SignedData, read_signed_data
from signer.verdicts.structure import open_document
from signer.verdicts.time_stamps import (
    UNCERTIFIED,
    Stamp,
    judge_stamp,
    read_stamp,
    sub_indication,
    timestamp_verdict,
)
from signer.verdicts.verdict import (
    Finding,
    Rejected,
    SubIndication,
    Weight,
    fails,
    informs,
    warns,
    worst,
)

_FORMATS = ("/ETSI.CAdES.detached", "/adbe.pkcs7.detached")


@dataclass(frozen=True)
class _Read:
    """A signature after step 3: its parsed CMS, or the finding that rejected it."""

    place: SignatureObject
    signed: SignedData | None
    stamps: tuple[Stamp, ...]
    findings: tuple[Finding, ...]


class PdfValidation:
    """One validation of one file: `report()` once."""

    def __init__(
        self,
        data: bytes,
        trust: Trust,
        at: datetime,
        revocation: tuple[bytes, ...],
        policy: Policy,
        evidence: Evidence | None = None,
        examined: Examined | None = None,
    ) -> None:
        self.examined = examined
        self.proof = Proof(())
        if evidence is not None:
            self.proof = read_proof(evidence, lambda name: digest(name, data))
        self.since: datetime | None = None
        self.data, self.trust, self.at, self.policy = data, trust, at, policy
        self.revocation = revocation
        self._digests: dict[tuple[int, int, int, str], bytes] = {}

    def report(self) -> Report:
        # 1. Two parsers, no repair.
        self.document = open_document(self.data, self.policy.limits)
        self.document.findings = self.policy.weighed(self.document.findings)
        self.archive = ArchiveData(self.document)
        if not self.document.signatures:
            return self._without_signatures()

        # 2. What came after each signature.
        self.judgements = judge_changes(self.document, self.policy)

        # 3. The mathematics.
        places = self.document.signatures
        signatures = [self._read(one) for one in places if not one.is_timestamp]
        stamps = [self._read_document_stamp(one) for one in places if one.is_timestamp]

        # 4. Proofs of existence, newest time-stamp first.
        first = self._material(signatures, stamps)
        record = believe_all(self.proof, first, self.revocation)
        self.since = record.since
        stamps, material = self._believe(stamps, record.material)

        # 5. and 6. Each signature.
        shared = self._shared_findings(stamps)
        shared += self._archive_findings(stamps, material)
        judged = [self._judge(one, stamps, material, shared) for one in signatures]
        verdicts = tuple(one.verdict for one in judged)
        timestamps = [timestamp_verdict(one, covers_file=True) for one in (*stamps, *record.stamps)]
        timestamps += [
            timestamp_verdict(stamp, covers_file=False) for one in judged for stamp in one.own
        ]
        found = [one.sub_indication for one in verdicts] + [one.sub for one in shared]
        if not verdicts:
            found.append(SubIndication.NO_SIGNATURE_FOUND)
        decisive = worst([Finding("", sub) for sub in found])
        report = Report(
            sub_indication=decisive,
            signatures=verdicts,
            timestamps=tuple(timestamps),
            findings=(*self.document.findings, *record.findings, *self._none_found(verdicts)),
            policy=self.policy.title,
            validation_time=self.at,
            certificates=material.paths.offered,
        )
        if self.examined is not None:
            self.examined(Examination(report, self.policy, first, tuple(judged), tuple(stamps)))
        return report

    def _none_found(self, verdicts: tuple[SignatureVerdict, ...]) -> tuple[Finding, ...]:
        if verdicts:
            return ()
        return (fails("validation-no-signature", SubIndication.NO_SIGNATURE_FOUND),)

    def _without_signatures(self) -> Report:
        findings = (*self.document.findings, *self._none_found(()))
        decisive = SubIndication.NO_SIGNATURE_FOUND
        return Report(
            decisive, findings=findings, policy=self.policy.title, validation_time=self.at
        )

    # -- step 3 --------------------------------------------------------------------------

    def _digest(self, place: SignatureObject, algorithm: str) -> bytes:
        key = (*place.gap, place.end, algorithm)
        if key not in self._digests:
            view = memoryview(self.data)
            parts = view[: place.gap[0]], view[place.gap[1] : place.end]
            self._digests[key] = digest(algorithm, *parts)
        return self._digests[key]

    def _read(self, place: SignatureObject) -> _Read:
        if not place.intact:
            return _Read(place, None, (), place.findings)
        if place.subfilter not in _FORMATS:
            unknown = fails(
                "validation-unknown-format", SubIndication.FORMAT_FAILURE, format=place.subfilter
            )
            return _Read(place, None, (), (*place.findings, unknown))
        try:
            signed = read_signed_data(
                place.contents,
                content_type=DATA_CONTENT,
                digest_of=lambda algorithm: self._digest(place, algorithm),
                others=self._carried,
            )
        except Rejected as rejected:
            return _Read(place, None, (), (*place.findings, rejected.finding))
        stamps = tuple(
            read_stamp(
                token,
                lambda name: digest(name, signed.signature),
                field=place.field,
                others=lambda: (*signed.bag, *self._carried()),
            )
            for token in signed.timestamps
        )
        return _Read(place, signed, stamps, place.findings)

    def _read_document_stamp(self, place: SignatureObject) -> Stamp:
        if not place.intact:
            return Stamp(place.field, place.end, None, None, place.findings)
        return read_stamp(
            place.contents,
            lambda algorithm: self._digest(place, algorithm),
            field=place.field,
            end=place.end,
            others=self._carried,
        )

    def _carried(self) -> frozenset[bytes]:
        """The certificates in the document's security store."""
        return self.archive.now[0]

    # -- step 4 --------------------------------------------------------------------------

    def _material(self, signatures: list[_Read], stamps: list[Stamp]) -> Material:
        """Certificates and revocation data at hand; nothing is proven older than now yet."""
        inner = [stamp for one in signatures for stamp in one.stamps]
        read = [one.signed for one in signatures]
        read += [one.signed for one in (*stamps, *inner, *self.proof.links)]
        signed = [one for one in read if one is not None]
        certificates: dict[bytes, None] = {}
        evidence: dict[bytes, datetime] = dict.fromkeys(self.revocation, self.at)
        for one in signed:
            certificates |= dict.fromkeys(one.bag)
            evidence |= dict.fromkeys(one.revocation, self.at)
        for end in {place.end for place in self.document.signatures if place.intact} | {
            len(self.data)
        }:
            certs, statements = self.archive.at(end)
            certificates |= dict.fromkeys(certs)
            evidence |= dict.fromkeys(statements, self.at)
        certificates |= dict.fromkeys(sorted(self.proof.certificates))
        evidence |= dict.fromkeys(sorted(self.proof.revocation), self.at)
        paths = Paths(self.trust, read_all(certificates), self.policy.limits.path_seconds)
        return Material(paths, evidence, self.at, self.policy)

    def _believe(self, stamps: list[Stamp], material: Material) -> tuple[list[Stamp], Material]:
        """Judge document time-stamps from the newest; each good one dates what it covers."""
        judged: list[Stamp] = []
        for stamp in sorted(stamps, key=lambda one: one.end, reverse=True):
            moment, proven = self._proven(stamp.end, judged)
            one = judge_stamp(stamp, moment, material, proven=proven)
            judged.append(one)
            if one.good:
                _certs, covered = self.archive.at(one.end)
                earlier = {
                    der: min(one.time, material.evidence[der])
                    for der in covered
                    if der in material.evidence
                }
                evidence = {**material.evidence, **earlier}
                material = Material(material.paths, evidence, self.at, self.policy)
        judged.reverse()
        return judged, material

    def _proven(self, end: int, stamps: Iterable[Stamp]) -> tuple[datetime, bool]:
        """The earliest moment at which what ends at `end` is proven to have existed."""
        times = [stamp.time for stamp in stamps if stamp.good and stamp.end > end]
        times += [self.since] if self.since else []
        return (min(times), True) if times else (self.at, False)

    # -- step 5 --------------------------------------------------------------------------

    def _shared_findings(self, stamps: list[Stamp]) -> list[Finding]:
        """What spoils every signature of the file: its structure, or a broken time-stamp."""
        shared = [one for one in self.document.findings if one.weight is Weight.FAILS]
        for stamp in stamps:
            if stamp.broken:
                sub = sub_indication(stamp) or SubIndication.FORMAT_FAILURE
                shared.append(fails("validation-archive-timestamp-broken", sub))
            spoiled = [one for one in stamp.findings if one.code == "validation-bag-damaged"]
            shared += spoiled
            judgement = self.judgements.get(stamp.field)
            if judgement and judgement.changes is Changes.NOT_ALLOWED:
                shared += judgement.findings
        return shared

    def _archive_findings(self, stamps: list[Stamp], material: Material) -> list[Finding]:
        """Archive data beyond the newest good document time-stamp must speak for themselves."""
        good = [stamp for stamp in stamps if stamp.good]
        protected = frozenset[bytes]().union(*self.archive.at(good[-1].end)) if good else None
        found = damage(self.archive, protected or frozenset(), material.paths.known)
        if self.document.repaired or not unsigned_end.is_exact(self.document):
            found.append(fails("validation-needs-repair", SubIndication.FORMAT_FAILURE))
        return found

    def _judge(
        self, read: _Read, stamps: list[Stamp], material: Material, shared: list[Finding]
    ) -> ExaminedSignature:
        place, signed = read.place, read.signed
        refused = Judgement(Changes.NOT_ALLOWED)
        judgement = self.judgements.get(place.field, refused) if place.intact else refused
        findings = [*read.findings, *judgement.findings]
        if signed is None:
            verdict = self._verdict(read, judgement, findings, None, None, shared)
            return ExaminedSignature(
                verdict,
                references=self._references(read),
                place=place,
                spoils=tuple(shared),
            )

        # The earliest proof that the signature existed: a document time-stamp over it, or its
        # own signature time-stamp, itself believed at the moment the former proves.
        moment, proven = self._proven(place.end, stamps)
        inner = [judge_stamp(one, moment, material, proven=proven) for one in read.stamps]
        findings += own_stamp_findings(inner)
        times = [one.time for one in inner if one.good]
        best = min(times) if times else (moment if proven else None)
        findings += [informs("validation-time-not-proven")] if best is None else []

        chain = judge_chain(signed.certificate, best or self.at, best is not None, material)
        findings += acceptance_findings(signed, best or self.at, best is not None, self.policy)
        findings += chain.findings
        findings += spoiled_copies(signed.bag, chain.certificates)
        findings += anchors.told(material.paths.terms, chain.certificates)
        late = [one for one in stamps if one.end > place.end and not one.certified]
        findings += [warns(UNCERTIFIED)] if late else []
        findings += claim_findings(place, signed, best or self.at, self.policy)
        level = reached_level(place, signed, stamps, inner, chain, self.archive)
        verdict = self._verdict(read, judgement, findings, best, level, shared)
        return self._examined(read, verdict, chain, inner, stamps, material, shared)

    def _examined(
        self,
        read: _Read,
        verdict: SignatureVerdict,
        chain: Chain,
        inner: list[Stamp],
        stamps: list[Stamp],
        material: Material,
        shared: list[Finding],
    ) -> ExaminedSignature:
        certificates, revocation = self.archive.now
        return ExaminedSignature(
            verdict,
            signed=read.signed,
            chain=chain,
            read=read.stamps,
            own=tuple(inner),
            archives=tuple(one for one in stamps if one.end > read.place.end),
            references=self._references(read) if self.examined is not None else (),
            certificates=certificates,
            revocation=revocation,
            material=material,
            place=read.place,
            spoils=tuple(shared),
        )

    def _references(self, read: _Read) -> tuple[SignedReference, ...]:
        """The one digest of a PDF signature: over its byte range."""
        if not read.place.intact:
            return (SignedReference("MESSAGE_DIGEST", "sha256", b"", found=False, intact=False),)
        name = read.signed.digest if read.signed else "sha256"
        intact = all(one.sub is not SubIndication.HASH_FAILURE for one in read.findings)
        value = self._digest(read.place, name)
        return (SignedReference("MESSAGE_DIGEST", name, value, intact=intact),)

    def _verdict(
        self,
        read: _Read,
        judgement: Judgement,
        findings: list[Finding],
        best: datetime | None,
        level: str | None,
        shared: list[Finding],
    ) -> SignatureVerdict:
        findings = list(self.policy.weighed(findings))
        place, signed = read.place, read.signed
        claimed = place.claimed_time or (signed.claimed_time if signed else None)
        return SignatureVerdict(
            sub_indication=worst([*findings, *shared]),
            signer=signed.certificate.common_name() if signed else None,
            level=level,
            signing_time=claimed,
            best_signature_time=best,
            covers_whole_file=place.intact and place.end == len(self.data),
            changes=judgement.changes,
            field=place.field,
            findings=tuple(dict.fromkeys(findings)),
            signer_certificate=signed.certificate.der if signed else None,
            covered_bytes=place.end,
            certification=place.certification,
        )
