"""Straighten a crooked page and cut away the scanner's dark bed, without losing what is written.

    cleaned = clean_up(luma, lean, dpi=200)      # None: the page is good as it is
    better = cleaned.apply(image)                # the same steps on the colour image
    cleaned.steps                                # ("page-straightened", "page-cropped")

Both steps are cautious. A page is turned only within a few degrees, its corners are cut only where
nothing is written, and only what is dark bed is cropped: a white margin may belong to the paper.
The size on paper stays true, as the resolution does not change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from certify.pages.occupancy import ink_mask

STRAIGHT_DEGREES = 0.4
"""Less than this nobody sees, and the bytes can stay as they were scanned."""
WIDEST_DEGREES = 5.5
_LIGHT = 120
_BED_LIGHT = 0.12
"""Share of light pixels above which a margin is paper, not bed."""
_LEAST_CUT_MM = 2.0
_LEAST_PAGE = 0.12

Cut = tuple[float, float, float, float]


@dataclass(frozen=True)
class CleanUp:
    """Turn by `degrees` on the paper's own colour, then keep `cut` (shares of width and height)."""

    degrees: float
    cut: Cut | None
    steps: tuple[str, ...]
    dark: bool

    def apply(self, image: Image.Image) -> Image.Image:
        if self.degrees:
            image = _turned(image, self.degrees, dark=self.dark)
        if self.cut is not None:
            left, top, right, bottom = self.cut
            size = image.size
            image = image.crop(
                (
                    round(left * size[0]),
                    round(top * size[1]),
                    round(right * size[0]),
                    round(bottom * size[1]),
                )
            )
        return image


def clean_up(luma: Image.Image, lean: float, *, dpi: float) -> CleanUp | None:
    """What would make the page better, judged on its grey image; None when nothing would."""
    steps: list[str] = []
    dark = _has_dark_rim(luma)
    degrees = 0.0
    if STRAIGHT_DEGREES <= abs(lean) <= WIDEST_DEGREES:
        degrees = lean
        steps.append("page-straightened")
        luma = _turned(luma, degrees, dark=dark)
    cut = _page_box(luma, dpi) if dark else None
    if cut is not None:
        steps.append("page-cropped")
    return CleanUp(degrees, cut, tuple(steps), dark) if steps else None


def _turned(image: Image.Image, lean: float, *, dark: bool) -> Image.Image:
    """Upright; as large as before where the corners hold nothing, else large enough for them."""
    paper: object = 0 if image.mode == "L" else (0, 0, 0)
    if not dark:
        paper = _paper_colour(image)
    grown = image.rotate(
        -lean,
        resample=Image.Resampling.BICUBIC,
        expand=True,
        fillcolor=paper,  # type: ignore[arg-type]  # a level or a triple
    )
    left, top = (grown.width - image.width) // 2, (grown.height - image.height) // 2
    inner = (left, top, left + image.width, top + image.height)
    return grown.crop(inner if dark else _with_ink(grown, inner))


def _paper_colour(image: Image.Image) -> int | tuple[int, ...]:
    small = np.asarray(image.reduce(max(1, image.width // 200)))
    levels = np.percentile(small.reshape(-1, small.shape[2] if small.ndim == 3 else 1), 80, axis=0)
    return int(levels[0]) if small.ndim == 2 else tuple(int(level) for level in levels)


def _with_ink(image: Image.Image, inner: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The box, widened on each side as far as something is written there."""
    factor = max(1, image.width // 800)
    mask = ink_mask(np.asarray(image.convert("L").reduce(factor)))
    rows = np.flatnonzero(mask.sum(axis=1) > 1)
    columns = np.flatnonzero(mask.sum(axis=0) > 1)
    if not rows.size or not columns.size:
        return inner
    return (
        min(inner[0], int(columns[0]) * factor),
        min(inner[1], int(rows[0]) * factor),
        max(inner[2], min(image.width, int(columns[-1] + 1) * factor)),
        max(inner[3], min(image.height, int(rows[-1] + 1) * factor)),
    )


def _has_dark_rim(luma: Image.Image) -> bool:
    """Whether at least one edge of the image is dark bed over most of its length."""
    pixels = np.asarray(luma.reduce(max(1, luma.width // 400)))
    rim = max(2, pixels.shape[1] // 100)
    edges = (pixels[:rim], pixels[-rim:], pixels[:, :rim], pixels[:, -rim:])
    return any(float((edge < _LIGHT).mean()) > 1 - 2 * _BED_LIGHT for edge in edges)


def _page_box(luma: Image.Image, dpi: float) -> Cut | None:
    """The light rectangle in the dark, in shares of the image; None unless the rest is bed."""
    factor = max(1, luma.width // 600)
    light: npt.NDArray[np.bool_] = np.asarray(luma.reduce(factor)) >= _LIGHT
    rows, columns = _run(light.mean(axis=1)), _run(light.mean(axis=0))
    if rows is None or columns is None:
        return None
    height, width = light.shape
    (top, bottom), (left, right) = rows, columns
    outside = light.copy()
    outside[top:bottom, left:right] = False
    beyond = light.size - (bottom - top) * (right - left)
    if beyond == 0 or float(outside.sum()) / beyond > _BED_LIGHT:
        return None
    if (bottom - top) * (right - left) < _LEAST_PAGE * light.size:
        return None
    cuts_mm = [n * factor / dpi * 25.4 for n in (top, left, height - bottom, width - right)]
    if max(cuts_mm) < _LEAST_CUT_MM:
        return None
    return left / width, top / height, right / width, bottom / height


def _run(share: npt.NDArray[np.float64]) -> tuple[int, int] | None:
    """From the first to the last line that is paper over a good part of its length."""
    lines = np.flatnonzero(share > max(0.25 * float(share.max()), _BED_LIGHT))
    return (int(lines[0]), int(lines[-1]) + 1) if lines.size else None
