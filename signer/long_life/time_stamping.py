"""A time-stamp that somebody asks for: on a PDF, or over the digest of anything.

    stamped = time_stamp_pdf(desk, data, now=now, by=by)       # a document time-stamp in the file
    token = time_stamp_digest(desk, digest, now=now, by=by)    # RFC 3161, to keep beside the file

It proves that the bytes existed, not who made them; no holder's key takes part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.errors import DocumentRefused, SignerError
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender
from signer.signature import place_document_time_stamp
from signer.signing import document_digest
from signer.verdicts.time_stamps import read_stamp
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Indication, SubIndication

if TYPE_CHECKING:
    from collections.abc import Mapping

    from signer.desk import Desk


@dataclass(frozen=True)
class TimeStamp:
    """A token (DER) and the time in it."""

    token: bytes = field(repr=False)
    time: datetime


def time_stamp_pdf(desk: Desk, data: bytes, *, now: datetime, by: str) -> bytes:
    """The file with a document time-stamp over all of it (EN 319 142-1 §5.4.3).

    Raises DocumentRefused for a file that cannot take one, and CaError when the authority does
    not stamp. What was signed in the file stays as valid as it was.
    """
    subject = f"document:{document_digest(data).hex()}"
    try:
        original = Original.of(data)
        with Document.open(original, desk.limits) as document:
            document.require_readable()
            appender = Appender(document)
            name = place_document_time_stamp(appender, desk.tsa, now=now)
            result, digest = appender.whole(), appender.state().hexdigest()
        _counter_check(desk, data, result, name, now=now)
    except DomainError as refusal:
        _record(desk, Tag.SIGNATURE_REFUSED, subject, {"code": refusal.code}, now=now, by=by)
        raise
    details = {"result": digest, "field": name}
    _record(desk, Tag.DOCUMENT_TIME_STAMPED, subject, details, now=now, by=by)
    return result


def time_stamp_digest(
    desk: Desk, digest: bytes, algorithm: str = "sha256", *, now: datetime, by: str
) -> TimeStamp:
    """A TimeStampToken over a digest; checked before it is given out.

    Raises CaError `digest-unsupported`, `digest-length-wrong`, `time-not-available`.
    """
    token = desk.tsa.stamp(digest, algorithm, now=now)
    stamp = read_stamp(token, lambda _name: digest, field="")
    if stamp.broken or stamp.info is None or stamp.info.digest != algorithm:
        raise SignerError("token-answer-wrong")
    details = {"algorithm": algorithm, "digest": digest.hex()}
    _record(desk, Tag.TIME_STAMP_GIVEN, f"digest:{digest.hex()}", details, now=now, by=by)
    return TimeStamp(token, stamp.time)


def _counter_check(desk: Desk, before: bytes, after: bytes, name: str, *, now: datetime) -> None:
    """The new time-stamp is whole, and no signature is worse off."""
    report = validate(after, trust=desk.trust, now=now)
    mine = [one for one in report.timestamps if one.field == name]
    if not mine or mine[0].sub_indication not in (None, SubIndication.TRY_LATER):
        raise DocumentRefused("result-not-as-asked", reason=report.sub_indication or "")
    failed = any(one.indication is Indication.TOTAL_FAILED for one in report.signatures)
    if failed:
        known = validate(before, trust=desk.trust, now=now).signatures
        if not any(one.indication is Indication.TOTAL_FAILED for one in known):
            raise DocumentRefused("result-not-as-asked", reason=report.sub_indication or "")


def _record(
    desk: Desk, tag: Tag, subject: str, details: Mapping[str, object], *, now: datetime, by: str
) -> None:
    with desk.database.transaction() as session:
        audit.record(session, tag=tag, by=by, subject=subject, details=details, now=now)
