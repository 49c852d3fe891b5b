"""Pages of a PDF as pictures, for people to read before they sign: drawn in a confined child.

    picture = page_image(data, page=1)          # PNG or JPEG bytes

The file may be a stranger's. A process of its own draws one page and ends: it may use so much
memory and processor time, cannot write a file, gets the bytes through a pipe and no name of any.
"""

from __future__ import annotations

import io
import os
import resource
import struct
import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from signer.errors import DocumentRefused

WIDTH = 1100
"""Pixels across: readable on a desk's screen, sharp on a telephone's."""
_TALLEST = 4 * WIDTH
_SECONDS = 20
_CPU_SECONDS = 10
_MEMORY = 1536 << 20
_LARGEST_PNG = 600_000
_LARGEST = 16 << 20
_AT_ONCE = threading.BoundedSemaphore(2)
_KEPT_BYTES = 48 << 20
_HEADER = struct.Struct("!I")
_ROOT = str(Path(__file__).resolve().parents[2])
_START = (
    f"import sys; sys.path.insert(0, {_ROOT!r}); from signer.pdf.page_images import draw; draw()"
)


def page_image(data: bytes, *, page: int, width: int = WIDTH) -> bytes:
    """One page (from 1). Raises DocumentRefused `page-not-shown` when it cannot be drawn."""
    with _AT_ONCE:
        try:
            child = subprocess.run(  # noqa: S603 – our own interpreter and module
                [sys.executable, "-I", "-c", _START],
                input=_HEADER.pack(page) + _HEADER.pack(width) + data,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"},
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DocumentRefused("page-not-shown", page=page) from None
    if child.returncode != 0 or not 0 < len(child.stdout) <= _LARGEST:
        raise DocumentRefused("page-not-shown", page=page)
    return child.stdout


def media_type(picture: bytes) -> str:
    """PNG for text, JPEG for scans."""
    return "image/png" if picture.startswith(b"\x89PNG") else "image/jpeg"


@dataclass
class PageShelf:
    """The pages looked at last, by digest of their file: turning back costs nothing."""

    limit: int = _KEPT_BYTES
    _held: int = 0
    _kept: OrderedDict[tuple[str, int], bytes] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, digest: str, page: int) -> bytes | None:
        with self._lock:
            picture = self._kept.get((digest, page))
            if picture is not None:
                self._kept.move_to_end((digest, page))
            return picture

    def keep(self, digest: str, page: int, picture: bytes) -> None:
        with self._lock:
            self._held += len(picture) - len(self._kept.pop((digest, page), b""))
            self._kept[digest, page] = picture
            while self._held > self.limit:
                self._held -= len(self._kept.popitem(last=False)[1])


def draw() -> None:
    """The child's whole life."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    received = sys.stdin.buffer.read()
    number = _HEADER.unpack_from(received)[0]
    width = _HEADER.unpack_from(received, _HEADER.size)[0]
    sys.stdout.buffer.write(_drawn(received[2 * _HEADER.size :], number, width))


def _drawn(data: bytes, number: int, width: int) -> bytes:
    import pypdfium2 as pdfium

    pdf = pdfium.PdfDocument(data)
    pdf.init_forms()
    page = pdf[number - 1]
    across, down = page.get_size()
    scale = min(width / max(across, 1), _TALLEST / max(down, 1))
    image = page.render(scale=scale).to_pil().convert("RGB")
    png = io.BytesIO()
    image.save(png, "PNG")
    if png.tell() <= _LARGEST_PNG:
        return png.getvalue()
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=85)
    return jpeg.getvalue()
