"""A citizen's requests for certified copies at the screen: asked for, booked, followed, given up.

Also the public page that the slip's QR code leads to: where the visit stands, nothing personal.
docs/flows/visit.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, SignedIn, csrf_checked, record_refusal
from api.errors import ApiError
from api.pages import render
from api.routes.visits import pdf_answer
from api.services import Services
from certify.counter import appointments, visit_lookup, visits
from certify.counter.appointments import Slot
from certify.counter.cases import OriginalDescription, Requester
from certify.counter.intake import Wanted
from certify.counter.slip import slip
from certify.counter.viewers import Viewer
from certify.errors import CertifyError
from certify.kinds import kinds
from certify.units import units
from records.errors import DomainError
from signer.routing.working_days import local

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])
_HEAD = ["GET", "HEAD"]
_DOCUMENTS = 3
VisitId = Annotated[str, Path(max_length=32)]
Many = Annotated[list[str], Form(max_length=_DOCUMENTS)]
SlotText = Annotated[str, Form(max_length=40)]


@router.api_route("/desk/requests", methods=_HEAD)
def listed(request: Request, wired: Wired, person: SignedIn) -> Response:
    """One's own requests, newest first."""
    viewer = viewer_of_citizen(person)
    found = visit_lookup.list_visits(wired.house.office, viewer=viewer)
    return render(request, "requests.html", visits=found, unit_names=_unit_names())


@router.api_route("/desk/requests/new", methods=_HEAD)
def form(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    unit: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """First the unit, then documents and an hour of that unit."""
    viewer_of_citizen(person)
    return _form(request, wired, unit, now=now)


@router.post("/desk/requests")
def open_request(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    unit: Annotated[str, Form(max_length=16)],
    slot: SlotText = "",
    kind: Many = [],  # noqa: B006 – FastAPI copies it
    title: Many = [],  # noqa: B006 – FastAPI copies it
    issuer: Many = [],  # noqa: B006 – FastAPI copies it
    pages: Many = [],  # noqa: B006 – FastAPI copies it
    copies: Many = [],  # noqa: B006 – FastAPI copies it
) -> Response:
    """The documents that have a title, and the hour."""
    viewer = viewer_of_citizen(person)
    try:
        wanted = _wanted(kind, title, issuer, pages, copies)
        made = visits.open_visit(
            wired.house.office,
            unit=unit,
            requester=Requester(person.name, viewer.by.partition(":")[2]),
            documents=wanted,
            slot=_moment(slot) if slot else None,
            channel="citizen",
            viewer=viewer,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _form(request, wired, unit, now=now, problem=error, status=status)
    return RedirectResponse(f"/desk/requests/{made.id}", status_code=303)


@router.api_route("/desk/requests/{visit_id}", methods=_HEAD)
def look(visit_id: VisitId, request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """Where each document stands; the hour, and how to change it."""
    return _page(request, wired, person, visit_id, now=now)


@router.api_route("/desk/requests/{visit_id}/slip.pdf", methods=_HEAD)
def slip_of(visit_id: VisitId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """To print, or to show on the telephone."""
    office = wired.house.office
    visit = visit_lookup.find_visit(office, visit_id, viewer=viewer_of_citizen(person))
    return pdf_answer(slip(office, visit, now=now), f"phieu-hen-{visit.code}.pdf")


@router.post("/desk/requests/{visit_id}/appointment")
def book(
    visit_id: VisitId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    slot: SlotText = "",
) -> Response:
    """An hour, or another one."""
    office = wired.house.office

    def act(viewer: Viewer) -> object:
        held = visit_lookup.find_visit(office, visit_id, viewer=viewer).appointment
        change = appointments.rebook if held and held.booked else appointments.book
        return change(office, visit_id, _moment(slot), viewer=viewer, now=now, by=person.by)

    return _done(request, wired, person, visit_id, act, now=now)


@router.post("/desk/requests/{visit_id}/cancellation")
def cancel(
    visit_id: VisitId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """Give the hour back; the request stays."""

    def act(viewer: Viewer) -> None:
        appointments.cancel(
            wired.house.office,
            visit_id,
            reason="người yêu cầu hủy hẹn",
            viewer=viewer,
            now=now,
            by=person.by,
        )

    return _done(request, wired, person, visit_id, act, now=now)


@router.post("/desk/requests/{visit_id}/withdrawal")
def withdraw(
    visit_id: VisitId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """No longer wanted at all."""

    def act(viewer: Viewer) -> object:
        return visits.withdraw_visit(
            wired.house.office,
            visit_id,
            reason="người yêu cầu rút",
            viewer=viewer,
            now=now,
            by=person.by,
        )

    return _done(request, wired, person, visit_id, act, now=now)


@router.api_route("/visits/{code}", methods=_HEAD)
def public(code: str, request: Request, wired: Wired) -> Response:
    """Where the QR code of a slip leads, without an account."""
    wired.rates.take("code", request.client.host if request.client else "unknown")
    found = visit_lookup.visit_by_code(wired.house.office, code[:80])
    return render(request, "visit-public.html", visit=found)


def viewer_of_citizen(person: Person) -> Viewer:
    """Somebody with a citizen's account; raises ApiError `role-missing` for others."""
    if person.kind != "citizen":
        raise ApiError("role-missing", roles="citizen")
    return Viewer.citizen(person.by)


def days_of(slots: list[Slot], most: int = 5) -> list[tuple[datetime, list[Slot]]]:
    """The hours by day, for the first days that have any."""
    days = [list(hours) for _, hours in groupby(slots, lambda one: local(one.starts_at).date())]
    return [(hours[0].starts_at, hours) for hours in days[:most]]


def _wanted(
    kind: list[str], title: list[str], issuer: list[str], pages: list[str], copies: list[str]
) -> list[Wanted]:
    if not len(kind) == len(title) == len(issuer) == len(pages) == len(copies):
        raise CertifyError("visit-documents", most=_DOCUMENTS)
    rows = zip(kind, title, issuer, pages, copies, strict=True)
    return [
        Wanted(
            of,
            OriginalDescription(named.strip()[:400], by.strip()[:200], _number(count)),
            _number(times),
        )
        for of, named, by, count, times in rows
        if named.strip()
    ]


def _number(text: str) -> int:
    """A small whole number; anything else is 0, which the domain refuses in its own words."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CertifyError("slot-not-offered", at=text[:40]) from None
    if moment.tzinfo is None:
        raise CertifyError("slot-not-offered", at=text[:40])
    return moment


def _unit_names() -> dict[str, str]:
    return {code: unit.name for code, unit in units().items()}


def _form(
    request: Request,
    wired: Services,
    unit: str,
    *,
    now: datetime,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    known = unit if unit in units() else ""
    slots = appointments.free_slots(wired.house.office, known, now=now) if known else []
    return render(
        request,
        "request-new.html",
        status=status,
        unit=known,
        unit_names=_unit_names(),
        kinds=kinds().values(),
        days=days_of(slots),
        documents=range(1, _DOCUMENTS + 1),
        problem=problem,
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
    viewer = viewer_of_citizen(person)
    try:
        act(viewer)
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, visit_id, now=now, problem=error, status=status)
    return RedirectResponse(f"/desk/requests/{visit_id}", status_code=303)


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
    office = wired.house.office
    visit = visit_lookup.find_visit(office, visit_id, viewer=viewer_of_citizen(person))
    waiting = not visit.presented and not visit.over
    slots = appointments.free_slots(office, visit.unit, now=now) if waiting else []
    return render(
        request,
        "request.html",
        status=status,
        visit=visit,
        unit_name=units()[visit.unit].name,
        waiting=waiting,
        days=days_of(slots),
        problem=problem,
    )
