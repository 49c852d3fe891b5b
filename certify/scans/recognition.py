"""The words on a scan, recognised: an invisible text layer, to search a copy and read it aloud.

    recognise(office, case.id, viewer=viewer, now=now, by=by)      # each page of the capture
    layers(session, capture_id)                                    # {1: digest, 2: digest}

An option: tesseract with Vietnamese, from the system's packages, runs as a child process that may
use only so much time and memory. Where it is not installed this says so, and copies are issued
without it. What is recognised is no part of what is certified: the image is.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from datetime import datetime
from functools import cache

import pikepdf
from PIL import Image, ImageOps
from sqlalchemy import select
from sqlalchemy.orm import Session

from certify.counter.cases import locked_case
from certify.counter.viewers import SERVICE, Viewer
from certify.counter.visit_models import TextLayerRow
from certify.errors import CertifyError
from certify.models import CaseState
from certify.office import Office
from certify.scans.captures import CapturedPage, captured_pages
from records import audit
from records.tags import Tag

LANGUAGE = "vie"
_SECONDS = 90
_CPU_SECONDS = 60
_MEMORY = 2 << 30
_LARGEST_LAYER = 4 * 1024 * 1024


def engine() -> str | None:
    """The engine's name and version, or None when it cannot read Vietnamese here."""
    program = shutil.which("tesseract")
    return _engine(program) if program and shutil.which("prlimit") else None


def recognise(
    office: Office, case_id: str, *, viewer: Viewer = SERVICE, now: datetime, by: str
) -> int:
    """Recognise every page of the capture that counts; how many pages have a layer now.

    Raises `CertifyError`: `ocr-unavailable`, `ocr-failed`, `not-captured`.
    """
    name = engine()
    if name is None:
        raise CertifyError("ocr-unavailable")
    capture_id, pages = captured_pages(office, case_id, viewer=viewer)
    with office.database.reading() as session:
        known = layers(session, capture_id)
    made = {
        page.number: office.blobs.put(text_layer(office.blobs.get(page.digest), page))
        for page in pages
        if page.number not in known and "page-blank" not in page.warnings
    }
    with office.database.transaction() as session:
        locked_case(session, case_id, CaseState.CAPTURED, CaseState.COMPARED, viewer=viewer)
        known = layers(session, capture_id)
        session.add_all(
            TextLayerRow(
                capture_id=capture_id,
                number=number,
                digest=digest,
                engine=name,
                made_at=now,
                made_by=by,
            )
            for number, digest in made.items()
            if number not in known
        )
        session.flush()
        audit.record(
            session,
            tag=Tag.TEXT_RECOGNISED,
            by=by,
            subject=f"case:{case_id}",
            details={"capture": capture_id, "pages": sorted(made), "engine": name},
            now=now,
        )
    return len(known | made)


def layers(session: Session, capture_id: str) -> dict[int, str]:
    """The layers of a capture: page number to digest."""
    rows = session.scalars(select(TextLayerRow).where(TextLayerRow.capture_id == capture_id))
    return {row.number: row.digest for row in rows}


def text_layer(image: bytes, page: CapturedPage) -> bytes:
    """One PDF page of invisible text, the size of the scan. Raises `CertifyError`: `ocr-failed`."""
    if page.facts["orientation"] != 1:
        image = _upright(image)
    asked = [
        "prlimit",
        f"--cpu={_CPU_SECONDS}",
        f"--as={_MEMORY}",
        "tesseract",
        "stdin",
        "stdout",
        "-l",
        LANGUAGE,
        "--dpi",
        str(round(float(page.facts["dpi"]))),
        "-c",
        "textonly_pdf=1",
        "pdf",
    ]
    try:
        done = subprocess.run(  # noqa: S603 – a fixed command, the image comes over a pipe
            asked,
            input=image,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
            env={"PATH": "/usr/bin:/bin", "OMP_THREAD_LIMIT": "1", "LANG": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        raise CertifyError("ocr-failed", page=page.number, reason="timeout") from None
    except subprocess.CalledProcessError as error:
        reason = f"exit {error.returncode}"
        raise CertifyError("ocr-failed", page=page.number, reason=reason) from None
    if len(done.stdout) > _LARGEST_LAYER:
        raise CertifyError("ocr-failed", page=page.number, reason="size")
    try:
        with pikepdf.open(io.BytesIO(done.stdout)) as pdf:
            if len(pdf.pages) != 1:
                raise CertifyError("ocr-failed", page=page.number, reason="pages")
    except pikepdf.PdfError:
        raise CertifyError("ocr-failed", page=page.number, reason="pdf") from None
    return done.stdout


@cache
def _engine(program: str) -> str | None:
    try:
        known = subprocess.run(  # noqa: S603 – a fixed command
            [program, "--list-langs"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
        version = subprocess.run(  # noqa: S603 – a fixed command
            [program, "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    if LANGUAGE not in known.split():
        return None
    return (version.stdout or version.stderr).splitlines()[0][:64]


def _upright(image: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(image), formats=("JPEG",)) as scanned:
        ImageOps.exif_transpose(scanned).save(out, "JPEG", quality=90)
    return out.getvalue()
