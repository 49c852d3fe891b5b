"""Where the clerk's number and date go: the blanks that the first page leaves for them.

    Số:      /QĐ-UBND                    Hạc Thành, ngày    tháng    năm 2026

Decree 30/2020 annex I has both on one row, so one stamp holds both and is empty between them:
nothing that is printed is covered. A blank may be filled with dots. What the page says already
(the year, mostly) must be what the stamp would say.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from ctypes import byref, c_double
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pypdfium2 as pdfium

from signer.errors import SignerError
from signer.looks import placement
from signer.looks.boxes import to_shown
from signer.looks.drawing import Layout, Line, width_of
from signer.looks.page_contents import text_of
from signer.routing.outgoing_numbers import written

if TYPE_CHECKING:
    from signer.looks.boxes import Box
    from signer.looks.placement import Place
    from signer.pdf.document import Document

_SIZE, _LEAST_SIZE = 13.0, 9.0
_ITALIC = "Tinos-Italic.ttf"
_REGULAR = "Tinos-Regular.ttf"
_DOTS = frozenset(".…·_․‥")
_PAD = 1.0
_FREE = 130.0
_SPACE = 3.0
_ABOVE_DOTS = 1.6
_YEAR_ROOM = 30.0
_MOST_GLYPHS = 20_000


@dataclass(frozen=True)
class Blank:
    """Room between two printed words, on their baseline."""

    left: float
    right: float
    baseline: float

    @property
    def width(self) -> float:
        return self.right - self.left


@dataclass(frozen=True)
class Blanks:
    """What the page leaves open, and what it says already.

    `symbol` says whether the symbol is printed after the number's blank. `day`, `month` and `year`
    are blanks, or the numbers that stand there.
    """

    number: Blank
    symbol: bool
    day: Blank | int
    month: Blank | int
    year: Blank | int


@dataclass(frozen=True)
class _Glyph:
    letter: str
    box: Box


def find(document: Document) -> Blanks:
    """Look for the blanks on the first page.

    Raises SignerError `number-place-missing`, `number-printed`, `date-place-missing`.
    """
    glyphs = _glyphs(document)
    number, symbol = _number_blank(glyphs)
    return Blanks(number, symbol, *_date_blanks(glyphs))


def laid_out(document: Document, lines: Sequence[str]) -> tuple[Place, Layout]:
    """The stamp for `lines` (number, symbol, ISO date) and its place.

    Raises what `find` raises, and SignerError `number-room`, `date-differs`, `number-malformed`.
    """
    try:
        digits, symbol, iso = lines
        number, day = int(digits), date.fromisoformat(iso)
    except ValueError:
        raise SignerError("number-malformed") from None
    blanks = find(document)
    text = written(number) if blanks.symbol else f"{written(number)}/{symbol}"
    drawn = [_in(blanks.number, text, _REGULAR, 1.0 if blanks.symbol else 0.0)]
    # Days below 10 and the months 1 and 2 have a nought before them (annex I, II.4).
    month = f"{day.month:02d}" if day.month < 3 else str(day.month)
    for blank, value, said in (
        (blanks.day, day.day, f"{day.day:02d}"),
        (blanks.month, day.month, month),
        (blanks.year, day.year, str(day.year)),
    ):
        if isinstance(blank, Blank):
            drawn.append(_in(blank, said, _ITALIC, 0.5))
        elif blank != value:
            raise SignerError("date-differs", printed=blank, wanted=value)
    left = min(line.x for line in drawn) - _PAD
    right = max(line.x + width_of(line.text, line.size, line.face) for line in drawn) + _PAD
    bottom = min(line.y - 0.25 * line.size for line in drawn)
    top = max(line.y + 0.8 * line.size for line in drawn)
    shifted = tuple(
        Line(line.text, line.x - left, line.y - bottom, line.size, line.face) for line in drawn
    )
    place = placement.at_box(document, 1, (left, bottom, right, top))
    return place, Layout(right - left, top - bottom, shifted)


def row(document: Document) -> Place:
    """What the stamp may take of the first page at most. Raises what `find` raises."""
    blanks = find(document)
    each = (blanks.number, blanks.day, blanks.month, blanks.year)
    room = [one for one in each if isinstance(one, Blank)]
    bottom = min(one.baseline for one in room) - 0.25 * _SIZE
    top = max(one.baseline for one in room) + 0.8 * _SIZE
    left, right = min(one.left for one in room), max(one.right for one in room)
    return placement.at_box(document, 1, (left, bottom, right, top))


def _in(blank: Blank, text: str, face: str, along: float) -> Line:
    """`along` is 0 at the left of the blank, 1 at its right."""
    room = blank.width - 2 * _PAD
    size = min(_SIZE, _SIZE * room / width_of(text, _SIZE, face))
    if size < _LEAST_SIZE:
        needed = round(width_of(text, _LEAST_SIZE, face) + 2 * _PAD)
        raise SignerError("number-room", text=text, room=round(blank.width), needed=needed)
    slack = room - width_of(text, size, face)
    return Line(text, blank.left + _PAD + slack * along, blank.baseline, size, face)


def _number_blank(glyphs: Sequence[_Glyph]) -> tuple[Blank, bool]:
    """After the topmost "Số:"; up to the symbol's stroke, or as far as the line is free."""
    found = _spelt(glyphs, "số:")
    if not found:
        raise SignerError("number-place-missing")
    at = max(found, key=lambda index: glyphs[index].box[1])
    colon, baseline = glyphs[at + 2], glyphs[at].box[1]
    following = _right_of(glyphs, colon)
    if following and following[0].letter.isdigit():
        raise SignerError("number-printed")
    if following and following[0].letter == "/":
        return _blank(glyphs, colon, following[0].box[0], baseline), True
    start, end = colon.box[2] + _SPACE, colon.box[2] + _FREE
    if following:
        end = min(end, following[0].box[0] - 6)
    return Blank(start, end, baseline), False


def _date_blanks(
    glyphs: Sequence[_Glyph],
) -> tuple[Blank | int, Blank | int, Blank | int]:
    """The topmost line that says ngày … tháng … năm …."""
    best: tuple[int, int, int] | None = None
    for day in _spelt(glyphs, "ngày"):
        month = _next_on_line(glyphs, "tháng", glyphs[day + 3])
        year = _next_on_line(glyphs, "năm", glyphs[month + 4]) if month is not None else None
        if month is None or year is None:
            continue
        if best is None or glyphs[day].box[1] > glyphs[best[0]].box[1]:
            best = (day, month, year)
    if best is None:
        raise SignerError("date-place-missing")
    day, month, year = best
    baseline = glyphs[day].box[1]
    return (
        _between(glyphs, glyphs[day + 3], glyphs[month].box[0], baseline),
        _between(glyphs, glyphs[month + 4], glyphs[year].box[0], baseline),
        _between(glyphs, glyphs[year + 2], None, baseline),
    )


def _between(
    glyphs: Sequence[_Glyph], start: _Glyph, end: float | None, baseline: float
) -> Blank | int:
    """A number that stands there, or the blank."""
    left = start.box[2]
    limit = end if end is not None else left + _YEAR_ROOM
    digits = ""
    for one in _right_of(glyphs, start):
        if one.box[0] >= limit or not one.letter.isdigit() or len(digits) == 4:
            break
        digits += one.letter
    if digits:
        return int(digits)
    blank = _blank(glyphs, start, limit, baseline)
    if end is None:
        # Nothing follows: a space after the word, as it would have been typed.
        return Blank(blank.left + _SPACE, blank.right + _SPACE, blank.baseline)
    return blank


def _blank(glyphs: Sequence[_Glyph], start: _Glyph, end: float, baseline: float) -> Blank:
    """The room up to `end`; what is written on dots stands a little above them."""
    dotted = any(
        one.letter in _DOTS and start.box[2] <= one.box[0] < end and _near(one, start)
        for one in glyphs
    )
    return Blank(start.box[2], end, baseline + (_ABOVE_DOTS if dotted else 0))


def _spelt(glyphs: Sequence[_Glyph], word: str) -> list[int]:
    """Where the letters of a word follow one another on one line."""
    return [
        at
        for at in range(len(glyphs) - len(word) + 1)
        if all(glyphs[at + k].letter == letter for k, letter in enumerate(word))
        and _same_line(glyphs[at], glyphs[at + len(word) - 1])
    ]


def _next_on_line(glyphs: Sequence[_Glyph], word: str, after: _Glyph) -> int | None:
    found = [
        at
        for at in _spelt(glyphs, word)
        if _same_line(glyphs[at], after) and glyphs[at].box[0] >= after.box[2] - 1
    ]
    return min(found, key=lambda at: glyphs[at].box[0], default=None)


def _right_of(glyphs: Sequence[_Glyph], start: _Glyph) -> list[_Glyph]:
    """What is printed to the right on the same line, dots left out."""
    found = [
        one
        for one in glyphs
        if one.letter not in _DOTS and one.box[0] >= start.box[2] - 0.5 and _same_line(one, start)
    ]
    return sorted(found, key=lambda one: one.box[0])


def _same_line(one: _Glyph, other: _Glyph) -> bool:
    """Their heights overlap by half of the smaller."""
    common = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    return common > 0.5 * min(one.box[3] - one.box[1], other.box[3] - other.box[1])


def _near(dot: _Glyph, letter: _Glyph) -> bool:
    """A dot is too small to overlap a line: its middle lies in it."""
    middle = (dot.box[1] + dot.box[3]) / 2
    return letter.box[1] - 2 <= middle <= letter.box[3]


def _glyphs(document: Document) -> list[_Glyph]:
    """Every printed letter of the first page, in small letters, as shown."""
    crop, rotation = document.geometry(1)
    found: list[_Glyph] = []
    with text_of(document) as pages:
        text = pages[0].get_textpage()
        try:
            for index in range(min(text.count_chars(), _MOST_GLYPHS)):
                letter = chr(pdfium.raw.FPDFText_GetUnicode(text.raw, index))
                if letter.isspace() or not letter.isprintable():
                    continue
                box = to_shown(_char_box(text, index), crop, rotation)
                if unicodedata.combining(letter) and found:
                    last = found[-1]
                    joined = unicodedata.normalize("NFC", last.letter + letter)
                    found[-1] = _Glyph(joined, last.box)
                else:
                    found.append(_Glyph(letter, box))
        finally:
            text.close()
    return [_Glyph(unicodedata.normalize("NFC", one.letter).lower(), one.box) for one in found]


def _char_box(text: Any, index: int) -> Box:
    left, right, bottom, top = c_double(), c_double(), c_double(), c_double()
    pdfium.raw.FPDFText_GetCharBox(
        text.raw, index, byref(left), byref(right), byref(bottom), byref(top)
    )
    return (left.value, bottom.value, right.value, top.value)
