"""Visits as they are seen: by their unit, by their requester, by whoever holds the slip.

    find_visit(office, visit_id, viewer=viewer)       # NotFound for everybody else
    visit_by_code(office, "K7QF-2M9X-…")              # nothing personal

Each look asks the viewer (DOMAIN.md §6); what is done with a visit is decided in
`certify.counter.visits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from certify import codes
from certify.counter import appointments
from certify.counter.appointments import Appointment
from certify.counter.cases import UNNUMBERED, Case, Requester, as_case
from certify.counter.viewers import Viewer
from certify.counter.visit_models import AppointmentRow, AppointmentState, VisitCaseRow, VisitRow
from certify.errors import NotFound
from certify.models import CaseRow, CaseState
from certify.office import Office
from certify.units import unit as find_unit


@dataclass(frozen=True)
class Visit:
    """A visit as its unit and its requester see it."""

    id: str
    code: str
    unit: str
    channel: str
    dossier_code: str | None
    requester: Requester
    opened_at: datetime
    cases: tuple[Case, ...]
    appointment: Appointment | None

    @property
    def over(self) -> bool:
        """Nothing is waiting any more."""
        return all(case.state not in (*UNNUMBERED, CaseState.CERTIFYING) for case in self.cases)

    @property
    def presented(self) -> bool:
        return any(case.presented for case in self.cases)

    @property
    def due_at(self) -> datetime:
        """When the last of its cases is due."""
        return max(case.due_at for case in self.cases)


@dataclass(frozen=True)
class PublicVisit:
    """What the slip's QR code shows to whoever holds the slip: nothing personal."""

    code: str
    unit_name: str
    appointment: Appointment | None
    presented: bool
    due_at: datetime | None
    states: tuple[str, ...]


def find_visit(office: Office, visit_id: str, *, viewer: Viewer) -> Visit:
    """The visit, for those who may see it; `NotFound` `visit-unknown` for all others."""
    with office.database.reading() as session:
        row = visit_row(session, visit_id)
        viewer.require_sight(unit=row.unit, owner_id=row.requester_id, code="visit-unknown")
        return as_visit(session, row)


def visit_of_case(office: Office, case_id: str, *, viewer: Viewer) -> Visit | None:
    """The visit a case belongs to; None for one opened alone."""
    with office.database.reading() as session:
        link = session.get(VisitCaseRow, case_id)
    return None if link is None else find_visit(office, link.visit_id, viewer=viewer)


def list_visits(
    office: Office,
    *,
    viewer: Viewer,
    unit: str | None = None,
    limit: int = 100,
) -> list[Visit]:
    """A unit's visits for its officials, one's own for a citizen; newest first."""
    query = select(VisitRow).order_by(VisitRow.opened_at.desc(), VisitRow.id).limit(limit)
    if unit is not None:
        if not viewer.works_for(unit):
            raise NotFound("unit-unknown", unit=unit)
        query = query.where(VisitRow.unit == unit)
    elif viewer.owner_id is not None:
        query = query.where(VisitRow.requester_id == viewer.owner_id)
    elif viewer.units is not None:
        query = query.where(VisitRow.unit.in_(viewer.units))
    with office.database.reading() as session:
        return [as_visit(session, row) for row in session.scalars(query)]


def expected_visits(
    office: Office, unit: str, *, viewer: Viewer, since: datetime, limit: int = 100
) -> list[Visit]:
    """Who holds an appointment at this unit from then on, by the hour."""
    if not viewer.works_for(unit):
        raise NotFound("unit-unknown", unit=unit)
    query = (
        select(VisitRow)
        .join(AppointmentRow, AppointmentRow.visit_id == VisitRow.id)
        .where(AppointmentRow.unit == unit, AppointmentRow.starts_at >= since)
        .where(AppointmentRow.state == AppointmentState.BOOKED.value)
        .order_by(AppointmentRow.starts_at, AppointmentRow.seat)
        .limit(limit)
    )
    with office.database.reading() as session:
        return [as_visit(session, row) for row in session.scalars(query)]


def expected_count(office: Office, unit: str, *, since: datetime, until: datetime) -> int:
    """How many appointments a unit has between two moments that are not over."""
    query = (
        select(func.count())
        .select_from(AppointmentRow)
        .where(AppointmentRow.unit == unit, AppointmentRow.starts_at >= since)
        .where(AppointmentRow.starts_at < until)
        .where(AppointmentRow.state == AppointmentState.BOOKED.value)
    )
    with office.database.reading() as session:
        return int(session.scalar(query) or 0)


def visit_by_code(office: Office, text: str) -> PublicVisit:
    """What the slip's QR code leads to. Raises `NotFound` `visit-unknown`, `code-malformed`."""
    code = codes.read(text)
    with office.database.reading() as session:
        row = session.scalars(select(VisitRow).where(VisitRow.code == code)).one_or_none()
        if row is None:
            raise NotFound("visit-unknown")
        visit = as_visit(session, row)
    return PublicVisit(
        code=code,
        unit_name=find_unit(visit.unit).name,
        appointment=visit.appointment,
        presented=visit.presented,
        due_at=visit.due_at if visit.presented and not visit.over else None,
        states=tuple(case.state.value for case in visit.cases),
    )


def visit_row(session: Session, visit_id: str, *, lock: bool = False) -> VisitRow:
    """The row, locked where the caller will change what hangs on it."""
    row = session.get(VisitRow, visit_id, with_for_update=True if lock else None)
    if row is None:
        raise NotFound("visit-unknown")
    return row


def cases_of(session: Session, visit_id: str) -> list[CaseRow]:
    return list(
        session.scalars(
            select(CaseRow)
            .join(VisitCaseRow, VisitCaseRow.case_id == CaseRow.id)
            .where(VisitCaseRow.visit_id == visit_id)
            .order_by(VisitCaseRow.position)
        )
    )


def as_visit(session: Session, row: VisitRow) -> Visit:
    return Visit(
        id=row.id,
        code=row.code,
        unit=row.unit,
        channel=row.channel,
        dossier_code=row.dossier_code,
        requester=Requester(**row.requester),
        opened_at=row.opened_at,
        cases=tuple(as_case(case) for case in cases_of(session, row.id)),
        appointment=appointments.latest(session, row.id),
    )
