"""Files of strangers are read in child processes with limits.

A PDF, an XML or a ZIP file can be a bomb. Each file is validated by a worker that may only use so
much memory, time and processor, cannot write a file and talks JSON over a pipe; a worker that dies
or hangs costs that file its verdict and nothing else. Workers are started in advance, kept warm
(certificates and revocation data are cached) and replaced after a number of files.

    pool = Pool(size=2)
    pool.validate(Path("a.pdf"), trust=trust, now=now)
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import json
import os
import queue
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signer.long_life.evidence_records import Evidence
from signer.trust.anchors import as_rows
from signer.trust.path import Trust
from signer.verdicts.document_digests import DocumentDigests
from signer.verdicts.originals import MOST_ORIGINALS, Content, given
from signer.verdicts.policy import CURRENT, load_policy
from signer.verdicts.report import Report, unreadable

_LENGTH = struct.Struct("!Q")
_ROOT = str(Path(__file__).resolve().parents[2])
_START = (
    f"import sys; sys.path.insert(0, {_ROOT!r}); "
    "from signer.verdicts.sandbox_worker import serve; serve()"
)
_LARGEST_ANSWER = 64 << 20
_READY = b"ready"


@dataclass(frozen=True)
class Confinement:
    """What one worker may use: seconds by the clock and of processor per file, bytes in all.

    `start_seconds` is for starting, which no file is charged for.
    """

    seconds: float = 20.0
    start_seconds: float = 90.0
    cpu_seconds: int = 15
    memory: int = 2 << 30
    files: int = 200


class WorkerDead(Exception):
    """The worker ended or did not answer in time; `code` says which."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Worker:
    """One child process; used by one thread at a time."""

    def __init__(self, confinement: Confinement) -> None:
        self._confinement = confinement
        self.left = confinement.files
        self._ready = False
        environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}
        self._process = subprocess.Popen(  # noqa: S603 – our own interpreter and module
            [
                sys.executable,
                "-c",
                _START,
                json.dumps([confinement.cpu_seconds, confinement.memory]),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            close_fds=True,
        )

    def ask(self, request: Mapping[str, object], parts: Sequence[bytes]) -> dict[str, Any]:
        """One piece of work; raises WorkerDead when the worker ends or is too slow."""
        self.left -= 1
        header = json.dumps({**request, "parts": len(parts)}).encode()
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        if not self._ready:
            self._read(stdout, len(_READY), time.monotonic() + self._confinement.start_seconds)
            self._ready = True
        deadline = time.monotonic() + self._confinement.seconds
        try:
            stdin.write(_LENGTH.pack(len(header)) + header)
            for part in parts:
                stdin.write(_LENGTH.pack(len(part)))
                stdin.write(part)
            stdin.flush()
        except BrokenPipeError:
            raise WorkerDead("validation-worker-died") from None
        size = _LENGTH.unpack(self._read(stdout, _LENGTH.size, deadline))[0]
        if size > _LARGEST_ANSWER:
            raise WorkerDead("validation-worker-died")
        try:
            answer = json.loads(self._read(stdout, size, deadline))
        except ValueError:
            raise WorkerDead("validation-worker-died") from None
        if not isinstance(answer, dict):
            raise WorkerDead("validation-worker-died")
        return answer

    @staticmethod
    def _read(stream: IO[bytes], size: int, deadline: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                raise WorkerDead("validation-too-slow")
            part = os.read(stream.fileno(), min(size - len(found), 1 << 20))
            if not part:
                raise WorkerDead("validation-worker-died")
            found += part
        return bytes(found)

    @property
    def alive(self) -> bool:
        return self.left > 0 and self._process.poll() is None

    def end(self) -> None:
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()


class Pool:
    """Some warm workers; `validate` waits for a free one."""

    def __init__(self, size: int = 1, confinement: Confinement | None = None) -> None:
        self._confinement = confinement or Confinement()
        self._free: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _each in range(size):
            self._free.put(None)

    def validate(
        self,
        source: Path | bytes,
        *,
        trust: Trust,
        now: datetime,
        at: datetime | None = None,
        revocation: Iterable[bytes] = (),
        content: Content = None,
        evidence: Evidence | None = None,
        digests: DocumentDigests | None = None,
        policy: str = CURRENT,
        reports: str | None = None,
        name: str | None = None,
    ) -> Report:
        """The report on a file or on bytes; a dead or hanging worker makes it unreadable.

        `content` is what a detached signature is about, one file or several, or `digests` when
        that stays with its owner; `evidence` an evidence record about the file; `policy` the id of
        a policy. With `reports` (a language) the report carries every form (`Report.papers`), in
        which octets bear `name`. Raises SignerError `policy-unknown`.
        """
        if isinstance(source, Path):
            name = source.name
        rules = load_policy(policy)
        originals = given(content)[: MOST_ORIGINALS + 1]
        for path in (source, *(one.source for one in originals)):
            refusal = _refused(path) if isinstance(path, Path) else None
            if refusal is not None:
                return replace(refusal, file=name)
        request: dict[str, object] = {
            "work": "validate",
            "name": name,
            "path": _resolved(source),
            "originals": [[one.name, _resolved(one.source)] for one in originals],
            "anchors": [_der(one) for one in trust.anchors],
            "intermediates": [_der(one) for one in trust.intermediates],
            "terms": as_rows(getattr(trust, "terms", {})),
            "now": now.isoformat(),
            "at": at.isoformat() if at else None,
            "revocation": [base64.b64encode(one).decode() for one in revocation],
            "evidence": _listed(evidence),
            "digests": digests.to_json() if digests is not None else None,
            "policy": policy,
            "reports": reports,
        }
        try:
            answer = self.run(request, source, *(one.source for one in originals))
            report = Report.from_details(answer)
        except (WorkerDead, KeyError, TypeError, ValueError) as dead:
            code = dead.code if isinstance(dead, WorkerDead) else "validation-worker-died"
            report = replace(
                unreadable(code, params={"seconds": self._confinement.seconds}),
                policy=rules.title,
                validation_time=at or now,
            )
            answer = {}
        return replace(report, file=name, papers=answer.get("papers"))

    def pages(
        self, data: bytes, *, width: int, pages: Sequence[int] | None = None, same: int = 2000
    ) -> dict[str, Any] | None:
        """Each signed revision page by page (`revision_pages`); None when a worker died."""
        wanted = list(pages) if pages is not None else None
        request = {"work": "pages", "width": width, "pages": wanted, "same": same}
        try:
            return self.run(request, data)
        except WorkerDead:
            return None

    def run(self, request: Mapping[str, object], *sources: Path | bytes) -> dict[str, Any]:
        """One piece of work by the next free worker; raises WorkerDead.

        Octets go through the pipe in their order; a path is in the request.
        """
        worker = self._free.get()
        if worker is None or not worker.alive:
            if worker is not None:
                worker.end()
            worker = Worker(self._confinement)
        try:
            return worker.ask(request, [one for one in sources if isinstance(one, bytes)])
        except WorkerDead:
            worker.end()
            worker = None
            raise
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End every free worker; a later call starts new ones."""
        for _each in range(self._free.qsize()):
            worker = self._free.get()
            if worker is not None:
                worker.end()
            self._free.put(None)


@functools.cache
def shared_pool() -> Pool:
    """The pool of this process, one worker per core, started when first used."""
    pool = Pool(os.cpu_count() or 1)
    atexit.register(pool.close)
    return pool


def _listed(evidence: Evidence | None) -> list[str]:
    """The record and its companions, as a worker reads them."""
    parts = [] if evidence is None else [evidence.record, *evidence.companions]
    return [base64.b64encode(one).decode() for one in parts]


def _resolved(source: Path | bytes | None) -> str | None:
    return str(source.resolve()) if isinstance(source, Path) else None


def _refused(path: Path) -> Report | None:
    """What need not reach a worker: absent, not a plain file, beyond the size limit."""
    limit = load_policy().limits.bytes
    try:
        if not path.is_file():
            return unreadable("validation-no-file")
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError:
        return unreadable("validation-no-file")
    if size > limit:
        return unreadable("validation-too-large", params={"size": size, "limit": limit})
    return None


@functools.lru_cache(maxsize=256)
def _der(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
