"""Signing in by link, signing out, and a person's own account page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth import accounts, sessions, sign_in
from api.auth.guard import Now, Wired
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
from api.pages import render

public = APIRouter(include_in_schema=False)
own = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])
_HEAD = ["GET", "HEAD"]
Link = Annotated[str, Path(min_length=20, max_length=100)]
Next = Annotated[str, Query(alias="next", max_length=500)]


@public.api_route("/sign-in", methods=_HEAD)
def ways_in(request: Request, wired: Wired, now: Now, onward: Next = "") -> Response:
    """The ways in; who is in already goes on."""
    try:
        signed_in(request, wired, now)
    except SignInNeeded:
        return render(request, "sign-in.html", onward=safe_next(onward))
    return RedirectResponse(safe_next(onward), status_code=303)


@public.api_route("/sign-in/link/{link}", methods=_HEAD)
def link_page(link: Link, request: Request, wired: Wired, now: Now) -> Response:
    """Looking at a link does not use it up: mail programs and previews look at links too."""
    wired.rates.take("code", f"link:{address_of(request)}")
    name = sign_in.waiting_link(wired.house.database, link, now=now)
    return render(request, "sign-in-link.html", status=200 if name else 404, name=name)


@public.post("/sign-in/link/{link}")
def use_link(link: Link, request: Request, wired: Wired, now: Now) -> Response:
    """The link is used; from here to the page that offers a passkey."""
    require_same_origin(request, wired.house.settings.base_url)
    wired.rates.take("code", f"link:{address_of(request)}")
    opened = sign_in.by_link(wired.house.database, link, agent=agent_of(request), now=now)
    answer = RedirectResponse("/desk/account", status_code=303)
    sessions.set_cookie(answer, wired.house.settings, opened.token)
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
    return render(
        request,
        "account.html",
        sessions=sessions.of_account(database, person.account_id, token=token, now=now),
    )


def agent_of(request: Request) -> str:
    """The browser's own name of itself, for the list of sessions."""
    text = request.headers.get("user-agent", "")[:200]
    return "".join(letter for letter in text if letter.isprintable())
