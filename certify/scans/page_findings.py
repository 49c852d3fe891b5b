"""The comparison while it goes on: one finding per page, kept as each is made.

    record_page(office, case.id, 1, PageFinding(matches=True), viewer=viewer, now=now, by=by)
    conclude(office, case.id, checklist=Checklist(), viewer=viewer, now=now, by=by)

A hundred pages are not compared in one sitting. What is found stays with its capture: after a new
capture every page is compared again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from certify.counter.cases import case_row, locked_case
from certify.counter.viewers import SERVICE, Viewer
from certify.counter.visit_models import PageFindingRow
from certify.errors import CertifyError, NotFound
from certify.models import CaseState
from certify.office import Office
from certify.scans.captures import current_capture
from certify.scans.comparison import Checklist, Comparison, PageFinding, record_comparison
from records import audit
from records.tags import Tag

LONGEST_NOTE = 500


def record_page(
    office: Office,
    case_id: str,
    number: int,
    finding: PageFinding,
    *,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> None:
    """Keep the finding on one page; a later one replaces it. Raises `page-unknown`."""
    with office.database.transaction() as session:
        locked_case(session, case_id, CaseState.CAPTURED, CaseState.COMPARED, viewer=viewer)
        capture = current_capture(session, case_id)
        if not 1 <= number <= capture.page_count:
            raise NotFound("page-unknown", page=number)
        row = session.get(PageFindingRow, (capture.id, number))
        if row is None:
            row = PageFindingRow(capture_id=capture.id, number=number)
            session.add(row)
        row.matches, row.note = finding.matches, finding.note[:LONGEST_NOTE]
        row.found_at, row.found_by = now, by
        session.flush()
        audit.record(
            session,
            tag=Tag.PAGE_COMPARED,
            by=by,
            subject=f"case:{case_id}",
            details={"capture": capture.id, "page": number, "matches": finding.matches},
            now=now,
        )


def pages_found(
    office: Office, case_id: str, *, viewer: Viewer = SERVICE
) -> dict[int, PageFinding]:
    """The findings so far on the capture that counts, by page."""
    with office.database.reading() as session:
        row = case_row(session, case_id)
        viewer.require_work(unit=row.unit, owner_id=row.requester_id)
        return _found(session, current_capture(session, case_id).id)


def conclude(
    office: Office,
    case_id: str,
    *,
    checklist: Checklist,
    security_elements: Sequence[str] | None = None,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Comparison:
    """The comparison from the findings of its pages. Raises `comparison-unfinished`."""
    with office.database.reading() as session:
        row = case_row(session, case_id)
        viewer.require_work(unit=row.unit, owner_id=row.requester_id)
        capture = current_capture(session, case_id)
        found = _found(session, capture.id)
    missing = [n for n in range(1, capture.page_count + 1) if n not in found]
    if missing:
        raise CertifyError("comparison-unfinished", pages=", ".join(map(str, missing[:20])))
    return record_comparison(
        office,
        case_id,
        pages=[found[n] for n in range(1, capture.page_count + 1)],
        checklist=checklist,
        security_elements=security_elements,
        viewer=viewer,
        now=now,
        by=by,
    )


def _found(session: Session, capture_id: str) -> dict[int, PageFinding]:
    rows = session.scalars(select(PageFindingRow).where(PageFindingRow.capture_id == capture_id))
    return {row.number: PageFinding(row.matches, row.note) for row in rows}
