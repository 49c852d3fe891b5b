"""Children that decode scans, kept warm: a stranger's image never meets a decoder in this process.

    pages = shared_pool().pages(data, number=1, page=1, most=3, clean=True)

A child that dies, hangs or says nonsense costs that scan `scan-unreadable` and nothing else: the
next one gets a new child. So does a damaged file, because whatever it did to its decoder ends with
it; a good child is replaced after a number of scans.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certify.errors import CaptureRejected
from certify.pages.occupancy import Occupancy
from certify.scans.pdf_pages import MAXIMUM_PIXELS, PdfPage
from certify.scans.scan_child import LENGTHS, READY
from certify.scans.scan_page import Page

_ROOT = str(Path(__file__).resolve().parents[2])
_START = (
    f"import sys; sys.path.insert(0, {_ROOT!r}); "
    "from certify.scans.scan_child import serve; serve()"
)
_LARGEST_HEADER = 1 << 20
_MOST_CHILDREN = 2


@dataclass(frozen=True)
class Confinement:
    """What a child may use for one scan, and how many scans it lives."""

    memory: int = 2 << 30
    cpu_seconds: int = 20
    cpu_seconds_per_page: int = 10
    clock_factor: float = 2.0
    start_seconds: float = 60.0
    scans: int = 200


class _Dead(Exception):
    """The child ended, did not answer in time, or said what no child of ours says."""


class _Child:
    """One process; used by one thread at a time."""

    def __init__(self, confinement: Confinement) -> None:
        self.left = confinement.scans
        self._confinement = confinement
        self._ready = False
        self.process = subprocess.Popen(  # noqa: S603 – our own interpreter and module
            [sys.executable, "-I", "-c", _START, str(confinement.memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                "PATH": os.environ.get("PATH", ""),
                "LANG": "C.UTF-8",
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            },
        )

    def ask(self, asked: dict[str, Any], data: bytes) -> list[Page]:
        """The pages. Raises `CaptureRejected`, or `_Dead`."""
        self.left -= 1
        limits = self._confinement
        if not self._ready:
            with self._stopped_after(limits.start_seconds):
                if self._read(len(READY)) != READY:
                    raise _Dead
            self._ready = True
        cpu = limits.cpu_seconds + limits.cpu_seconds_per_page * int(asked["most"])
        with self._stopped_after(limits.clock_factor * cpu):
            self._send(json.dumps(asked | {"cpu_seconds": cpu}).encode(), data)
            pages: list[Page] = []
            while len(pages) <= int(asked["most"]):
                lengths = LENGTHS.unpack(self._read(LENGTHS.size))
                if lengths[0] > _LARGEST_HEADER or max(lengths[1:]) > 4 * MAXIMUM_PIXELS:
                    raise _Dead
                said = json.loads(self._read(lengths[0]))
                bodies = [self._read(length) for length in lengths[1:]]
                if "refused" in said:
                    raise CaptureRejected(str(said["refused"]), **said["params"])
                if "end" in said:
                    return pages
                pages.append(_page(said, data, bodies))
        raise _Dead

    def _send(self, header: bytes, data: bytes) -> None:
        stdin = self.process.stdin
        assert stdin is not None
        try:
            stdin.write(LENGTHS.pack(len(header), len(data), 0) + header)
            stdin.write(data)
            stdin.flush()
        except OSError:
            raise _Dead from None

    def _read(self, size: int) -> bytes:
        stdout = self.process.stdout
        assert stdout is not None
        found = stdout.read(size)
        if len(found) < size:
            raise _Dead
        return found

    @contextlib.contextmanager
    def _stopped_after(self, seconds: float) -> Iterator[None]:
        """A child that is not done by then is killed, whichever pipe we wait at."""
        late = threading.Timer(seconds, self.process.kill)
        late.daemon = True
        late.start()
        try:
            yield
        finally:
            late.cancel()

    @property
    def alive(self) -> bool:
        return self.left > 0 and self.process.poll() is None

    def end(self) -> None:
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self.process.wait()


class Pool:
    """A few warm children; `pages` waits for a free one."""

    def __init__(self, size: int, confinement: Confinement | None = None) -> None:
        self._confinement = confinement or Confinement()
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _each in range(size):
            self._free.put(None)

    def pages(
        self, scan: bytes | PdfPage, *, number: int, page: int, most: int, clean: bool
    ) -> list[Page]:
        """As `scan_page.pages_of`, in a child. Raises `CaptureRejected`."""
        pdf = [scan.dpi, scan.size, scan.drawn] if isinstance(scan, PdfPage) else None
        asked = {"number": number, "page": page, "most": most, "clean": clean, "pdf": pdf}
        child = self._free.get()
        try:
            if child is None or not child.alive:
                _end(child)
                child = _Child(self._confinement)
            return child.ask(asked, scan.data if isinstance(scan, PdfPage) else scan)
        except CaptureRejected as refusal:
            if refusal.code == "scan-unreadable":
                _end(child)
                child = None
            raise
        except (_Dead, KeyError, TypeError, ValueError) as error:
            _end(child)
            child = None
            raise CaptureRejected("scan-unreadable", scan=number) from error
        except BaseException:
            _end(child)
            child = None
            raise
        finally:
            self._free.put(child)

    @property
    def children(self) -> list[int]:
        """The processes that wait for work."""
        return [child.process.pid for child in list(self._free.queue) if child is not None]

    def close(self) -> None:
        """End every free child; a later call starts new ones."""
        for _each in range(self._free.qsize()):
            _end(self._free.get())
            self._free.put(None)


@functools.cache
def shared_pool() -> Pool:
    """The pool of this process, started when first used."""
    pool = Pool(min(_MOST_CHILDREN, os.cpu_count() or 1))
    atexit.register(pool.close)
    return pool


def _end(child: _Child | None) -> None:
    if child is not None:
        child.end()


def _page(said: dict[str, Any], data: bytes, bodies: list[bytes]) -> Page:
    """A page as this process believes it: the digest is of the bytes that are here."""
    facts, own = dict(said["page"]), said["own"]
    jpeg = data[: int(own["jpeg"])] if own["jpeg"] is not None else bodies[0]
    kept = data[: int(own["untouched"])] if own["untouched"] is not None else bodies[1]
    facts["occupancy"] = Occupancy.from_json(facts["occupancy"])
    facts["digest"] = hashlib.sha256(jpeg).hexdigest()
    for name in ("warnings", "cleaning"):
        facts[name] = tuple(str(one) for one in facts[name])
    return Page(**facts, jpeg=jpeg, untouched=kept or None)
