"""What a list for bulk enrolment says, row by row, and what is wrong with it.

    for entry in entries(data, profile="official", known_unit=lambda code: code in units):
        entry.number, entry.subject, entry.problems       # problems speak Vietnamese and English

Headings are found by their words, with or without diacritics, in any order. A heading nobody knows
refuses the whole list, because a column that is silently left out is a certificate that says less
than its holder was promised. A row is never repaired: it is either as it should be or named.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ca.errors import CaError
from ca.names import Subject
from records.errors import DomainError
from signer.errors import ListRefused, SignerError
from signer.holders.spreadsheets import Row, rows

PROFILES = ("official", "agency-seal")
Known = Callable[[str], bool]

_CITIZEN_ID = re.compile(r"[0-9]{12}\Z")
_CODE = re.compile(r"[0-9A-Za-z.-]{4,20}\Z")
_UNIT = re.compile(r"[0-9A-Za-z.-]{1,35}\Z")
_BORN_FORMS = ("%d/%m/%Y", "%d-%m-%Y", "%Y-%m-%d")


@dataclass(frozen=True)
class Column:
    """`title` is what a template carries; `words` are the headings that mean it."""

    name: str
    title: str
    words: tuple[str, ...]
    required: bool = False


COLUMNS: dict[str, tuple[Column, ...]] = {
    "official": (
        Column("name", "Họ và tên", ("ho va ten", "ho ten", "full name", "name"), required=True),
        Column(
            "citizen_id",
            "Số định danh cá nhân",
            (
                "so dinh danh ca nhan",
                "so dinh danh",
                "cccd",
                "so cccd",
                "so can cuoc",
                "citizen id",
            ),
            required=True,
        ),
        Column("born", "Ngày sinh", ("ngay sinh", "ngay thang nam sinh", "date of birth", "born")),
        Column("unit", "Mã đơn vị", ("ma don vi", "unit", "unit code"), required=True),
        Column("unit_name", "Tên đơn vị", ("ten don vi", "don vi", "unit name"), required=True),
        Column("title", "Chức vụ", ("chuc vu", "chuc danh", "title")),
        Column("email", "Thư điện tử", ("thu dien tu", "email", "e mail")),
        Column("note", "Ghi chú", ("ghi chu", "note")),
        Column("order", "STT", ("stt", "so thu tu", "no")),
    ),
    "agency-seal": (
        Column("name", "Tên cơ quan", ("ten co quan", "co quan", "agency", "name"), required=True),
        Column("tax_code", "Mã số thuế", ("ma so thue", "mst", "tax code")),
        Column("budget_code", "Mã ngân sách", ("ma ngan sach", "mns", "budget code")),
        Column("unit", "Mã đơn vị", ("ma don vi", "unit", "unit code"), required=True),
        Column("locality", "Địa danh", ("dia danh", "noi dong", "locality"), required=True),
        Column(
            "keeper",
            "Số định danh văn thư giữ con dấu",
            (
                "so dinh danh van thu giu con dau",
                "so dinh danh van thu",
                "so dinh danh nguoi giu con dau",
                "van thu",
                "nguoi giu con dau",
                "keeper",
            ),
            required=True,
        ),
        Column("email", "Thư điện tử", ("thu dien tu", "email", "e mail")),
        Column("note", "Ghi chú", ("ghi chu", "note")),
        Column("order", "STT", ("stt", "so thu tu", "no")),
    ),
}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one row, as a code with its facts and the column's title."""

    column: str
    code: str
    params: dict[str, Any] = field(default_factory=dict)

    def message(self, language: str = "vi") -> str:
        said = DomainError(self.code, **self.params).message(language)
        return f"{self.column}: {said}" if self.column else said

    def to_json(self) -> dict[str, Any]:
        params = {key: _plain(value) for key, value in self.params.items()}
        return {"column": self.column, "code": self.code, "params": params}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Problem:
        return cls(data["column"], data["code"], data["params"])


@dataclass(frozen=True)
class Entry:
    """One row of a list. `subject` is None when there are problems."""

    number: int
    name: str
    holder_id: str
    unit: str
    subject: Subject | None
    born: date | None = None
    problems: tuple[Problem, ...] = ()
    keeper: str | None = None


def entries(data: bytes, *, profile: str, known_unit: Known | None = None) -> Iterator[Entry]:
    """Every row below the heading. Raises ListRefused for the file, never for a row."""
    if profile not in COLUMNS:
        raise SignerError("list-profile", profile=profile, known=", ".join(COLUMNS))
    found = rows(data)
    heading = next(found, None)
    if heading is None:
        raise ListRefused("list-empty")
    columns = _columns(heading, profile)
    seen: dict[str, int] = {}
    empty = True
    for row in found:
        empty = False
        yield _entry(row, columns, profile, known_unit, seen)
    if empty:
        raise ListRefused("list-empty")


def template(profile: str) -> bytes:
    """An empty list with the right headings, for Excel: UTF-8 with its mark."""
    if profile not in COLUMNS:
        raise SignerError("list-profile", profile=profile, known=", ".join(COLUMNS))
    titles = [column.title for column in COLUMNS[profile] if column.name != "order"]
    return ("\ufeff" + ",".join(titles) + "\r\n").encode()


def _columns(heading: Row, profile: str) -> list[Column]:
    """The column of each position; raises for unknown, repeated and missing headings."""
    known = {word: column for column in COLUMNS[profile] for word in column.words}
    found: list[Column] = []
    for position, cell in enumerate(heading.cells):
        column = known.get(folded(cell))
        if column is None or position in heading.formulas:
            titles = ", ".join(one.title for one in COLUMNS[profile])
            raise ListRefused("list-column-unknown", heading=cell[:60], known=titles)
        if column in found:
            raise ListRefused("list-column-twice", heading=column.title)
        found.append(column)
    missing = [one.title for one in COLUMNS[profile] if one.required and one not in found]
    if missing:
        raise ListRefused("list-column-missing", missing=", ".join(missing))
    return found


def folded(text: str) -> str:
    """Lower case, without diacritics and punctuation: how headings and names are compared."""
    decomposed = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    letters = "".join(one for one in decomposed if not unicodedata.combining(one)).lower()
    return " ".join(re.findall(r"[a-z0-9]+", letters))


def _entry(
    row: Row, columns: list[Column], profile: str, known_unit: Known | None, seen: dict[str, int]
) -> Entry:
    values = {column.name: "" for column in COLUMNS[profile]}
    titles = {column.name: column.title for column in COLUMNS[profile]}
    problems: list[Problem] = []

    def wrong(column: str, code: str, **params: Any) -> None:
        problems.append(Problem(titles.get(column, ""), code, params))

    if len(row.cells) > len(columns):
        wrong("", "row-too-long", cells=len(row.cells), columns=len(columns))
    for position, column in enumerate(columns):
        if position in row.formulas:
            wrong(column.name, "cell-formula")
        elif position < len(row.cells):
            values[column.name] = unicodedata.normalize("NFC", row.cells[position])
    for column in columns:
        if column.required and not values[column.name] and not problems:
            wrong(column.name, "cell-missing")
    unit = values["unit"]
    if unit and (not _UNIT.match(unit) or (known_unit is not None and not known_unit(unit))):
        wrong("unit", "unit-not-known", unit=unit[:40])
    keeper = None
    if profile == "official":
        holder = _person("citizen_id", values, wrong)
    else:
        holder = _agency_holder(values, wrong)
        keeper = _person("keeper", values, wrong)
    born = _born(values.get("born", ""), wrong)
    subject = None
    if not problems:
        try:
            subject = _subject(profile, values)
        except CaError as refusal:
            wrong("", refusal.code, **refusal.params)
    first = seen.setdefault(holder, row.number)
    if first != row.number and not any(one.column for one in problems):
        subject = None
        wrong("", "row-repeated", first=first)
    return Entry(row.number, values["name"], holder, unit, subject, born, tuple(problems), keeper)


def _person(column: str, values: dict[str, str], wrong: Callable[..., None]) -> str:
    number = values[column].replace(" ", "")
    if number.isascii() and number.isdigit() and len(number) == 11:
        wrong(column, "citizen-id-short")
    elif number and not _CITIZEN_ID.match(number):
        wrong(column, "citizen-id-malformed", length=len(number))
    values[column] = number
    return f"CCCD:{number}"


def _agency_holder(values: dict[str, str], wrong: Callable[..., None]) -> str:
    if not values["tax_code"] and not values["budget_code"]:
        wrong("tax_code", "agency-code-missing")
    for name in ("tax_code", "budget_code"):
        if values[name] and not _CODE.match(values[name]):
            wrong(name, "agency-code-malformed")
    return f"MST:{values['tax_code']}" if values["tax_code"] else f"MNS:{values['budget_code']}"


def _born(text: str, wrong: Callable[..., None]) -> date | None:
    if not text:
        return None
    for form in _BORN_FORMS:
        try:
            born = datetime.strptime(text, form).date()  # noqa: DTZ007 – a date has no zone
        except ValueError:
            continue
        if 1900 <= born.year <= 2100:
            return born
    wrong("born", "date-malformed")
    return None


def _subject(profile: str, values: dict[str, str]) -> Subject:
    if profile == "official":
        return Subject.official(
            values["name"],
            citizen_id=values["citizen_id"],
            unit=values["unit_name"],
            title=values["title"],
            email=values["email"],
        )
    return Subject.agency(
        values["name"],
        tax_code=values["tax_code"],
        budget_code=values["budget_code"],
        locality=values["locality"],
        email=values["email"],
    )


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | bool) else str(value)
