"""A handwritten signature and a seal for tests and demonstrations: drawn here, nobody's."""

from __future__ import annotations

import io
import math
from functools import cache

from PIL import Image, ImageDraw


@cache
def signature_png(width: int = 520, height: int = 240) -> bytes:
    """Blue strokes on a transparent ground."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    points = [
        (
            width * (0.06 + 0.86 * t + 0.07 * math.sin(t * 23)),
            height * (0.5 + 0.34 * math.sin(t * 17) * (1 - 0.6 * t) + 0.1 * math.cos(t * 41)),
        )
        for t in (step / 400 for step in range(401))
    ]
    draw.line(points, fill=(24, 42, 168, 255), width=7, joint="curve")
    draw.line(
        [(width * 0.1, height * 0.83), (width * 0.95, height * 0.72)],
        fill=(24, 42, 168, 235),
        width=5,
    )
    return _png(image)


@cache
def seal_png(side: int = 600) -> bytes:
    """A red ring with a star, on a transparent ground."""
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    red, middle = (205, 20, 30, 225), side / 2
    for inset, stroke in ((4, 14), (30, 4), (150, 5)):
        draw.ellipse((inset, inset, side - inset, side - inset), outline=red, width=stroke)
    star = [
        (
            middle + radius * math.sin(angle * math.pi / 5),
            middle - radius * math.cos(angle * math.pi / 5),
        )
        for angle in range(10)
        for radius in [100 if angle % 2 == 0 else 40]
    ]
    draw.polygon(star, fill=red)
    for angle in range(0, 360, 12):
        x = middle + 222 * math.cos(math.radians(angle))
        y = middle + 222 * math.sin(math.radians(angle))
        draw.rectangle((x - 9, y - 12, x + 9, y + 12), outline=red, width=4)
    return _png(image)


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
