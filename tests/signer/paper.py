"""Documents to sign: an administrative decision, in every shape a PDF can have."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import pikepdf
import typst

FONTS = Path(__file__).parent.parent.parent / "signer" / "fonts"
SIGNER = "Nguyễn Thị Mẫu"

_DECISION = """
#set document(title: "Quyết định")
#set page(paper: "a4", margin: (x: 25mm, y: 20mm))
#set text(font: "Tinos", size: 13pt, lang: "vi")
#align(center)[*ỦY BAN NHÂN DÂN* \\ *PHƯỜNG HẠC THÀNH*]
#v(8pt)
#align(center)[= QUYẾT ĐỊNH]
Về việc thử nghiệm chữ ký số. Điều 1. Ban hành kèm theo Quyết định này quy chế quản lý văn bản.
#lorem(60)
#v(20pt)
#align(right, block(width: 60mm, align(center)[
  *KT. CHỦ TỊCH* \\ *PHÓ CHỦ TỊCH* #v(110pt) *Nguyễn Thị Mẫu*
]))
"""


SHAPES = [
    "classic",
    "object-streams",
    "hybrid",
    "updated",
    "form",
    "direct-form",
    "annots",
    "rotated",
    "no-newline",
]


@cache
def decision(*, pdfa: str | None = None, pages: int = 1) -> bytes:
    """A tagged, born-digital A4 decision with a signature block on its last page."""
    source = (
        "#pagebreak()".join(["Trang đầu."] * (pages - 1) + [_DECISION]) if pages > 1 else _DECISION
    )
    standards: list[Any] = [pdfa] if pdfa else []
    fonts = typst.Fonts(font_paths=[FONTS])
    made = typst.Compiler(source.encode(), font_paths=fonts).compile(pdf_standards=standards)
    assert isinstance(made, bytes)
    return made


@cache
def shaped(shape: str) -> bytes:
    """The decision as `classic`, `object-streams`, `hybrid`, `updated`, `form`, `direct-form`,
    `annots`, `rotated` or `no-newline`."""
    with pikepdf.open(io.BytesIO(decision())) as pdf:
        page = pdf.pages[0].obj
        mode = pikepdf.ObjectStreamMode.disable
        if shape == "object-streams":
            mode = pikepdf.ObjectStreamMode.generate
        if shape in ("form", "direct-form"):
            field = pdf.make_indirect(_text_field(page))
            form = pikepdf.Dictionary(Fields=pdf.make_indirect(pikepdf.Array([field])))
            pdf.Root.AcroForm = form if shape == "direct-form" else pdf.make_indirect(form)
            page.Annots = pikepdf.Array([field])
        if shape == "annots":
            link = pikepdf.Dictionary(
                Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Link, Rect=[10, 10, 60, 30]
            )
            page.Annots = pdf.make_indirect(pikepdf.Array([pdf.make_indirect(link)]))
        if shape == "rotated":
            page.Rotate = 90
        out = io.BytesIO()
        pdf.save(out, object_stream_mode=mode)
    data = out.getvalue()
    if shape == "no-newline":
        return data.rstrip(b"\r\n")
    if shape == "updated":
        return _updated(data)
    if shape == "hybrid":
        return hybrid(data)
    return data


def signature_field(data: bytes, name: str = "Lãnh đạo") -> bytes:
    """The same file with an empty, visible signature field of its author's."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        page = pdf.pages[0].obj
        field = pdf.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Annot,
                Subtype=pikepdf.Name.Widget,
                FT=pikepdf.Name.Sig,
                T=pikepdf.String(name),
                Rect=[300, 100, 450, 170],
                F=4,
                P=page,
            )
        )
        pdf.Root.AcroForm = pikepdf.Dictionary(Fields=[field])
        page.Annots = pikepdf.Array([field])
        out = io.BytesIO()
        pdf.save(out)
    return out.getvalue()


def padded(data: bytes, megabytes: int) -> bytes:
    """The same document with an incompressible attachment-like stream of that size."""
    import random

    with pikepdf.open(io.BytesIO(data)) as pdf:
        noise = random.Random(7).randbytes(megabytes << 20)
        pdf.Root.TESTPadding = pdf.make_stream(noise)
        out = io.BytesIO()
        pdf.save(out, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return out.getvalue()


def encrypted(data: bytes) -> bytes:
    with pikepdf.open(io.BytesIO(data)) as pdf:
        out = io.BytesIO()
        pdf.save(out, encryption=pikepdf.Encryption(owner="chủ", user="người dùng", R=6))
    return out.getvalue()


def _text_field(page: pikepdf.Object) -> pikepdf.Dictionary:
    return pikepdf.Dictionary(
        Type=pikepdf.Name.Annot,
        Subtype=pikepdf.Name.Widget,
        FT=pikepdf.Name.Tx,
        T=pikepdf.String("Signature1"),
        Rect=[50, 50, 150, 70],
        F=4,
        P=page,
    )


def _updated(data: bytes) -> bytes:
    """One incremental update that adds a free-standing object (ISO 32000-1 §7.5.6)."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        size, root = int(pdf.trailer.Size), pdf.trailer.Root.objgen[0]
    previous = int(data.rsplit(b"startxref", 1)[1].split()[0])
    at = len(data)
    body = b"%d 0 obj\n(added)\nendobj\n" % size
    table = b"xref\n%d 1\n%010d 00000 n \ntrailer\n<</Size %d/Root %d 0 R/Prev %d>>\n" % (
        size, at, size + 1, root, previous,
    )  # fmt: skip
    return data + body + table + b"startxref\n%d\n%%%%EOF\n" % (at + len(body))


def hybrid(data: bytes, *, instead_of: int | None = None) -> bytes:
    """A classic section whose trailer names a cross-reference stream too (§7.5.8.4).

    The stream has a new object, or a second body for one that is there.
    """
    with pikepdf.open(io.BytesIO(data)) as pdf:
        size, root = int(pdf.trailer.Size), pdf.trailer.Root.objgen[0]
    number = size if instead_of is None else instead_of
    previous = int(data.rsplit(b"startxref", 1)[1].split()[0])
    hidden_at = len(data)
    hidden = b"%d 0 obj\n(hidden from old readers)\nendobj\n" % number
    stream_at = hidden_at + len(hidden)
    row = b"\x01" + hidden_at.to_bytes(4, "big") + b"\x00\x00"
    stream = (
        b"%d 0 obj\n<</Type/XRef/W[1 4 2]/Index[%d 1]/Size %d/Root %d 0 R/Length 7>>\nstream\n%s\n"
        b"endstream\nendobj\n" % (size + 1, number, size + 2, root, row)
    )
    table_at = stream_at + len(stream)
    table = b"xref\n%d 1\n%010d 00000 n \ntrailer\n" % (size + 1, stream_at)
    trailer = b"<</Size %d/Root %d 0 R/Prev %d/XRefStm %d>>\n" % (
        size + 2, root, previous, stream_at,
    )  # fmt: skip
    return data + hidden + stream + table + trailer + b"startxref\n%d\n%%%%EOF\n" % table_at
