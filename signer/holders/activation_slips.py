"""Activation codes on paper: for each unit slips to cut apart, and a page to sign for them.

    slips_pdf(desk, list_id, secret=secret, unit="14797", address=base_url, now=now, by=by)

Made from the same hand-out as the result file and under the same rules: it opens with the secret
told at the start, each opening is audited, codes that were used are not in it, and nothing of it is
kept here. A code on paper is worth something until its holder has chosen a PIN; whoever prints it
hands it over against a signature and lets the file go.
"""

from __future__ import annotations

import json
import threading
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typst

from signer.errors import SignerError
from signer.holders import enrolment_results
from signer.holders.enrolment_results import ResultLine

if TYPE_CHECKING:
    from signer.desk import Desk

MOST_SLIPS = 2_000
"""In one file. A province's list is printed unit by unit."""

_HERE = Path(__file__).parents[1]
_TEMPLATE = _HERE / "templates" / "activation-slips.typ"
_drawing = threading.Lock()
_STEPS = (
    "Mở {address}, đăng nhập bằng định danh của mình.",
    "Nhập mã kích hoạt, rồi tự chọn mã PIN (6 số trở lên).",
    "Hủy phiếu này. Không ai, kể cả quản trị, được hỏi mã hay PIN.",
)


def slips_pdf(
    desk: Desk,
    list_id: str,
    *,
    secret: str,
    address: str,
    unit: str | None = None,
    now: datetime,
    by: str,
) -> bytes:
    """The slips of everybody enrolled who has not used their code yet, unit by unit, PDF/A-2b.

    Raises SignerError `slips-none`, `slips-too-many`, and what `enrolment_results.results` raises.
    """
    lines: list[ResultLine] = []
    for line in enrolment_results.results(desk, list_id, secret=secret, unit=unit, now=now, by=by):
        if line.code:
            lines.append(line)
        if len(lines) > MOST_SLIPS:
            raise SignerError("slips-too-many", limit=MOST_SLIPS)
    if not lines:
        raise SignerError("slips-none")
    shown = address.removeprefix("https://").removeprefix("http://")
    return _drawn(
        {
            "title": "Phiếu kích hoạt khóa ký số",
            "heading": "PHIẾU KÍCH HOẠT KHÓA KÝ SỐ",
            "receipt": "DANH SÁCH GIAO NHẬN PHIẾU KÍCH HOẠT",
            "origin": f"Danh sách {list_id[:8]}",
            "instruction": (
                "Mỗi người nhận đúng phiếu của mình, còn nguyên, và ký nhận. Phiếu chưa giao phải "
                "cất giữ như vật phẩm mật; phiếu thất lạc thì báo ngay để cấp khóa mới."
            ),
            "columns": ["Dòng", "Họ tên / Cơ quan", "Ngày nhận", "Ký nhận"],
            "steps": [step.format(address=shown) for step in _STEPS],
            "units": _by_unit(lines),
        }
    )


def _by_unit(lines: list[ResultLine]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        of_unit = found.setdefault(
            line.unit, {"code": line.unit, "name": line.organization or line.unit, "slips": []}
        )
        of_unit["slips"].append(
            {
                "number": line.number,
                "name": line.name,
                "code": line.code,
                "credential": line.credential_id,
            }
        )
    return [found[code] for code in sorted(found)]


def _drawn(data: dict[str, Any]) -> bytes:
    with _drawing:
        made = _compiler().compile(
            format="pdf",
            sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
            pdf_standards=["a-2b"],
            pdf_tags=False,
            timestamp=0,
        )
        # The compiler must not remember what it drew: the codes would stay in memory with it.
        _compiler.cache_clear()
    assert isinstance(made, bytes)
    return made


@cache
def _compiler() -> typst.Compiler:
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[_HERE / "fonts"]
    )
    return typst.Compiler(_TEMPLATE, font_paths=fonts, ignore_system_fonts=True)
