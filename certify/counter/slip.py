"""The slip a person takes along: when to come with the originals, or when to fetch the copies.

    pdf = slip(office, visit, now=now)       # PDF/A-2b, Vietnamese, with a QR to the visit's page

Before the originals were presented it is an appointment; afterwards it acknowledges them and names
hour and date of the result (DOMAIN.md §4 *Time*: "not same-day → appointment slip with hour and
date").
"""

from __future__ import annotations

from datetime import datetime

from certify.counter.visit_lookup import Visit
from certify.errors import CertifyError
from certify.kinds import kind
from certify.money.fees import fee
from certify.office import Office
from certify.pages.statement import qr_svg, render
from certify.units import unit as find_unit
from signer.routing.working_days import local

TEMPLATE = "slip-2026-1.typ"
_WEEKDAYS = ("Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy", "Chủ Nhật")


def slip(office: Office, visit: Visit, *, now: datetime) -> bytes:
    """Raises `CertifyError` `appointment-unknown`: nothing is agreed and nothing was presented."""
    unit = find_unit(visit.unit)
    booked = visit.appointment if visit.appointment and visit.appointment.booked else None
    if visit.presented:
        heading, hour = "GIẤY TIẾP NHẬN VÀ HẸN TRẢ KẾT QUẢ", visit.due_at
        lead = "Trả kết quả trước"
    elif booked is not None:
        heading, hour, lead = "PHIẾU HẸN CHỨNG THỰC BẢN SAO", booked.starts_at, "Mời đến lúc"
    else:
        raise CertifyError("appointment-unknown")
    documents = [
        {
            "title": case.original.sentence(),
            "kind": kind(case.document_kind).vi,
            "pages": f"{case.original.pages:02d}",
            "copies": f"{case.copies:02d}",
            "fee": _money(fee(pages=case.original.pages, copies=case.copies, on=local(now).date())),
        }
        for case in visit.cases
    ]
    address = f"{office.base_url.rstrip('/')}/visits/{visit.code}"
    total = sum(
        fee(pages=case.original.pages, copies=case.copies, on=local(now).date())
        for case in visit.cases
    )
    data = {
        "title": f"{heading.capitalize()} – {visit.code}",
        "unit_upper": unit.name.upper(),
        "heading": heading,
        "requester": visit.requester.name,
        "dossier": visit.dossier_code or "",
        "lead": lead,
        "hour": f"{local(hour):%H:%M}",
        "weekday": _WEEKDAYS[local(hour).weekday()],
        "day": f"{local(hour):%d/%m/%Y}",
        "place": f"Bộ phận Một cửa, {unit.committee}",
        "documents": documents,
        "total": _money(total),
        "presented": visit.presented,
        "code": visit.code,
        "site": address.rpartition("/")[0].removeprefix("https://").removeprefix("http://"),
        "printed": f"{local(now):%d/%m/%Y %H:%M}",
        "qr": qr_svg(address),
    }
    return render(TEMPLATE, data)


def _money(amount: int) -> str:
    return f"{amount:,}".replace(",", ".")
