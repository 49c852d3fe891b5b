"""Where things stand on the pages of a copy: scans at true size, footers and statement on blanks.

Nothing that is added ever covers what the original says (DOMAIN.md §4): a spot is found on the map
of blank places (`certify.pages.occupancy`), or a page is drawn a little smaller to make one.
Lengths are millimetres from a page's upper left corner.
"""

from __future__ import annotations

from dataclasses import dataclass

from certify.errors import CertifyError
from certify.pages.occupancy import EDGE_MM, Occupancy
from certify.pages.statement import Box

MM = 72 / 25.4
A4 = (210.0, 297.0)
MARGIN = 7.0
GAP = 5.0
HEAD = 15.0


@dataclass(frozen=True)
class Placement:
    """How a scan lies on its A4 page, in millimetres from the page's upper left corner."""

    page_mm: tuple[float, float]
    x: float
    y: float
    scale: float

    def is_free(self, grid: Occupancy, *, x: float, y: float, width: float, height: float) -> bool:
        """Whether a box of the page is blank: off the scan, or on a blank part of it.

        The scan's outermost millimetres were not looked at (`occupancy`), so they count as taken:
        a sheet smaller than the page has its frame and its last line there.
        """
        if x < 0 or y < 0 or x + width > self.page_mm[0] or y + height > self.page_mm[1]:
            return False
        left = max(0.0, (x - self.x) / self.scale)
        top = max(0.0, (y - self.y) / self.scale)
        right = min(grid.width_mm, (x + width - self.x) / self.scale)
        bottom = min(grid.height_mm, (y + height - self.y) / self.scale)
        if right <= left or bottom <= top:
            return True
        across = left >= EDGE_MM and right <= grid.width_mm - EDGE_MM
        if not across or top < EDGE_MM or bottom > grid.height_mm - EDGE_MM:
            return False
        return grid.is_free(x=left, y=top, width=right - left, height=bottom - top)


def placement(grid: Occupancy) -> Placement:
    """True size on A4, at the head of the page; lying only for what is wider than A4 is.

    A larger sheet is reduced to fit. Under a small one (a card, half a sheet) is room for the
    statement.
    """
    upright = grid.height_mm >= grid.width_mm or grid.width_mm <= A4[0] + 1
    paper = A4 if upright else (A4[1], A4[0])
    scale = min(1.0, paper[0] / grid.width_mm, paper[1] / grid.height_mm)
    x = (paper[0] - grid.width_mm * scale) / 2
    y = min((paper[1] - grid.height_mm * scale) / 2, HEAD)
    return Placement(paper, x, y, scale)


def smaller(grid: Occupancy, footer: tuple[float, float]) -> Placement:
    """The scan above a strip that is left for the footer."""
    plain = placement(grid)
    room = plain.page_mm[1] - footer[1] - MARGIN - 1.0
    scale = min(plain.scale, room / grid.height_mm)
    x = (plain.page_mm[0] - grid.width_mm * scale) / 2
    return Placement(plain.page_mm, x, 0.0, scale)


def bottom_right(page: tuple[float, float], size: tuple[float, float]) -> tuple[float, float]:
    return (page[0] - size[0] - MARGIN, page[1] - size[1] - MARGIN)


def footer_spot(
    grid: Occupancy, placed: Placement, size: tuple[float, float]
) -> tuple[float, float] | None:
    """The first blank place: along the bottom, right before left, then along the top."""
    width, height = placed.page_mm
    right, bottom = bottom_right(placed.page_mm, size)
    for y in (bottom, bottom - 4, height - size[1] - 5, MARGIN):
        for x in (right, MARGIN, (width - size[0]) / 2):
            if placed.is_free(grid, x=x, y=y, width=size[0], height=size[1]):
                return (x, y)
    return None


def statement_spot(
    grid: Occupancy,
    placed: Placement,
    block: tuple[float, float],
    footer_at: tuple[float, float],
    footer: tuple[float, float],
) -> tuple[float, float] | None:
    """The highest place below which nothing of the original stands beside or under the block."""
    page_width, page_height = placed.page_mm
    x = (page_width - block[0]) / 2
    lowest = page_height - MARGIN - block[1]
    free = []
    y = MARGIN
    while y <= lowest:
        overlaps_footer = y < footer_at[1] + footer[1] + 1 and footer_at[1] - 1 < y + block[1]
        if not overlaps_footer and placed.is_free(
            grid, x=x, y=y - 1, width=block[0], height=block[1] + 2
        ):
            free.append(y)
        y += 1.0
    if not free:
        return None
    # The lowest run of free places, begun a little below what stands above it.
    start = free[-1]
    while start - 1.0 in free:
        start -= 1.0
    return (x, min(start + GAP, free[-1]))


def on_page(spot: tuple[float, float] | None) -> tuple[float, float]:
    if spot is None:
        raise CertifyError("copy-not-assembled")
    return spot


def shifted(box: Box, x: float, y: float) -> Box:
    """A box in mm on the block → the corners in points on the page."""
    left, bottom, width, height = (value * MM for value in box)
    return (x + left, y + bottom, x + left + width, y + bottom + height)
