"""Page by page: what each signer saw, beside what the file shows now.

Runs in the confined worker (`Pool.run` with `work: pages`). Each signed revision is drawn from
exactly the octets its signature covers, the whole file is drawn once more, and the two are compared
pixel by pixel. The pictures are for people; the verdict never depends on them.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pypdfium2 as pdfium
from PIL import Image, ImageChops, ImageDraw

from signer.verdicts.policy import load_policy
from signer.verdicts.structure import open_document
from signer.verdicts.verdict import Unreadable

_TILE = 16
_FAINT = 24
"""Differences of less than this in 255 are the drawing of edges, not of words."""
_MOST_PIXELS = 80_000_000
_MOST_REVISIONS = 20
_MOST_PAGES = 2_000
_TALLEST = 3
Box = tuple[float, float, float, float]


def draw_revisions(
    data: bytes, *, width: int, pages: Sequence[int] | None, same: int = _MOST_PAGES
) -> Mapping[str, Any]:
    """Per signature its pages as pictures with what differs now outlined, as plain JSON.

    `pages` (from 1) limits what is drawn, `same` how many pages that nothing changed on get a
    picture; boxes are shares of the page's width and height from its
    upper left corner. A file that cannot be read has no revisions.
    """
    try:
        document = open_document(data, load_policy().limits)
    except Unreadable as refusal:
        return {"revisions": [], "refused": refusal.code}
    signed = [one for one in document.signatures if one.intact and not one.is_timestamp]
    shown = _Drawing(data, width)
    found = []
    for one in signed[:_MOST_REVISIONS]:
        seen = _Drawing(data[: one.end], width)
        drawn = list(_pages(seen, shown, pages, same))
        whole = len(drawn) == seen.count or pages is not None
        found.append(
            {
                "field": one.field,
                "covered_bytes": one.end,
                "pages": seen.count,
                "complete": whole,
                "drawn": drawn,
            }
        )
        seen.close()
        if shown.budget <= 0:
            break
    complete = len(found) == len(signed) and all(bool(one["complete"]) for one in found)
    return {"revisions": found, "pages": shown.count, "complete": complete}


@dataclass
class _Drawing:
    """One state of the document; pictures are kept, the final state is drawn once."""

    data: bytes
    width: int
    budget: int = _MOST_PIXELS
    _kept: dict[int, Image.Image] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pdf = pdfium.PdfDocument(self.data)
        self._pdf.init_forms()
        self.count = len(self._pdf)

    def page(self, number: int) -> Image.Image | None:
        """The picture of a page (from 1), or None when the state has no such page."""
        if number > self.count:
            return None
        if number not in self._kept:
            page = self._pdf[number - 1]
            across, down = page.get_size()
            scale = min(self.width / max(across, 1), _TALLEST * self.width / max(down, 1))
            self._kept[number] = page.render(scale=scale).to_pil().convert("RGB")
        return self._kept[number]

    def close(self) -> None:
        self._kept.clear()
        self._pdf.close()


def _pages(
    seen: _Drawing, shown: _Drawing, pages: Sequence[int] | None, same: int
) -> Iterator[dict[str, Any]]:
    for number in pages if pages is not None else range(1, seen.count + 1):
        then = seen.page(number) if number >= 1 else None
        if then is None or shown.budget <= 0:
            continue
        shown.budget -= then.width * then.height
        now = shown.page(number)
        changed = _differences(then, now) if now is not None else [(0.0, 0.0, 1.0, 1.0)]
        row: dict[str, Any] = {"page": number, "changed": changed}
        if changed or same > 0:
            row["seen"] = _encoded(then, changed)
            same -= 0 if changed else 1
        if changed and now is not None:
            row["shown"] = _encoded(now, changed)
        yield row


def _differences(then: Image.Image, now: Image.Image) -> list[Box]:
    """Where the two differ: tiles joined along their rows, as shares of the page."""
    if then.size != now.size:
        return [(0.0, 0.0, 1.0, 1.0)]
    grey = ImageChops.difference(then, now).convert("L").point(lambda one: 255 * (one > _FAINT))
    if grey.getbbox() is None:
        return []
    width, height = grey.size
    found: list[list[int]] = []
    for top in range(0, height, _TILE):
        strip = grey.crop((0, top, width, min(top + _TILE, height)))
        box = strip.getbbox()
        if box is None:
            continue
        left, right, bottom = box[0], box[2], min(top + _TILE, height)
        last = found[-1] if found else None
        if last is not None and last[3] == top and left <= last[2] and right >= last[0]:
            last[0], last[2], last[3] = min(left, last[0]), max(right, last[2]), bottom
        else:
            found.append([left, top, right, bottom])
    return [
        (
            round(left / width, 4),
            round(top / height, 4),
            round((right - left) / width, 4),
            round((bottom - top) / height, 4),
        )
        for left, top, right, bottom in found
    ]


def _encoded(picture: Image.Image, changed: list[Box]) -> str:
    """A small PNG, what differs outlined in red."""
    out, marked = io.BytesIO(), picture.copy()
    pen, (width, height) = ImageDraw.Draw(marked), picture.size
    for left, top, across, down in changed:
        corner = (left * width - 2, top * height - 2)
        pen.rectangle(
            (corner, ((left + across) * width + 1, (top + down) * height + 1)),
            outline=(190, 20, 30),
            width=2,
        )
    marked.quantize(64).save(out, "PNG", optimize=False)
    return base64.b64encode(out.getvalue()).decode()
