"""The decision to cancel: drafted here, signed by who may decide, and read again when it comes in.

    pdf = draft(office, copy_id, number="131/QĐ-UBND", reason="…", holder_id=…, now=now)
    require_decision(session, copy, decision, signed_pdf, report, now=now)

A valid signature is not enough: it must be the unit's competent person's, and the document must
name the decision's number and the copy. Otherwise any paper that person ever signed would do.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime

import pypdfium2
from cryptography import x509
from sqlalchemy.orm import Session

from ca.models import CertificateRow, serial_text
from ca.names import Subject
from certify.competence import Delegation, competent
from certify.errors import CertifyError, NotFound
from certify.models import CopyRow, EntryRow
from certify.office import Office
from certify.pages.statement import day_text, render
from certify.units import unit as find_unit
from signer.routing.working_days import local
from signer.verdicts.report import Report
from signer.verdicts.verdict import Indication

TEMPLATE = "cancellation-2026-1.typ"
_MOST_PAGES = 20


@dataclass(frozen=True)
class Decision:
    """The decision to cancel, as it is registered."""

    number: str
    day: date
    reason: str
    signer: str


def draft(
    office: Office, copy_id: str, *, number: str, reason: str, holder_id: str, now: datetime
) -> bytes:
    """The decision as A4 PDF/A-2b, for the competent person to sign.

    Raises `NotFound` `copy-unknown`; `CertifyError`: `decision-incomplete`, `not-competent`.
    """
    if not number.strip() or not reason.strip():
        raise CertifyError("decision-incomplete")
    today = local(now).date()
    with office.database.reading() as session:
        copy = session.get(CopyRow, copy_id)
        if copy is None:
            raise NotFound("copy-unknown")
        entry = session.get_one(EntryRow, copy.entry_id)
        who = competent(session, unit=copy.unit, holder_id=holder_id, now=now)
        shown = office.register.number(entry.number)
        book = office.register.book(entry.volume, entry.year)
        issued = f"{entry.day:%d/%m/%Y}"
        code = copy.code
    unit = find_unit(copy.unit)
    day = day_text(today)
    return render(
        TEMPLATE,
        {
            "title": f"Quyết định {number} về việc hủy bản sao chứng thực số {shown}",
            "unit_upper": unit.name.upper(),
            "number": number,
            "place_day": f"{unit.place}, {day[0].lower()}{day[1:]}",
            "office": f"CHỦ TỊCH ỦY BAN NHÂN DÂN {unit.name.upper()}",
            "grounds": [
                "Căn cứ Nghị định số 23/2015/NĐ-CP, được sửa đổi bởi Nghị định số 280/2025/NĐ-CP;",
                f"Xét thấy bản sao chứng thực số {shown} đã được chứng thực không đúng quy định.",
            ],
            "articles": [
                f"Hủy bản sao điện tử đã chứng thực số {shown}, quyển số {book}, ngày {issued}, "
                f"mã tra cứu {code}. Lý do: {reason}.",
                "Bản sao nêu tại Điều 1 không còn giá trị sử dụng kể từ ngày ký Quyết định này. "
                "Tình trạng hủy được công bố ngay trên trang tra cứu bản sao chứng thực.",
                "Bộ phận chứng thực, các cơ quan, tổ chức, cá nhân đã sử dụng bản sao và các cá "
                "nhân có liên quan chịu trách nhiệm thi hành Quyết định này.",
            ],
            "authority": list(who.authority_lines),
            "signer": who.name,
        },
    )


def require_decision(
    session: Session,
    copy: CopyRow,
    decision: Decision,
    document: bytes,
    report: Report,
    *,
    now: datetime,
) -> Delegation:
    """Who decided. Raises `CertifyError`: `decision-not-signed`, `decision-signer-not-competent`,
    `decision-about-another-copy`.
    """
    if not report.passed or not report.signatures:
        raise CertifyError("decision-not-signed")
    said = _plain(_text(document))
    if _plain(decision.number) not in said or _plain(copy.code) not in said:
        raise CertifyError("decision-about-another-copy")
    for verdict in report.signatures:
        if verdict.indication is not Indication.TOTAL_PASSED or verdict.signer_certificate is None:
            continue
        holder = _holder(session, verdict.signer_certificate)
        if holder is None:
            continue
        at = verdict.best_signature_time or now
        try:
            return competent(session, unit=copy.unit, holder_id=holder, now=min(at, now))
        except CertifyError:
            continue
    raise CertifyError("decision-signer-not-competent")


def _holder(session: Session, certificate: bytes) -> str | None:
    """The official whose certificate this is: one that our own CA issued, never a like name."""
    read = x509.load_der_x509_certificate(certificate)
    row = session.get(CertificateRow, serial_text(read.serial_number))
    if row is None or row.der != certificate or row.profile != "official":
        return None
    citizen = Subject.from_x509(read.subject).citizen_id
    return f"CCCD:{citizen}" if citizen else None


def _text(document: bytes) -> str:
    """What the first pages say. The document has passed validation before."""
    try:
        opened = pypdfium2.PdfDocument(document)
    except pypdfium2.PdfiumError as error:
        raise CertifyError("decision-about-another-copy") from error
    try:
        pages = range(min(len(opened), _MOST_PAGES))
        return "\n".join(opened[number].get_textpage().get_text_bounded() for number in pages)
    finally:
        opened.close()


def _plain(text: str) -> str:
    """Without spaces and line breaks, which text extraction puts where it likes."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFC", text)).casefold()
