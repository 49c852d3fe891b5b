"""The comparison list of a stack: one line for each original, from CSV or XLSX.

    lines = read_list(data)        # every line with its scans' names and what was found
    lines[0].problems              # why a line cannot be taken, in codes

Headings are known in Vietnamese and English, without regard to case and diacritics. A finding is a
word a person wrote after comparing: `khớp`, `x`, `yes`; anything else is no finding that matches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from certify.counter.cases import OriginalDescription, Requester
from certify.errors import CertifyError
from certify.kinds import kind
from signer.holders.enrolment_list import folded
from signer.holders.spreadsheets import rows

MOST_LINES = 2000
_MATCHES = {"khop", "x", "yes", "co", "1", "true", "dung", "match", "matches"}
_HEADINGS = {
    "scans": ("tep quet", "tep", "scans", "files"),
    "requester": ("nguoi yeu cau", "ho va ten", "requester", "name"),
    "requester_id": ("so dinh danh", "ma so thue", "requester id", "identifier"),
    "kind": ("loai giay to", "loai", "kind"),
    "title": ("ten ban chinh", "ten giay to", "title"),
    "issuer": ("co quan cap", "noi cap", "issuer"),
    "pages": ("so trang", "pages"),
    "number": ("so hieu", "number"),
    "issued_on": ("ngay cap", "issued on"),
    "copies": ("so ban", "copies"),
    "finding": ("ket qua doi chieu", "doi chieu", "finding"),
    "note": ("ghi chu", "note"),
}
_OPTIONAL = {"number", "issued_on", "copies", "note"}
_DAY = re.compile(
    r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})\Z|([0-9]{4})-([0-9]{2})-([0-9]{2})\Z"
)


_BETWEEN = re.compile(r"[;\n]|(?<=\.jpg|\.png|\.tif|\.pdf|jpeg|tiff),", re.IGNORECASE)
"""Between the names of scans: semicolon or line end, or a comma after a name's ending."""


@dataclass(frozen=True)
class Line:
    """One original as the list tells of it."""

    position: int
    scans: tuple[str, ...]
    said: dict[str, Any]
    problems: tuple[str, ...]

    @property
    def requester(self) -> Requester:
        identifier = str(self.said["requester_id"])
        is_person = len(identifier) == 12  # a citizen number's length
        return Requester(
            name=str(self.said["requester"]),
            identifier=identifier,
            kind="person" if is_person else "organisation",
        )

    @property
    def original(self) -> OriginalDescription:
        issued = self.said.get("issued_on")
        return OriginalDescription(
            title=str(self.said["title"]),
            issuer=str(self.said["issuer"]),
            pages=int(self.said["pages"]),
            number=self.said.get("number") or None,
            issued_on=date.fromisoformat(issued) if issued else None,
        )


def example() -> bytes:
    """A list to fill in, for a spreadsheet: the columns and one made-up line (DOMAIN.md §7)."""
    heading = (
        "Tệp quét;Người yêu cầu;Số định danh;Loại giấy tờ;Tên bản chính;Cơ quan cấp;Số trang;"
        "Số hiệu;Ngày cấp;Số bản;Kết quả đối chiếu;Ghi chú"
    )
    line = (
        '"a-1.jpg, a-2.jpg";Nguyễn Thị Mẫu;038812345678;Bảng điểm;Bảng điểm tốt nghiệp;'
        "Trường Đại học Ví Dụ;2;VD-01;15/06/2026;1;khớp;"
    )
    return f"{heading}\r\n{line}\r\n".encode("utf-8-sig")


def read_list(data: bytes) -> list[Line]:
    """Every line, in order. Raises `CertifyError` `stack-list-columns`, `stack-list-size`, and the
    signer's `ListRefused` for what is no table.
    """
    table = rows(data)
    heading = next(table)
    names = [folded(cell) for cell in heading.cells]
    places = {
        field: names.index(known)
        for field, all_known in _HEADINGS.items()
        for known in all_known
        if known in names
    }
    missing = sorted(_HEADINGS.keys() - _OPTIONAL - places.keys())
    if missing:
        wanted = ", ".join(_HEADINGS[field][0] for field in missing)
        raise CertifyError("stack-list-columns", missing=wanted)
    lines = []
    for position, row in enumerate(table):
        if position >= MOST_LINES:
            raise CertifyError("stack-list-size", most=MOST_LINES)
        cells = {
            field: row.cells[place].strip() if place < len(row.cells) else ""
            for field, place in places.items()
        }
        lines.append(_line(position, cells))
    if not lines:
        raise CertifyError("stack-list-size", most=MOST_LINES)
    return lines


def _line(position: int, cells: dict[str, str]) -> Line:
    problems = []
    scans = tuple(one.strip() for one in _BETWEEN.split(cells["scans"]) if one.strip())
    said: dict[str, Any] = {
        name: cells.get(name, "") for name in ("requester", "title", "issuer", "number", "note")
    }
    said["requester_id"] = re.sub(r"\s", "", cells["requester_id"]).removeprefix("'")
    for name in ("requester", "title", "issuer", "requester_id"):
        if not said[name]:
            problems.append("stack-cell-missing")
    if not scans:
        problems.append("stack-scans-missing")
    try:
        said["kind"] = kind(cells["kind"]).code
    except CertifyError:
        problems.append("stack-kind-unknown")
    for name, default in (("pages", ""), ("copies", "1")):
        text = cells.get(name) or default
        if text.isascii() and text.isdigit() and 0 < len(text) <= 4 and int(text):
            said[name] = int(text)
        else:
            problems.append("stack-number-wrong")
    said["issued_on"], wrong = _day(cells.get("issued_on", ""))
    if wrong:
        problems.append("stack-day-wrong")
    said["matches"] = folded(cells["finding"]) in _MATCHES
    return Line(position, scans, said, tuple(dict.fromkeys(problems)))


def _day(text: str) -> tuple[str | None, bool]:
    if not text:
        return None, False
    found = _DAY.match(text)
    if not found:
        return None, True
    day, month, year = (int(one) for one in (found[1], found[2], found[3])) if found[1] else (
        int(found[6]), int(found[5]), int(found[4])
    )  # fmt: skip
    try:
        return date(year, month, day).isoformat(), False
    except ValueError:
        return None, True
