"""The captures of a case: taken, kept beside the untouched scans, looked at with a reason.

    capture = record_capture(office, case.id, [scan_1, scan_2], now=now, by=by)
    image = page_image(office, case.id, 1, viewer=viewer, now=now, by=by)

A capture is never changed. Scanning again makes another one, and what was found on the first no
longer speaks for the case.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from certify.counter.cases import UNNUMBERED, as_case, case_row, locked_case
from certify.counter.viewers import SERVICE, Viewer
from certify.counter.visit_models import TextLayerRow
from certify.errors import CertifyError, NotFound
from certify.models import CapturePageRow, CaptureRow, CaseState
from certify.office import Office
from certify.scans.capture import read_scans
from records import audit
from records.tags import Tag


@dataclass(frozen=True)
class Capture:
    """A recorded capture; warnings are for the official to judge, not for the machine."""

    id: str
    case_id: str
    pages: int
    digests: tuple[str, ...]
    warnings: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class CapturedPage:
    """One page of the capture that counts, as the comparing official sees it."""

    number: int
    digest: str
    untouched: str | None
    facts: dict[str, Any]

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self.facts["warnings"])


def record_capture(
    office: Office,
    case_id: str,
    scans: Sequence[bytes],
    *,
    clean: bool = True,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Capture:
    """Check the scans, clean them up and keep both; a later capture supersedes an earlier one.

    Raises `CaptureRejected` when they cannot become a copy, `CertifyError` `not-presented` when
    nobody has seen the original: an uploaded scan can never be certified by itself.
    """
    with office.database.reading() as session:
        seen = case_row(session, case_id)
        viewer.require_work(unit=seen.unit, owner_id=seen.requester_id)
        case = as_case(seen)
    if case.state not in UNNUMBERED:
        raise CertifyError("case-state-wrong", state=case.state.value)
    if not case.presented:
        raise CertifyError("not-presented")
    pages = read_scans(scans, declared_pages=case.original.pages, clean=clean)
    for page in pages:
        office.blobs.put(page.jpeg)
        if page.untouched is not None:
            office.blobs.put(page.untouched)
    warnings = tuple((n, w) for n, page in enumerate(pages, 1) for w in page.warnings)
    row = CaptureRow(
        id=uuid.uuid4().hex,
        case_id=case_id,
        page_count=len(pages),
        taken_at=now,
        taken_by=by,
        superseded=False,
    )
    with office.database.transaction() as session:
        found = locked_case(session, case_id, *UNNUMBERED, viewer=viewer)
        session.execute(
            update(CaptureRow).where(CaptureRow.case_id == case_id).values(superseded=True)
        )
        session.add(row)
        session.flush()
        session.add_all(
            CapturePageRow(
                capture_id=row.id, number=number, digest=page.digest, facts=page.to_json(number)
            )
            for number, page in enumerate(pages, 1)
        )
        found.state = CaseState.CAPTURED.value
        details = {
            "capture": row.id,
            "pages": [page.digest for page in pages],
            "cleaned": [n for n, page in enumerate(pages, 1) if page.untouched is not None],
        }
        audit.record(
            session,
            tag=Tag.CAPTURE_RECORDED,
            by=by,
            subject=f"case:{case_id}",
            details=details,
            now=now,
        )
    return Capture(row.id, case_id, len(pages), tuple(page.digest for page in pages), warnings)


def current_capture(session: Session, case_id: str) -> CaptureRow:
    """The capture that counts. Raises `CertifyError`: `not-captured`."""
    row = session.scalars(
        select(CaptureRow).where(CaptureRow.case_id == case_id, CaptureRow.superseded.is_(False))
    ).one_or_none()
    if row is None:
        raise CertifyError("not-captured")
    return row


def held_by(session: Session, capture_id: str) -> list[str]:
    """Every blob a capture holds: pages, their untouched scans, their recognised text."""
    rows = session.scalars(select(CapturePageRow).where(CapturePageRow.capture_id == capture_id))
    digests = [one for row in rows for one in (row.digest, row.facts.get("untouched")) if one]
    layers = select(TextLayerRow.digest).where(TextLayerRow.capture_id == capture_id)
    return digests + list(session.scalars(layers))


def captured_pages(
    office: Office, case_id: str, *, viewer: Viewer = SERVICE
) -> tuple[str, list[CapturedPage]]:
    """The capture that counts (its identifier) and its pages in order."""
    with office.database.reading() as session:
        row = case_row(session, case_id)
        viewer.require_work(unit=row.unit, owner_id=row.requester_id)
        capture = current_capture(session, case_id)
        rows = session.scalars(
            select(CapturePageRow)
            .where(CapturePageRow.capture_id == capture.id)
            .order_by(CapturePageRow.number)
        )
        return capture.id, [_as_page(one) for one in rows]


def page_image(
    office: Office,
    case_id: str,
    number: int,
    *,
    untouched: bool = False,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> bytes:
    """The page's bytes, as cleaned or as scanned; the look is logged (DOMAIN.md §6).

    Raises `NotFound`: `page-unknown`, `images-purged`.
    """
    capture_id, pages = captured_pages(office, case_id, viewer=viewer)
    found = next((page for page in pages if page.number == number), None)
    if found is None:
        raise NotFound("page-unknown", page=number)
    digest = (found.untouched if untouched else None) or found.digest
    with office.database.transaction() as session:
        if session.get_one(CaptureRow, capture_id).purged_at is not None:
            raise NotFound("images-purged")
        audit.record(
            session,
            tag=Tag.CAPTURE_VIEWED,
            by=by,
            subject=f"case:{case_id}",
            details={"capture": capture_id, "page": number, "purpose": "đối chiếu bản chính"},
            now=now,
        )
    return office.blobs.get(digest)


def _as_page(row: CapturePageRow) -> CapturedPage:
    return CapturedPage(row.number, row.digest, row.facts.get("untouched"), row.facts)
