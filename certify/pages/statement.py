"""The statement (lời chứng) and the page footers, drawn from a template that is data.

    drawn = draw(Statement(number="01", book="01/2026-SCTĐT/BS", …), pages=3)
    drawn.pdf            # page 1: the statement block; pages 2…: one footer per page of the copy

Which template applies is decided by the day of certification (`templates/statements.json`): a new
wording is a new file with its date, and an old copy can always be drawn again as it was.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import segno
import typst

from certify.errors import CertifyError

TEMPLATES = Path(__file__).parents[1] / "templates"
FONTS = Path(__file__).resolve().parents[2] / "signer" / "fonts"
HEADING = "CHỨNG THỰC BẢN SAO ĐÚNG VỚI BẢN CHÍNH"
_drawing = threading.Lock()

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Template:
    """One version of the statement. Boxes are x, y, width, height in mm from the block's lower
    left corner."""

    version: str
    effective_from: str
    effective_to: str | None
    template: str
    basis: str
    block_mm: tuple[float, float]
    footer_mm: tuple[float, float]
    signature_mm: Box
    seal_mm: Box
    code_mm: Box


@dataclass(frozen=True)
class Statement:
    """Everything the statement says, already in its final words."""

    number: str
    book: str
    day: date
    unit: str
    original: str
    original_pages: int
    security_elements: tuple[str, ...]
    authority_lines: tuple[str, ...]
    signer: str
    code: str
    address: str


@dataclass(frozen=True)
class Drawn:
    """The drawn block and footers, and where the signatures belong on the block."""

    pdf: bytes
    template: Template


@cache
def templates() -> tuple[Template, ...]:
    """Every version, oldest first."""
    rows = json.loads((TEMPLATES / "statements.json").read_text("utf-8"))["statements"]
    return tuple(sorted((_template(row) for row in rows), key=lambda t: t.effective_from))


def _template(row: dict[str, Any]) -> Template:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row.items()
    }
    return Template(**values)


def template_on(day: date) -> Template:
    """The version in force that day. Raises `CertifyError`: `statement-template-missing`."""
    text = day.isoformat()
    for found in reversed(templates()):
        if found.effective_from <= text and (found.effective_to or "9999") >= text:
            return found
    raise CertifyError("statement-template-missing", day=text)


def number_text(number: int) -> str:
    """01, 02, …, 100: at least two digits, as registers are written."""
    return f"{number:02d}"


def day_text(day: date) -> str:
    """`Ngày 05 tháng 02 năm 2026`: decree 30/2020 pads days below 10 and months 1 and 2."""
    month = f"{day.month:02d}" if day.month < 3 else str(day.month)
    return f"Ngày {day.day:02d} tháng {month} năm {day.year}"


def draw(statement: Statement, *, pages: int, sealed_code: bool = False) -> Drawn:
    """Draw the block and `pages` footers. Same statement, same bytes: recovery depends on it.

    With `sealed_code` the block's QR code is left out: its place is for the signed one.
    """
    template = template_on(statement.day)
    facts: list[Sequence[str]] = [
        ("Bản chính", statement.original),
        ("Số trang của bản chính", f"{statement.original_pages:02d}"),
        ("Cơ quan thực hiện chứng thực", statement.unit),
    ]
    if statement.security_elements:
        listed = ", ".join(statement.security_elements)
        facts.append(("Yếu tố không thể hiện được trên bản sao điện tử", listed))
    facts.append(("Hình thức", "bản sao điện tử chuyển đổi từ bản chính giấy"))
    data = {
        "title": f"Bản sao điện tử có chứng thực số {statement.number}, quyển {statement.book}",
        "heading": HEADING,
        "number": statement.number,
        "book": statement.book,
        "day": day_text(statement.day),
        "facts": facts,
        "role": "Người thực hiện chứng thực",
        "authority": list(statement.authority_lines),
        "signer": statement.signer,
        "unit": statement.unit,
        "site": statement.address.rpartition("/")[0].removeprefix("https://"),
        "code": statement.code,
        "footer": f"Bản sao chứng thực điện tử số {statement.number}, quyển {statement.book}",
        "pages": pages,
        "sealed_code": sealed_code,
        "qr": qr_svg(statement.address),
    }
    return Drawn(render(template.template, data), template)


@lru_cache(maxsize=64)
def qr_svg(address: str) -> str:
    """The verification address as a QR code (ISO/IEC 18004, level M), without a library font."""
    out = io.BytesIO()
    segno.make(address, error="m", micro=False).save(
        out, kind="svg", border=2, xmldecl=False, svgns=True, nl=False
    )
    return out.getvalue().decode("ascii")


def render(template: str, data: dict[str, Any]) -> bytes:
    """Compile one of this room's Typst templates to PDF/A-2b, without the system's fonts."""
    with _drawing:
        try:
            made = _compiler(template).compile(
                format="pdf",
                sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
                pdf_standards=["a-2b"],
                pdf_tags=False,
                timestamp=0,
            )
        except typst.TypstError as error:
            raise CertifyError("statement-not-drawn", template=template) from error
    if not isinstance(made, bytes):
        raise CertifyError("statement-not-drawn", template=template)
    return made


@cache
def _compiler(template: str) -> typst.Compiler:
    """One compiler per template: fonts are read once, not once per copy."""
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS]
    )
    return typst.Compiler(TEMPLATES / template, font_paths=fonts, ignore_system_fonts=True)
