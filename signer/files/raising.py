"""Raise the level of any signed file: PDF, CAdES, XAdES, ASiC-E, from any level upwards.

    raised = raise_file(desk, data, to=Level.B_LTA, content=None, now=now, by=by)

What others signed is kept octet for octet; what is added is what nobody signed. B-LTA again renews
the archive before its time-stamp's key or algorithm grows old (EN 319 122-1 §5.5, EN 319 132-1
§5.5). docs/flows/augment.md has the same numbers.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from lxml import etree

from ca.der import MalformedDer
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.errors import DocumentRefused
from signer.files import asic, raising_cades, raising_xades
from signer.files.file_kinds import Kind, kind_of, unarmoured
from signer.files.xml_reading import parse
from signer.files.xml_references import Document
from signer.files.zip_reading import read_zip
from signer.levels import Level
from signer.long_life import augmentation
from signer.pdf.original import DEFAULT_LIMITS
from signer.signing import document_digest
from signer.trust.standing import standing
from signer.verdicts.report import Report, SignatureVerdict
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Indication, Rejected, SubIndication

if TYPE_CHECKING:
    from collections.abc import Sequence

    from signer.desk import Desk
    from signer.pdf.dss import Material

RANKS = {"BES": 0, "B": 0, "T": 1, "LT": 2, "XL": 2, "LTA": 3, "A": 3}
"""By the end of a level's name: baseline signatures, and those of others without its rules."""
_FOLDER = "META-INF/"
_NO_SIGNED_KIND = frozenset({"validation-not-a-pdf", "validation-not-asic"})
"""A picture, a text, an office file: nothing is wrong with it, it just holds no signature."""


def raise_file(
    desk: Desk,
    data: bytes,
    *,
    to: Level,
    content: bytes | None = None,
    revocation: Sequence[bytes] = (),
    now: datetime,
    by: str,
) -> bytes:
    """The file with what its signatures lack for level `to`.

    `content` is the file of a detached signature, `revocation` what is known of certificates of
    others. Raises DocumentRefused `not-signed`, `signature-not-intact`, `archive-manifest`,
    SignerRefused and SignerError `signer-foreign` where revocation data cannot be had.
    """
    subject = f"document:{document_digest(data).hex()}"
    try:
        # 1. Validate: every signature must be intact, whatever else is said of it.
        before = validate(data, trust=desk.trust, now=now, revocation=revocation, content=content)
        _require_intact(before)

        def check(raised: bytes) -> None:
            # 4. Counter-check, as any recipient would.
            after = validate(
                raised, trust=desk.trust, now=now, revocation=revocation, content=content
            )
            _require_raised(before, after, to)

        if kind_of(data) is Kind.PDF:
            return augmentation.augment(desk, data, to=to, now=now, by=by, check=check)
        # 2. For each signature what it lacks: time-stamp, 3. evidence, archive time-stamp.
        work = _Work(desk, before.signatures, to, tuple(revocation), now)
        result = _raised(work, data, content)
        check(result)
    except DomainError as refusal:
        with desk.database.transaction() as session:
            details = {"code": refusal.code, "act": "augment"}
            audit.record(
                session, tag=Tag.SIGNATURE_REFUSED, by=by, subject=subject, details=details, now=now
            )
        raise
    # 5. Write down what was added, and to which file.
    with desk.database.transaction() as session:
        details = {"level": to.value, "result": document_digest(result).hex()}
        audit.record(
            session, tag=Tag.SIGNATURE_AUGMENTED, by=by, subject=subject, details=details, now=now
        )
    return result


class _Work:
    """What is known of the signatures of one file, and where evidence comes from."""

    def __init__(
        self,
        desk: Desk,
        verdicts: Sequence[SignatureVerdict],
        to: Level,
        revocation: tuple[bytes, ...],
        now: datetime,
    ) -> None:
        self.desk, self.to, self.now = desk, to, now
        self._verdicts, self._revocation = verdicts, revocation

    def of(self, name: str) -> list[SignatureVerdict]:
        """The verdicts on the signatures of one part, in order."""
        return [
            one for one in self._verdicts if one.field == name or one.field.startswith(f"{name}-")
        ]

    def evidence(self, verdict: SignatureVerdict, bag: Sequence[bytes]) -> Material:
        """For one signature: nothing about its signer when the file has it already."""
        ours = augmentation.tsa_material(self.desk, self.now)
        if rank(verdict) >= Level.B_LT.rank:
            return ours
        leaf = certificate_of(verdict)
        found = standing(self.desk, leaf, others=bag, revocation=self._revocation, now=self.now)
        if not found.proven:
            raise DocumentRefused("signer-foreign", signer=verdict.signer or "")
        return found.material + ours


def rank(verdict: SignatureVerdict) -> int:
    """0 to 3 for B-B to B-LTA, by what is there."""
    return RANKS.get((verdict.level or "B").rsplit("-", 1)[-1], 0)


def certificate_of(verdict: SignatureVerdict) -> x509.Certificate:
    """Who made it."""
    if verdict.signer_certificate is None:
        raise DocumentRefused("signature-not-intact", reason=verdict.sub_indication or "")
    return x509.load_der_x509_certificate(verdict.signer_certificate)


def _raised(work: _Work, data: bytes, content: bytes | None) -> bytes:
    try:
        kind = kind_of(data)
        if kind is Kind.CMS:
            der = unarmoured(data)
            return raising_cades.raised(
                der, content, work.of("signature"), work.to, work.desk.tsa,
                evidence=work.evidence, now=work.now,
            )  # fmt: skip
        if kind is Kind.XML:
            document = Document(parse(data), lambda _name: content)
            return raising_xades.raised(
                document, work.of("signature"), work.to, work.desk.tsa,
                evidence=work.evidence, now=work.now,
            )  # fmt: skip
        return _container(work, data)
    except (MalformedDer, Rejected, etree.LxmlError, ValueError) as error:
        raise DocumentRefused("signature-not-intact", reason=type(error).__name__) from None


def _container(work: _Work, data: bytes) -> bytes:
    entries = read_zip(data, limit=DEFAULT_LIMITS.bytes, refusal=DocumentRefused)
    held = {one.name: one.data for one in entries}
    if any("ASiCArchiveManifest" in name for name in held):
        # It lists the signature with its digest: what is added inside would break it.
        raise DocumentRefused("archive-manifest")
    files = {name: one for name, one in held.items() if not _own(name)}
    for name in [one for one in held if one.startswith(_FOLDER)]:
        verdicts = work.of(name)
        if not verdicts:
            continue
        if name.endswith(".p7s"):
            held[name] = raising_cades.raised(
                held[name], _signed_by(held, files, name), verdicts, work.to, work.desk.tsa,
                evidence=work.evidence, now=work.now,
            )  # fmt: skip
        elif name.endswith(".xml"):
            held[name] = raising_xades.raised(
                Document(parse(held[name]), files.get), verdicts, work.to, work.desk.tsa,
                evidence=work.evidence, now=work.now,
            )  # fmt: skip
    media_type = held.pop("mimetype")
    return asic.zipped(list(held.items()), work.now, media_type=media_type)


def _signed_by(held: dict[str, bytes], files: dict[str, bytes], name: str) -> bytes:
    """The manifest that names this signature; in ASiC-S the one file itself."""
    for other, data in held.items():
        is_list = other.startswith(_FOLDER) and "ASiCManifest" in other and other.endswith(".xml")
        if is_list and asic.signature_named(parse(data).getroot()) == name:
            return data
    if len(files) == 1:
        return next(iter(files.values()))
    raise DocumentRefused("signature-not-intact", reason=name)


def _own(name: str) -> bool:
    return name == "mimetype" or name.startswith(_FOLDER)


def _require_intact(report: Report) -> None:
    unsigned = report.sub_indication is SubIndication.NO_SIGNATURE_FOUND
    if unsigned or any(one.code in _NO_SIGNED_KIND for one in report.findings):
        raise DocumentRefused("not-signed")
    broken = [one for one in report.signatures if one.indication is Indication.TOTAL_FAILED]
    if broken or not report.signatures:
        reason = (broken[0].sub_indication if broken else report.sub_indication) or ""
        raise DocumentRefused("signature-not-intact", reason=str(reason))
    for one in report.signatures:
        if one.sub_indication is SubIndication.SIGNED_DATA_NOT_FOUND:
            raise DocumentRefused("content-needed")
    # A document time-stamp alone is no signature, but each of a file's must be whole.
    if any(one.indication is Indication.TOTAL_FAILED for one in report.timestamps):
        raise DocumentRefused("signature-not-intact", reason="time-stamp")


def _require_raised(before: Report, after: Report, to: Level) -> None:
    """Each signature is still there, still as good, and at the level asked for."""
    reason = ""
    known = [one.signer_certificate for one in before.signatures]
    if [one.signer_certificate for one in after.signatures] != known:
        reason = "signatures"
    for one in after.signatures:
        low = rank(one) < to.rank and not one.countersigns
        if one.indication is Indication.TOTAL_FAILED or low:
            reason = (one.sub_indication.value if one.sub_indication else one.level) or "?"
    # A counter-signature is left as it was: nothing was asked of it but not to be harmed.
    own = [one for one in after.signatures if not one.countersigns]
    alone = len(own) == len(after.signatures)
    as_good = after.passed or (not alone and all(one.sub_indication is None for one in own))
    if (before.passed and not after.passed) or (to.long_term and not as_good):
        reason = after.sub_indication.value if after.sub_indication else "?"
    if reason:
        raise DocumentRefused("result-not-as-asked", reason=reason)
