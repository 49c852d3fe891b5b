"""Boxes on a page: in its own space, and as it is shown (ISO 32000-1 §8.3.2.3, table 30 /Rotate).

Points; lower left and upper right corner.
"""

from __future__ import annotations

from collections.abc import Sequence

Box = tuple[float, float, float, float]
TOUCHING = 1.0
"""Points squared that two boxes may share and still only touch."""


def meet(one: Box, other: Box) -> bool:
    """Whether two boxes share more than an edge."""
    return common(one, other) > TOUCHING


def common(one: Box, other: Box) -> float:
    """The area two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    along = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, along)


def union(boxes: Sequence[Box]) -> Box:
    """The least box around all."""
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    return (min(lefts), min(bottoms), max(rights), max(tops))


def shown_size(crop: Box, rotation: int) -> tuple[float, float]:
    """Width and height of a page as it is shown."""
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    return (height, width) if rotation in (90, 270) else (width, height)


def to_page(box: Box, crop: Box, rotation: int) -> Box:
    """A rectangle as it is shown, in the page's own space."""
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
