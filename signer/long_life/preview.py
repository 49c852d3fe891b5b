"""Will this still validate in 2045? What ends when, and what has to be done before.

    seen = preview(data, at=datetime(2045, 1, 1, tzinfo=UTC), now=now, trust=trust)
    seen.answer         # stands, with-renewals, policy-ends, too-late, not-time-stamped
    seen.steps          # what must be done by when

The newest proof in hand (an evidence record, else the newest time-stamp in the file; of a file that
is no PDF, the newest of each signature) is followed
through the dates of certificates and of the policy's algorithms; then one renewal after the other
is supposed, each made with the strongest that the policy knows. It foretells nothing that the
policy does not say: where no algorithm reaches far enough, it says that the policy must be
continued.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import pikepdf
from cryptography.hazmat.primitives.serialization import Encoding

from ca import der
from records.errors import text
from signer.cms_parts import CmsParts
from signer.errors import DocumentRefused
from signer.files.file_kinds import Kind, kind_of
from signer.long_life.evidence_records import Evidence
from signer.long_life.evidence_syntax import EvidenceRecord
from signer.long_life.hash_tree import ALGORITHMS
from signer.pdf.document import Document
from signer.pdf.original import DEFAULT_LIMITS, Limits, Original
from signer.trust.path import Trust
from signer.verdicts.originals import Content
from signer.verdicts.policy import Policy, load_policy
from signer.verdicts.strength import (
    Cause,
    RenewalPolicy,
    Strength,
    digest_end,
    load_renewal_policy,
    of_signature,
    of_token,
)
from signer.verdicts.validation_files import read_claims
from signer.verdicts.verdict import Rejected, Unreadable

_TIME_STAMP = "1.2.840.113549.1.9.16.2.14"
_MOST_STEPS = 40


class Answer(StrEnum):
    """The one answer."""

    STANDS = "stands"
    WITH_RENEWALS = "with-renewals"
    POLICY_ENDS = "policy-ends"
    TOO_LATE = "too-late"
    NOT_TIME_STAMPED = "not-time-stamped"


class Proof(StrEnum):
    """What the foresight starts from."""

    EVIDENCE_RECORD = "evidence-record"
    DOCUMENT_TIME_STAMP = "document-time-stamp"
    ARCHIVE_TIME_STAMP = "archive-time-stamp"
    SIGNATURE_TIME_STAMP = "signature-time-stamp"
    NONE = "none"


@dataclass(frozen=True)
class Step:
    """One renewal: to be done by then, because `what` ends; it holds until `holds_until`."""

    by: datetime
    cause: Cause
    what: str
    holds_until: datetime


@dataclass(frozen=True)
class Preview:
    """What will be of one file by `at`."""

    at: datetime
    answer: Answer
    proof: Proof
    stands_until: datetime | None
    first_end: Strength | None
    steps: tuple[Step, ...]
    policy: str

    def to_json(self) -> dict[str, object]:
        """For programs: times in UTC."""
        return {
            "at": _instant(self.at),
            "answer": self.answer.value,
            "proof": self.proof.value,
            "stands_until": _instant(self.stands_until),
            "ends_because": None
            if self.first_end is None
            else {"cause": self.first_end.cause.value, "what": self.first_end.what},
            "steps": [
                {
                    "by": _instant(one.by),
                    "cause": one.cause.value,
                    "what": one.what,
                    "holds_until": _instant(one.holds_until),
                }
                for one in self.steps
            ],
            "policy": self.policy,
        }

    def to_text(self, language: str = "vi") -> str:
        """The same in words."""
        lines = [text(f"preview-{self.answer.value}", {"at": _day(self.at)}, language)]
        if self.first_end is not None and self.stands_until is not None:
            params = {
                "proof": text(f"preview-proof-{self.proof.value}", {}, language),
                "until": _day(self.stands_until),
                "why": _why(self.first_end.cause, self.first_end.what, language),
            }
            lines.append(text("preview-stands-until", params, language))
        for number, one in enumerate(self.steps, start=1):
            params = {
                "number": str(number),
                "by": _day(one.by),
                "until": _day(one.holds_until),
                "why": _why(one.cause, one.what, language),
            }
            lines.append(text("preview-step", params, language))
        lines.append(text("preview-policy", {"policy": self.policy}, language))
        return "\n".join(lines)


def preview(
    data: bytes,
    *,
    at: datetime,
    now: datetime,
    trust: Trust,
    content: Content = None,
    evidence: Evidence | None = None,
    policy: Policy | None = None,
    rules: RenewalPolicy | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Preview:
    """Look ahead from `now` to `at`; `content` is the file of a detached signature.

    Raises DocumentRefused for a file without a signature or that cannot be read.
    """
    judged, rules = policy or load_policy(), rules or load_renewal_policy()
    # 1. The newest proof there is, and what of it ends first.
    above = [one.public_bytes(Encoding.DER) for one in (*trust.anchors, *trust.intermediates)]
    title = f"{judged.title}, {rules.title}"
    if evidence is None and kind_of(data) is not Kind.PDF:
        proof, ends = _ends_of_file(data, content, judged, above)
    else:
        proof, tokens = _newest(data, evidence, limits)
        try:
            ends = [of_token(one, judged, above) for one in tokens]
        except (Rejected, der.MalformedDer):
            raise DocumentRefused("signature-unreadable", field=proof.value) from None
    if not ends:
        return Preview(at, Answer.NOT_TIME_STAMPED, proof, None, None, (), title)
    first = min(ends, key=lambda one: one.until)
    # 2. One renewal after the other, each before the one before it ends.
    if first.until <= now:
        return Preview(at, Answer.TOO_LATE, proof, first.until, first, (), title)
    steps: list[Step] = []
    end = first
    while end.until < at and len(steps) < _MOST_STEPS:
        made = max(now, end.until - rules.margin)
        following = _strongest(made, judged, rules)
        if following.until < end.until + rules.least_gain:
            return Preview(at, Answer.POLICY_ENDS, proof, first.until, first, tuple(steps), title)
        steps.append(Step(end.until, end.cause, end.what, following.until))
        end = following
    answer = Answer.WITH_RENEWALS if steps else Answer.STANDS
    return Preview(at, answer, proof, first.until, first, tuple(steps), title)


def _strongest(made: datetime, policy: Policy, rules: RenewalPolicy) -> Strength:
    """The best that a time-stamp of that day could be by this policy."""
    digest = max(ALGORITHMS, key=lambda name: digest_end(name, policy))
    keys = max(end for rows in policy.keys.values() for _bits, end in rows)
    return min(
        Strength(made + rules.time_stamp_life, Cause.CERTIFICATE, "TSA"),
        Strength(digest_end(digest, policy), Cause.TREE_DIGEST, digest.upper()),
        Strength(keys, Cause.KEY, "TSA"),
        key=lambda one: one.until,
    )


def _newest(data: bytes, evidence: Evidence | None, limits: Limits) -> tuple[Proof, list[bytes]]:
    if evidence is not None:
        record = EvidenceRecord.read(evidence.record)
        return Proof.EVIDENCE_RECORD, [record.chains[-1][-1].token]
    if not data.lstrip().startswith(b"%PDF"):  # a text, a picture: no signed file at all
        raise DocumentRefused("not-signed")
    with Document.open(Original.of(data), limits) as document:
        stamps: list[tuple[int, bytes]] = []
        signatures: list[bytes] = []
        for field in document.signatures:
            contents = bytes(field.object["/V"].get("/Contents", pikepdf.String("")))
            if field.sub_filter == "ETSI.RFC3161":
                stamps.append((_covered(field.object["/V"]), contents))
            else:
                signatures.append(contents)
    if not signatures and not stamps:
        raise DocumentRefused("not-signed")
    try:
        if stamps:
            # The newest covers all that is older.
            return Proof.DOCUMENT_TIME_STAMP, [_whole(max(stamps)[1])]
        tokens = [token for one in signatures for token in _own_stamps(_whole(one))]
    except der.MalformedDer:
        raise DocumentRefused("signature-unreadable", field="?") from None
    return (Proof.SIGNATURE_TIME_STAMP if tokens else Proof.NONE), tokens


def _ends_of_file(
    data: bytes, content: Content, policy: Policy, above: list[bytes]
) -> tuple[Proof, list[Strength]]:
    """Of CAdES, XAdES and ASiC: each signature has its own time-stamps, and one without is lost."""
    try:
        found = read_claims(data, content, policy.limits)
    except Unreadable as refusal:
        if refusal.code == "validation-not-asic":
            raise DocumentRefused("not-signed") from None
        raise DocumentRefused(refusal.code, **refusal.params) from None
    claims = found.signatures
    if not claims:
        raise DocumentRefused("not-signed")
    for spoilt in found.spoils[:1]:
        raise DocumentRefused(spoilt.code, **spoilt.params)
    ends: list[Strength] = []
    for claim in claims:
        if claim.signed is None:
            refused = claim.findings[0]
            raise DocumentRefused(refused.code, **refused.params)
        # The newest archive time-stamp covers all that is older.
        stamps = [one.stamp for one in claim.archives[-1:]] or list(claim.stamps)
        if not stamps:
            return Proof.NONE, []
        for one in stamps:
            if one.signed is None or one.info is None:
                raise DocumentRefused("signature-unreadable", field=claim.name)
            others = [*one.signed.bag, *sorted(claim.certificates), *above]
            ends.append(of_signature(one.signed, one.info.digest, policy, others))
    archived = all(one.archives for one in claims)
    return (Proof.ARCHIVE_TIME_STAMP if archived else Proof.SIGNATURE_TIME_STAMP), ends


def _whole(contents: bytes) -> bytes:
    """The CMS without the zeros that fill its place."""
    return der.Reader(contents).raw(der.SEQUENCE)


def _covered(value: pikepdf.Object) -> int:
    span = [int(one) for one in value.get("/ByteRange", pikepdf.Array([]))]
    return sum(span[2:4])


def _own_stamps(signature: bytes) -> Iterator[bytes]:
    for signer in CmsParts.read(signature).signers:
        yield from signer.values(der.oid(_TIME_STAMP))


def _why(cause: Cause, what: str, language: str) -> str:
    return text(f"preview-cause-{cause.value}", {"what": what}, language)


def _day(moment: datetime) -> str:
    return f"{moment:%d-%m-%Y}"


def _instant(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None
