"""What a unit's signing goes by, at the screen: delegations, routes, the outgoing register.

The unit's administrator gives and ends delegations and defines routes; its clerks read the
register. Nobody sees another unit's, and nobody gives themselves authority to sign.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, needs, record_refusal
from api.errors import ApiError
from api.pages import render
from api.services import Services
from records.errors import DomainError
from signer.keys import credentials
from signer.keys.credentials import Credential
from signer.routing import delegations, outgoing_numbers, step_routes
from signer.routing.step_routes import LONGEST_DAYS, PlannedStep, StepKind
from signer.routing.working_days import VIETNAM, local

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])
_HEAD = ["GET", "HEAD"]
HexId = Annotated[str, Path(max_length=64, pattern=r"^[0-9a-f]+$")]
Typed = Annotated[str, Form(max_length=1000)]
Days = Annotated[int, Form(ge=0, le=LONGEST_DAYS)]
INITIALS = 3


@router.api_route("/desk/signing", methods=_HEAD)
def setup(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The unit's delegations and routes."""
    return _setup(request, wired, person, now=now)


@router.post("/desk/signing/delegations")
def give(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    official: Typed = "",
    lines: Typed = "",
    kinds: Typed = "",
    basis: Typed = "",
    valid_from: Typed = "",
    valid_to: Typed = "",
) -> Response:
    """Let a colleague sign under these lines; dates are whole days in Vietnam."""
    unit = own_unit(person)
    try:
        chosen = colleague(wired, unit, official)
        if chosen.holder_id == person.holder_id:
            raise ApiError("signing-delegation-own")
        begins = day(valid_from)
        ends = day(valid_to)
        delegations.give(
            wired.house.desk,
            unit=unit,
            holder_id=chosen.holder_id,
            name=chosen.name,
            authority_lines=[one for one in lines.splitlines() if one.strip()],
            kinds=[one for one in kinds.replace(",", " ").split() if one],
            basis=" ".join(basis.split()),
            valid_from=midnight(begins) if begins else None,
            valid_to=midnight(ends + timedelta(days=1)) if ends else None,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        return _told(request, wired, person, error, now=now)
    return RedirectResponse("/desk/signing", status_code=303)


@router.post("/desk/signing/delegations/{delegation_id}/end")
def end(
    delegation_id: HexId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """From this moment nothing is signed under it."""
    desk, unit = wired.house.desk, own_unit(person)
    try:
        if delegations.find(desk, delegation_id).unit != unit:
            raise ApiError("signing-delegation-not-found")
        delegations.end(desk, delegation_id, now=now, by=person.by)
    except DomainError as error:
        return _told(request, wired, person, error, now=now)
    return RedirectResponse("/desk/signing", status_code=303)


@router.post("/desk/signing/routes")
def define(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    name: Typed = "",
    initial: Annotated[list[str] | None, Form(max_length=INITIALS)] = None,
    signer: Typed = "",
    number: Annotated[str, Form(max_length=5)] = "",
    seal: Annotated[str, Form(max_length=5)] = "",
    days: Days = 1,
) -> Response:
    """Initials of up to three colleagues, one who signs, number and seal by the clerks."""
    unit = own_unit(person)
    try:
        title = " ".join(name.split())
        if not title:
            raise ApiError("request-invalid")
        people = [(StepKind.INITIAL, one) for one in initial or [] if one]
        people.append((StepKind.SIGNATURE, signer))
        planned = [
            PlannedStep(kind, unit, colleague(wired, unit, one).holder_id, days)
            for kind, one in people
        ]
        clerks = ((StepKind.NUMBER, number), (StepKind.SEAL, seal))
        planned += [PlannedStep(kind, unit, None, days) for kind, wanted in clerks if wanted]
        step_routes.define(
            wired.house.desk, unit=unit, name=title, steps=planned, now=now, by=person.by
        )
    except DomainError as error:
        return _told(request, wired, person, error, now=now)
    return RedirectResponse("/desk/signing", status_code=303)


@router.post("/desk/signing/routes/{route_id}/retirement")
def retire(route_id: HexId, request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """What is under way goes on as it was planned."""
    desk, unit = wired.house.desk, own_unit(person)
    try:
        if step_routes.find(desk, route_id).unit != unit:
            raise ApiError("route-not-found")
        step_routes.retire(desk, route_id, now=now, by=person.by)
    except DomainError as error:
        return _told(request, wired, person, error, now=now)
    return RedirectResponse("/desk/signing", status_code=303)


@router.api_route("/desk/outgoing-numbers", methods=_HEAD)
def register(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    year: Annotated[int | None, Query(ge=2025, le=2200)] = None,
) -> Response:
    """The unit's register of outgoing documents, a year at a time."""
    needs(person, Role.CLERK, Role.ADMIN, Role.AUDITOR)
    this_year = local(now).year
    shown = year or this_year
    found = outgoing_numbers.lines(wired.house.desk, unit=person.unit or "", year=shown)
    return render(request, "outgoing-numbers.html", lines=found, year=shown, this_year=this_year)


def _setup(
    request: Request,
    wired: Services,
    person: Person,
    *,
    now: datetime,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    desk, unit = wired.house.desk, own_unit(person)
    given = delegations.of_unit(desk, unit)
    return render(
        request,
        "signing-setup.html",
        status=status,
        delegations=[(one, one.in_force(now)) for one in given],
        routes=step_routes.of_unit(desk, unit),
        colleagues=colleagues(wired, unit),
        names={one.holder_id: one.name for one in colleagues(wired, unit)},
        initials=range(1, INITIALS + 1),
        problem=problem,
    )


def _told(
    request: Request, wired: Services, person: Person, error: DomainError, *, now: datetime
) -> Response:
    status = record_refusal(request, wired, person, error, now=now)
    return _setup(request, wired, person, now=now, problem=error, status=status)


def own_unit(person: Person) -> str:
    """The administrator's own unit, and no other."""
    needs(person, Role.ADMIN)
    if person.unit is None:
        raise ApiError("role-missing", roles=Role.ADMIN)
    return person.unit


def colleagues(wired: Services, unit: str) -> list[Credential]:
    """Each of the unit's officials once, by name."""
    newest = credentials.of_unit(wired.house.desk, unit, "official")
    known = {one.holder_id: one for one in reversed(newest)}
    return sorted(known.values(), key=lambda one: one.name)


def colleague(wired: Services, unit: str, holder_id: str) -> Credential:
    """One of them. Raises ApiError `step-holder-not-of-unit`."""
    for one in colleagues(wired, unit):
        if one.holder_id == holder_id:
            return one
    raise ApiError("step-holder-not-of-unit", unit=unit)


def day(text: str) -> date | None:
    """What a date field sends. Raises ApiError `request-invalid`."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ApiError("request-invalid") from None
    if not 2000 <= day.year <= 2200:
        raise ApiError("request-invalid")
    return day


def midnight(day: date) -> datetime:
    """When the day begins in Vietnam."""
    return datetime.combine(day, time(0), VIETNAM)
