"""Signing in by link, signing out, and a person's own account page."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth import accounts, passkeys, provider_sign_in, sessions, sign_in
from api.auth.guard import Now, Wired
from api.auth.identity_provider import IdentityProvider
from api.auth.people import (
    SignedIn,
    SignInNeeded,
    address_of,
    csrf_checked,
    require_same_origin,
    safe_next,
    signed_in,
)
from api.errors import ApiError
from api.pages import FORM_HEADERS, render
from api.services import Services
from certify.units import units

public = APIRouter(include_in_schema=False)
own = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])
_HEAD = ["GET", "HEAD"]
_ANSWER = 32 * 1024
_JOURNEY = "dauso-journey"
_BACK = "/sign-in/provider/back"
Link = Annotated[str, Path(min_length=20, max_length=100)]
Next = Annotated[str, Query(alias="next", max_length=500)]


@public.api_route("/sign-in", methods=_HEAD)
def ways_in(request: Request, wired: Wired, now: Now, onward: Next = "") -> Response:
    """The ways in; who is in already goes on."""
    try:
        signed_in(request, wired, now)
    except SignInNeeded:
        return render(
            request,
            "sign-in.html",
            headers=FORM_HEADERS,
            onward=safe_next(onward),
            provider=wired.provider.name if wired.provider else None,
        )
    return RedirectResponse(safe_next(onward), status_code=303)


@public.api_route("/sign-in/link/{link}", methods=_HEAD)
def link_page(link: Link, request: Request, wired: Wired, now: Now) -> Response:
    """Looking at a link does not use it up: mail programs and previews look at links too."""
    wired.rates.take("code", f"link:{address_of(request)}")
    name = sign_in.waiting_link(wired.house.database, link, now=now)
    return render(
        request,
        "sign-in-link.html",
        status=200 if name else 404,
        headers=FORM_HEADERS,
        name=name,
    )


@public.post("/sign-in/link/{link}")
def use_link(link: Link, request: Request, wired: Wired, now: Now) -> Response:
    """The link is used; from here to the page that offers a passkey."""
    require_same_origin(request, wired.house.settings.base_url)
    wired.rates.take("code", f"link:{address_of(request)}")
    opened = sign_in.by_link(wired.house.database, link, agent=agent_of(request), now=now)
    return _entered(request, wired, opened, "/desk/account", now=now)


@public.post("/sign-in/passkey/options")
def passkey_options(request: Request, wired: Wired, now: Now) -> dict[str, Any]:
    """A question for any passkey of ours."""
    require_same_origin(request, wired.house.settings.base_url)
    wired.rates.take("code", f"sign-in:{address_of(request)}")
    return passkeys.begin_sign_in(wired.house.database, wired.house.settings, now=now)


@public.post("/sign-in/passkey")
def use_passkey(
    request: Request,
    wired: Wired,
    now: Now,
    ticket: Annotated[str, Form(max_length=100)],
    answer: Annotated[str, Form(max_length=_ANSWER)],
    onward: Annotated[str, Form(alias="next", max_length=500)] = "",
) -> Response:
    """The passkey's answer: in, and on to where the person wanted to go."""
    settings = wired.house.settings
    require_same_origin(request, settings.base_url)
    wired.rates.take("code", f"sign-in:{address_of(request)}")
    opened = passkeys.enter(
        wired.house.database,
        settings,
        ticket=ticket,
        answer=answer,
        agent=agent_of(request),
        now=now,
    )
    return _entered(request, wired, opened, safe_next(onward), now=now)


@public.get("/sign-in/provider")
def to_provider(request: Request, wired: Wired, now: Now, onward: Next = "") -> Response:
    """To the other service, with a cookie that only the way back is shown."""
    provider = _provider(wired)
    wired.rates.take("code", f"sign-in:{address_of(request)}")
    settings = wired.house.settings
    where, ticket = provider_sign_in.set_out(
        wired.house.database, provider, onward=safe_next(onward), now=now
    )
    answer = RedirectResponse(where, status_code=303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        _JOURNEY,
        ticket,
        max_age=int(sign_in.ATTEMPT_LIFE.total_seconds()),
        path=_BACK,
        secure=settings.base_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )
    return answer


@public.get(_BACK)
def from_provider(
    request: Request,
    wired: Wired,
    now: Now,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """Back from the other service."""
    provider = _provider(wired)
    wired.rates.take("code", f"sign-in:{address_of(request)}")
    ticket = request.cookies.get(_JOURNEY, "")
    if not ticket or not code:
        raise ApiError("sign-in-stale")
    opened, onward = provider_sign_in.come_back(
        wired.house.database,
        provider,
        ticket=ticket,
        state=state,
        code=code,
        agent=agent_of(request),
        now=now,
    )
    answer = _entered(request, wired, opened, onward, now=now)
    answer.delete_cookie(_JOURNEY, path=_BACK)
    return answer


@own.post("/sign-out")
def sign_out(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """This browser's session ends."""
    del person
    settings = wired.house.settings
    sessions.end(wired.house.database, request.cookies[sessions.cookie_name(settings)], now=now)
    answer = RedirectResponse("/sign-in", status_code=303)
    sessions.drop_cookie(answer, settings)
    return answer


@own.post("/sign-out/everywhere")
def sign_out_everywhere(wired: Wired, now: Now, person: SignedIn) -> Response:
    """Every session of this person ends, this one too."""
    sessions.end_all(wired.house.database, person.account_id, now=now, by=person.by)
    answer = RedirectResponse("/sign-in", status_code=303)
    sessions.drop_cookie(answer, wired.house.settings)
    return answer


@own.post("/desk/language")
def set_language(
    wired: Wired,
    person: SignedIn,
    language: Annotated[str, Form(max_length=2)],
    onward: Annotated[str, Form(alias="next", max_length=500)] = "/desk",
) -> Response:
    """The language of this person's pages."""
    if language not in {"vi", "en"}:
        raise ApiError("request-invalid")
    accounts.set_language(wired.house.database, person.account_id, language)
    return RedirectResponse(safe_next(onward), status_code=303)


@own.api_route("/desk/account", methods=_HEAD)
def account(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """Who I am here, my sessions, my passkeys."""
    database = wired.house.database
    token = request.cookies.get(sessions.cookie_name(wired.house.settings))
    unit = units().get(person.unit or "")
    return render(
        request,
        "account.html",
        unit_name=person.unit if unit is None else unit.name,
        sessions=sessions.of_account(database, person.account_id, token=token, now=now),
        passkeys=passkeys.of_account(database, person.account_id),
    )


@own.post("/desk/account/passkeys/options")
def new_passkey_options(wired: Wired, now: Now, person: SignedIn) -> dict[str, Any]:
    """What the browser is asked to make."""
    house = wired.house
    return passkeys.begin_registration(house.database, person, house.settings, now=now)


@own.post("/desk/account/passkeys")
def add_passkey(
    wired: Wired,
    now: Now,
    person: SignedIn,
    ticket: Annotated[str, Form(max_length=100)],
    answer: Annotated[str, Form(max_length=_ANSWER)],
    name: Annotated[str, Form(max_length=100)] = "",
    prf: Annotated[str, Form(max_length=3)] = "no",
) -> Response:
    """A new passkey of this person's."""
    passkeys.register(
        wired.house.database,
        person,
        wired.house.settings,
        ticket=ticket,
        answer=answer,
        name=name,
        prf=prf == "yes",
        now=now,
    )
    return RedirectResponse("/desk/account", status_code=303)


@own.post("/desk/account/passkeys/{passkey}/removal")
def remove_passkey(
    passkey: Annotated[str, Path(max_length=1400)], wired: Wired, now: Now, person: SignedIn
) -> Response:
    """Taken away: a lost device."""
    passkeys.remove(wired.house.database, person, passkey, now=now)
    return RedirectResponse("/desk/account", status_code=303)


def _entered(
    request: Request, wired: Services, opened: sign_in.Opened, onward: str, *, now: datetime
) -> Response:
    """On with the new session; the one that this browser had before ends."""
    settings = wired.house.settings
    before = request.cookies.get(sessions.cookie_name(settings))
    if before:
        sessions.end(wired.house.database, before, now=now)
    answer = RedirectResponse(onward, status_code=303, headers={"Cache-Control": "no-store"})
    sessions.set_cookie(answer, settings, opened.token)
    return answer


def _provider(wired: Services) -> IdentityProvider:
    if wired.provider is None:
        raise ApiError("page-not-found")
    return wired.provider


def agent_of(request: Request) -> str:
    """The browser's own name of itself, for the list of sessions."""
    text = request.headers.get("user-agent", "")[:200]
    return "".join(letter for letter in text if letter.isprintable())
