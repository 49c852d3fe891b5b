"""Taking an original in: case opened, original presented in person, case assigned.

    case = open_case(office, unit="14797", requester=…, document_kind="transcript",
                     original=OriginalDescription(…), presented=Presentation(…), now=now, by=by)
    record_capture(office, case.id, [scan_1, scan_2], now=now, by=by)

The legal basis is a paper original *presented in person* (DOMAIN.md §4): a case may be opened from
home, but nothing is captured for it before the presentation is on record, and its term begins then.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from certify.counter import dossier
from certify.counter.cases import (
    UNNUMBERED,
    Case,
    OriginalDescription,
    Presentation,
    Requester,
    as_case,
    close,
    locked_case,
)
from certify.counter.deadlines import due
from certify.counter.viewers import SERVICE, Viewer
from certify.entries import Entry, write
from certify.errors import CertifyError
from certify.kinds import kind
from certify.models import CaseRow, CaseState
from certify.office import Office
from certify.units import unit as find_unit
from records import audit
from records.tags import Tag
from signer.keys import credentials

CHANNELS = ("counter", "citizen", "procedure-system")
CLOCKS_APART = timedelta(minutes=5)
_CITIZEN = re.compile(r"[0-9]{12}\Z")
_ORGANISATION = re.compile(r"[0-9]{10}(-?[0-9]{3})?\Z")


@dataclass(frozen=True)
class Wanted:
    """One original of which copies are wanted; `long`: so long that it may take two days more."""

    document_kind: str
    original: OriginalDescription
    copies: int = 1
    long: bool = False
    agreed_day: date | None = None


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
    with office.database.transaction() as session:
        row, opened = new_case(
            session,
            Wanted(document_kind, original, copies, long, agreed_day),
            unit=unit,
            requester=requester,
            presented=presented,
            dossier_code=dossier_code,
            channel=channel,
            now=now,
        )
        row.assigned_to = assigned_to
        write(session, [opened], now=now, by=by)
    return as_case(row)


def new_case(
    session: Session,
    wanted: Wanted,
    *,
    unit: str,
    requester: Requester,
    presented: Presentation | None,
    dossier_code: str | None,
    channel: str,
    now: datetime,
) -> tuple[CaseRow, Entry]:
    """The row of a new case, inside the caller's transaction, and the entry to write at its end."""
    find_unit(unit)
    _check_input(requester, wanted.original, wanted.copies, channel)
    if presented is not None:
        _check_presentation(presented, now=now)
    found_kind = kind(wanted.document_kind)
    code = dossier.parse(dossier_code).text if dossier_code else None
    deadline = due(now, long=wanted.long, agreed=wanted.agreed_day)
    row = CaseRow(
        id=uuid.uuid4().hex,
        unit=unit,
        channel=channel,
        dossier_code=code,
        requester_id=requester.owner_id,
        requester=asdict(requester),
        document_kind=found_kind.code,
        original=wanted.original.to_json(),
        copies=wanted.copies,
        presented=presented.to_json() if presented else None,
        assigned_to=None,
        state=CaseState.OPEN.value,
        received_at=now,
        due_at=deadline.at,
        slip=deadline.slip,
    )
    session.add(row)
    session.flush()
    details = {
        "unit": unit,
        "kind": found_kind.code,
        "pages": wanted.original.pages,
        "presented": presented is not None,
        "due_at": deadline.at,
        "dossier_code": code or "",
    }
    return row, Entry(Tag.CASE_OPENED, f"case:{row.id}", details)


def record_presentation(
    office: Office,
    case_id: str,
    presentation: Presentation,
    *,
    long: bool = False,
    agreed_day: date | None = None,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Case:
    """The person has come and shown the original; the term of the case begins at this moment.

    What was opened from home waited for the person, not for the office. Raises `CertifyError`
    `already-presented`, `presentation-time-wrong`.
    """
    with office.database.transaction() as session:
        row = locked_case(session, case_id, CaseState.OPEN, viewer=viewer)
        if row.presented is not None:
            raise CertifyError("already-presented")
        shown = present(row, presentation, long=long, agreed_day=agreed_day, now=now)
        write(session, [shown], now=now, by=by)
    return as_case(row)


def present(
    row: CaseRow,
    presentation: Presentation,
    *,
    long: bool = False,
    agreed_day: date | None = None,
    now: datetime,
) -> Entry:
    """Who saw the original, when and where; the caller holds the row and writes the entry."""
    _check_presentation(presentation, now=now)
    deadline = due(now, long=long, agreed=agreed_day)
    row.presented = presentation.to_json()
    row.received_at, row.due_at, row.slip = now, deadline.at, deadline.slip
    details = {
        "place": presentation.place,
        "at": presentation.at,
        "to": presentation.to,
        "due_at": deadline.at,
    }
    return Entry(Tag.ORIGINAL_PRESENTED, f"case:{row.id}", details)


def assign(
    office: Office,
    case_id: str,
    *,
    to: str,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Case:
    """Give the case to an official of the unit, named by their holder identifier.

    Raises `CertifyError` `assignee-not-of-unit` unless an official's certificate names that unit.
    """
    with office.database.transaction() as session:
        row = locked_case(session, case_id, *UNNUMBERED, CaseState.CERTIFYING, viewer=viewer)
        unit = find_unit(row.unit)
        if not any(
            one.kind == "official" and one.unit in (unit.code, unit.agency_code)
            for one in credentials.by_holder(office.desk, to)
        ):
            raise CertifyError("assignee-not-of-unit", unit=unit.name)
        row.assigned_to = to
        _audit(session, Tag.CASE_ASSIGNED, case_id, {"to": to}, now=now, by=by)
    return as_case(row)


def withdraw(
    office: Office,
    case_id: str,
    *,
    reason: str,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Case:
    """The requester no longer wants it; only before a number was taken."""
    with office.database.transaction() as session:
        row = locked_case(session, case_id, *UNNUMBERED, viewer=viewer, own=True)
        close(row, CaseState.WITHDRAWN, reason, now=now)
        _audit(session, Tag.CASE_WITHDRAWN, case_id, {"reason": reason}, now=now, by=by)
    return as_case(row)


def _check_presentation(presentation: Presentation, *, now: datetime) -> None:
    if presentation.at > now + CLOCKS_APART:
        raise CertifyError("presentation-time-wrong", at=presentation.at.isoformat())


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
