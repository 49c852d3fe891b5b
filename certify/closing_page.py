"""What the page says that closes a year's register: the totals in words, month by month.

    words, table = closing_words(office, session, "14797", 2026, official, now=now)
    render(TEMPLATE, words)                # the same lines on the same day, the same bytes
    lines_name("14797", 2026)              # "so-14797-2026.csv", the lines it is about

DOMAIN.md §4 *Register*: "locked yearly with the total and the certifier".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from certify.competence import Delegation, competent
from certify.errors import CertifyError
from certify.models import EntryState
from certify.office import Office
from certify.pages.statement import day_text
from certify.register import Entry, entries_in, totals
from certify.register_export import csv_of, money
from certify.units import unit as find_unit
from signer.keys.credentials import Credential
from signer.routing.working_days import local

TEMPLATE = "closing-2026-1.typ"


def closing_words(
    office: Office, session: Session, unit: str, year: int, official: Credential, *, now: datetime
) -> tuple[dict[str, Any], bytes]:
    """What the page says, and the lines it says it of."""
    if official.kind != "official":
        raise CertifyError("signer-not-official")
    who = competent(session, unit=unit, holder_id=official.holder_id, now=now)
    symbol = office.register.symbol
    lines = entries_in(session, unit=unit, register=symbol, year=year)
    if any(line.state is EntryState.OPEN for line in lines):
        raise CertifyError("register-has-open-numbers", register=symbol, year=year)
    return _page(office, unit, year, who, lines, now=now)


def _page(
    office: Office,
    unit: str,
    year: int,
    who: Delegation,
    lines: Sequence[Entry],
    *,
    now: datetime,
) -> tuple[dict[str, Any], bytes]:
    found, symbol = find_unit(unit), office.register.symbol
    day = day_text(local(now).date())
    table = csv_of(office, lines)
    issued, copies, fees = totals(lines)
    gone = [line for line in lines if line.state is EntryState.VOID]
    first, last = (office.register.number(one.number) for one in (lines[0], lines[-1]))
    volumes = sorted({line.volume for line in lines})
    named = ", ".join(office.register.number(line.number) for line in gone)
    words = {
        "title": f"Khóa sổ chứng thực {symbol} năm {year}: {found.committee}",
        "unit_upper": found.name.upper(),
        "symbol": symbol,
        "year": str(year),
        "volumes": "Quyển số: "
        + (f"{volumes[0]:02d}" if len(volumes) == 1 else f"{volumes[0]:02d}–{volumes[-1]:02d}"),
        "place_day": f"{found.place}, {day[0].lower()}{day[1:]}",
        "sentence": (
            f"Sổ chứng thực {symbol} năm {year} của {found.committee} được khóa với tổng số "
            f"{len(lines):02d} số, từ số {first} đến số {last}, liên tục, không bỏ trống; "
            f"{issued:02d} việc đã chứng thực với {copies:02d} bản sao, "
            f"tổng lệ phí {money(fees)} đồng."
        ),
        "voids": (
            f"Số bị hủy: {len(gone):02d} (số {named}); lý do được ghi tại cột Ghi chú của sổ."
            if gone
            else "Không có số bị hủy."
        ),
        "months": [_month(lines, month) for month in range(1, 13)],
        "total": ["Cả năm", str(issued), str(copies), str(len(gone)), money(fees)],
        "lines_name": lines_name(unit, year),
        "lines_digest": hashlib.sha256(table).hexdigest(),
        "authority": list(who.authority_lines),
        "signer": who.name,
        "footer": f"Khóa sổ {symbol} năm {year} · {found.committee}",
    }
    return words, table


def lines_name(unit: str, year: int) -> str:
    """What the file of a closed year's lines is called."""
    return f"so-{unit}-{year}.csv"


def _month(lines: Sequence[Entry], month: int) -> list[str]:
    mine = [line for line in lines if line.day.month == month]
    issued, copies, fees = totals(mine)
    return [f"{month:02d}", str(issued), str(copies), str(len(mine) - issued), money(fees)]
