"""Pages of a scanner's PDF, read in a confined child: a page can ask for hours and for gigabytes.

    for page in pages(data, most=3):
        page.dpi, page.size, page.data          # a JPEG, or RGB octets where it was drawn

The child may use so much memory and processor time, cannot write a file, gets the bytes through a
pipe and no name of any. It gives a page's own JPEG when the page is that one upright image, else
the page drawn at 200 dpi.
"""

from __future__ import annotations

import io
import os
import resource
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import pypdfium2
from PIL import Image

MAXIMUM_PIXELS = 100_000_000
"""A3 at 600 dpi is 70 million."""
DRAWN_DPI = 200
_MEMORY = 1536 << 20
_SECONDS, _SECONDS_PER_PAGE = 10, 3
_FRAME = struct.Struct("!BdIII")
_FINISHED, _JPEG, _DRAWN, _TOO_LARGE = range(4)
_AT_ONCE = threading.BoundedSemaphore(2)
_ROOT = str(Path(__file__).resolve().parents[2])
_START = (
    f"import sys; sys.path.insert(0, {_ROOT!r}); from certify.scans.pdf_pages import give; give()"
)


class PdfPage(NamedTuple):
    """A page as it comes out of the child; its JPEG is still a stranger's."""

    dpi: float
    size: tuple[int, int]
    drawn: bool
    data: bytes


class TooLarge(Exception):
    """A page has more pixels than any scan of a sheet."""


def pages(data: bytes, *, most: int) -> Iterator[PdfPage]:
    """At most so many. Raises `TooLarge`; OSError when the child gave up or was stopped."""
    seconds = _SECONDS + _SECONDS_PER_PAGE * most
    with (
        _AT_ONCE,
        subprocess.Popen(  # noqa: S603 – our own interpreter and module
            [sys.executable, "-I", "-c", _START, str(most), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"},
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        late = threading.Timer(4 * seconds, child.kill)
        late.start()
        try:
            child.stdin.write(data)
            child.stdin.close()
            while (page := _received(child.stdout)) is not None:
                yield page
        finally:
            late.cancel()
            child.kill()


def _received(answer: IO[bytes]) -> PdfPage | None:
    head = answer.read(_FRAME.size)
    if len(head) < _FRAME.size:
        raise OSError("the PDF's pages could not be read")
    kind, dpi, width, height, length = _FRAME.unpack(head)
    if kind == _FINISHED:
        return None
    if kind == _TOO_LARGE:
        raise TooLarge
    if width * height > MAXIMUM_PIXELS or length > 4 * MAXIMUM_PIXELS:
        raise TooLarge
    body = answer.read(length)
    if len(body) < length:
        raise OSError("the PDF's pages could not be read")
    if kind == _DRAWN and length != 3 * width * height:
        raise OSError("the PDF's pages could not be read")
    return PdfPage(dpi, (width, height), kind == _DRAWN, body)


def give() -> None:
    """The child's whole life."""
    most, seconds = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = sys.stdout.buffer
    document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    for number, page in enumerate(document):
        if number == most:
            break
        own = _only_jpeg(page)
        if own is not None:
            dpi, size, data = own
            out.write(_FRAME.pack(_JPEG, dpi, *size, len(data)) + data)
            continue
        width, height = page.get_size()
        if width * height * (DRAWN_DPI / 72) ** 2 > MAXIMUM_PIXELS:
            out.write(_FRAME.pack(_TOO_LARGE, 0, 0, 0, 0))
            return
        image = page.render(scale=DRAWN_DPI / 72).to_pil().convert("RGB")
        pixels = image.tobytes()
        out.write(_FRAME.pack(_DRAWN, DRAWN_DPI, *image.size, len(pixels)) + pixels)
    out.write(_FRAME.pack(_FINISHED, 0, 0, 0, 0))


def _only_jpeg(page: pypdfium2.PdfPage) -> tuple[float, tuple[int, int], bytes] | None:
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
    return image.width / (matrix.a / 72), image.size, data
