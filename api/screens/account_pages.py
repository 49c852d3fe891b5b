"""Accounts at the administrator's screen: who is there, who comes, moves and leaves.

An administrator of a unit sees and changes that unit's people; one without a unit, everybody's.
A sign-in link is shown once, on the answer to the act that made it.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth import accounts
from api.auth.accounts import Account
from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, needs, record_refusal
from api.errors import ApiError
from api.pages import language_for, render
from api.services import Services
from records.errors import DomainError
from signer.holders import keepers
from signer.keys import credentials

router = APIRouter(
    prefix="/desk/accounts", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
AccountId = Annotated[str, Path(max_length=64, pattern="^acc_[0-9a-f]+$")]
Roles = Annotated[list[str] | None, Form(max_length=20)]
Unit = Annotated[str, Form(max_length=64)]


@router.api_route("", methods=["GET", "HEAD"])
def listed(
    request: Request,
    wired: Wired,
    person: SignedIn,
    matching: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """By name; part of a name, a number or a unit narrows the list."""
    needs(person, Role.ADMIN)
    return _page(request, wired, person, matching=matching)


@router.post("")
def add(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    name: Annotated[str, Form(max_length=200)] = "",
    number: Annotated[str, Form(max_length=20)] = "",
    unit: Unit = "",
    roles: Roles = None,
) -> Response:
    """A new official, and the link for them."""
    needs(person, Role.ADMIN)
    database = wired.house.database
    try:
        where = person.unit or unit
        made = accounts.add(
            database,
            kind="official",
            holder_id=number,
            name=name,
            unit=where,
            roles=roles or [],
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, problem=error, status=status)
    token = accounts.make_link(database, made.account_id, now=now, by=person.by)
    return _page(request, wired, person, told=made, token=token, status=201)


@router.post("/{account_id}/link")
def link(
    account_id: AccountId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """A new link, for somebody who has lost their passkey."""
    found = _mine(wired, person, account_id)
    token = accounts.make_link(wired.house.database, account_id, now=now, by=person.by)
    return _page(request, wired, person, told=found.person, token=token)


@router.post("/{account_id}/place")
def change(
    account_id: AccountId,
    wired: Wired,
    now: Now,
    person: SignedIn,
    unit: Unit = "",
    roles: Roles = None,
) -> Response:
    """Another unit, other roles."""
    found = _mine(wired, person, account_id)
    where = unit if person.unit is None else found.person.unit
    accounts.change(
        wired.house.database, account_id, unit=where, roles=roles or [], now=now, by=person.by
    )
    return RedirectResponse("/desk/accounts", status_code=303)


@router.post("/{account_id}/disabling")
def disable(account_id: AccountId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """Out, at once."""
    _mine(wired, person, account_id)
    accounts.disable(wired.house.database, account_id, now=now, by=person.by)
    return RedirectResponse("/desk/accounts", status_code=303)


@router.post("/{account_id}/enabling")
def enable(account_id: AccountId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """In again."""
    _mine(wired, person, account_id)
    accounts.enable(wired.house.database, account_id, now=now, by=person.by)
    return RedirectResponse("/desk/accounts", status_code=303)


def _mine(wired: Services, person: Person, account_id: str) -> Account:
    needs(person, Role.ADMIN)
    found = accounts.find(wired.house.database, account_id)
    if person.unit is not None and found.person.unit != person.unit:
        raise ApiError("account-unknown")
    return found


def _seals_of(wired: Services, holders: list[str]) -> dict[str, list[str]]:
    """The names of the agencies' seals that these people keep."""
    desk = wired.house.desk
    kept = keepers.kept_by_each(desk, holders)
    return {
        holder: [credentials.find(desk, one).name for one in seals]
        for holder, seals in kept.items()
    }


def _page(
    request: Request,
    wired: Services,
    person: Person,
    *,
    matching: str = "",
    told: Person | None = None,
    token: str = "",
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    found = accounts.everyone(wired.house.database, matching=matching)
    shown = [one for one in found if person.unit is None or one.person.unit == person.unit]
    base_url = wired.house.settings.base_url
    context: dict[str, Any] = {
        "accounts": shown,
        "roles": [role.value for role in Role],
        "seals": _seals_of(wired, [one.person.holder_id for one in shown]),
        "matching": matching,
        "told": told,
        "link": accounts.sign_in_address(base_url, token) if token else "",
        "problem": problem.message(language_for(request)) if problem is not None else "",
    }
    return render(request, "accounts.html", status=status, **context)
