"""A visit: one requester, one coming, several originals, each a case of its own.

    visit = open_visit(office, unit="14797", requester=…, documents=[Wanted(…), Wanted(…)],
                       slot=starts_at, channel="citizen", viewer=viewer, now=now, by=by)
    present_visit(office, visit.id, place="Bộ phận Một cửa", to="Phạm Minh Ví Dụ", …)

It is opened by the citizen, at the counter or by the procedure system with its dossier code. With
an hour it holds a seat; when the originals are put on the counter the appointment is kept and the
term of every case begins. docs/flows/visit.md has the same numbered steps.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from certify import codes
from certify.counter import appointments, dossier
from certify.counter.cases import UNNUMBERED, Presentation, Requester, close
from certify.counter.intake import Wanted, new_case, present
from certify.counter.viewers import SERVICE, Viewer
from certify.counter.visit_lookup import (
    Visit,
    as_visit,
    cases_of,
    visit_row,
)
from certify.counter.visit_models import VisitCaseRow, VisitRow
from certify.entries import Entry, write
from certify.errors import CertifyError, NotFound
from certify.models import CaseState
from certify.office import Office
from certify.units import unit as find_unit
from records.tags import Tag
from signer.routing.working_days import local

MOST_DOCUMENTS = 20
PROVINCE = "H56"


def open_visit(
    office: Office,
    *,
    unit: str,
    requester: Requester,
    documents: Sequence[Wanted],
    slot: datetime | None = None,
    presented: Presentation | None = None,
    dossier_code: str | None = None,
    channel: str = "counter",
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Visit:
    """Open the visit, its cases and, with `slot`, its appointment: all of it or nothing.

    Raises `CertifyError`: `visit-for-another`, `visit-documents`, `dossier-missing`,
    `dossier-of-elsewhere`, `dossier-of-the-future`, `dossier-already-open`, and what cases and
    appointments raise.
    """
    # 1. Who may ask for whom, and with which dossier code.
    find_unit(unit)
    if channel == "citizen":
        if viewer.owner_id != requester.owner_id or presented is not None:
            raise CertifyError("visit-for-another")
    elif not viewer.works_for(unit):
        raise NotFound("unit-unknown", unit=unit)
    if not 1 <= len(documents) <= MOST_DOCUMENTS:
        raise CertifyError("visit-documents", most=MOST_DOCUMENTS)
    code = _dossier(dossier_code, required=channel == "procedure-system", now=now)
    with office.database.transaction() as session:
        if code is not None and _dossier_is_open(session, unit, code):
            raise CertifyError("dossier-already-open", dossier=code)
        row = VisitRow(
            id=uuid.uuid4().hex,
            code=codes.new(),
            unit=unit,
            channel=channel,
            dossier_code=code,
            requester_id=requester.owner_id,
            requester=asdict(requester),
            opened_at=now,
            opened_by=by,
        )
        session.add(row)
        session.flush()
        # 2. One case for each original, each with its term.
        entries: list[Entry | None] = []
        for position, wanted in enumerate(documents, 1):
            case, opened = new_case(
                session,
                wanted,
                unit=unit,
                requester=requester,
                presented=presented,
                dossier_code=code,
                channel=channel,
                now=now,
            )
            session.add(VisitCaseRow(case_id=case.id, visit_id=row.id, position=position))
            entries.append(opened)
        session.flush()
        # 3. A seat, where an hour was asked for.
        if slot is not None:
            entries.append(appointments.take_seat(session, row, slot, now=now, by=by)[1])
        details = {"unit": unit, "channel": channel, "documents": len(documents)}
        entries.append(Entry(Tag.VISIT_OPENED, f"visit:{row.id}", details))
        write(session, entries, now=now, by=by)
        return as_visit(session, row)


def present_visit(
    office: Office,
    visit_id: str,
    *,
    place: str,
    to: str,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Visit:
    """The person is at the counter with the originals; terms begin, the appointment is kept."""
    shown = Presentation(at=now, place=place, to=to)
    with office.database.transaction() as session:
        row = visit_row(session, visit_id, lock=True)
        viewer.require_work(unit=row.unit, owner_id=row.requester_id)
        waiting = [
            case
            for case in cases_of(session, row.id)
            if case.state == CaseState.OPEN.value and case.presented is None
        ]
        if not waiting:
            raise CertifyError("visit-over")
        entries = [appointments.keep(session, row, now=now, by=by)]
        entries += [present(case, shown, now=now) for case in waiting]
        session.flush()
        write(session, entries, now=now, by=by)
        return as_visit(session, row)


def withdraw_visit(
    office: Office,
    visit_id: str,
    *,
    reason: str,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Visit:
    """The requester no longer comes: cases without a number end, the seat is given back."""
    if not reason.strip():
        raise CertifyError("reason-missing")
    with office.database.transaction() as session:
        row = visit_row(session, visit_id, lock=True)
        viewer.require_sight(unit=row.unit, owner_id=row.requester_id, code="visit-unknown")
        open_cases = [
            case for case in cases_of(session, row.id) if CaseState(case.state) in UNNUMBERED
        ]
        if not open_cases:
            raise CertifyError("visit-over")
        entries = [appointments.give_back(session, row, reason=reason, now=now, by=by)]
        for case in open_cases:
            close(case, CaseState.WITHDRAWN, reason, now=now)
            entries.append(Entry(Tag.CASE_WITHDRAWN, f"case:{case.id}", {"reason": reason}))
        session.flush()
        write(session, entries, now=now, by=by)
        return as_visit(session, row)


def _dossier(text: str | None, *, required: bool, now: datetime) -> str | None:
    """DOMAIN.md §5: the code is well formed, of this province, and of a day that has come."""
    if not text:
        if required:
            raise CertifyError("dossier-missing")
        return None
    found = dossier.parse(text)
    if PROVINCE not in found.agency.split("."):
        raise CertifyError("dossier-of-elsewhere", dossier=found.text)
    if found.received > local(now).date():
        raise CertifyError("dossier-of-the-future", dossier=found.text)
    return found.text


def _dossier_is_open(session: Session, unit: str, code: str) -> bool:
    rows = session.scalars(
        select(VisitRow).where(VisitRow.unit == unit, VisitRow.dossier_code == code)
    )
    return any(not as_visit(session, row).over for row in rows)
