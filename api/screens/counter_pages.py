"""The counter at the screen: who comes today, what was brought, opened without an appointment.

Intake staff see their unit's visits and no others; the rule is asked in the domain.
docs/flows/visit.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, needs, record_refusal
from api.errors import ApiError
from api.pages import render
from api.routes.visits import pdf_answer
from api.services import Services
from certify.counter import appointments, case_lookup, visit_lookup, visits
from certify.counter.cases import OriginalDescription, Presentation, Requester
from certify.counter.intake import Wanted
from certify.counter.slip import slip
from certify.counter.viewers import Viewer
from certify.kinds import kinds
from certify.models import CaseState
from certify.units import unit as find_unit
from records.errors import DomainError
from signer.routing.working_days import local

router = APIRouter(
    prefix="/desk/counter", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
_HEAD = ["GET", "HEAD"]
STAFF = (Role.INTAKE, Role.COMPARER, Role.SIGNER)
VisitId = Annotated[str, Path(max_length=32)]
Line = Annotated[str, Form(max_length=400)]


def viewer_of_staff(person: Person, *roles: Role) -> Viewer:
    """An official of a unit with one of these roles; raises ApiError `role-missing`."""
    needs(person, *(roles or STAFF))
    if person.kind != "official" or person.unit is None:
        raise ApiError("role-missing", roles=", ".join(roles or STAFF))
    return Viewer.official(unit=person.unit, by=person.by)


@router.api_route("", methods=_HEAD)
def listed(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """Today's appointments by the hour, then what is open, due first."""
    viewer = viewer_of_staff(person)
    unit = str(person.unit)
    today = local(now).date()
    midnight = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    expected = visit_lookup.expected_visits(wired.house.office, unit, viewer=viewer, since=midnight)
    cases = [
        case
        for state in (
            CaseState.OPEN,
            CaseState.CAPTURED,
            CaseState.COMPARED,
            CaseState.CERTIFYING,
        )
        for case in case_lookup.list_cases(wired.house.office, unit=unit, state=state)
        if case.presented
        or visit_lookup.visit_of_case(wired.house.office, case.id, viewer=viewer) is None
    ]
    return render(
        request,
        "counter.html",
        unit_name=find_unit(unit).inline,
        today=[one for one in expected if _day(one) == today],
        later=[one for one in expected if _day(one) != today][:20],
        cases=sorted(cases, key=lambda case: case.due_at),
        now=now,
    )


@router.api_route("/new", methods=_HEAD)
def form(request: Request, person: SignedIn) -> Response:
    """Somebody stands at the counter with an original."""
    viewer_of_staff(person, Role.INTAKE, Role.COMPARER)
    return _form(request)


@router.post("")
def open_at_counter(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    name: Line = "",
    identifier: Annotated[str, Form(max_length=20)] = "",
    requester_kind: Annotated[str, Form(max_length=20)] = "person",
    kind: Annotated[str, Form(max_length=64)] = "",
    title: Line = "",
    issuer: Line = "",
    pages: Annotated[int, Form(ge=0, le=2000)] = 0,
    copies: Annotated[int, Form(ge=0, le=100)] = 0,
    dossier_code: Annotated[str, Form(max_length=64)] = "",
    foreign: Annotated[bool, Form()] = False,
    legalised: Annotated[bool, Form()] = False,
    private_paper: Annotated[bool, Form()] = False,
    confirmed: Annotated[bool, Form()] = False,
    security: Line = "",
) -> Response:
    """Request, presentation and term in one act: the original is on the counter."""
    viewer = viewer_of_staff(person, Role.INTAKE, Role.COMPARER)
    unit = find_unit(str(person.unit))
    original = OriginalDescription(
        title=title.strip(),
        issuer=issuer.strip(),
        pages=pages,
        foreign=foreign,
        legalised=legalised,
        private_paper=private_paper,
        confirmed_by_agency=confirmed,
        security_elements=tuple(part.strip() for part in security.split(",") if part.strip()),
    )
    shown = Presentation(at=now, place=f"Bộ phận Một cửa, {unit.committee}", to=person.name)
    try:
        made = visits.open_visit(
            wired.house.office,
            unit=unit.code,
            requester=Requester(name.strip(), identifier.strip(), requester_kind),
            documents=[Wanted(kind, original, copies)],
            presented=shown,
            dossier_code=dossier_code.strip() or None,
            channel="counter",
            viewer=viewer,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _form(request, problem=error, status=status)
    return RedirectResponse(f"/desk/cases/{made.cases[0].id}", status_code=303)


@router.api_route("/{visit_id}", methods=_HEAD)
def look(visit_id: VisitId, request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The documents of a visit, and whether they have been put on the counter."""
    return _page(request, wired, person, visit_id, now=now)


@router.api_route("/{visit_id}/slip.pdf", methods=_HEAD)
def slip_of(visit_id: VisitId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """For the person to take along."""
    office = wired.house.office
    visit = visit_lookup.find_visit(office, visit_id, viewer=viewer_of_staff(person))
    return pdf_answer(slip(office, visit, now=now), f"phieu-hen-{visit.code}.pdf")


@router.post("/{visit_id}/presentation")
def present(
    visit_id: VisitId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """The originals are here, seen by this official."""
    unit = find_unit(str(person.unit))

    def act(viewer: Viewer) -> object:
        return visits.present_visit(
            wired.house.office,
            visit_id,
            place=f"Bộ phận Một cửa, {unit.committee}",
            to=person.name,
            viewer=viewer,
            now=now,
            by=person.by,
        )

    return _done(request, wired, person, visit_id, act, now=now)


@router.post("/{visit_id}/no-show")
def missed(
    visit_id: VisitId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """Nobody came."""

    def act(viewer: Viewer) -> None:
        appointments.record_missed(
            wired.house.office, visit_id, viewer=viewer, now=now, by=person.by
        )

    return _done(request, wired, person, visit_id, act, now=now)


def _day(visit: visit_lookup.Visit) -> object:
    return local(visit.appointment.starts_at).date() if visit.appointment else None


def _form(request: Request, *, problem: DomainError | None = None, status: int = 200) -> Response:
    return render(
        request, "counter-new.html", status=status, kinds=kinds().values(), problem=problem
    )


def _done(
    request: Request,
    wired: Services,
    person: Person,
    visit_id: str,
    act: Callable[[Viewer], object],
    *,
    now: datetime,
) -> Response:
    viewer = viewer_of_staff(person, Role.INTAKE, Role.COMPARER)
    try:
        act(viewer)
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, visit_id, now=now, problem=error, status=status)
    return RedirectResponse(f"/desk/counter/{visit_id}", status_code=303)


def _page(
    request: Request,
    wired: Services,
    person: Person,
    visit_id: str,
    *,
    now: datetime,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    visit = visit_lookup.find_visit(wired.house.office, visit_id, viewer=viewer_of_staff(person))
    booked = visit.appointment if visit.appointment and visit.appointment.booked else None
    return render(
        request,
        "counter-visit.html",
        status=status,
        visit=visit,
        waiting=any(not case.presented and case.state is CaseState.OPEN for case in visit.cases),
        over=booked is not None and booked.ends_at < now,
        problem=problem,
    )
