"""Who certifies for the unit, at the screen: the administrator appoints colleagues and ends it.

Nobody appoints themselves. docs/flows/certify.md, step 2 asks for the delegation each time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, SignedIn, csrf_checked, record_refusal
from api.errors import ApiError
from api.pages import render
from api.screens.step_setup import Typed, colleague, colleagues, day, midnight, own_unit
from api.services import Services
from certify import competence
from records.errors import DomainError

router = APIRouter(
    prefix="/desk/certifiers", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
_HEAD = ["GET", "HEAD"]


@router.api_route("", methods=_HEAD)
def listed(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The unit's delegations, and a form for the next."""
    return _page(request, wired, person, now=now)


@router.post("")
def appoint(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    official: Typed = "",
    title: Typed = "",
    lines: Typed = "",
    basis: Typed = "",
    valid_from: Typed = "",
    valid_to: Typed = "",
) -> Response:
    """Let a colleague certify under these lines; dates are whole days in Vietnam."""
    unit = own_unit(person)
    try:
        chosen = colleague(wired, unit, official)
        if chosen.holder_id == person.holder_id:
            raise ApiError("signing-delegation-own")
        begins, ends = day(valid_from), day(valid_to)
        competence.delegate(
            wired.house.office,
            unit=unit,
            holder_id=chosen.holder_id,
            name=chosen.name,
            title=" ".join(title.split()),
            authority_lines=[" ".join(one.split()) for one in lines.splitlines() if one.strip()],
            basis=" ".join(basis.split()),
            valid_from=midnight(begins) if begins else None,
            valid_to=midnight(ends + timedelta(days=1)) if ends else None,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        return _told(request, wired, person, error, now=now)
    return RedirectResponse("/desk/certifiers", status_code=303)


@router.post("/{delegation_id}/end")
def end(
    delegation_id: Annotated[str, Path(max_length=64)],
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
) -> Response:
    """From this moment nothing is certified under it."""
    unit = own_unit(person)
    try:
        competence.end_delegation(
            wired.house.office, delegation_id, unit=unit, now=now, by=person.by
        )
    except DomainError as error:
        return _told(request, wired, person, error, now=now)
    return RedirectResponse("/desk/certifiers", status_code=303)


def _told(
    request: Request, wired: Services, person: Person, error: DomainError, *, now: datetime
) -> Response:
    status = record_refusal(request, wired, person, error, now=now)
    return _page(request, wired, person, now=now, problem=error, status=status)


def _page(
    request: Request,
    wired: Services,
    person: Person,
    *,
    now: datetime,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    unit = own_unit(person)
    given = competence.of_unit(wired.house.office, unit)
    return render(
        request,
        "certifiers.html",
        status=status,
        delegations=[
            (one, one.in_force(now), one.valid_to is not None and one.valid_to <= now)
            for one in given
        ],
        colleagues=[one for one in colleagues(wired, unit) if one.holder_id != person.holder_id],
        problem=problem,
    )
