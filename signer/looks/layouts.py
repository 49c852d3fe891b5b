"""Lines and pictures on a stamp, one function per case of decree 30/2020 annex I.

Titles and full name bold 13 pt, centred; notes 10 pt, upright, black; the picture fills what is
left, centred, in its own proportions. Type shrinks to fit a narrow box down to 9 pt, never further.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from signer.errors import SignerError
from signer.looks.drawing import BOLD, REGULAR, Layout, Line, width_of

if TYPE_CHECKING:
    from signer.keys.images import Picture

BLOCK_SIZE = 13.0
NOTE_SIZE = 10.0
_SMALL_SIZE = 8.0
_LEAST_SIZE = 9.0
_LEADING = 1.22
_DESCENT = 0.22
_PADDING = 2.0
_TIME_SAMPLE = "00-00-0000 00:00:00 +07:00"


def person(
    size: tuple[float, float],
    *,
    titles: Sequence[str],
    name: str | None,
    picture: Picture | None,
    details: Sequence[str],
    show_time: bool,
) -> Layout:
    """Titles above, name below, the picture between them; `details` stand in for a picture."""
    width, height = size
    lines = []
    type_size = _fitting([*titles, *([name] if name else [])], width, BLOCK_SIZE, BOLD)
    step = type_size * _LEADING
    top = height
    for text in titles:
        top -= step
        lines.append(_centred(text, width, top + type_size * _DESCENT, type_size, BOLD))
    bottom = 0.0
    if show_time:
        lines.append(_centred_time(width, _SMALL_SIZE * _DESCENT, _SMALL_SIZE))
        bottom += _SMALL_SIZE * _LEADING
    if name:
        lines.append(_centred(name, width, bottom + type_size * _DESCENT, type_size, BOLD))
        bottom += step
    box = None
    if picture is not None:
        box = _fit(picture.width / picture.height, (0, bottom, width, top))
    elif details:
        lines += _stack(details, width, bottom, top)
    return Layout(width, height, tuple(lines), box)


def require_name_fits(size: tuple[float, float], name: str) -> None:
    """Whether a person's name, and something above it, fit this box: `box-too-small`."""
    width, height = size
    step = _fitting([name], width, BLOCK_SIZE, BOLD) * _LEADING
    _fit(1.0, (0, step, width, height))


def picture_only(size: tuple[float, float], picture: Picture) -> Layout:
    """A signature between title and name that the text already has, or a seal."""
    width, height = size
    return Layout(width, height, (), _fit(picture.width / picture.height, (0, 0, width, height), 0))


def note(texts: Sequence[str], *, show_time: bool) -> Layout:
    """A note in the corner: its own size, one line under another, the time last."""
    step = NOTE_SIZE * _LEADING
    widths = [width_of(text, NOTE_SIZE) for text in texts]
    if show_time:
        widths.append(width_of(_TIME_SAMPLE, NOTE_SIZE))
    count = len(widths)
    height = count * step + 2 * _PADDING
    width = max(widths) + 2 * _PADDING
    lines = [
        Line(
            text, _PADDING, height - _PADDING - (index + 1) * step + NOTE_SIZE * _DESCENT, NOTE_SIZE
        )
        for index, text in enumerate(texts)
    ]
    if show_time:
        lines.append(Line("", _PADDING, _PADDING + NOTE_SIZE * _DESCENT, NOTE_SIZE, time=True))
    return Layout(width, height, tuple(lines))


def _fitting(texts: Sequence[str], width: float, size: float, face: str) -> float:
    longest = max((width_of(text, 1, face) for text in texts), default=0.0)
    if longest * size <= width:
        return size
    fitting = int(10 * width / longest) / 10
    if fitting < _LEAST_SIZE:
        raise SignerError("box-too-small", width=round(width), needed=round(longest * _LEAST_SIZE))
    return fitting


def _centred(text: str, width: float, y: float, size: float, face: str) -> Line:
    return Line(text, (width - width_of(text, size, face)) / 2, y, size, face)


def _centred_time(width: float, y: float, size: float) -> Line:
    x = (width - width_of(_TIME_SAMPLE, size)) / 2
    return Line("", max(0.0, x), y, size, REGULAR, time=True)


def _stack(texts: Sequence[str], width: float, bottom: float, top: float) -> list[Line]:
    size = _fitting(texts, width, NOTE_SIZE, REGULAR)
    step = size * _LEADING
    first = (bottom + top) / 2 + step * len(texts) / 2
    return [
        _centred(text, width, first - (index + 1) * step + size * _DESCENT, size, REGULAR)
        for index, text in enumerate(texts)
    ]


def _fit(
    proportion: float, room: tuple[float, float, float, float], padding: float = _PADDING
) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = room
    width, height = x2 - x1 - 2 * padding, y2 - y1 - 2 * padding
    if width < 8 or height < 8:
        raise SignerError("box-too-small", width=round(x2 - x1), needed=12)
    drawn = min(width, height * proportion)
    tall = drawn / proportion
    left, bottom = (x1 + x2 - drawn) / 2, (y1 + y2 - tall) / 2
    return (left, bottom, left + drawn, bottom + tall)
