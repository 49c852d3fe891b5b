"""Rows out of a CSV or XLSX file that a stranger may have made.

    for row in rows(data):              # row.number as the person sees it, row.cells as text
        ...

Text and nothing else: a formula is refused where it stands, because what it shows today is not
what it shows tomorrow. Everything is bounded before it is unpacked, and every refusal says what is
wrong with the file and how to save it again. Raises `ListRefused`.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from signer.errors import ListRefused

LARGEST_FILE = 64 << 20
LARGEST_UNPACKED = 512 << 20
LARGEST_TEXTS = 128 << 20
"""Shared strings of a workbook, unpacked: openpyxl holds them all at once."""
MOST_PARTS = 200
MOST_ROWS = 250_000
MOST_COLUMNS = 64
LONGEST_CELL = 2_000
LARGEST_RATIO = 200
"""Unpacked to packed: sheets of numbers and names reach 15, bombs 1,000."""

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t")
_DELIMITERS = (",", ";", "\t")
_PIECE = 1 << 20
_UNPACKING = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)


@dataclass(frozen=True)
class Row:
    """`formulas` are the positions of cells that hold one; `cells` has the empty text there."""

    number: int
    cells: tuple[str, ...]
    formulas: tuple[int, ...] = ()


def rows(data: bytes) -> Iterator[Row]:
    """The rows that hold something, the heading row first."""
    if len(data) > LARGEST_FILE:
        raise ListRefused("list-too-large", limit=LARGEST_FILE >> 20)
    if not data.strip(b"\0 \r\n\t"):
        raise ListRefused("list-empty")
    if data.startswith(_OLE):
        raise ListRefused("list-old-excel")
    found = _workbook(data) if data.startswith(_ZIP) else _text(data)
    for count, row in enumerate(found):
        if count > MOST_ROWS:
            raise ListRefused("list-too-many-rows", limit=MOST_ROWS)
        yield row


# CSV -----------------------------------------------------------------------------------------


def _text(data: bytes) -> Iterator[Row]:
    encoding = _encoding(data)
    reader = io.TextIOWrapper(io.BytesIO(data), encoding, errors="strict", newline="")
    try:
        heading = reader.readline(65_536)
        if "\0" in heading:
            raise ListRefused("list-encoding", line=1)
        delimiter = max(_DELIMITERS, key=heading.count)
        reader.seek(0)
        parsed = csv.reader(reader, delimiter=delimiter, strict=True)
        for cells in parsed:
            row = _row(parsed.line_num, cells)
            if row is not None:
                yield row
    except UnicodeError:
        raise ListRefused("list-encoding", line=_bad_line(data, encoding)) from None
    except csv.Error as error:
        raise ListRefused("list-csv", line=parsed.line_num, reason=str(error)) from None


def _encoding(data: bytes) -> str:
    """UTF-8 with or without its mark, UTF-16 with it (Excel's "Unicode text")."""
    if data.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        raise ListRefused("list-encoding", line=1)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    return "utf-8-sig"


def _bad_line(data: bytes, encoding: str) -> int:
    """The first line that is not text in this encoding."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        return error.object.count(b"\n", 0, error.start) + 1
    return 1


def _row(number: int, cells: Iterable[str]) -> Row | None:
    texts, formulas = [], []
    for position, cell in enumerate(cells):
        text = cell.strip(" \r\n\u00a0")
        if text.startswith(_FORMULA_STARTS):
            formulas.append(position)
            text = ""
        texts.append(text)
    return _bounded(number, texts, formulas)


def _bounded(number: int, texts: list[str], formulas: list[int]) -> Row | None:
    if not any(texts) and not formulas:
        return None
    while texts and not texts[-1] and len(texts) - 1 not in formulas:
        texts.pop()
    if len(texts) > MOST_COLUMNS:
        raise ListRefused("list-too-many-columns", line=number, limit=MOST_COLUMNS)
    if any("\0" in text for text in texts):
        raise ListRefused("list-encoding", line=number)
    if any(len(text) > LONGEST_CELL for text in texts):
        raise ListRefused("list-cell-too-long", line=number, limit=LONGEST_CELL)
    return Row(number, tuple(texts), tuple(formulas))


# XLSX ----------------------------------------------------------------------------------------


def _workbook(data: bytes) -> Iterator[Row]:
    """The first sheet. The package is inspected whole before openpyxl sees any of it."""
    _inspect(data)
    import openpyxl  # slow to import, and only needed for workbooks

    try:
        book = openpyxl.load_workbook(
            io.BytesIO(data), read_only=True, data_only=False, keep_links=False
        )
    except ListRefused:
        raise
    except Exception as error:  # openpyxl meets hostile files with any exception there is
        raise ListRefused("list-workbook", reason=type(error).__name__) from None
    try:
        if not book.worksheets:
            raise ListRefused("list-empty")
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # the declared size may be a lie
        for number, cells in enumerate(sheet.iter_rows(max_col=MOST_COLUMNS + 1), start=1):
            row = _sheet_row(number, cells)
            if row is not None:
                yield row
    except ListRefused:
        raise
    except Exception as error:  # as above: sheets are read while they are asked for
        raise ListRefused("list-workbook", reason=type(error).__name__) from None
    finally:
        book.close()


def _sheet_row(number: int, cells: Iterable[Any]) -> Row | None:
    texts, formulas = [], []
    for position, cell in enumerate(cells):
        value = cell.value
        if cell.data_type == "f":
            formulas.append(position)
            value = None
        texts.append(_cell(value))
    return _bounded(number, texts, formulas)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # a number typed without quotes: 12 digits stay 12 digits
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return value.isoformat()
    return str(value).strip(" \r\n\u00a0")


def _inspect(data: bytes) -> None:
    """Sizes as declared (zipfile unpacks no more than that), and no document types in the XML."""
    try:
        package = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ListRefused("list-workbook", reason=str(error)) from None
    with package:
        parts = package.infolist()
        if len(parts) > MOST_PARTS:
            raise ListRefused("list-workbook", reason=f"{len(parts)} parts")
        names = [part.filename for part in parts]
        if len(set(names)) < len(names) or "xl/workbook.xml" not in names:
            raise ListRefused("list-not-workbook")
        if any(name.lower().endswith("vbaproject.bin") for name in names):
            raise ListRefused("list-macros")
        if sum(part.file_size for part in parts) > LARGEST_UNPACKED:
            raise ListRefused("list-bomb")
        for part in parts:
            _inspect_part(package, part)


def _inspect_part(package: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    if part.flag_bits & 1:
        raise ListRefused("list-encrypted")
    if part.file_size > 1 << 20 and part.file_size > part.compress_size * LARGEST_RATIO:
        raise ListRefused("list-bomb")
    if part.filename.endswith("sharedStrings.xml") and part.file_size > LARGEST_TEXTS:
        raise ListRefused("list-bomb")
    if not part.filename.endswith((".xml", ".rels")):
        return
    try:
        with package.open(part) as content:
            before = content.read(2)
            if before in (b"\xff\xfe", b"\xfe\xff") or b"\0" in before:
                raise ListRefused("list-workbook", reason="UTF-16")
            while piece := content.read(_PIECE):
                text = before + piece
                if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
                    raise ListRefused("list-workbook", reason="DOCTYPE")
                before = piece[-16:]
    except _UNPACKING as error:
        raise ListRefused("list-workbook", reason=type(error).__name__) from None
