"""What a scan must be before it may stand for the original: checked, and kept byte for byte.

    pages = read_scans([jpeg_bytes, …])
    pages[0].warnings            # ("page-skewed",), shown to the official, who decides

DOMAIN.md §4 *Capture*: colour, at least 200 dpi, true size, as many pages as the original was
declared to have. What breaks that is refused; skew, blur and blank pages are only warned of. A
JPEG's bytes are kept as they are: decoding and encoding again would change what was captured.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pypdfium2
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from certify.errors import CaptureRejected
from certify.occupancy import Occupancy, ink_mask, occupancy

MINIMUM_DPI = 200
_ROUNDING = 0.985  # scanners that cut a sheet by a pixel or two still scan at 200 dpi
MAXIMUM_SCAN_BYTES = 40 * 1024 * 1024
MAXIMUM_PIXELS = 120_000_000
MAXIMUM_PAGES = 1000
A4_MM = (210.0, 297.0)
A3_LONG_MM = 420.0
SKEW_DEGREES = 1.0
BLUR_LIMIT = 60.0
BLANK_INK = 0.0015
_REENCODED_QUALITY = 90
_PDF_DPI = 200
_DAMAGED = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    SyntaxError,
    pypdfium2.PdfiumError,
    Image.DecompressionBombError,
)
"""What the decoders raise for a file that is not, or no longer, an image."""


@dataclass(frozen=True)
class Page:
    """One captured page: the JPEG that goes into the copy, and what was measured on it."""

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

    def to_json(self, number: int) -> dict[str, object]:
        """What a capture's row keeps of the page (the image itself is a blob)."""
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
        }


def read_scans(scans: Sequence[bytes], *, declared_pages: int) -> list[Page]:
    """Every page of every scan, in order (PDF and TIFF may hold several).

    Raises `CaptureRejected`: `scan-unreadable`, `scan-too-large`, `scan-resolution-low`,
    `scan-not-colour`, `scan-page-too-large`, `scan-page-count`, each naming the page.
    """
    pages: list[Page] = []
    for number, scan in enumerate(scans, 1):
        if len(scan) > MAXIMUM_SCAN_BYTES:
            raise CaptureRejected("scan-too-large", scan=number, limit=MAXIMUM_SCAN_BYTES)
        try:
            for image in _images(scan, number):
                pages.append(_page(image, len(pages) + 1))
                if len(pages) > MAXIMUM_PAGES:
                    break
        except _DAMAGED as error:
            raise CaptureRejected("scan-unreadable", scan=number) from error
    if len(pages) != declared_pages:
        raise CaptureRejected("scan-page-count", declared=declared_pages, found=len(pages))
    return pages


@dataclass(frozen=True)
class _Scan:
    """A page on its way in: its image, and its own bytes when they are a usable JPEG."""

    image: Image.Image
    dpi: float
    jpeg: bytes | None


def _images(scan: bytes, number: int) -> Iterator[_Scan]:
    if scan.startswith(b"%PDF-"):
        yield from _from_pdf(scan)
    else:
        yield from _from_image(scan, number)


def _from_image(scan: bytes, number: int) -> Iterator[_Scan]:
    with Image.open(io.BytesIO(scan), formats=("JPEG", "PNG", "TIFF")) as image:
        if image.width * image.height > MAXIMUM_PIXELS:
            raise CaptureRejected("scan-too-large", scan=number, limit=MAXIMUM_PIXELS)
        if image.format == "JPEG" and image.mode in ("RGB", "L"):
            yield _Scan(image, _dpi(image), scan)
            return
        for frame in ImageSequence.Iterator(image):
            if frame.width * frame.height > MAXIMUM_PIXELS:
                raise CaptureRejected("scan-too-large", scan=number, limit=MAXIMUM_PIXELS)
            dpi = _dpi(frame)
            upright = ImageOps.exif_transpose(frame) or frame
            yield _Scan(_opaque(upright), dpi, None)


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


def _from_pdf(scan: bytes) -> Iterator[_Scan]:
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
            yield _Scan(image, float(_PDF_DPI), None)
    finally:
        document.close()


def _only_jpeg(page: pypdfium2.PdfPage) -> _Scan | None:
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
    return _Scan(image, image.width / (matrix.a / 72), data)


def _dpi(image: Image.Image) -> float:
    """The resolution the file states; 0 when it states none, which is refused: size is unknown."""
    stated = image.info.get("dpi")
    if not stated:
        return 0.0
    horizontal, vertical = float(stated[0]), float(stated[1])
    return min(horizontal, vertical)


def _page(scan: _Scan, number: int) -> Page:
    if scan.dpi < MINIMUM_DPI * _ROUNDING:
        raise CaptureRejected(
            "scan-resolution-low", page=number, dpi=round(scan.dpi), minimum=MINIMUM_DPI
        )
    jpeg, orientation = scan.jpeg, 1
    if jpeg is not None:
        orientation = int(scan.image.getexif().get(0x0112, 1) or 1)
        if orientation not in (1, 3, 6, 8):  # mirrored: no scanner does that; draw it upright
            jpeg = None
    image = scan.image
    if image.mode != "RGB":
        raise CaptureRejected("scan-not-colour", page=number)
    kept = jpeg is not None
    if jpeg is None:
        image = ImageOps.exif_transpose(image) or image
        orientation = 1
        out = io.BytesIO()
        image.save(out, "JPEG", quality=_REENCODED_QUALITY, dpi=(scan.dpi, scan.dpi))
        jpeg = out.getvalue()
    grey = _grey(jpeg) if kept else image.convert("L")
    turn = {3: 180, 6: 270, 8: 90}.get(orientation)
    if turn:
        grey = grey.rotate(turn, expand=True)
    width, height = image.size if orientation in (1, 3) else (image.height, image.width)
    width_mm, height_mm = width / scan.dpi * 25.4, height / scan.dpi * 25.4
    if max(width_mm, height_mm) > A3_LONG_MM * 1.02 or min(width_mm, height_mm) > 304:
        raise CaptureRejected(
            "scan-page-too-large", page=number, width=round(width_mm), height=round(height_mm)
        )
    grid = occupancy(grey, width_mm=width_mm, height_mm=height_mm)
    blank = grid.ink < BLANK_INK
    skew, sharpness = (0.0, BLUR_LIMIT) if blank else (_skew(grey), _sharpness(grey))
    warnings = []
    if blank:
        warnings.append("page-blank")
    else:
        if abs(skew) > SKEW_DEGREES:
            warnings.append("page-skewed")
        if sharpness < BLUR_LIMIT:
            warnings.append("page-blurred")
    return Page(
        jpeg=jpeg,
        digest=hashlib.sha256(jpeg).hexdigest(),
        width=image.width,
        height=image.height,
        dpi=scan.dpi,
        components=3,
        orientation=orientation,
        kept_bytes=kept,
        skew=skew,
        sharpness=sharpness,
        occupancy=grid,
        warnings=tuple(warnings),
    )


def _grey(jpeg: bytes) -> Image.Image:
    """Luma only, straight from the decoder; also proves that every byte of the scan decodes."""
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        image.draft("L", image.size)
        return image.convert("L")


def _skew(grey: Image.Image) -> float:
    """Degrees by which lines of text lean: the turn that makes row sums most uneven."""
    small = grey.resize(
        (min(600, grey.width), max(1, grey.height * min(600, grey.width) // grey.width))
    )
    ink = Image.fromarray((ink_mask(np.asarray(small)) * 255).astype(np.uint8))

    def unevenness(angle: float) -> float:
        rows = np.asarray(ink.rotate(angle), dtype=np.float32).sum(axis=1)
        return float(np.square(np.diff(rows)).sum())

    coarse = max(np.arange(-4.0, 4.01, 0.5), key=unevenness)
    fine = max(np.arange(coarse - 0.4, coarse + 0.41, 0.1), key=unevenness)
    return -float(fine)


def _sharpness(grey: Image.Image) -> float:
    """Variance of the Laplacian near ink: low when the lens or the hand was not still."""
    box = min(grey.width, 1600), min(grey.height, 2400)
    pixels = np.asarray(grey.crop((0, 0, *box)), dtype=np.float32)
    centre = pixels[1:-1, 1:-1]
    laplacian = (
        pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:] - 4 * centre
    )
    near: npt.NDArray[np.bool_] = np.abs(laplacian) > 12
    if int(near.sum()) < 500:
        return BLUR_LIMIT * 2
    return float(np.percentile(np.abs(laplacian[near]), 95))
