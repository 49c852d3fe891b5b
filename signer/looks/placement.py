"""Where a stamp goes: a box, the signature block found in the text, the person's picture, a corner.

Boxes are in points from the lower left corner of the page *as it is shown*; a page with /Rotate or
a shifted CropBox is undone here. No place may cover text or an earlier signature, except the seal,
which is meant to overlap the person's picture by one third, and never by more than half.
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
_EDGE = 5.0
_LEAST_HEIGHT = 18.0
_LEAST_WIDTH = 60.0
_TOUCHING = 1.0
"""Points squared, and points that letters' boxes are higher and wider than their ink."""
_HIDDEN = 0.5
_SLIDES = (0, 4, -4, 8, -8, 12, -12, 16, -16, 20, -20, 24, -24, 28, -28)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True)
class _Shown:
    """An earlier signature as the page shows it: its picture, or all of it where it has none."""

    page: int
    picture: Box
    whole: Box
    pictured: bool


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
    """The corner for notes: annexes and copies (decree 30/2020 annex I).

    Where the corner is taken (the note of the copy that this one is made from, a letterhead that
    reaches up to it), higher, or further left. Raises SignerError `no-room-at-corner`.
    """
    number = _absolute(document, page)
    crop, rotation = document.geometry(number)
    across, up = _shown_size(crop, rotation)
    width, height = size
    with text_of(document) as pages:
        taken = _taken(document, pages, number)
    right = across - _MARGIN
    while right - width >= _EDGE:
        beyond = []
        for top in (up - _MARGIN / 2, up - _EDGE):
            box = (right - width, top - height, right, top)
            hit = [one[0] for one in taken if _common(box, one) > _TOUCHING]
            if not hit:
                return at_box(document, number, box)
            beyond.append(min(hit))
        right = max(beyond) - _GAP
    raise SignerError("no-room-at-corner", page=number, width=round(width), height=round(height))


def beside_anchor(
    document: Document,
    page: int,
    text: str,
    width: float,
    *,
    above: bool,
    earlier: Sequence[Place] = (),
) -> Room:
    """The free space above (or below) `text`, at most `width` wide: the last place that has room.

    `page` 0 looks through all pages, the last first; `earlier` is taken as if it was there.
    Raises SignerError `anchor-not-found`, `no-room-at-anchor`, `block-already-signed`.
    """
    refusal: SignerError | None = None
    with text_of(document) as pages:
        count = len(pages)
        wanted = [_absolute(document, page)] if page else range(count, 0, -1)
        for number in wanted:
            found = _occurrences(pages[number - 1], text)
            if not found:
                continue
            crop, rotation = document.geometry(number)
            taken = _taken(document, pages, number)
            taken += [one.box for one in earlier if one.page == number]
            shown = _shown_size(crop, rotation)
            for one in reversed(found):
                anchor = to_shown(one, crop, rotation)
                try:
                    return Room(number, _free(anchor, taken, width, shown, above=above))
                except SignerError as error:  # a name is often written twice
                    signed = _signed_at(document, number, anchor)
                    why = SignerError("block-already-signed", anchor=text) if signed else error
                    refusal = refusal or why
            break
    raise refusal or SignerError("anchor-not-found", anchor=text)


def within(document: Document, room: Room, size: tuple[float, float]) -> Place:
    """Centred in a room."""
    x1, y1, x2, y2 = room.box
    width, height = size
    left, bottom = (x1 + x2 - width) / 2, (y1 + y2 - height) / 2
    return at_box(document, room.page, (left, bottom, left + width, bottom + height))


def over_person(document: Document, diameter: float, field: str | None = None) -> Place:
    """A seal's place: its right edge one third into a signature's picture, from the left.

    The newest one's, or that of the named field; never another seal's, and a note's or a number's
    only where nobody's picture is there. It slides up or down a little where that spares text.
    Raises SignerError `seal-without-person`.
    """
    persons = [one for one in _shown(document, field) if not _is_seal(one, diameter)]
    newest = ([one for one in persons if one.pictured] or persons)[-1:]
    if not newest:
        raise SignerError("seal-without-person")
    return over_picture(document, newest[0].page, newest[0].picture, diameter)


def over_picture(document: Document, number: int, picture: Box, diameter: float) -> Place:
    """The same for a picture that is on the page, or is going to be."""
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


def meet(one: Box, other: Box) -> bool:
    """Whether two boxes share more than an edge."""
    return _common(one, other) > _TOUCHING


def require_clear(document: Document, place: Place) -> None:
    """A second signature never hides the first: `appearance-covers-signature`."""
    if not document.signatures:
        return
    page = document.page(place.page)
    for rect in _signature_rects(document, page.objgen):
        if _common(rect, place.rect) > _TOUCHING:
            raise DocumentRefused("appearance-covers-signature", page=place.page)


def require_visible(document: Document, place: Place) -> None:
    """A seal lies over one person's picture, over half of it at most, and over nothing else.

    Raises DocumentRefused `appearance-covers-signature`.
    """
    shares = []
    for one in _shown(document):
        if one.page != place.page or not _common(one.whole, place.box) > _TOUCHING:
            continue
        x1, y1, x2, y2 = one.picture
        shares.append(_common(one.picture, place.box) / max((x2 - x1) * (y2 - y1), 1.0))
    if len(shares) > 1 or any(one > _HIDDEN for one in shares):
        raise DocumentRefused("appearance-covers-signature", page=place.page)


def require_no_text(document: Document, page: int, rect: Box) -> None:
    """A signature never covers text (decree 30/2020 annex I): `appearance-covers-text`."""
    if covered_text(document, page, rect):
        raise DocumentRefused("appearance-covers-text", page=page)


def covered_text(document: Document, page: int, rect: Box) -> list[Box]:
    """The lines of text a stamp would lie on."""
    with text_of(document) as pages:
        lines = _lines(pages[page - 1])
    return [one for one in lines if _common(_inked(one), rect) > _TOUCHING]


def _absolute(document: Document, page: int) -> int:
    return page + document.pages + 1 if page < 0 else page


def _shown_size(crop: Box, rotation: int) -> tuple[float, float]:
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    return (height, width) if rotation in (90, 270) else (width, height)


def _to_page(box: Box, crop: Box, rotation: int) -> Box:
    x1, y1, x2, y2 = box
    left, bottom = crop[0], crop[1]
    width, height = crop[2] - left, crop[3] - bottom
    if rotation == 90:
        x1, y1, x2, y2 = width - y2, x1, width - y1, x2
    elif rotation == 180:
        x1, y1, x2, y2 = width - x2, height - y2, width - x1, height - y1
    elif rotation == 270:
        x1, y1, x2, y2 = y1, height - x2, y2, height - x1
    return (x1 + left, y1 + bottom, x2 + left, y2 + bottom)


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
    anchor: Box, taken: Sequence[Box], width: float, shown: tuple[float, float], *, above: bool
) -> Box:
    """Centred on the anchor, and narrower where the page ends beside it."""
    across, up = shown
    middle = (anchor[0] + anchor[2]) / 2
    half = min(width / 2, middle - _EDGE, across - _EDGE - middle)
    if half < min(width, _LEAST_WIDTH) / 2:
        raise SignerError("no-room-at-anchor", room=0)
    left, right = middle - half, middle + half
    beside = [one for one in taken if one[0] < right and one[2] > left]
    if above:
        bottom = anchor[3] + _GAP
        # What reaches from below the anchor's top to above it lies where the picture would be.
        tops = [one[1] for one in beside if one[3] > anchor[3] + 1 and one[1] >= anchor[1] + 1]
        top = min(tops, default=up - _MARGIN) - _GAP
    else:
        top = anchor[1] - _GAP
        bottoms = [one[3] for one in beside if one[1] < anchor[1] - 1 and one[3] <= anchor[3] - 1]
        bottom = max(bottoms, default=_MARGIN) + _GAP
    if top - bottom < _LEAST_HEIGHT:
        raise SignerError("no-room-at-anchor", room=max(0, round(top - bottom)))
    return (left, bottom, right, top)


def _signed_at(document: Document, number: int, anchor: Box) -> bool:
    """Whether a signature is shown right above or below the anchor."""
    crop, rotation = document.geometry(number)
    x1, y1, x2, y2 = anchor
    near = (x1, y1 - _LEAST_HEIGHT, x2, y2 + _LEAST_HEIGHT)
    shown = _signature_rects(document, document.page(number).objgen)
    return any(meet(near, to_shown(one, crop, rotation)) for one in shown)


def _taken(document: Document, pages: Any, number: int) -> list[Box]:
    """Where the page has text or a signature, as it is shown."""
    crop, rotation = document.geometry(number)
    rects = [*_lines(pages[number - 1]), *_signature_rects(document, document.page(number).objgen)]
    shown = [to_shown(one, crop, rotation) for one in rects]
    return [one for one in shown if one[2] > one[0] and one[3] > one[1]]


def _inked(line: Box) -> Box:
    """A line without what its letters' boxes have around their ink."""
    x1, y1, x2, y2 = line
    return (x1 + _TOUCHING, y1 + _TOUCHING, x2 - _TOUCHING, y2 - _TOUCHING)


def _is_seal(one: _Shown, diameter: float) -> bool:
    x1, y1, x2, y2 = one.whole
    return abs(x2 - x1 - diameter) < 0.5 and abs(y2 - y1 - diameter) < 0.5


def _shown(document: Document, name: str | None = None) -> list[_Shown]:
    """Every signature that is shown, or the named field's; oldest first."""
    found: list[tuple[int, _Shown]] = []
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
        found.append((sum(span[2:]), _Shown(number, picture, whole, pictured)))
    return [one for _, one in sorted(found, key=lambda one: one[0])]


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
