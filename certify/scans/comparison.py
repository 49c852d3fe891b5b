"""The finding: page by page against the original, and the grounds on which the law refuses.

    record_comparison(office, case_id, pages=[True, True], checklist=Checklist(), now=now, by=by)

DOMAIN.md §4 *Refuse*: six grounds, the fifth with the legalisation rule and its exemptions. One
ground met ends the case with a written refusal; suspected forgery freezes it, and no number is
given. A page that does not match is no refusal where the capture can be repeated; where it cannot
(`final`), the copy cannot be certified (decree 23/2015, article 20(3)).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from certify.counter.cases import (
    UNNUMBERED,
    Case,
    OriginalDescription,
    as_case,
    case_row,
    close,
    locked_case,
)
from certify.counter.viewers import SERVICE, Viewer
from certify.errors import CertifyError
from certify.kinds import kind
from certify.models import CaseRow, CaseState, ComparisonRow
from certify.office import Office
from certify.scans.captures import current_capture
from certify.stores import deliveries
from records import audit
from records.errors import text as catalogue_text
from records.tags import Tag


class Ground(StrEnum):
    """Why certification must be refused, in the order of the law; value = catalogue code."""

    ALTERED = "ground-altered"
    DAMAGED = "ground-damaged"
    SECRET = "ground-secret"  # noqa: S105 – a ground of refusal, not a password
    UNLAWFUL = "ground-unlawful"
    NOT_LEGALISED = "ground-not-legalised"
    PRIVATE_UNCONFIRMED = "ground-private-unconfirmed"
    COPY_DIFFERS = "ground-copy-differs"
    """Not of the original: what was brought to be certified is not like it."""


@dataclass(frozen=True)
class Checklist:
    """What the comparing official saw on the original; true means *the ground is met*.

    Grounds 5 and 6 follow from the description of the original, but the official can see more
    than was declared, so they can be ticked here too.
    """

    altered: bool = False
    damaged: bool = False
    secret: bool = False
    unlawful: bool = False
    not_legalised: bool = False
    private_unconfirmed: bool = False


@dataclass(frozen=True)
class PageFinding:
    """One page side by side with the original."""

    matches: bool
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """The recorded finding; `passed` opens the way to a number."""

    id: str
    case_id: str
    passed: bool
    grounds: tuple[Ground, ...]
    mismatched_pages: tuple[int, ...]

    def reasons(self, language: str = "vi") -> list[str]:
        """The grounds in words, as the written refusal names them."""
        return [catalogue_text(ground.value, {}, language) for ground in self.grounds]


def grounds(
    checklist: Checklist, original: OriginalDescription, document_kind: str
) -> list[Ground]:
    """Every ground that is met, in the order of the law."""
    met = {
        Ground.ALTERED: checklist.altered,
        Ground.DAMAGED: checklist.damaged,
        Ground.SECRET: checklist.secret,
        Ground.UNLAWFUL: checklist.unlawful,
        Ground.NOT_LEGALISED: checklist.not_legalised
        or (
            original.foreign
            and not original.legalised
            and not kind(document_kind).legalisation_exempt
        ),
        Ground.PRIVATE_UNCONFIRMED: checklist.private_unconfirmed
        or (original.private_paper and not original.confirmed_by_agency),
    }
    return [ground for ground, is_met in met.items() if is_met]


def record_comparison(
    office: Office,
    case_id: str,
    *,
    pages: Sequence[PageFinding | bool],
    checklist: Checklist,
    security_elements: Sequence[str] | None = None,
    final: bool = False,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Comparison:
    """Record the finding on the current capture; `final` when no other capture will be made.

    Raises `CertifyError`: `finding-per-page` unless every page has one, `case-state-wrong`.
    """
    findings = [f if isinstance(f, PageFinding) else PageFinding(matches=f) for f in pages]
    with office.database.transaction() as session:
        row = locked_case(session, case_id, CaseState.CAPTURED, CaseState.COMPARED, viewer=viewer)
        case = as_case(row)
        capture = current_capture(session, case_id)
        if len(findings) != capture.page_count:
            raise CertifyError("finding-per-page", pages=capture.page_count, found=len(findings))
        met = grounds(checklist, case.original, case.document_kind)
        mismatched = [n for n, finding in enumerate(findings, 1) if not finding.matches]
        if mismatched and final:
            met.append(Ground.COPY_DIFFERS)
        passed = not met and not mismatched
        made = ComparisonRow(
            id=uuid.uuid4().hex,
            case_id=case_id,
            capture_id=capture.id,
            pages=[asdict(finding) for finding in findings],
            checklist=asdict(checklist),
            security_elements=list(
                case.original.security_elements if security_elements is None else security_elements
            ),
            passed=passed,
            found_at=now,
            found_by=by,
        )
        session.add(made)
        tag = Tag.COMPARISON_RECORDED
        if met:
            tag = Tag.CASE_REFUSED
            _refuse(session, row, met, now=now)
        elif mismatched:
            row.state = CaseState.CAPTURED.value
        else:
            row.state = CaseState.COMPARED.value
        details = {
            "capture": capture.id,
            "passed": passed,
            "grounds": [ground.value for ground in met],
            "mismatched": mismatched,
        }
        audit.record(session, tag=tag, by=by, subject=f"case:{case_id}", details=details, now=now)
    return Comparison(made.id, case_id, passed, tuple(met), tuple(mismatched))


def examine(
    office: Office,
    case_id: str,
    *,
    checklist: Checklist,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> tuple[Ground, ...]:
    """The look at the original before anything is scanned; a ground that is met ends the case.

    Raises `CertifyError` `not-presented`.
    """
    with office.database.transaction() as session:
        row = locked_case(session, case_id, *UNNUMBERED, viewer=viewer)
        case = as_case(row)
        if not case.presented:
            raise CertifyError("not-presented")
        met = grounds(checklist, case.original, case.document_kind)
        if met:
            _refuse(session, row, met, now=now)
        audit.record(
            session,
            tag=Tag.CASE_REFUSED if met else Tag.ORIGINAL_EXAMINED,
            by=by,
            subject=f"case:{case_id}",
            details={"grounds": [ground.value for ground in met]},
            now=now,
        )
    return tuple(met)


def _refuse(session: Session, row: CaseRow, met: Sequence[Ground], *, now: datetime) -> None:
    """The case is over, and its requester told why, before anybody signs the written refusal."""
    reasons = [ground.value for ground in met]
    close(row, CaseState.REFUSED, ",".join(reasons), now=now)
    deliveries.case_refused(session, as_case(row), reasons, now=now)


def freeze(
    office: Office,
    case_id: str,
    *,
    reason: str,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Case:
    """Suspected forgery: the case stops, is kept as it is, and never gets a number."""
    if not reason.strip():
        raise CertifyError("reason-missing")
    with office.database.transaction() as session:
        row = locked_case(session, case_id, *UNNUMBERED, viewer=viewer)
        close(row, CaseState.FROZEN, reason, now=now)
        audit.record(
            session,
            tag=Tag.CASE_FROZEN,
            by=by,
            subject=f"case:{case_id}",
            details={"reason": reason},
            now=now,
        )
    return as_case(row)


def noted(office: Office, case_id: str, *, viewer: Viewer = SERVICE) -> list[str]:
    """What the comparing official wrote beside the pages, each note once: why it was refused."""
    query = (
        select(ComparisonRow.pages)
        .where(ComparisonRow.case_id == case_id)
        .order_by(ComparisonRow.found_at.desc(), ComparisonRow.id.desc())
        .limit(1)
    )
    with office.database.reading() as session:
        case = case_row(session, case_id)
        viewer.require_work(unit=case.unit, owner_id=case.requester_id)
        pages = session.scalar(query) or []
    return list(dict.fromkeys(page["note"] for page in pages if page["note"]))


def passed_comparison(session: Session, case_id: str) -> ComparisonRow:
    """The finding that lets the case be certified. Raises `CertifyError`: `not-compared`."""
    row = session.scalars(
        select(ComparisonRow)
        .where(ComparisonRow.case_id == case_id)
        .order_by(ComparisonRow.found_at.desc(), ComparisonRow.id.desc())
        .limit(1)
    ).one_or_none()
    if row is None or not row.passed or row.capture_id != current_capture(session, case_id).id:
        raise CertifyError("not-compared")
    return row
