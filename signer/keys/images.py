"""Pictures of handwritten signatures and seals: checked when they come in, made ready for a PDF.

Decree 30/2020 annex I: PNG with a transparent ground, a signature blue, a seal red. What passes
here is drawn; nothing else ever is.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass, field
from functools import cached_property

from PIL import Image, UnidentifiedImageError

from signer.errors import ImageRefused

_MOST_BYTES = 4 << 20
_SMALLEST, _LARGEST = 80, 4_000
_DRAWN_PIXELS = 640
"""Enough for 400 dpi at the size of a seal; more only makes every signed file bigger."""
_INKS = 32
_SEEN = 96
_LEAST_TRANSPARENT = 0.2
_LEAST_DRAWN = 0.005
_CLEARLY = 24


@dataclass(frozen=True)
class Picture:
    """A checked picture without its empty margins. `name` is the digest of the PNG.

    Ink has few colours: pixels are indices into a palette, which makes files a third as large.
    """

    name: str
    width: int
    height: int
    palette: bytes = field(repr=False)
    indices: bytes = field(repr=False)
    alpha: bytes = field(repr=False)

    @cached_property
    def index_stream(self) -> bytes:
        return zlib.compress(self.indices, 9)

    @cached_property
    def alpha_stream(self) -> bytes:
        return zlib.compress(self.alpha, 9)

    @cached_property
    def stencil_stream(self) -> bytes:
        """One bit per pixel, 1 where nothing is painted (ISO 32000-1 §8.9.6.3): no transparency."""
        mask = Image.frombytes("L", (self.width, self.height), self.alpha)
        bits = mask.point(lambda value: 0 if value >= _SEEN else 255).convert(
            "1", dither=Image.Dither.NONE
        )
        return zlib.compress(bits.tobytes(), 9)


def check(png: bytes, kind: str) -> Picture:
    """The picture if it may serve as a `signature` (blue) or a `seal` (red, round).

    Raises ImageRefused: `image-too-large`, `image-not-png`, `image-size`, `image-not-transparent`,
    `image-empty`, `image-not-blue`, `image-not-red`, `image-not-round`.
    """
    image = _opened(png)
    width, height = image.size
    alpha = image.getchannel("A")
    histogram = alpha.histogram()
    pixels = width * height
    if sum(histogram[:16]) < _LEAST_TRANSPARENT * pixels:
        raise ImageRefused("image-not-transparent")
    if sum(histogram[_SEEN:]) < _LEAST_DRAWN * pixels:
        raise ImageRefused("image-empty")
    red, green, blue = _mean_colour(image)
    if kind == "signature" and not blue > red + _CLEARLY:
        raise ImageRefused("image-not-blue")
    if kind == "seal" and not red > max(green, blue) + _CLEARLY:
        raise ImageRefused("image-not-red")
    picture = _ready(image, hashlib.sha256(png).hexdigest())
    if kind == "seal" and not 0.85 < picture.width / picture.height < 1.18:
        raise ImageRefused("image-not-round")
    return picture


def _opened(png: bytes) -> Image.Image:
    if len(png) > _MOST_BYTES:
        raise ImageRefused("image-too-large", limit_mb=_MOST_BYTES >> 20)
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if not all(_SMALLEST <= side <= _LARGEST for side in image.size):
                raise ImageRefused("image-size", smallest=_SMALLEST, largest=_LARGEST)
            if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
                raise ImageRefused("image-not-transparent")
            return image.convert("RGBA")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise ImageRefused("image-not-png") from None


def _mean_colour(image: Image.Image) -> tuple[float, float, float]:
    """Of what is seen: a thumbnail is enough, weighted by alpha."""
    small = image.resize((64, 64), Image.Resampling.BOX)
    seen = [pixel for pixel in zip(*[iter(small.tobytes())] * 4, strict=True) if pixel[3] >= 32]
    if not seen:
        raise ImageRefused("image-empty")
    weight = sum(pixel[3] for pixel in seen)
    red, green, blue = (sum(p[i] * p[3] for p in seen) / weight for i in range(3))
    return red, green, blue


def _ready(image: Image.Image, name: str) -> Picture:
    box = image.getchannel("A").point(lambda value: 255 if value >= _SEEN // 2 else 0).getbbox()
    image = image.crop(box) if box is not None else image
    scale = _DRAWN_PIXELS / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    red, green, blue, alpha = image.split()
    rgb = Image.merge("RGB", (red, green, blue))
    # Colour under fully transparent pixels is noise that only costs bytes.
    empty = alpha.point(lambda value: 255 if value == 0 else 0)
    rgb.paste((255, 255, 255), mask=empty)
    inks = rgb.quantize(_INKS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = bytes(inks.getpalette("RGB") or ())[: 3 * _INKS]
    return Picture(name, image.width, image.height, palette, inks.tobytes(), alpha.tobytes())
