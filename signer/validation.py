"""Is this document what it says? The verdict of ETSI EN 319 102-1 on a signed file.

    report = validate(data, trust=trust, now=now)
    report.indication            # TOTAL_PASSED, TOTAL_FAILED or INDETERMINATE
    report.to_text("vi")         # the same in words

A PDF is judged here; CAdES, XAdES and ASiC-E are read by their own modules (`validation_files`)
and judged by `ades_verdict`, with the same building blocks and the same report.

Nothing is fetched and nothing is repaired. Trust comes from `trust` alone; revocation data from
the file itself and from `revocation` (what the caller holds fresh, for instance our own CA's
current CRLs). What is missing leaves the verdict open, never "passed". Use `validate_file` for
files of strangers: it does the same in a child process with limits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from signer.acceptance import (
    acceptance_findings,
    claim_findings,
    own_stamp_findings,
    reached_level,
)
from signer.ades_verdict import judge
from signer.archive_data import ArchiveData, damage
from signer.certificates import read_all, spoiled_copies
from signer.chain import Material, judge_chain
from signer.changes import Judgement, judge_changes
from signer.file_kinds import Kind, kind_of
from signer.path import Paths, Trust
from signer.policy import Policy, load_policy
from signer.report import Changes, Report, SignatureVerdict, TimestampVerdict, unreadable
from signer.signature_objects import SignatureObject
from signer.signed_data import DATA_CONTENT, Rejected, SignedData, digest, read_signed_data
from signer.structure import open_document
from signer.time_stamps import Stamp, judge_stamp, read_stamp, sub_indication
from signer.validation_files import read_claims
from signer.verdict import Finding, SubIndication, Unreadable, Weight, fails, worst

_FORMATS = ("/ETSI.CAdES.detached", "/adbe.pkcs7.detached")


def validate(
    data: bytes,
    *,
    trust: Trust,
    now: datetime,
    at: datetime | None = None,
    revocation: Iterable[bytes] = (),
    policy: Policy | None = None,
    content: bytes | None = None,
) -> Report:
    """The verdict on every signature of a file, as of `at` (default: `now`).

    `content` is the second file of a detached signature. Steps for a PDF, as in
    docs/flows/validate.md (docs/flows/validate-files.md for the other formats):

    1. Open the file strictly, with two parsers that must agree.
    2. Judge what was saved after each signature.
    3. Check each signature's and time-stamp's mathematics over exactly its bytes.
    4. Believe document time-stamps, newest first: they prove what existed when.
    5. Judge each signature: time-stamp, signing certificate, chain, status, algorithms.
    6. Name the level and the verdict.

    Raises nothing for a bad file: a file without a possible verdict is `unreadable`.
    """
    rules = policy or load_policy()
    moment = at or now
    try:
        if kind_of(data) is Kind.PDF:
            if content is not None:
                raise Unreadable("validation-not-detached")
            return _Validation(data, trust, moment, tuple(revocation), rules).report()
        claims = read_claims(data, content, rules.limits)
        return judge(claims, trust=trust, at=moment, revocation=revocation, policy=rules)
    except Unreadable as refusal:
        report = unreadable(refusal.code, params=refusal.params)
    except RecursionError:
        report = unreadable("validation-too-deep")
    except MemoryError:
        report = unreadable(
            "validation-too-large", params={"size": len(data), "limit": rules.limits.bytes}
        )
    except Exception as error:  # hostile files find odd exceptions: each is "unreadable"
        report = unreadable("validation-damaged", params={"detail": type(error).__name__})
    return replace(report, policy=rules.title, validation_time=moment)


def validate_file(
    path: Path,
    *,
    trust: Trust,
    now: datetime,
    at: datetime | None = None,
    revocation: Iterable[bytes] = (),
    content: Path | None = None,
) -> Report:
    """`validate` on a file, in a child process with limits on time, memory and files."""
    from signer.sandbox import shared_pool

    return shared_pool().validate(
        path, trust=trust, now=now, at=at, revocation=revocation, content=content
    )


@dataclass(frozen=True)
class _Read:
    """A signature after step 3: its parsed CMS, or the finding that rejected it."""

    place: SignatureObject
    signed: SignedData | None
    stamps: tuple[Stamp, ...]
    findings: tuple[Finding, ...]


class _Validation:
    def __init__(
        self,
        data: bytes,
        trust: Trust,
        at: datetime,
        revocation: tuple[bytes, ...],
        policy: Policy,
    ) -> None:
        self.data, self.trust, self.at, self.policy = data, trust, at, policy
        self.revocation = revocation
        self._digests: dict[tuple[int, int, int, str], bytes] = {}

    def report(self) -> Report:
        # 1. Two parsers, no repair.
        self.document = open_document(self.data, self.policy.limits)
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
        material = self._material(signatures, stamps)
        stamps, material = self._believe(stamps, material)

        # 5. and 6. Each signature.
        shared = self._shared_findings(stamps)
        shared += self._archive_findings(stamps, material)
        judged = [self._judge(one, stamps, material, shared) for one in signatures]
        verdicts = tuple(verdict for verdict, _inner in judged)
        timestamps = [self._timestamp(one, covers_file=True) for one in stamps]
        timestamps += [
            self._timestamp(one, covers_file=False) for _verdict, inner in judged for one in inner
        ]
        found = [one.sub_indication for one in verdicts] + [one.sub for one in shared]
        if not verdicts:
            found.append(SubIndication.NO_SIGNATURE_FOUND)
        decisive = worst([Finding("", sub) for sub in found])
        return Report(
            sub_indication=decisive,
            signatures=verdicts,
            timestamps=tuple(timestamps),
            findings=(*self.document.findings, *self._none_found(verdicts)),
            policy=self.policy.title,
            validation_time=self.at,
        )

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
            )
        except Rejected as rejected:
            return _Read(place, None, (), (*place.findings, rejected.finding))
        stamps = tuple(
            read_stamp(token, lambda name: digest(name, signed.signature), field=place.field)
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
        )

    # -- step 4 --------------------------------------------------------------------------

    def _material(self, signatures: list[_Read], stamps: list[Stamp]) -> Material:
        """Certificates and revocation data at hand; nothing is proven older than now yet."""
        inner = [stamp for one in signatures for stamp in one.stamps]
        read = [one.signed for one in signatures] + [one.signed for one in (*stamps, *inner)]
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
        if self.document.repaired:
            found.append(fails("validation-needs-repair", SubIndication.FORMAT_FAILURE))
        return found

    def _judge(
        self, read: _Read, stamps: list[Stamp], material: Material, shared: list[Finding]
    ) -> tuple[SignatureVerdict, list[Stamp]]:
        place, signed = read.place, read.signed
        refused = Judgement(Changes.NOT_ALLOWED)
        judgement = self.judgements.get(place.field, refused) if place.intact else refused
        findings = [*read.findings, *judgement.findings]
        if signed is None:
            return self._verdict(read, judgement, findings, None, None, shared), []

        # The earliest proof that the signature existed: a document time-stamp over it, or its
        # own signature time-stamp, itself believed at the moment the former proves.
        moment, proven = self._proven(place.end, stamps)
        inner = [judge_stamp(one, moment, material, proven=proven) for one in read.stamps]
        findings += own_stamp_findings(inner)
        times = [one.time for one in inner if one.good]
        best = min(times) if times else (moment if proven else None)

        chain = judge_chain(signed.certificate, best or self.at, best is not None, material)
        findings += acceptance_findings(signed, best or self.at, best is not None, self.policy)
        findings += chain.findings
        findings += spoiled_copies(signed.bag, chain.certificates)
        findings += claim_findings(place, signed, best or self.at, self.policy)
        level = reached_level(place, signed, stamps, inner, chain, self.archive)
        verdict = self._verdict(read, judgement, findings, best, level, shared)
        return verdict, inner

    def _verdict(
        self,
        read: _Read,
        judgement: Judgement,
        findings: list[Finding],
        best: datetime | None,
        level: str | None,
        shared: list[Finding],
    ) -> SignatureVerdict:
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

    @staticmethod
    def _timestamp(stamp: Stamp, *, covers_file: bool) -> TimestampVerdict:
        return TimestampVerdict(
            sub_indication=sub_indication(stamp),
            time=stamp.info.time if stamp.info else None,
            authority=stamp.signed.certificate.common_name() if stamp.signed else None,
            field=stamp.field,
            covers_file=covers_file,
            findings=stamp.findings,
        )
