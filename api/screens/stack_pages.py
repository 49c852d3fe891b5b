"""Stacks on the screen: upload the list and the scans, authorise once, watch, take the result."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, needs, record_refusal
from api.errors import ApiError
from api.pages import language_for, render
from api.routes.stacks import add_files, results_file
from api.services import Services
from certify.errors import NotFound
from certify.stacks import stack_jobs
from certify.stacks.stack_jobs import Stack, StackState
from records.errors import DomainError
from signer.keys import credentials

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])
StackId = Annotated[str, Path(max_length=32)]
_LARGEST_LIST = 16 * 1024 * 1024


@router.get("/desk/stacks")
def stacks(request: Request, wired: Wired, person: SignedIn) -> Response:
    """The unit's stacks, and a form for the next."""
    return _listed(request, wired, person, _unit(person))


@router.post("/desk/stacks")
def open_stack(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    place: Annotated[str, Form(max_length=200)],
    comparison_list: Annotated[UploadFile, File()],
    scans: Annotated[list[UploadFile], File()],
    waiver: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """List and scans in one go; what is missing may follow through the API."""
    unit = _unit(person)
    needs(person, Role.COMPARER, Role.SIGNER)
    try:
        made = stack_jobs.open_stack(
            wired.house.office,
            unit=unit,
            data=comparison_list.file.read(_LARGEST_LIST),
            place=place,
            waiver=waiver.strip() or None,
            now=now,
            by=person.by,
        )
        add_files(wired, made.id, scans, now)
        signer, seal = _hands(wired, unit, person)
        stack_jobs.start(
            wired.house.office, made.id, person_id=signer, seal_id=seal, now=now, by=person.by
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _listed(request, wired, person, unit, refusal=error, status=status)
    return RedirectResponse(f"/desk/stacks/{made.id}", status_code=303)


@router.get("/desk/stacks/{stack_id}")
def stack(request: Request, stack_id: StackId, wired: Wired, person: SignedIn) -> Response:
    """How far it is; the page looks again by itself while there is work."""
    return _one(request, wired, _mine(wired, person, stack_id))


@router.post("/desk/stacks/{stack_id}/authorize")
def authorize(
    request: Request,
    stack_id: StackId,
    wired: Wired,
    now: Now,
    person: SignedIn,
    person_pin: Annotated[str, Form(max_length=64)],
    seal_pin: Annotated[str, Form(max_length=64)],
) -> Response:
    """Both PINs once, for every document of the stack."""
    needs(person, Role.SIGNER)
    found = _mine(wired, person, stack_id)
    try:
        stack_jobs.authorize(
            wired.house.office,
            stack_id,
            person_pin=person_pin,
            seal_pin=seal_pin,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _one(request, wired, found, refusal=error, status=status)
    return RedirectResponse(f"/desk/stacks/{stack_id}", status_code=303)


@router.get("/desk/stacks/{stack_id}/results")
def results(stack_id: StackId, wired: Wired, person: SignedIn) -> Response:
    """The result as CSV."""
    _mine(wired, person, stack_id)
    return results_file(wired, stack_id)


def _unit(person: Person) -> str:
    needs(person, Role.COMPARER, Role.SIGNER, Role.CLERK)
    if person.unit is None:
        raise ApiError("role-missing", roles="unit")
    return person.unit


def _mine(wired: Services, person: Person, stack_id: str) -> Stack:
    found = stack_jobs.look(wired.house.office, stack_id)
    if found.unit != _unit(person):
        raise NotFound("stack-unknown")
    return found


def _hands(wired: Services, unit: str, person: Person) -> tuple[str, str]:
    """The unit's usable signing credential (one's own first) and its seal."""
    desk = wired.house.desk
    known = [one for one in credentials.of_unit(desk, unit) if one.state == "active"]
    people = sorted(
        (one for one in known if one.kind == "official"),
        key=lambda one: one.holder_id != person.holder_id,
    )
    seals = [one for one in known if one.kind == "agency"]
    if not people or not seals:
        raise ApiError("stack-hands-missing")
    return people[0].id, seals[0].id


def _listed(
    request: Request,
    wired: Services,
    person: Person,
    unit: str,
    *,
    refusal: DomainError | None = None,
    status: int = 200,
) -> Response:
    return render(
        request,
        "stacks.html",
        status=status,
        stacks=stack_jobs.stacks(wired.house.office, unit=unit),
        may_open=bool(person.roles & {Role.COMPARER, Role.SIGNER}),
        refusal=refusal.message(language_for(request)) if refusal else None,
    )


def _one(
    request: Request,
    wired: Services,
    found: Stack,
    *,
    refusal: DomainError | None = None,
    status: int = 200,
) -> Response:
    busy = found.state in (StackState.PREPARING, StackState.RUNNING)
    language = language_for(request)
    return render(
        request,
        "stack.html",
        status=status,
        headers={"Refresh": "5"} if busy else {},
        stack=found,
        done=found.total - found.counts["listed"] - found.counts["prepared"],
        outcomes=[
            (one, one.reason(language)) for one in stack_jobs.outcomes(wired.house.office, found.id)
        ],
        refusal=refusal.message(language) if refusal else None,
    )
