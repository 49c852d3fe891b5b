"""What is measured on a page image: lean, sharpness, colour.

Measures only say; what follows from them is decided in `certify.scans.capture` and
`certify.scans.cleaning`.
"""

from __future__ import annotations

import io
import itertools

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from certify.pages.occupancy import ink_mask

BLUR_LIMIT = 60.0
WIDEST = 6.0
"""Degrees of lean that are looked for; what leans more is scanned again."""


def grey(jpeg: bytes) -> Image.Image:
    """Luma only, straight from the decoder; also proves that every byte of the scan decodes."""
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        image.draft("L", image.size)
        return image.convert("L")


def skew(luma: Image.Image) -> float:
    """Degrees by which lines of text lean: the turn that makes row sums most uneven."""
    small = luma.resize(
        (min(600, luma.width), max(1, luma.height * min(600, luma.width) // luma.width))
    )
    ink = Image.fromarray((ink_mask(np.asarray(small)) * 255).astype(np.uint8))

    def unevenness(angle: float) -> float:
        rows = np.asarray(ink.rotate(angle), dtype=np.float32).sum(axis=1)
        return float(np.square(np.diff(rows)).sum())

    coarse = max(np.arange(-WIDEST, WIDEST + 0.01, 0.5), key=unevenness)
    fine = max(np.arange(coarse - 0.4, coarse + 0.41, 0.1), key=unevenness)
    return -float(fine)


def sharpness(luma: Image.Image) -> float:
    """Variance of the Laplacian near ink: low when the lens or the hand was not still."""
    box = min(luma.width, 1600), min(luma.height, 2400)
    pixels = np.asarray(luma.crop((0, 0, *box)), dtype=np.float32)
    centre = pixels[1:-1, 1:-1]
    laplacian = (
        pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:] - 4 * centre
    )
    near: npt.NDArray[np.bool_] = np.abs(laplacian) > 12
    if int(near.sum()) < 500:
        return BLUR_LIMIT * 2
    return float(np.percentile(np.abs(laplacian[near]), 95))


def is_colourless(image: Image.Image) -> bool:
    """Whether red, green and blue are the same everywhere: a grey scan saved as a colour one.

    A scanner set to colour never gives that, its three sensors differ by noise.
    """
    bands = image.reduce(max(1, image.width // 800)).split()
    return all(
        int(np.asarray(ImageChops.difference(one, other)).max()) <= 1
        for one, other in itertools.combinations(bands, 2)
    )
