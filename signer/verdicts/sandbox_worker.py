"""The worker's side of the sandbox: confine itself, then answer one request after another.

Runs in a child process that `signer.verdicts.sandbox` started. It reads JSON and octets from its
standard input and answers with JSON; what it reads is a stranger's, what it may use is little.
"""

from __future__ import annotations

import base64
import functools
import importlib
import json
import resource
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from cryptography import x509

from signer.long_life.evidence_records import Evidence
from signer.trust.anchors import Terms, from_rows
from signer.verdicts.document_digests import DocumentDigests
from signer.verdicts.examination import Examination
from signer.verdicts.originals import Original
from signer.verdicts.policy import load_policy
from signer.verdicts.report import unreadable

_LENGTH = struct.Struct("!Q")
_READY = b"ready"


def serve() -> None:
    """A worker's life: confine itself, then answer requests until the pipe closes."""
    cpu, memory = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(600)
    threading.stack_size(16 << 20)
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    importlib.import_module("signer.verdicts.validation")
    stdout.write(_READY)
    stdout.flush()
    while True:
        size = stdin.read(_LENGTH.size)
        if len(size) < _LENGTH.size:
            return
        request = json.loads(stdin.read(_LENGTH.unpack(size)[0]))
        parts = [_part(stdin) for _each in range(int(request["parts"]))]
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + cpu + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        answer = json.dumps(_WORKS[str(request["work"])](request, parts)).encode()
        stdout.write(_LENGTH.pack(len(answer)) + answer)
        stdout.flush()


def _part(stdin: IO[bytes]) -> bytes:
    return stdin.read(_LENGTH.unpack(stdin.read(_LENGTH.size))[0])


@dataclass(frozen=True)
class _Anchors:
    anchors: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]
    terms: Terms


def _validate(request: Mapping[str, Any], parts: list[bytes]) -> Mapping[str, Any]:
    """A report's details and, when they are asked for, its papers."""
    from signer.reports.writing import reports_without_examination, write_reports
    from signer.verdicts.validation import validate

    path, at, language = request["path"], request["at"], request["reports"]
    found: list[Examination] = []
    try:
        whole = Path(str(path)).read_bytes() if path else parts.pop(0)
        beside = list(_beside(request, parts))
    except (OSError, MemoryError):
        return unreadable("validation-no-file").details()
    report = validate(
        whole,
        trust=_Anchors(
            _certificates(request["anchors"]),
            _certificates(request["intermediates"]),
            _terms(request["terms"]),
        ),
        now=datetime.fromisoformat(str(request["now"])),
        at=datetime.fromisoformat(str(at)) if at else None,
        revocation=[base64.b64decode(one) for one in request["revocation"]],
        content=beside,
        evidence=_evidence(request["evidence"]),
        digests=DocumentDigests.from_json(request["digests"]) if request["digests"] else None,
        policy=load_policy(str(request["policy"])),
        examined=found.append if language else None,
    )
    answer = report.details()
    if language:
        name = str(request["name"] or "")
        made = (
            write_reports(found[0], name=name, language=str(language))
            if found
            else reports_without_examination(report, name=name, language=str(language))
        )
        answer["papers"] = made
    return answer


def _beside(request: Mapping[str, Any], parts: list[bytes]) -> Iterator[Original]:
    """The files of a detached signature, by path or through the pipe."""
    for name, path in request["originals"]:
        yield Original(str(name), Path(str(path)).read_bytes() if path else parts.pop(0))


def _pages(request: Mapping[str, Any], parts: list[bytes]) -> Mapping[str, Any]:
    from signer.verdicts.revision_pages import draw_revisions

    return draw_revisions(
        parts[0], width=int(request["width"]), pages=request["pages"], same=int(request["same"])
    )


_WORKS: dict[str, Callable[[Mapping[str, Any], list[bytes]], Mapping[str, Any]]] = {
    "validate": _validate,
    "pages": _pages,
}


def _terms(rows: object) -> Terms:
    assert isinstance(rows, list)
    return from_rows(rows)


def _evidence(values: object) -> Evidence | None:
    assert isinstance(values, list)
    parts = [base64.b64decode(one) for one in values]
    return Evidence(parts[0], tuple(parts[1:])) if parts else None


def _certificates(values: object) -> tuple[x509.Certificate, ...]:
    assert isinstance(values, list)
    return tuple(_certificate(one) for one in values)


@functools.lru_cache(maxsize=1024)
def _certificate(value: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(value))
