"""Where a stamp goes: a box, the signature block found in the text, the person's picture, a corner.

Boxes are in points from the lower left corner of the page *as it is shown*; a page with /Rotate or
a shifted CropBox is undone here. A place found automatically never covers text, and no place may
cover an earlier signature, except the seal, which is meant to overlap the person's by one third.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pikepdf
import pypdfium2 as pdfium

from signer.errors import DocumentRefused, SignerError

if TYPE_CHECKING:
    from signer.pdf.document import Document

Box = tuple[float, float, float, float]
_MARGIN = 28.35  # 10 mm
_GAP = 3.0
_LEAST_HEIGHT = 18.0
_SLIDES = (0, 4, -4, 8, -8, 12, -12, 16, -16, 20, -20, 24, -24, 28, -28)


@dataclass(frozen=True)
class Place:
    """A rectangle on a page, both as shown (`box`) and in the page's own space (`rect`)."""

    page: int
    box: Box
    rect: Box
    rotation: int

    @property
    def width(self) -> float:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]


@dataclass(frozen=True)
class Room:
    """Free space beside an anchor: its box as shown, the anchor's centre being the middle."""

    page: int
    box: Box


def at_box(document: Document, page: int, box: Box) -> Place:
    """Exactly there. Raises DocumentRefused `box-outside-page`."""
    number = _absolute(document, page)
    crop, rotation = document.geometry(number)
    width, height = _shown_size(crop, rotation)
    x1, y1, x2, y2 = box
    if not (0 <= x1 < x2 <= width + 0.5 and 0 <= y1 < y2 <= height + 0.5):
        raise DocumentRefused("box-outside-page", width=round(width), height=round(height))
    return Place(number, box, _to_page(box, crop, rotation), rotation)


def top_right(document: Document, page: int, size: tuple[float, float]) -> Place:
    """The corner for notes: annexes and copies (decree 30/2020 annex I)."""
    crop, rotation = document.geometry(page)
    width, height = _shown_size(crop, rotation)
    x2, y2 = width - _MARGIN, height - _MARGIN / 2
    return at_box(document, page, (max(0.0, x2 - size[0]), y2 - size[1], x2, y2))


def beside_anchor(document: Document, page: int, text: str, width: float, *, above: bool) -> Room:
    """The free space above (or below) the last occurrence of `text`, at most `width` wide.

    `page` 0 looks through all pages, the last first. Raises SignerError `anchor-not-found`,
    `no-room-at-anchor`.
    """
    with text_of(document) as pages:
        count = len(pages)
        wanted = [_absolute(document, page)] if page else range(count, 0, -1)
        for number in wanted:
            lines = _lines(pages[number - 1])
            found = _occurrences(pages[number - 1], text)
            if not found:
                continue
            crop, rotation = document.geometry(number)
            shown = [to_shown(one, crop, rotation) for one in lines]
            anchor = to_shown(found[-1], crop, rotation)
            page_height = _shown_size(crop, rotation)[1]
            return Room(number, _free(anchor, shown, width, page_height, above=above))
    raise SignerError("anchor-not-found", anchor=text)


def within(document: Document, room: Room, size: tuple[float, float]) -> Place:
    """Centred in a room."""
    x1, y1, x2, y2 = room.box
    width, height = size
    left, bottom = (x1 + x2 - width) / 2, (y1 + y2 - height) / 2
    return at_box(document, room.page, (left, bottom, left + width, bottom + height))


def over_person(document: Document, diameter: float, field: str | None = None) -> Place:
    """A seal's place: its right edge one third into a signature's picture, from the left.

    The newest one's, or that of the named field. It slides up or down a little where that spares
    text. Raises SignerError `seal-without-person`.
    """
    number, picture = _newest_picture(document, field)
    x1, y1, x2, y2 = picture
    right, middle = x1 + (x2 - x1) / 3, (y1 + y2) / 2
    crop, rotation = document.geometry(number)
    width, height = _shown_size(crop, rotation)
    left = min(max(0.0, right - diameter), width - diameter)
    with text_of(document) as pages:
        lines = [to_shown(one, crop, rotation) for one in _lines(pages[number - 1])]

    def spoiled(slide: float) -> float:
        bottom = min(max(0.0, middle + slide - diameter / 2), height - diameter)
        box = (left, bottom, left + diameter, bottom + diameter)
        return sum(_common(box, line) for line in lines)

    slide = min(_SLIDES, key=lambda one: (spoiled(one), abs(one)))
    bottom = min(max(0.0, middle + slide - diameter / 2), height - diameter)
    return at_box(document, number, (left, bottom, left + diameter, bottom + diameter))


def require_clear(document: Document, place: Place) -> None:
    """A second signature never hides the first: `appearance-covers-signature`."""
    if not document.signatures:
        return
    page = document.page(place.page)
    for rect in _signature_rects(document, page.objgen):
        if _common(rect, place.rect) > 1.0:
            raise DocumentRefused("appearance-covers-signature", page=place.page)


def covered_text(document: Document, page: int, rect: Box) -> list[Box]:
    """The lines of text a stamp would lie on; for previews."""
    with text_of(document) as pages:
        return [line for line in _lines(pages[page - 1]) if _common(line, rect) > 1.0]


def _absolute(document: Document, page: int) -> int:
    return page + document.pages + 1 if page < 0 else page


def _shown_size(crop: Box, rotation: int) -> tuple[float, float]:
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    return (height, width) if rotation in (90, 270) else (width, height)


def _to_page(box: Box, crop: Box, rotation: int) -> Box:
    x1, y1, x2, y2 = box
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    turned = {
        0: (x1, y1, x2, y2),
        90: (width - y2, x1, width - y1, x2),
        180: (width - x2, height - y2, width - x1, height - y1),
        270: (y1, height - x2, y2, height - x1),
    }[rotation]
    return (turned[0] + crop[0], turned[1] + crop[1], turned[2] + crop[0], turned[3] + crop[1])


def to_shown(rect: Box, crop: Box, rotation: int) -> Box:
    """A rectangle of the page's own space as it is shown."""
    x1, y1, x2, y2 = rect[0] - crop[0], rect[1] - crop[1], rect[2] - crop[0], rect[3] - crop[1]
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    return {
        0: (x1, y1, x2, y2),
        90: (y1, width - x2, y2, width - x1),
        180: (width - x2, height - y2, width - x1, height - y1),
        270: (height - y2, x1, height - y1, x2),
    }[rotation]


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


def _lines(page: Any) -> list[Box]:
    text = page.get_textpage()
    try:
        return [text.get_rect(index) for index in range(text.count_rects())]
    finally:
        text.close()


def _occurrences(page: Any, wanted: str) -> list[Box]:
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
                    found.append(_union([text.get_rect(index) for index in range(count)]))
            if found:
                break
        return found
    finally:
        text.close()


def _free(
    anchor: Box, lines: Sequence[Box], width: float, page_height: float, *, above: bool
) -> Box:
    middle = (anchor[0] + anchor[2]) / 2
    left, right = middle - width / 2, middle + width / 2
    beside = [one for one in lines if one[0] < right and one[2] > left]
    if above:
        bottom = anchor[3] + _GAP
        tops = [one[1] for one in beside if one[1] >= anchor[3] - 1]
        top = min(tops, default=page_height - _MARGIN) - _GAP
    else:
        top = anchor[1] - _GAP
        bottoms = [one[3] for one in beside if one[3] <= anchor[1] + 1]
        bottom = max(bottoms, default=_MARGIN) + _GAP
    if top - bottom < _LEAST_HEIGHT:
        raise SignerError("no-room-at-anchor", room=max(0, round(top - bottom)))
    return (left, bottom, right, top)


def _newest_picture(document: Document, name: str | None) -> tuple[int, Box]:
    best: tuple[int, int, Box] | None = None
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
        shown = to_shown(_box(widget["/Rect"]), crop, rotation)
        inner = drawing.get("/DSPicture")
        picture = _box(inner) if inner is not None else (0.0, 0.0, 0.0, 0.0)
        if picture[2] > picture[0]:
            shown = (shown[0] + picture[0], shown[1] + picture[1],
                     shown[0] + picture[2], shown[1] + picture[3])  # fmt: skip
        if best is None or sum(span[2:]) > best[0]:
            best = (sum(span[2:]), number, shown)
    if best is None:
        raise SignerError("seal-without-person")
    return best[1], best[2]


def _signature_rects(document: Document, page: tuple[int, int]) -> Iterator[Box]:
    for field in document.signatures:
        holder = field.object.get("/P")
        if holder is not None and holder.objgen == page and "/Rect" in field.object:
            yield _box(field.object["/Rect"])


def _box(array: Any) -> Box:
    x1, y1, x2, y2 = (float(one) for one in array)
    return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def _union(boxes: Sequence[Box]) -> Box:
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return (min(lefts), min(bottoms), max(rights), max(tops))


def _common(one: Box, other: Box) -> float:
    """The area two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    along = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, along)
