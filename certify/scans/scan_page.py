"""A scan becomes a page: measured, warned of, cleaned up where that is safe.

    for page in pages_of(data, number=1, page=1, most=3, clean=True):
        page.warnings            # ("page-straightened",), shown to the official, who decides

Decoders read a stranger's bytes here, so this runs in a confined child (`scan_child`); what comes
out is bytes and measures. A straight page's JPEG bytes are kept as they are. One that lies crooked
or on a dark bed is cleaned up, and the untouched scan is kept beside it as evidence
(docs/decisions/0403).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from certify.errors import CaptureRejected
from certify.pages.occupancy import Occupancy, occupancy
from certify.scans import scan_reading
from certify.scans.cleaning import clean_up
from certify.scans.pdf_pages import PdfPage
from certify.scans.scan_measures import BLUR_LIMIT, grey, is_colourless, sharpness, skew
from certify.scans.scan_reading import Scan, require_size

SKEW_DEGREES = 1.0
BLANK_INK = 0.0015
_REENCODED_QUALITY = 90
_TURNS = {3: 180, 6: 270, 8: 90}
_DAMAGED = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    SyntaxError,
    ArithmeticError,
    MemoryError,
)
"""What the decoders raise for a file that is not, or no longer, an image."""


@dataclass(frozen=True)
class Page:
    """One captured page: the JPEG that goes into the copy, and what was measured on it.

    `untouched` is the page as it was scanned, where `jpeg` is not that: cleaned up (`cleaning`
    says how) or of another kind than JPEG.
    """

    jpeg: bytes
    digest: str
    width: int
    height: int
    dpi: float
    components: int
    orientation: int
    kept_bytes: bool
    skew: float
    sharpness: float
    occupancy: Occupancy
    warnings: tuple[str, ...]
    cleaning: tuple[str, ...] = ()
    untouched: bytes | None = None

    def to_json(self, number: int) -> dict[str, object]:
        """What a capture's row keeps of the page (the image itself is a blob)."""
        untouched = self.untouched
        return {
            "number": number,
            "digest": self.digest,
            "bytes": len(self.jpeg),
            "width": self.width,
            "height": self.height,
            "dpi": round(self.dpi, 1),
            "components": self.components,
            "orientation": self.orientation,
            "kept_bytes": self.kept_bytes,
            "skew": round(self.skew, 2),
            "sharpness": round(self.sharpness, 1),
            "ink": round(self.occupancy.ink, 5),
            "occupancy": self.occupancy.to_json(),
            "warnings": list(self.warnings),
            "cleaning": list(self.cleaning),
            "untouched": None if untouched is None else hashlib.sha256(untouched).hexdigest(),
        }


def pages_of(
    scan: bytes | PdfPage, *, number: int, page: int, most: int, clean: bool
) -> Iterator[Page]:
    """The pages of one image file, or one page that came out of a PDF; `page` is the first one's
    number, `most` how many are looked at.

    Raises `CaptureRejected`, also for whatever a decoder says of a damaged file.
    """
    try:
        for at, image in enumerate(scan_reading.images(scan, number, page=page), page):
            yield measured(image, at, clean=clean)
            if at + 1 - page >= most:
                return
    except Image.DecompressionBombError as error:
        raise CaptureRejected("scan-too-many-pixels", scan=number) from error
    except _DAMAGED as error:
        raise CaptureRejected("scan-unreadable", scan=number) from error


def measured(scan: Scan, number: int, *, clean: bool) -> Page:
    """The page of this number. Raises `CaptureRejected` for what cannot become one."""
    if scan.image.mode != "RGB":
        raise CaptureRejected("scan-not-colour", page=number)
    jpeg, orientation = scan.jpeg, 1
    if jpeg is not None:
        orientation = int(scan.image.getexif().get(0x0112, 1) or 1)
        if orientation not in (1, *_TURNS):  # mirrored: no scanner does that; draw it upright
            jpeg = None
    upright = None if jpeg is not None else ImageOps.exif_transpose(scan.image) or scan.image
    luma = _upright_luma(jpeg, orientation) if jpeg is not None else _converted(upright)
    lean = skew(luma)
    cleaned = clean_up(luma, lean, dpi=scan.dpi) if clean else None
    steps: tuple[str, ...] = ()
    if cleaned is not None:
        upright = cleaned.apply(upright or ImageOps.exif_transpose(scan.image) or scan.image)
        steps, luma, jpeg = cleaned.steps, _converted(upright), None
        lean = skew(luma)
    kept = jpeg is not None
    if upright is not None:
        jpeg, orientation = _encoded(upright, scan.dpi), 1
    assert jpeg is not None
    image = upright if upright is not None else scan.image
    width_mm, height_mm = (side / scan.dpi * 25.4 for side in luma.size)
    require_size(luma.size, scan.dpi, page=number)
    grid = occupancy(luma, width_mm=width_mm, height_mm=height_mm)
    blank = grid.ink < BLANK_INK
    lean, sharp = (0.0, BLUR_LIMIT) if blank else (lean, sharpness(luma))
    return Page(
        jpeg=jpeg,
        digest=hashlib.sha256(jpeg).hexdigest(),
        width=image.width,
        height=image.height,
        dpi=scan.dpi,
        components=3,
        orientation=orientation,
        kept_bytes=kept,
        skew=lean,
        sharpness=sharp,
        occupancy=grid,
        warnings=steps + _warnings(image, blank=blank, lean=lean, sharp=sharp),
        cleaning=steps,
        untouched=None if kept else _untouched(scan),
    )


def _warnings(image: Image.Image, *, blank: bool, lean: float, sharp: float) -> tuple[str, ...]:
    if blank:
        return ("page-blank",)
    found = {
        "page-skewed": abs(lean) > SKEW_DEGREES,
        "page-blurred": sharp < BLUR_LIMIT,
        "page-colourless": is_colourless(image),
    }
    return tuple(name for name, holds in found.items() if holds)


def _upright_luma(jpeg: bytes, orientation: int) -> Image.Image:
    luma = grey(jpeg)
    turn = _TURNS.get(orientation)
    return luma.rotate(turn, expand=True) if turn else luma


def _converted(image: Image.Image | None) -> Image.Image:
    assert image is not None
    return image.convert("L")


def _encoded(image: Image.Image, dpi: float) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_REENCODED_QUALITY, dpi=(dpi, dpi))
    return out.getvalue()


def _untouched(scan: Scan) -> bytes:
    """The page before clean-up: its own bytes, or without loss where the file held several."""
    if scan.jpeg is not None:
        return scan.jpeg
    out = io.BytesIO()
    scan.image.save(out, "PNG", dpi=(scan.dpi, scan.dpi))
    return out.getvalue()
