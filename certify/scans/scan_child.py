"""The confined child that decodes scans: the life it leads, and what is said over its pipes.

It may use so much memory and processor time, writes no file, opens none once it is ready, and gets
a scan's bytes without any name. It answers page by page: measures as JSON, then the bytes that are
not the scan's own.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
from dataclasses import asdict
from typing import IO, Any

from PIL import Image

from certify.errors import CaptureRejected
from certify.scans.pdf_pages import PdfPage
from certify.scans.scan_page import Page, pages_of

LENGTHS = struct.Struct("!III")
"""Octets of the header, of the page, of its untouched scan."""
READY = b"ready"


def serve() -> None:
    """Confine itself, then answer one scan after another until the pipe closes."""
    (memory,) = map(int, sys.argv[1:])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _warm()
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    stdout.write(READY)
    stdout.flush()
    while len(head := stdin.read(LENGTHS.size)) == LENGTHS.size:
        header, length, _ = LENGTHS.unpack(head)
        asked = json.loads(stdin.read(header))
        data = stdin.read(length)
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + int(asked["cpu_seconds"]) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        _answer(stdout, asked, data)


def _answer(out: IO[bytes], asked: dict[str, Any], data: bytes) -> None:
    scan: bytes | PdfPage = data
    if asked["pdf"] is not None:
        dpi, size, drawn = asked["pdf"]
        scan = PdfPage(dpi, tuple(size), drawn, data)
    try:
        wanted = {name: asked[name] for name in ("number", "page", "most", "clean")}
        for page in pages_of(scan, **wanted):
            _send(out, data, page)
        _write(out, {"end": True})
    except CaptureRejected as refusal:
        _write(out, {"refused": refusal.code, "params": refusal.params})


def _send(out: IO[bytes], data: bytes, page: Page) -> None:
    """What begins the scan's own bytes is not sent back: the parent has it."""
    facts = asdict(page) | {"occupancy": page.occupancy.to_json()}
    own, bodies = {}, []
    for name in ("jpeg", "untouched"):
        body = facts.pop(name)
        is_own = body is not None and data.startswith(body)
        own[name] = len(body) if is_own else None
        bodies.append(b"" if body is None or is_own else body)
    _write(out, {"page": facts, "own": own}, *bodies)


def _write(out: IO[bytes], said: dict[str, Any], page: bytes = b"", untouched: bytes = b"") -> None:
    header = json.dumps(said).encode()
    out.write(LENGTHS.pack(len(header), len(page), len(untouched)) + header)
    out.write(page)
    out.write(untouched)
    out.flush()


def _warm() -> None:
    """Everything is loaded that a decoder opens when it is first used."""
    Image.init()
    for form in ("JPEG", "PNG", "TIFF"):
        out = io.BytesIO()
        Image.effect_noise((160, 160), 60).convert("RGB").save(out, form, dpi=(200, 200))
        for _page in pages_of(out.getvalue(), number=1, page=1, most=1, clean=True):
            pass
