"""From an uploaded file to page images: JPEG, PNG, TIFF and PDF, of whatever depth and colour.

    for scan in images(data, number=1):
        scan.image, scan.dpi, scan.jpeg      # `jpeg`: the page's own bytes where they can be used

Everything is bounded before it is decoded. CMYK, 16-bit, palette and transparent images become
ordinary RGB; what is grey stays grey, so that the caller can refuse it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2
from PIL import Image, ImageOps, ImageSequence

from certify.errors import CaptureRejected

MAXIMUM_PIXELS = 100_000_000
"""A3 at 600 dpi is 70 million."""
_PDF_DPI = 200


@dataclass(frozen=True)
class Scan:
    """A page on its way in: its image, and its own bytes when they are a usable JPEG."""

    image: Image.Image
    dpi: float
    jpeg: bytes | None


def images(scan: bytes, number: int) -> Iterator[Scan]:
    if scan.startswith(b"%PDF-"):
        yield from _from_pdf(scan)
    else:
        yield from _from_image(scan, number)


def _from_image(scan: bytes, number: int) -> Iterator[Scan]:
    with Image.open(io.BytesIO(scan), formats=("JPEG", "PNG", "TIFF")) as image:
        if image.width * image.height > MAXIMUM_PIXELS:
            raise CaptureRejected("scan-too-large", scan=number, limit=MAXIMUM_PIXELS)
        if image.format == "JPEG" and image.mode in ("RGB", "L"):
            yield Scan(image, _dpi(image), scan)
            return
        for frame in ImageSequence.Iterator(image):
            if frame.width * frame.height > MAXIMUM_PIXELS:
                raise CaptureRejected("scan-too-large", scan=number, limit=MAXIMUM_PIXELS)
            dpi = _dpi(frame)
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


def _from_pdf(scan: bytes) -> Iterator[Scan]:
    """Pages of a scanner's PDF: its own JPEG when a page is one upright image, else drawn."""
    document = pypdfium2.PdfDocument(scan)
    try:
        for page in document:
            embedded = _only_jpeg(page)
            if embedded is not None:
                yield embedded
                continue
            width, height = page.get_size()
            if width * height * (_PDF_DPI / 72) ** 2 > MAXIMUM_PIXELS:
                raise CaptureRejected("scan-too-large", scan=1, limit=MAXIMUM_PIXELS)
            image = page.render(scale=_PDF_DPI / 72).to_pil().convert("RGB")
            yield Scan(image, float(_PDF_DPI), None)
    finally:
        document.close()


def _only_jpeg(page: pypdfium2.PdfPage) -> Scan | None:
    objects = list(page.get_objects(max_depth=1))
    if len(objects) != 1 or not isinstance(objects[0], pypdfium2.PdfImage):
        return None
    found = objects[0]
    matrix = found.get_matrix()
    if page.get_rotation() or abs(matrix.b) > 1e-3 or abs(matrix.c) > 1e-3:
        return None
    if matrix.a <= 0 or matrix.d <= 0 or found.get_filters() != ["DCTDecode"]:
        return None
    data = bytes(found.get_data())
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    if image.mode not in ("RGB", "L") or image.width * image.height > MAXIMUM_PIXELS:
        return None
    return Scan(image, image.width / (matrix.a / 72), data)


def _dpi(image: Image.Image) -> float:
    """The resolution the file states; 0 when it states none, which is refused: size is unknown."""
    stated = image.info.get("dpi")
    if not stated:
        return 0.0
    horizontal, vertical = float(stated[0]), float(stated[1])
    return min(horizontal, vertical)
