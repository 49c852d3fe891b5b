"""Drafts of decisions: signature block for Lê Văn Thử, blanks for number and date."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import typst

_SOURCE = Path(__file__).parents[2] / "demo" / "decision.typ"
_FONTS = Path(__file__).parents[2] / "signer" / "fonts"


@cache
def draft(
    year: int, *, note: str = "", number: str = "blank", block: str = "KT. CHỦ TỊCH"
) -> bytes:
    """A tagged PDF/A decision that leaves number, day and month open (`number="dots"`: dotted)."""
    row = {"blank": "Số: #h(9mm)/QĐ-UBND", "dots": "Số: ......../QĐ-UBND", "bare": "Số:"}[number]
    gap = "......" if number == "dots" else "#h(8mm)"
    source = _SOURCE.read_text("utf-8")
    source = source.replace("Số: 128/QĐ-UBND", row)
    source = source.replace("ngày 20 tháng 11 năm 2026", f"ngày {gap} tháng {gap} năm {year}", 1)
    source = source.replace("KT. CHỦ TỊCH", block)
    source = source.replace("Về việc thành lập", f"Về việc thành lập {note}")
    fonts = typst.Fonts(font_paths=[_FONTS])
    made = typst.Compiler(source.encode(), font_paths=fonts).compile(pdf_standards=["a-2b"])
    assert isinstance(made, bytes)
    return made


def this_year(moment: date) -> bytes:
    """A draft that is to be numbered in that year."""
    return draft(moment.year)
