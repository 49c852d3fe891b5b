"""From an uploaded file to page images: JPEG, PNG, TIFF and PDF, of whatever depth and colour.

    for scan in images(data, number=1, page=1):
        scan.image, scan.dpi, scan.jpeg      # `jpeg`: the page's own bytes where they can be used

Everything is bounded before it is decoded. CMYK, 16-bit, palette and transparent images become
ordinary RGB; what is grey stays grey, so that the caller can refuse it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageOps, ImageSequence

from certify.errors import CaptureRejected
from certify.scans.jpeg_file import plain
from certify.scans.pdf_pages import MAXIMUM_PIXELS, PdfPage

MINIMUM_DPI = 200
_ROUNDING = 0.985  # scanners that cut a sheet by a pixel or two still scan at 200 dpi
A3_LONG_MM = 420.0
A3_SHORT_MM = 304.0
SMALLEST_MM = 20.0
"""The narrowest paper that is certified: a slip of a register, half an identity card."""


@dataclass(frozen=True)
class Scan:
    """A page on its way in: its image, and its own bytes when they are a usable JPEG."""

    image: Image.Image
    dpi: float
    jpeg: bytes | None


def images(scan: bytes | PdfPage, number: int, *, page: int) -> Iterator[Scan]:
    """A file's pages, or the one that came out of a PDF; `page` is the first one's number."""
    if isinstance(scan, PdfPage):
        yield _from_pdf(scan, page)
    else:
        yield from _from_image(scan, number, page)


def _from_image(scan: bytes, number: int, page: int) -> Iterator[Scan]:
    with Image.open(io.BytesIO(scan), formats=("JPEG", "PNG", "TIFF")) as image:
        if image.width * image.height > MAXIMUM_PIXELS:
            raise CaptureRejected("scan-too-many-pixels", scan=number)
        if image.format == "JPEG" and image.mode in ("RGB", "L"):
            dpi = _dpi(image)
            require_size(image.size, dpi, page=page)
            own = plain(scan)
            upright = image if own is not None else ImageOps.exif_transpose(image) or image
            yield Scan(image if own is not None else _opaque(upright), dpi, own)
            return
        for at, frame in enumerate(ImageSequence.Iterator(image), page):
            if frame.width * frame.height > MAXIMUM_PIXELS:
                raise CaptureRejected("scan-too-many-pixels", scan=number)
            dpi = _dpi(frame)
            require_size(frame.size, dpi, page=at)
            upright = ImageOps.exif_transpose(frame) or frame
            yield Scan(_opaque(upright), dpi, None)


def _opaque(image: Image.Image) -> Image.Image:
    """Transparent parts lie on white paper; 16-bit and palette images become ordinary ones."""
    if image.mode in ("L", "RGB"):
        return image.copy()
    if image.mode in ("1", "I", "I;16", "F"):
        return image.convert("L")
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        paper = Image.new("RGB", rgba.size, "white")
        paper.paste(rgba, mask=rgba.getchannel("A"))
        return paper
    return image.convert("RGB")


def _from_pdf(found: PdfPage, page: int) -> Scan:
    require_size(found.size, found.dpi, page=page)
    if found.drawn:
        return Scan(Image.frombytes("RGB", found.size, found.data), found.dpi, None)
    image = Image.open(io.BytesIO(found.data), formats=("JPEG",))
    require_size(image.size, found.dpi, page=page)
    own = plain(found.data)
    return Scan(image if own is not None else _opaque(image), found.dpi, own)


def require_size(size: tuple[int, int], dpi: float, *, page: int) -> None:
    """A page is a sheet that people hand over the counter: from a stamp to A3.

    Asked before anything is decoded. Raises `CaptureRejected`: `scan-resolution-low`,
    `scan-page-too-large`, `scan-page-too-small`.
    """
    if not dpi >= MINIMUM_DPI * _ROUNDING:
        known = round(dpi) if math.isfinite(dpi) else 0
        raise CaptureRejected("scan-resolution-low", page=page, dpi=known, minimum=MINIMUM_DPI)
    width, height = (side / dpi * 25.4 for side in size)
    measured = {"page": page, "width": round(width), "height": round(height)}
    if max(width, height) > A3_LONG_MM * 1.02 or min(width, height) > A3_SHORT_MM:
        raise CaptureRejected("scan-page-too-large", **measured)
    if min(width, height) < SMALLEST_MM:
        raise CaptureRejected("scan-page-too-small", **measured, smallest=round(SMALLEST_MM))


def _dpi(image: Image.Image) -> float:
    """The resolution the file states; 0 when it states none, which is refused: size is unknown."""
    stated = image.info.get("dpi")
    if not stated:
        return 0.0
    horizontal, vertical = float(stated[0]), float(stated[1])
    return min(horizontal, vertical)
