"""QR codes in photographs, scans and PDF pages, read by zxing-cpp."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pypdfium2
import zxingcpp
from PIL import Image, UnidentifiedImageError

from certify.errors import CertifyError

_DPI = 300
_LARGEST_SIDE = 12_000
_MOST_PAGES = 20


def text_in(data: bytes, *, name: str) -> str:
    """The code with a payload if there is one, else any. Raises `CertifyError` `qr-not-found`."""
    other = None
    for picture in _pictures(data):
        for code in zxingcpp.read_barcodes(picture):
            if code.format != zxingcpp.BarcodeFormat.QRCode:
                continue
            if "#" in code.text:
                return str(code.text)
            other = other or str(code.text)
    if other is None:
        raise CertifyError("qr-not-found", name=name)
    return other


def _pictures(data: bytes) -> Iterator[Image.Image]:
    if data.startswith(b"%PDF"):
        yield from _pages(data)
        return
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if max(opened.size) <= _LARGEST_SIDE:
                yield opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return


def _pages(data: bytes) -> Iterator[Image.Image]:
    """The last page first: the statement stands there."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        return
    try:
        for number in reversed(range(min(len(document), _MOST_PAGES))):
            page = document[number]
            if max(page.get_size()) * _DPI / 72 <= _LARGEST_SIDE:
                yield page.render(scale=_DPI / 72).to_pil().convert("RGB")
    except pypdfium2.PdfiumError:
        return
    finally:
        document.close()
