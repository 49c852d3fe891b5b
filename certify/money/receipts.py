"""The receipt as a PDF: what the requester takes home for a fee, a waiver or a refund."""

from __future__ import annotations

from datetime import datetime

from certify.counter.cases import as_case
from certify.errors import NotFound
from certify.models import CaseRow, PaymentRow
from certify.office import Office
from certify.pages.statement import day_text, render
from certify.register_export import money
from certify.units import unit as find_unit
from signer.routing.working_days import local

TEMPLATE = "receipt-2026-1.typ"
_HEADINGS = {
    "payment": "BIÊN LAI THU PHÍ",
    "waiver": "PHIẾU MIỄN PHÍ",
    "refund": "PHIẾU HOÀN PHÍ",
}
_PAPERS = {"payment": "Biên lai", "waiver": "Phiếu", "refund": "Phiếu"}
_PAYERS = {"payment": "Người nộp", "waiver": "Người được miễn", "refund": "Người nhận"}
_HANDS = {"payment": "NGƯỜI THU", "waiver": "NGƯỜI LẬP PHIẾU", "refund": "NGƯỜI CHI"}
_METHODS = {
    "cash": "Tiền mặt tại quầy",
    "vietqr": "Chuyển khoản qua mã VietQR",
    "transfer": "Chuyển khoản",
    "none": "Không thu",
}


def receipt_pdf(office: Office, payment_id: str, *, case_id: str, now: datetime) -> bytes:
    """A5, PDF/A-2b. Raises `NotFound` `receipt-unknown`."""
    with office.database.reading() as session:
        row = session.get(PaymentRow, payment_id)
        if row is None or row.case_id != case_id:
            raise NotFound("receipt-unknown")
        case = as_case(session.get_one(CaseRow, case_id))
    unit = find_unit(case.unit)
    at = local(row.at)
    day = day_text(at.date())
    facts = [
        (_PAYERS[row.kind], case.requester.name),
        ("Nội dung", "Phí chứng thực bản sao từ bản chính"),
        ("Bản chính", case.original.sentence()),
        ("Số trang, số bản", f"{case.original.pages} trang, {case.copies} bản"),
        ("Số tiền", f"{money(abs(row.amount))} đồng"),
        ("Hình thức", _METHODS.get(row.method, row.method)),
    ]
    if row.reason:
        facts.append(("Lý do", row.reason))
    if row.reference:
        facts.append(("Mã giao dịch", row.reference))
    return render(
        TEMPLATE,
        {
            "title": f"{_HEADINGS[row.kind].capitalize()} số {row.receipt or row.id[:8]}",
            "heading": _HEADINGS[row.kind],
            "receipt": row.receipt or row.id[:8],
            "unit_upper": unit.name.upper(),
            "facts": facts,
            "place_day": f"{unit.place}, {day[0].lower()}{day[1:]}",
            "hand": _HANDS[row.kind],
            "by": "Thu tự động" if row.by.startswith("bank:") else "",
            "footer": f"Lập lúc {at:%H:%M %d/%m/%Y}; in lúc {local(now):%H:%M %d/%m/%Y}. "
            f"{_PAPERS[row.kind]} không chứa số định danh.",
        },
    )
