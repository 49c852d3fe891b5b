"""Appointments: a seat at the counter at an hour, booked, changed, given back, kept or missed.

    free = free_slots(office, "14797", now=now)
    book(office, visit.id, free[0].starts_at, viewer=viewer, now=now, by=by)
    rebook(office, visit.id, free[3].starts_at, …)      # the old seat is free in the same moment

Each booked appointment holds one numbered seat of its hour; an index lets no seat be held twice,
so two people who press at the same moment cannot both get the last one.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from certify.counter.deadlines import due
from certify.counter.slots import bookable, hours_at, plan_on
from certify.counter.viewers import SERVICE, Viewer
from certify.counter.visit_models import AppointmentRow, AppointmentState, VisitCaseRow, VisitRow
from certify.entries import Entry, write
from certify.errors import CertifyError, NotFound
from certify.models import CaseRow, CaseState
from certify.office import Office
from certify.units import unit as find_unit
from records.tags import Tag
from signer.routing.working_days import local


@dataclass(frozen=True)
class Slot:
    """An hour with its free seats; `due_at`: when the copy of an original shown then is due."""

    starts_at: datetime
    ends_at: datetime
    free: int
    due_at: datetime
    same_day: bool


_ENDINGS = {
    AppointmentState.CANCELLED: Tag.APPOINTMENT_CANCELLED,
    AppointmentState.KEPT: Tag.APPOINTMENT_KEPT,
    AppointmentState.MISSED: Tag.APPOINTMENT_MISSED,
}


@dataclass(frozen=True)
class Appointment:
    """The newest appointment of a visit."""

    id: str
    starts_at: datetime
    ends_at: datetime
    state: AppointmentState
    seat: int
    reason: str | None

    @property
    def booked(self) -> bool:
        return self.state is AppointmentState.BOOKED


def free_slots(office: Office, unit: str, *, now: datetime) -> list[Slot]:
    """Every hour of the unit that still has a seat, soonest first."""
    find_unit(unit)
    hours = bookable(unit, now=now)
    if not hours:
        return []
    query = (
        select(AppointmentRow.starts_at)
        .where(AppointmentRow.unit == unit, AppointmentRow.starts_at >= hours[0][0])
        .where(AppointmentRow.state == AppointmentState.BOOKED.value)
    )
    with office.database.reading() as session:
        taken = Counter(session.scalars(query))
    found = []
    for start, end in hours:
        free = plan_on(unit, local(start).date()).seats - taken[start]
        if free > 0:
            deadline = due(start)
            found.append(Slot(start, end, free, deadline.at, same_day=not deadline.slip))
    return found


def book(
    office: Office,
    visit_id: str,
    starts_at: datetime,
    *,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Appointment:
    """A seat for a visit that has none. Raises `slot-not-offered`, `slot-full`,
    `visit-already-booked`, `visit-over`, `appointments-too-many`, `appointment-missed-often`."""
    with office.database.transaction() as session:
        row = _visit(session, visit_id, viewer)
        made, entry = take_seat(session, row, starts_at, now=now, by=by)
        write(session, [entry], now=now, by=by)
        return made


def rebook(
    office: Office,
    visit_id: str,
    starts_at: datetime,
    *,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Appointment:
    """Another hour: the new seat and the end of the old one, or neither."""
    with office.database.transaction() as session:
        row = _visit(session, visit_id, viewer)
        ended = give_back(session, row, reason="đổi lịch hẹn", now=now, by=by)
        if ended is None:
            raise NotFound("appointment-unknown")
        made, entry = take_seat(session, row, starts_at, now=now, by=by)
        write(session, [ended, entry], now=now, by=by)
        return made


def cancel(
    office: Office,
    visit_id: str,
    *,
    reason: str,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> None:
    """Give the seat back; the request itself stays open. Raises `appointment-unknown`."""
    with office.database.transaction() as session:
        row = _visit(session, visit_id, viewer)
        ended = give_back(session, row, reason=reason, now=now, by=by)
        if ended is None:
            raise NotFound("appointment-unknown")
        write(session, [ended], now=now, by=by)


def record_missed(
    office: Office, visit_id: str, *, viewer: Viewer = SERVICE, now: datetime, by: str
) -> None:
    """Nobody came. Raises `appointment-not-over` before the hour and its grace have passed."""
    with office.database.transaction() as session:
        row = session.get(VisitRow, visit_id, with_for_update=True)
        if row is None:
            raise NotFound("visit-unknown")
        viewer.require_work(unit=row.unit, owner_id=row.requester_id)
        booked = _booked(session, visit_id)
        if booked is None:
            raise NotFound("appointment-unknown")
        if now < _given_up_at(booked):
            raise CertifyError("appointment-not-over")
        ended = _end(session, booked, AppointmentState.MISSED, None, now=now, by=by)
        write(session, [ended], now=now, by=by)


def sweep_missed(office: Office, *, now: datetime, by: str) -> int:
    """Record every appointment whose hour passed without a presentation; how many there were."""
    query = select(AppointmentRow).where(
        AppointmentRow.state == AppointmentState.BOOKED.value, AppointmentRow.ends_at < now
    )
    with office.database.transaction() as session:
        ended = [
            _end(session, row, AppointmentState.MISSED, None, now=now, by=by)
            for row in session.scalars(query.with_for_update()).all()
            if now >= _given_up_at(row)
        ]
        write(session, ended, now=now, by=by)
    return len(ended)


def take_seat(
    session: Session, visit: VisitRow, starts_at: datetime, *, now: datetime, by: str
) -> tuple[Appointment, Entry]:
    """The lowest free seat of that hour, inside the caller's transaction.

    The audit entry is for the caller to write last: whoever held the audit log's lock while
    waiting for a seat that another holds would wait for ever.
    """
    hours = hours_at(visit.unit, starts_at, now=now)
    waiting = session.scalar(
        select(func.count())
        .select_from(CaseRow)
        .join(VisitCaseRow, VisitCaseRow.case_id == CaseRow.id)
        .where(VisitCaseRow.visit_id == visit.id, CaseRow.state == CaseState.OPEN.value)
        .where(CaseRow.presented.is_(None))
    )
    if not waiting:
        raise CertifyError("visit-over")
    if _booked(session, visit.id) is not None:
        raise CertifyError("visit-already-booked")
    _require_reliable(session, visit, now=now)
    for seat in range(1, plan_on(visit.unit, local(starts_at).date()).seats + 1):
        row = AppointmentRow(
            id=uuid.uuid4().hex,
            visit_id=visit.id,
            unit=visit.unit,
            starts_at=hours[0],
            ends_at=hours[1],
            seat=seat,
            state=AppointmentState.BOOKED.value,
            booked_at=now,
            booked_by=by,
        )
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:  # somebody holds it, or was quicker
            continue
        details = {"unit": visit.unit, "starts_at": hours[0], "seat": seat}
        return as_appointment(row), Entry(Tag.APPOINTMENT_BOOKED, f"visit:{visit.id}", details)
    raise CertifyError("slot-full")


def give_back(
    session: Session, visit: VisitRow, *, reason: str, now: datetime, by: str
) -> Entry | None:
    """End the booked appointment, if there is one."""
    row = _booked(session, visit.id)
    if row is None:
        return None
    return _end(session, row, AppointmentState.CANCELLED, reason, now=now, by=by)


def keep(session: Session, visit: VisitRow, *, now: datetime, by: str) -> Entry | None:
    """The person has come."""
    row = _booked(session, visit.id)
    if row is None:
        return None
    return _end(session, row, AppointmentState.KEPT, None, now=now, by=by)


def latest(session: Session, visit_id: str) -> Appointment | None:
    """The newest appointment of a visit: the booked one where there is one."""
    row = session.scalars(
        select(AppointmentRow)
        .where(AppointmentRow.visit_id == visit_id)
        .order_by((AppointmentRow.state == AppointmentState.BOOKED.value).desc())
        .order_by(AppointmentRow.booked_at.desc())
        .order_by((AppointmentRow.state == AppointmentState.CANCELLED.value).asc())
        .limit(1)
    ).one_or_none()
    return None if row is None else as_appointment(row)


def as_appointment(row: AppointmentRow) -> Appointment:
    """A row as a value that outlives its session."""
    return Appointment(
        row.id, row.starts_at, row.ends_at, AppointmentState(row.state), row.seat, row.reason
    )


def _visit(session: Session, visit_id: str, viewer: Viewer) -> VisitRow:
    row = session.get(VisitRow, visit_id, with_for_update=True)
    if row is None:
        raise NotFound("visit-unknown")
    viewer.require_sight(unit=row.unit, owner_id=row.requester_id, code="visit-unknown")
    return row


def _booked(session: Session, visit_id: str) -> AppointmentRow | None:
    return session.scalars(
        select(AppointmentRow)
        .where(AppointmentRow.visit_id == visit_id)
        .where(AppointmentRow.state == AppointmentState.BOOKED.value)
    ).one_or_none()


def _require_reliable(session: Session, visit: VisitRow, *, now: datetime) -> None:
    """Seats are for those who come: not too many held at once, not after missing too often."""
    plan = plan_on(visit.unit, local(now).date())
    since = now - timedelta(days=plan.missed_days)
    of_requester = (
        select(AppointmentRow.state, AppointmentRow.ended_at)
        .join(VisitRow, VisitRow.id == AppointmentRow.visit_id)
        .where(VisitRow.requester_id == visit.requester_id)
    )
    rows = session.execute(of_requester).all()
    held = sum(state == AppointmentState.BOOKED.value for state, _ in rows)
    if held >= plan.most_open:
        raise CertifyError("appointments-too-many", count=held)
    missed = sum(
        state == AppointmentState.MISSED.value and ended_at is not None and ended_at >= since
        for state, ended_at in rows
    )
    if missed >= plan.missed_limit:
        raise CertifyError("appointment-missed-often", count=missed, days=plan.missed_days)


def _given_up_at(row: AppointmentRow) -> datetime:
    plan = plan_on(row.unit, local(row.starts_at).date())
    return row.ends_at + timedelta(minutes=plan.grace_minutes)


def _end(
    session: Session,
    row: AppointmentRow,
    state: AppointmentState,
    reason: str | None,
    *,
    now: datetime,
    by: str,
) -> Entry:
    row.state, row.reason, row.ended_at, row.ended_by = state.value, reason, now, by
    session.flush()
    details = {"starts_at": row.starts_at, "reason": reason or ""}
    return Entry(_ENDINGS[state], f"visit:{row.visit_id}", details)
