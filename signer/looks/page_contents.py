"""What stands on a page already: lines of text, and the signatures that are shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pikepdf
import pypdfium2 as pdfium

from signer.errors import DocumentRefused
from signer.looks.boxes import Box, to_shown, union

if TYPE_CHECKING:
    from signer.pdf.document import Document

_AROUND_INK = 1.0
"""Points that letters' boxes are higher and wider than their ink."""


@dataclass(frozen=True)
class ShownSignature:
    """An earlier signature as the page shows it: its picture, or all of it where it has none."""

    page: int
    picture: Box
    whole: Box
    pictured: bool


@contextmanager
def text_of(document: Document) -> Iterator[Any]:
    """The document's pages, as pdfium reads their text."""
    original = document.original
    try:
        pdf = pdfium.PdfDocument(original.path if original.path is not None else original.data)
    except pdfium.PdfiumError:
        raise DocumentRefused("document-damaged", reason="pages cannot be drawn") from None
    try:
        yield pdf
    finally:
        pdf.close()


def text_lines(page: Any) -> list[Box]:
    """The lines of a page of `text_of`, in the page's own space."""
    text = page.get_textpage()
    try:
        return [text.get_rect(index) for index in range(text.count_rects())]
    finally:
        text.close()


def occurrences(page: Any, wanted: str) -> list[Box]:
    """Where a text stands, composed or decomposed: Vietnamese is written both ways."""
    text = page.get_textpage()
    try:
        found: list[Box] = []
        for form in dict.fromkeys(
            (unicodedata.normalize("NFC", wanted), unicodedata.normalize("NFD", wanted))
        ):
            search = text.search(form, match_case=False)
            while hit := search.get_next():
                count = text.count_rects(*hit)
                if count:
                    found.append(union([text.get_rect(index) for index in range(count)]))
            if found:
                break
        return found
    finally:
        text.close()


def inked(line: Box) -> Box:
    """A line without what its letters' boxes have around their ink."""
    x1, y1, x2, y2 = line
    return (x1 + _AROUND_INK, y1 + _AROUND_INK, x2 - _AROUND_INK, y2 - _AROUND_INK)


def shown_signatures(document: Document, name: str | None = None) -> list[ShownSignature]:
    """Every signature that is shown, or the named field's; oldest first."""
    found: list[tuple[int, ShownSignature]] = []
    numbers = {one.obj.objgen: index for index, one in enumerate(document.page_objects, start=1)}
    for field in document.signatures:
        widget = field.object
        drawing = widget.get("/AP", pikepdf.Dictionary()).get("/N")
        if not isinstance(drawing, pikepdf.Stream) or field.sub_filter == "ETSI.RFC3161":
            continue
        if name is not None and field.name != name:
            continue
        page = widget.get("/P")
        number = numbers.get(page.objgen) if page is not None else None
        if number is None:
            continue
        span = [int(one) for one in widget["/V"].get("/ByteRange", pikepdf.Array([0, 0, 0, 0]))]
        crop, rotation = document.geometry(number)
        whole = to_shown(_box(widget["/Rect"]), crop, rotation)
        inner = drawing.get("/DSPicture")
        within = _box(inner) if inner is not None else (0.0, 0.0, 0.0, 0.0)
        pictured = inner is None or within[2] > within[0]  # what others drew is taken for a picture
        picture = whole
        if within[2] > within[0]:
            picture = (whole[0] + within[0], whole[1] + within[1],
                       whole[0] + within[2], whole[1] + within[3])  # fmt: skip
        found.append((sum(span[2:]), ShownSignature(number, picture, whole, pictured)))
    return [one for _, one in sorted(found, key=lambda one: one[0])]


def signature_rects(document: Document, page: tuple[int, int]) -> Iterator[Box]:
    """The /Rect of every signature on a page, in its own space."""
    for field in document.signatures:
        holder = field.object.get("/P")
        if holder is not None and holder.objgen == page and "/Rect" in field.object:
            yield _box(field.object["/Rect"])


def _box(array: Any) -> Box:
    x1, y1, x2, y2 = (float(one) for one in array)
    return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
