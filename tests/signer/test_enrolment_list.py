"""Lists as departments send them, and as nobody should: CSV and XLSX, honest and hostile."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.errors import ListRefused
from signer.holders import spreadsheets
from signer.holders.enrolment_list import COLUMNS, Entry, entries, template

HEAD = ["STT", "Họ và tên", "Số định danh cá nhân", "Ngày sinh", "Mã đơn vị", "Tên đơn vị"]
MAU = ["1", "Nguyễn Thị Mẫu", "038812345678", "02/09/1980", "14797", "UBND phường Hạc Thành"]
THU = ["2", "Lê Văn Thử", "038812345679", "", "14798", "UBND phường Đông Sơn"]


def sheet(*rows: list[object]) -> bytes:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    for row in rows:
        page.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def text(*rows: list[str], separator: str = ",", end: str = "\r\n") -> str:
    return "".join(separator.join(row) + end for row in rows)


def read(data: bytes, profile: str = "official") -> list[Entry]:
    return list(entries(data, profile=profile))


def said(entry: Entry) -> list[str]:
    return [problem.message("vi") for problem in entry.problems]


ENCODED: dict[str, bytes] = {
    "utf-8": text(HEAD, MAU, THU).encode(),
    "utf-8 with its mark": text(HEAD, MAU, THU).encode("utf-8-sig"),
    "utf-16 with its mark (Excel's Unicode text)": text(HEAD, MAU, THU, separator="\t").encode(
        "utf-16"
    ),
    "utf-16 big-endian": b"\xfe\xff" + text(HEAD, MAU, THU).encode("utf-16-be"),
    "semicolons, as Excel writes where the comma is decimal": text(
        HEAD, MAU, THU, separator=";"
    ).encode("utf-8-sig"),
    "lines ended by LF": text(HEAD, MAU, THU, end="\n").encode(),
    "lines ended by CR": text(HEAD, MAU, THU, end="\r").encode(),
    "decomposed letters, as macOS writes them": unicodedata.normalize(
        "NFD", text(HEAD, MAU, THU)
    ).encode(),
    "xlsx": sheet(list(HEAD), list(MAU), list(THU)),
    "xlsx with a date cell": sheet(
        list(HEAD), [*MAU[:3], datetime(1980, 9, 2), *MAU[4:]], list(THU)
    ),
    "headings in another order, without diacritics": text(
        ["CCCD", "ma don vi", "TEN DON VI", "ho ten", "ngay sinh"],
        [MAU[2], MAU[4], MAU[5], MAU[1], MAU[3]],
        [THU[2], THU[4], THU[5], THU[1], THU[3]],
    ).encode(),
}


@pytest.mark.parametrize("data", ENCODED.values(), ids=ENCODED.keys())
def test_every_way_a_list_is_saved_gives_the_same_people(data: bytes) -> None:
    mau, thu = read(data)
    assert (mau.problems, thu.problems) == ((), ())
    assert mau.subject is not None
    assert mau.subject.common_name == "Nguyễn Thị Mẫu"
    assert (mau.holder_id, mau.unit, mau.born) == ("CCCD:038812345678", "14797", date(1980, 9, 2))
    assert thu.born is None


ROWS: dict[str, tuple[list[str], str]] = {
    "a number Excel has cut": (["", "Lê Thử", "38812345678", "", "1", "X"], "bỏ số 0 ở đầu"),
    "letters in a number": (["", "Lê Thử", "03881234567x", "", "1", "X"], "12 chữ số"),
    "one word": (["", "Thử", "038812345678", "", "1", "X"], "hai từ"),
    "no name": (["", "", "038812345678", "", "1", "X"], "bắt buộc"),
    "no unit": (["", "Lê Thử", "038812345678", "", "", "X"], "bắt buộc"),
    "a day that is none": (["", "Lê Thử", "038812345678", "31/02/1980", "1", "X"], "ngày/tháng"),
    "a formula": (["", "=cmd|' /C calc'!A0", "038812345678", "", "1", "X"], "công thức"),
    "a name of 41 letters": (["", "L" * 41 + " Thử", "038812345678", "", "1", "X"], "tối đa"),
    "a letter nobody sees": (["", "Lê\u200b Thử", "038812345678", "", "1", "X"], "ký tự"),
    "a cell too many": (["", "Lê Thử", "038812345678", "", "1", "X", "Y"], "thừa dấu phẩy"),
    "a unit nobody knows": (["", "Lê Thử", "038812345678", "", "1/2", "X"], "đơn vị"),
}


@pytest.mark.parametrize(("row", "words"), ROWS.values(), ids=ROWS.keys())
def test_a_bad_row_says_what_is_wrong_in_vietnamese(row: list[str], words: str) -> None:
    """Row-by-row errors in Vietnamese; the other rows are what they are."""
    good, bad = read(text(HEAD, MAU, row).encode())
    assert good.problems == ()
    assert bad.subject is None
    assert any(words in one for one in said(bad)), said(bad)
    assert not any("{" in one for one in said(bad))


def test_a_row_that_repeats_another_names_it() -> None:
    _, again = read(text(HEAD, MAU, MAU).encode())
    assert said(again) == ["Trùng với dòng 2 của danh sách."]


def test_a_formula_in_a_workbook_is_refused_where_it_stands() -> None:
    good, bad = read(sheet(list(HEAD), list(MAU), ["", "=A1", *THU[2:]]))
    assert (good.problems, bad.subject) == ((), None)
    assert any("công thức" in one for one in said(bad))


def test_a_number_typed_as_a_number_keeps_its_digits() -> None:
    (cut,) = read(sheet(list(HEAD), ["", "Lê Thử", 38812345678, "", 14797, "UBND"]))
    assert any("bỏ số 0" in one for one in said(cut))


def part(name: str, content: bytes, *, of: bytes | None = None) -> bytes:
    """A workbook with one part replaced or added."""
    source = zipfile.ZipFile(io.BytesIO(of or sheet(list(HEAD), list(MAU))))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for each in source.namelist():
            if each != name:
                made.writestr(each, source.read(each))
        made.writestr(name, content)
    return out.getvalue()


BOMB = b"<x>" + b" " * (60 << 20)
DOCTYPE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "list-empty"),
    "blanks": (lambda: b"\r\n \r\n", "list-empty"),
    "only a heading": (lambda: text(HEAD).encode(), "list-empty"),
    "a column nobody knows": (lambda: text([*HEAD, "Lương"], MAU).encode(), "list-column-unknown"),
    "a column twice": (lambda: text([*HEAD, "Họ tên"], MAU).encode(), "list-column-twice"),
    "a column missing": (lambda: text(HEAD[:4], MAU[:4]).encode(), "list-column-missing"),
    "Vietnamese in windows-1258": (
        lambda: text(HEAD).encode() + "Nguyễn".encode("cp1258", "replace") + b"\xea\xf4",
        "list-encoding",
    ),
    "UTF-16 without its mark": (lambda: text(HEAD, MAU).encode("utf-16-le"), "list-encoding"),
    "UTF-32": (lambda: text(HEAD, MAU).encode("utf-32"), "list-encoding"),
    "half a UTF-16": (lambda: text(HEAD, MAU).encode("utf-16")[:-1] + b"\xd8", "list-encoding"),
    "a quote that never ends": (lambda: text(HEAD).encode() + b'"abc', "list-csv"),
    "a field of 200 kB": (
        lambda: text(HEAD, ["", "x" * 200_000, *MAU[2:]]).encode(), "list-csv",
    ),
    "a cell of 3,000 letters": (
        lambda: text(HEAD, ["", "x" * 3_000, *MAU[2:]]).encode(), "list-cell-too-long",
    ),
    "a thousand columns": (lambda: text(HEAD, ["x"] * 1_000).encode(), "list-too-many-columns"),
    "bytes": (lambda: bytes(range(256)) * 10, "list-encoding"),
    "an old Excel file": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
                          "list-old-excel"),
    "a zip that is no workbook": (
        lambda: _zip({"a.txt": b"x"}), "list-not-workbook",
    ),
    "a workbook cut short": (lambda: sheet(list(HEAD), list(MAU))[:-900], "list-workbook"),
    "a part that is a bomb": (lambda: part("xl/worksheets/sheet1.xml", BOMB), "list-bomb"),
    "strings that are a bomb": (lambda: part("xl/sharedStrings.xml", BOMB), "list-bomb"),
    "entities that expand": (lambda: part("xl/worksheets/sheet1.xml", DOCTYPE), "list-workbook"),
    "a sheet that is no XML": (lambda: part("xl/worksheets/sheet1.xml", b"<<<"), "list-workbook"),
    "a workbook that is no XML": (lambda: part("xl/workbook.xml", b"<<<"), "list-workbook"),
    "a sheet in UTF-16": (
        lambda: part("xl/worksheets/sheet1.xml", "<x/>".encode("utf-16")), "list-workbook",
    ),
    "macros": (lambda: part("xl/vbaProject.bin", b"x"), "list-macros"),
    "a thousand parts": (
        lambda: _zip({"xl/workbook.xml": b"x", **{f"p{n}": b"" for n in range(1_000)}}),
        "list-workbook",
    ),
}  # fmt: skip


def _zip(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(("made", "code"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_and_broken_files_are_refused_clearly(made: Callable[[], bytes], code: str) -> None:
    """Zip bombs, huge, wrong encodings: one code and a text that says how to save it again."""
    with pytest.raises(ListRefused) as caught:
        read(made())
    assert caught.value.code == code
    for language in ("vi", "en"):
        assert "{" not in caught.value.message(language)
        assert caught.value.message(language) != code


def test_what_a_package_declares_is_all_that_is_unpacked() -> None:
    """A part that declares 10 octets and holds 60 MiB is cut off, not unpacked."""
    data = bytearray(part("xl/worksheets/sheet1.xml", BOMB))
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"xl/worksheets/sheet1.xml"))
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    with pytest.raises(ListRefused):
        read(bytes(data))


def test_too_large_and_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MOST_ROWS", 3)
    with pytest.raises(ListRefused, match="rows"):
        read(text(HEAD, *[[str(n), *MAU[1:]] for n in range(9)]).encode())
    monkeypatch.setattr(spreadsheets, "LARGEST_FILE", 100)
    with pytest.raises(ListRefused, match="larger"):
        read(b"x" * 101)


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No other exception, whatever comes."""
    for given_ in (data, text(HEAD).encode() + data, b"PK\x03\x04" + data):
        with suppress(ListRefused):
            read(given_)


@pytest.mark.parametrize("profile", COLUMNS)
def test_the_template_is_understood(profile: str) -> None:
    with pytest.raises(ListRefused) as caught:
        read(template(profile), profile)
    assert caught.value.code == "list-empty"


def test_agencies_keep_both_their_codes() -> None:
    """DOMAIN.md §2: UID may repeat in one name, tax code and budget code."""
    data = text(
        ["Tên cơ quan", "Mã số thuế", "Mã ngân sách", "Mã đơn vị", "Địa danh", "Văn thư"],
        ["UBND phường Hạc Thành", "2800000001", "1000001", "14797", "Hạc Thành", "038800000003"],
        ["UBND phường Đông Sơn", "", "", "14798", "Đông Sơn", "038800000004"],
    ).encode()
    good, bad = read(data, "agency-seal")
    assert good.keeper == "CCCD:038800000003"
    assert good.subject is not None
    assert good.subject.uids == ("MST:2800000001", "MNS:1000001")
    assert any("mã số thuế" in one for one in said(bad))


def test_a_seal_without_a_keeper_is_not_enrolled() -> None:
    """DOMAIN.md §2: an agency's key is held by the văn thư; a list says by whom."""
    head = ["Tên cơ quan", "Mã số thuế", "Mã đơn vị", "Địa danh"]
    with pytest.raises(ListRefused) as caught:
        read(text(head, ["UBND", "2800000001", "14797", "Hạc Thành"]).encode(), "agency-seal")
    assert caught.value.code == "list-column-missing"
    assert "giữ con dấu" in caught.value.message("vi")
    rows = [
        ["UBND", f"280000000{n}", "14797", "Hạc Thành", keeper]
        for n, keeper in enumerate(("", "38800000003", "CCCD", "0388 0000 0003"))
    ]
    found = read(text([*head, "Số định danh văn thư giữ con dấu"], *rows).encode(), "agency-seal")
    codes = [[one.code for one in entry.problems] for entry in found]
    assert codes == [["cell-missing"], ["citizen-id-short"], ["citizen-id-malformed"], []]
    assert found[-1].keeper == "CCCD:038800000003"
