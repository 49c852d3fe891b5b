"""Cases: one original brought by one person, from the counter to the finding.

    case = open_case(office, unit="14797", requester=…, document_kind="transcript",
                     original=OriginalDescription(…), presented=Presentation(…), now=now, by=by)
    record_capture(office, case.id, [scan_1, scan_2], now=now, by=by)

The legal basis is a paper original *presented in person* (DOMAIN.md §4): a case may be opened from
home, but nothing is captured for it before the presentation is on record.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from certify import dossier
from certify.capture import read_scans
from certify.deadlines import due
from certify.errors import CertifyError, NotFound
from certify.kinds import kind
from certify.models import CapturePageRow, CaptureRow, CaseRow, CaseState
from certify.office import Office
from certify.units import unit as find_unit
from records import audit
from records.tags import Tag

CHANNELS = ("counter", "citizen", "procedure-system")
_CITIZEN = re.compile(r"\d{12}\Z")
_ORGANISATION = re.compile(r"\d{10}(-?\d{3})?\Z")


@dataclass(frozen=True)
class Requester:
    """Who asks; `identifier` is the citizen number, or the tax code of an organisation."""

    name: str
    identifier: str = field(repr=False)
    kind: str = "person"
    email: str | None = field(default=None, repr=False)

    @property
    def owner_id(self) -> str:
        """The key of this requester's document store."""
        return f"{'citizen' if self.kind == 'person' else 'organisation'}:{self.identifier}"


@dataclass(frozen=True)
class OriginalDescription:
    """What was put on the counter; `security_elements` are those a scan cannot carry over."""

    title: str
    issuer: str
    pages: int
    number: str | None = None
    issued_on: date | None = None
    foreign: bool = False
    legalised: bool = False
    private_paper: bool = False
    confirmed_by_agency: bool = False
    security_elements: tuple[str, ...] = ()

    def sentence(self) -> str:
        """How the statement and the register name it."""
        parts = [self.title]
        if self.number:
            parts.append(f"số {self.number}")
        parts.append(f"do {self.issuer} cấp")
        if self.issued_on:
            day = self.issued_on
            parts.append(f"ngày {day.day:02d}/{day.month:02d}/{day.year}")
        return " ".join(parts)

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["issued_on"] = self.issued_on.isoformat() if self.issued_on else None
        data["security_elements"] = list(self.security_elements)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> OriginalDescription:
        day = data.get("issued_on")
        return cls(
            **{
                **data,
                "issued_on": date.fromisoformat(day) if day else None,
                "security_elements": tuple(data["security_elements"]),
            }
        )


@dataclass(frozen=True)
class Presentation:
    """The original was shown in person: when, where and to whom."""

    at: datetime
    place: str
    to: str

    def to_json(self) -> dict[str, Any]:
        return {"at": self.at.isoformat(), "place": self.place, "to": self.to}


@dataclass(frozen=True)
class Case:
    """A case as its unit and its requester see it."""

    id: str
    unit: str
    state: CaseState
    requester: Requester
    document_kind: str
    original: OriginalDescription
    copies: int
    received_at: datetime
    due_at: datetime
    slip: bool
    dossier_code: str | None
    channel: str
    assigned_to: str | None
    presented: bool
    closing_reason: str | None


@dataclass(frozen=True)
class Capture:
    """A recorded capture; warnings are for the official to judge, not for the machine."""

    id: str
    case_id: str
    pages: int
    digests: tuple[str, ...]
    warnings: tuple[tuple[int, str], ...]


def open_case(
    office: Office,
    *,
    unit: str,
    requester: Requester,
    document_kind: str,
    original: OriginalDescription,
    copies: int = 1,
    presented: Presentation | None = None,
    dossier_code: str | None = None,
    channel: str = "counter",
    long: bool = False,
    agreed_day: date | None = None,
    assigned_to: str | None = None,
    now: datetime,
    by: str,
) -> Case:
    """Open a case; the deadline follows from `now`. Raises `CertifyError` for a wrong input."""
    find_unit(unit)
    _check_input(requester, original, copies, channel)
    found_kind = kind(document_kind)
    code = dossier.parse(dossier_code).text if dossier_code else None
    deadline = due(now, long=long, agreed=agreed_day)
    row = CaseRow(
        id=uuid.uuid4().hex,
        unit=unit,
        channel=channel,
        dossier_code=code,
        requester_id=requester.owner_id,
        requester=asdict(requester),
        document_kind=found_kind.code,
        original=original.to_json(),
        copies=copies,
        presented=presented.to_json() if presented else None,
        assigned_to=assigned_to,
        state=CaseState.OPEN.value,
        received_at=now,
        due_at=deadline.at,
        slip=deadline.slip,
    )
    with office.database.transaction() as session:
        session.add(row)
        details = {
            "unit": unit,
            "kind": found_kind.code,
            "pages": original.pages,
            "presented": presented is not None,
            "due_at": deadline.at,
            "dossier_code": code or "",
        }
        _audit(session, Tag.CASE_OPENED, row.id, details, now=now, by=by)
    return as_case(row)


def record_presentation(
    office: Office, case_id: str, presentation: Presentation, *, now: datetime, by: str
) -> Case:
    """The person has come and shown the original (a case opened from home or by a system)."""
    with office.database.transaction() as session:
        row = locked_case(session, case_id, CaseState.OPEN)
        row.presented = presentation.to_json()
        details = {"place": presentation.place, "at": presentation.at, "to": presentation.to}
        _audit(session, Tag.ORIGINAL_PRESENTED, case_id, details, now=now, by=by)
    return as_case(row)


def record_capture(
    office: Office, case_id: str, scans: Sequence[bytes], *, now: datetime, by: str
) -> Capture:
    """Check the scans and keep them; a later capture supersedes an earlier one.

    Raises `CaptureRejected` when they cannot become a copy, `CertifyError` `not-presented` when
    nobody has seen the original: an uploaded scan can never be certified by itself.
    """
    with office.database.reading() as session:
        case = as_case(case_row(session, case_id))
    if not case.presented:
        raise CertifyError("not-presented")
    pages = read_scans(scans, declared_pages=case.original.pages)
    for page in pages:
        office.blobs.put(page.jpeg)
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
        found = locked_case(
            session, case_id, CaseState.OPEN, CaseState.CAPTURED, CaseState.COMPARED
        )
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
        details = {"capture": row.id, "pages": [page.digest for page in pages]}
        _audit(session, Tag.CAPTURE_RECORDED, case_id, details, now=now, by=by)
    return Capture(row.id, case_id, len(pages), tuple(page.digest for page in pages), warnings)


def assign(office: Office, case_id: str, *, to: str, now: datetime, by: str) -> Case:
    """Give the case to an official of the unit."""
    with office.database.transaction() as session:
        row = case_row(session, case_id, lock=True)
        row.assigned_to = to
        _audit(session, Tag.CASE_ASSIGNED, case_id, {"to": to}, now=now, by=by)
    return as_case(row)


def withdraw(office: Office, case_id: str, *, reason: str, now: datetime, by: str) -> Case:
    """The requester no longer wants it; only before a number was taken."""
    with office.database.transaction() as session:
        row = locked_case(session, case_id, CaseState.OPEN, CaseState.CAPTURED, CaseState.COMPARED)
        close(row, CaseState.WITHDRAWN, reason, now=now)
        _audit(session, Tag.CASE_WITHDRAWN, case_id, {"reason": reason}, now=now, by=by)
    return as_case(row)


def find_case(
    office: Office, case_id: str, *, unit: str | None = None, owner_id: str | None = None
) -> Case:
    """A case, for those who may see it: its unit's officials, or its own requester.

    Somebody else's case does not exist for the asker (`NotFound`), DOMAIN.md §6.
    """
    with office.database.reading() as session:
        row = case_row(session, case_id)
    if (unit is not None and row.unit != unit) or (
        owner_id is not None and row.requester_id != owner_id
    ):
        raise NotFound("case-unknown")
    return as_case(row)


def list_cases(
    office: Office,
    *,
    unit: str | None = None,
    owner_id: str | None = None,
    state: CaseState | None = None,
    limit: int = 100,
) -> list[Case]:
    """Cases of a unit or of a requester, those due first at the top."""
    if unit is None and owner_id is None:
        raise CertifyError("case-list-needs-owner")
    query = select(CaseRow).order_by(CaseRow.due_at, CaseRow.id).limit(limit)
    if unit is not None:
        query = query.where(CaseRow.unit == unit)
    if owner_id is not None:
        query = query.where(CaseRow.requester_id == owner_id)
    if state is not None:
        query = query.where(CaseRow.state == state.value)
    with office.database.reading() as session:
        return [as_case(row) for row in session.scalars(query)]


def case_row(session: Session, case_id: str, *, lock: bool = False) -> CaseRow:
    """The row of a case; locked until the transaction ends where the caller will change it."""
    row = session.get(CaseRow, case_id, with_for_update=True if lock else None)
    if row is None:
        raise NotFound("case-unknown")
    return row


def locked_case(session: Session, case_id: str, *allowed: CaseState) -> CaseRow:
    """The locked row, if the case is in one of these states; else `case-state-wrong`."""
    row = case_row(session, case_id, lock=True)
    if CaseState(row.state) not in allowed:
        raise CertifyError("case-state-wrong", state=row.state)
    return row


def close(row: CaseRow, state: CaseState, reason: str | None, *, now: datetime) -> None:
    """End a case."""
    row.state = state.value
    row.closed_at = now
    row.closing_reason = reason


def as_case(row: CaseRow) -> Case:
    """A row as a value that outlives its session."""
    return Case(
        id=row.id,
        unit=row.unit,
        state=CaseState(row.state),
        requester=Requester(**row.requester),
        document_kind=row.document_kind,
        original=OriginalDescription.from_json(row.original),
        copies=row.copies,
        received_at=row.received_at,
        due_at=row.due_at,
        slip=row.slip,
        dossier_code=row.dossier_code,
        channel=row.channel,
        assigned_to=row.assigned_to,
        presented=row.presented is not None,
        closing_reason=row.closing_reason,
    )


def _check_input(
    requester: Requester, original: OriginalDescription, copies: int, channel: str
) -> None:
    if channel not in CHANNELS:
        raise CertifyError("channel-unknown", channel=channel)
    if requester.kind not in ("person", "organisation") or not requester.name.strip():
        raise CertifyError("requester-invalid")
    shape = _CITIZEN if requester.kind == "person" else _ORGANISATION
    if not shape.match(requester.identifier):
        raise CertifyError("requester-invalid")
    if not original.title.strip() or not original.issuer.strip() or original.pages < 1:
        raise CertifyError("original-invalid")
    if not 1 <= copies <= 100:
        raise CertifyError("copies-invalid", copies=copies)


def _audit(
    session: Session, tag: Tag, case_id: str, details: dict[str, Any], *, now: datetime, by: str
) -> None:
    audit.record(session, tag=tag, by=by, subject=f"case:{case_id}", details=details, now=now)
