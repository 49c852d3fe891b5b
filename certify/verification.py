"""What anyone may learn about a certified copy: is it good, and does it still count?

    verify_code(office, "K7QF-2M9X-…", now=now).status         # without the file: nothing personal
    report, status = verify_file(office, data, now=now)        # with it: signatures and status

DOMAIN.md §4 *Public verification*: by code only status, unit, kind of document and date, never the
person or the content. Verdict: hợp lệ / không hợp lệ / chưa đủ căn cứ; a cancelled copy has valid
signatures and is not valid, and missing revocation data never gives *hợp lệ*.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import select

from certify import codes
from certify.errors import NotFound
from certify.kinds import kind
from certify.models import CancellationRow, CopyRow, CopyStatus
from certify.office import Office
from certify.units import unit as find_unit
from records.errors import text as catalogue_text
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Indication


class Verdict(StrEnum):
    """The three answers a citizen gets; value = catalogue code."""

    VALID = "verdict-valid"
    INVALID = "verdict-invalid"
    UNDECIDED = "verdict-undecided"

    def words(self, language: str = "vi") -> str:
        return catalogue_text(self.value, {}, language)


@dataclass(frozen=True)
class PublicStatus:
    """All that is public about a copy. `replaced_by` is the code of the copy that replaces it."""

    code: str
    status: CopyStatus
    unit: str
    unit_name: str
    document_kind: str
    issued_on: date
    status_since: datetime
    cancelled_on: date | None
    cancellation_number: str | None
    replaced_by: str | None
    address: str

    def kind_name(self, language: str = "vi") -> str:
        return kind(self.document_kind).name(language)

    def status_name(self, language: str = "vi") -> str:
        return catalogue_text(f"copy-status-{self.status.value}", {}, language)

    def warning(self, language: str = "vi") -> str:
        """What must be read before anything about the signatures; nothing while it is in force."""
        if self.status is CopyStatus.IN_FORCE:
            return ""
        facts = {
            "number": self.cancellation_number or "",
            "day": f"{self.cancelled_on:%d/%m/%Y}" if self.cancelled_on else "",
            "code": self.replaced_by or "",
        }
        return catalogue_text(f"copy-{self.status.value}-text", facts, language)

    def to_json(self) -> dict[str, object]:
        """The public fields, for the API and the page alike."""
        return {
            "code": self.code,
            "status": self.status.value,
            "unit": self.unit,
            "unit_name": self.unit_name,
            "document_kind": self.document_kind,
            "document_kind_name": self.kind_name(),
            "issued_on": self.issued_on.isoformat(),
            "status_since": self.status_since.isoformat(),
            "cancelled_on": self.cancelled_on.isoformat() if self.cancelled_on else None,
            "cancellation_number": self.cancellation_number,
            "replaced_by": self.replaced_by,
            "address": self.address,
        }


def verify_code(office: Office, code: str, *, now: datetime) -> PublicStatus:
    """The public status of the copy with this code.

    Raises `NotFound` `code-unknown`, `CertifyError` `code-malformed`. `now` is the moment the
    answer is for: a status is never older than the transaction it is read in.
    """
    del now
    wanted = codes.read(code)
    with office.database.reading() as session:
        copy = session.scalars(select(CopyRow).where(CopyRow.code == wanted)).one_or_none()
        if copy is None:
            raise NotFound("code-unknown")
        cancellation = session.get(CancellationRow, copy.id)
        replacement = session.get(CopyRow, copy.replaced_by) if copy.replaced_by else None
    return _public(office, copy, cancellation, replacement)


def verify_file(
    office: Office, data: bytes, *, now: datetime
) -> tuple[Report, PublicStatus | None]:
    """The signatures' report, and the copy's status when this exact file is one of ours.

    A changed file has another digest: it gets the report only, which then says what is wrong.
    """
    report = validate(data, trust=office.desk.trust, now=now)
    return report, status_of_digest(office, hashlib.sha256(data).hexdigest())


def status_of_digest(office: Office, digest: str) -> PublicStatus | None:
    """The status of the copy whose bytes have this SHA-256 (hex), or None when it is none of ours.

    For whoever has the report already: a stranger's file is judged in a confined process.
    """
    with office.database.reading() as session:
        copy = session.scalars(select(CopyRow).where(CopyRow.digest == digest)).one_or_none()
        if copy is None:
            return None
        cancellation = session.get(CancellationRow, copy.id)
        replacement = session.get(CopyRow, copy.replaced_by) if copy.replaced_by else None
    return _public(office, copy, cancellation, replacement)


def verdict(report: Report, status: PublicStatus | None) -> Verdict:
    """One answer from both: signatures first, then whether the copy still counts."""
    if report.indication is Indication.TOTAL_FAILED:
        return Verdict.INVALID
    if report.indication is Indication.INDETERMINATE:
        return Verdict.UNDECIDED
    if status is not None and status.status is not CopyStatus.IN_FORCE:
        return Verdict.INVALID
    return Verdict.VALID


def _public(
    office: Office,
    copy: CopyRow,
    cancellation: CancellationRow | None,
    replacement: CopyRow | None,
) -> PublicStatus:
    return PublicStatus(
        code=copy.code,
        status=CopyStatus(copy.status),
        unit=copy.unit,
        unit_name=find_unit(copy.unit).committee,
        document_kind=copy.document_kind,
        issued_on=copy.issued_on,
        status_since=copy.status_at,
        cancelled_on=cancellation.decided_on if cancellation else None,
        cancellation_number=cancellation.decision_number if cancellation else None,
        replaced_by=replacement.code if replacement else None,
        address=office.address(copy.code),
    )
