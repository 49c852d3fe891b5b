"""The register on paper and as a table: eight columns, monthly or for the year.

    register_pdf(office, unit="14797", year=2026, month=11, now=now)     # A4 landscape, PDF/A-2b
    register_csv(office, unit="14797", year=2026, now=now)               # UTF-8 with BOM, for Excel

Voided numbers are shown struck through with their reason: a register has no holes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime

from certify.models import EntryState, RegisterLockRow
from certify.office import Office
from certify.pages.statement import day_text, render
from certify.register import Entry, entries, totals
from certify.units import unit as find_unit
from signer.routing.working_days import local

TEMPLATE = "register-2026-1.typ"
COLUMNS = (
    "Số chứng thực",
    "Ngày, tháng, năm chứng thực",
    "Họ và tên người yêu cầu chứng thực",
    "Tên của bản chính giấy tờ, văn bản",
    "Họ tên, chức danh người ký chứng thực",
    "Số bản sao đã được chứng thực",
    "Lệ phí",
    "Ghi chú",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def register_pdf(
    office: Office,
    *,
    unit: str,
    year: int,
    month: int | None = None,
    register: str | None = None,
    now: datetime,
) -> bytes:
    """The register of a month or a year, ready to be signed."""
    lines = entries(office, unit=unit, year=year, month=month, register=register)
    found = find_unit(unit)
    symbol = register or office.register.symbol
    issued, copies, fees = totals(lines)
    voided = sum(line.state is EntryState.VOID for line in lines)
    today = local(now)
    day = day_text(today.date())
    data = {
        "title": f"Sổ chứng thực {symbol} năm {year}: {found.committee}",
        "unit_upper": found.name.upper(),
        "symbol": symbol,
        "year": str(year),
        "period": f"tháng {month:02d}/{year}" if month else f"cả năm {year}",
        "lines": [_line(office, line) for line in lines],
        "issued": _count(issued),
        "copies": _count(copies),
        "fees": money(fees),
        "voided": _count(voided),
        "locked": _locked(office, unit, symbol, year),
        "place_day": f"{found.place}, {day[0].lower()}{day[1:]}",
        "footer": f"Sổ {symbol}/{year} · {found.committee} · lập lúc {today:%H:%M %d/%m/%Y}",
    }
    return render(TEMPLATE, data)


def register_csv(
    office: Office,
    *,
    unit: str,
    year: int,
    month: int | None = None,
    register: str | None = None,
) -> bytes:
    """The same lines for a spreadsheet."""
    return csv_of(office, entries(office, unit=unit, year=year, month=month, register=register))


def csv_of(office: Office, lines: Iterable[Entry]) -> bytes:
    """Lines as a table; a cell that begins like a formula is made harmless."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow(
            _plain(cell)
            for cell in (
                office.register.number(line.number),
                f"{line.day:%d/%m/%Y}",
                line.requester_name,
                line.document_name,
                f"{line.certifier_name}, {line.certifier_title}",
                str(line.copies),
                str(line.fee),
                _notes(line),
            )
        )
    return out.getvalue().encode("utf-8-sig")


def money(amount: int) -> str:
    """12.000: a point between thousands, as Vietnamese writes."""
    return f"{amount:,}".replace(",", ".")


def _line(office: Office, line: Entry) -> dict[str, object]:
    return {
        "number": office.register.number(line.number),
        "day": f"{line.day:%d/%m/%Y}",
        "requester": line.requester_name,
        "document": line.document_name,
        "certifier": line.certifier_name,
        "title": line.certifier_title,
        "copies": str(line.copies),
        "fee": money(line.fee),
        "notes": _notes(line),
        "void": line.state is EntryState.VOID,
    }


def _notes(line: Entry) -> str:
    if line.state is EntryState.OPEN:
        return "Đang thực hiện"
    return line.notes


def _locked(office: Office, unit: str, symbol: str, year: int) -> str | None:
    with office.database.reading() as session:
        lock = session.get(RegisterLockRow, (unit, symbol, year))
    if lock is None:
        return None
    return (
        f"Sổ đã khóa ngày {local(lock.locked_at):%d/%m/%Y} với {_count(lock.last_number)} số, "
        f"từ số 01 đến số {office.register.number(lock.last_number)}; "
        f"{_count(lock.issued)} việc đã chứng thực, {_count(lock.void)} số bị hủy."
    )


def _count(number: int) -> str:
    return f"{number:02d}"


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell
