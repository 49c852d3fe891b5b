"""Where a stamp goes: a box, the signature block found in the text, the person's picture, a corner.

Boxes are in points from the lower left corner of the page *as it is shown*; a page with /Rotate or
a shifted CropBox is undone here. No place may cover text or an earlier signature, except the seal,
which is meant to overlap the person's picture by one third, and never by more than half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from signer.errors import DocumentRefused, SignerError
from signer.looks.boxes import TOUCHING, Box, common, meet, shown_size, to_page, to_shown
from signer.looks.page_contents import (
    ShownSignature,
    inked,
    occurrences,
    shown_signatures,
    signature_rects,
    text_lines,
    text_of,
)

if TYPE_CHECKING:
    from signer.pdf.document import Document

_MARGIN = 28.35  # 10 mm
_GAP = 3.0
_EDGE = 5.0
_LEAST_HEIGHT = 18.0
_LEAST_WIDTH = 60.0
_BLOCK = 40.0
"""Between a title and a name: where the picture stands, whole or in part."""
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


def at_box(document: Document, page: int, box: Box) -> Place:
    """Exactly there. Raises DocumentRefused `box-outside-page`."""
    number = _absolute(document, page)
    crop, rotation = document.geometry(number)
    width, height = shown_size(crop, rotation)
    x1, y1, x2, y2 = box
    if not (0 <= x1 < x2 <= width + 0.5 and 0 <= y1 < y2 <= height + 0.5):
        raise DocumentRefused("box-outside-page", width=round(width), height=round(height))
    return Place(number, box, to_page(box, crop, rotation), rotation)


def top_right(document: Document, page: int, size: tuple[float, float]) -> Place:
    """The corner for notes: annexes and copies (decree 30/2020 annex I).

    Where the corner is taken (the note of the copy that this one is made from, a letterhead that
    reaches up to it), higher, or further left. Raises SignerError `no-room-at-corner`.
    """
    number = _absolute(document, page)
    crop, rotation = document.geometry(number)
    across, up = shown_size(crop, rotation)
    width, height = size
    with text_of(document) as pages:
        taken = _taken(document, pages, number)
    right = across - _MARGIN
    while right - width >= _EDGE:
        beyond = []
        for top in (up - _MARGIN / 2, up - _EDGE):
            box = (right - width, top - height, right, top)
            hit = [one[0] for one in taken if common(box, one) > TOUCHING]
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
            found = occurrences(pages[number - 1], text)
            if not found:
                continue
            crop, rotation = document.geometry(number)
            taken = _taken(document, pages, number)
            taken += [one.box for one in earlier if one.page == number]
            shown = shown_size(crop, rotation)
            for one in reversed(found):
                anchor = to_shown(one, crop, rotation)
                try:
                    _require_unsigned(document, number, anchor, text, above=above)
                    return Room(number, _free(anchor, taken, width, shown, above=above))
                except SignerError as error:  # a name is often written twice
                    refusal = refusal or error
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
    persons = [one for one in shown_signatures(document, field) if not _is_seal(one, diameter)]
    newest = ([one for one in persons if one.pictured] or persons)[-1:]
    if not newest:
        raise SignerError("seal-without-person")
    return over_picture(document, newest[0].page, newest[0].picture, diameter)


def over_picture(document: Document, number: int, picture: Box, diameter: float) -> Place:
    """The same for a picture that is on the page, or is going to be."""
    x1, y1, x2, y2 = picture
    right, middle = x1 + (x2 - x1) / 3, (y1 + y2) / 2
    crop, rotation = document.geometry(number)
    width, height = shown_size(crop, rotation)
    left = min(max(0.0, right - diameter), width - diameter)
    with text_of(document) as pages:
        lines = [to_shown(one, crop, rotation) for one in text_lines(pages[number - 1])]

    def spoiled(slide: float) -> float:
        bottom = min(max(0.0, middle + slide - diameter / 2), height - diameter)
        box = (left, bottom, left + diameter, bottom + diameter)
        return sum(common(box, line) for line in lines)

    slide = min(_SLIDES, key=lambda one: (spoiled(one), abs(one)))
    bottom = min(max(0.0, middle + slide - diameter / 2), height - diameter)
    return at_box(document, number, (left, bottom, left + diameter, bottom + diameter))


def require_clear(document: Document, place: Place) -> None:
    """A second signature never hides the first: `appearance-covers-signature`."""
    if not document.signatures:
        return
    page = document.page(place.page)
    for rect in signature_rects(document, page.objgen):
        if common(rect, place.rect) > TOUCHING:
            raise DocumentRefused("appearance-covers-signature", page=place.page)


def require_visible(document: Document, place: Place) -> None:
    """A seal lies over one person's picture, over half of it at most, and over nothing else.

    Raises DocumentRefused `appearance-covers-signature`.
    """
    shares = []
    for one in shown_signatures(document):
        if one.page != place.page or not common(one.whole, place.box) > TOUCHING:
            continue
        x1, y1, x2, y2 = one.picture
        shares.append(common(one.picture, place.box) / max((x2 - x1) * (y2 - y1), 1.0))
    if len(shares) > 1 or any(one > _HIDDEN for one in shares):
        raise DocumentRefused("appearance-covers-signature", page=place.page)


def require_no_text(document: Document, page: int, rect: Box) -> None:
    """A signature never covers text (decree 30/2020 annex I): `appearance-covers-text`."""
    if covered_text(document, page, rect):
        raise DocumentRefused("appearance-covers-text", page=page)


def covered_text(document: Document, page: int, rect: Box) -> list[Box]:
    """The lines of text a stamp would lie on."""
    with text_of(document) as pages:
        lines = text_lines(pages[page - 1])
    return [one for one in lines if common(inked(one), rect) > TOUCHING]


def _absolute(document: Document, page: int) -> int:
    return page + document.pages + 1 if page < 0 else page


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


def _require_unsigned(
    document: Document, number: int, anchor: Box, text: str, *, above: bool
) -> None:
    """One block, one signature: whoever signs again by mistake squeezes in no second picture."""
    crop, rotation = document.geometry(number)
    x1, y1, x2, y2 = anchor
    block = (x1, y2, x2, y2 + _BLOCK) if above else (x1, y1 - _BLOCK, x2, y1)
    shown = signature_rects(document, document.page(number).objgen)
    if any(meet(block, to_shown(one, crop, rotation)) for one in shown):
        raise SignerError("block-already-signed", anchor=text)


def _taken(document: Document, pages: Any, number: int) -> list[Box]:
    """Where the page has text or a signature, as it is shown."""
    crop, rotation = document.geometry(number)
    rects = [
        *text_lines(pages[number - 1]),
        *signature_rects(document, document.page(number).objgen),
    ]
    shown = [to_shown(one, crop, rotation) for one in rects]
    return [one for one in shown if one[2] > one[0] and one[3] > one[1]]


def _is_seal(one: ShownSignature, diameter: float) -> bool:
    x1, y1, x2, y2 = one.whole
    return abs(x2 - x1 - diameter) < 0.5 and abs(y2 - y1 - diameter) < 0.5
