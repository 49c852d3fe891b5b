"""The OAuth 2.0 endpoints of remote signing: authorize, pushed_authorize, token, revoke.

CSC API §8.4; RFC 6749, 7009, 7636, 9126, 9207, 9700. Docs: docs/flows/remote-sign.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from api.auth import clients
from api.auth.clients import Client
from api.auth.guard import Now
from api.csc import asked, consent, tokens
from api.csc.calls import CscRoute, Remote, remote
from api.csc.errors import PRIVATE, CscRefusal, error_name, translated
from api.csc.grants import GRANTS, take_back
from api.csc.models import ConsentRequest
from api.errors import RateLimited
from api.routes.oauth2 import basic_credentials
from records import audit
from records.errors import DomainError
from records.tags import Tag

PUSHED = "urn:ietf:params:oauth:request_uri:"

pages = APIRouter(include_in_schema=False)
router = APIRouter(include_in_schema=False, route_class=CscRoute)


def issuer(wired: Remote) -> str:
    """The authorisation server's name and the base of its addresses."""
    return f"{wired.wired.house.settings.base_url}/csc"


async def form(request: Request) -> dict[str, str]:
    """A form's fields, each once."""
    return asked.single((await request.form()).multi_items())


def query(request: Request) -> dict[str, str]:
    return asked.single(request.query_params.multi_items())


@pages.get("/csc/oauth2/authorize")
def authorize(request: Request, now: Now) -> Response:
    """From here the holder comes to our page; what is wrong is told to the client."""
    wired = remote(request)
    wired.wired.rates.take("code", _address(request))
    given = query(request)
    if "request_uri" in given:
        # RFC 9126 §4: with client_id, and nothing else counts.
        identifier = given["request_uri"].removeprefix(PUSHED)
        consent.show_pushed(wired, identifier, client_id=given.get("client_id", ""), now=now)
        return RedirectResponse(_page(identifier, given), status_code=302, headers=PRIVATE)
    address = asked.address_of(wired, given)
    try:
        asked.require_short(given)
        wanted = asked.read(wired, given, address=address)
    except DomainError as error:
        return back(wired, address, given.get("state"), error=error)
    identifier = consent.ask(
        wired,
        kind="redirect",
        client_id=given["client_id"],
        asked=wanted,
        state="shown",
        now=now,
    )
    return RedirectResponse(_page(identifier, given), status_code=302, headers=PRIVATE)


@router.post("/csc/oauth2/pushed_authorize")
def pushed_authorize(
    request: Request,
    now: Now,
    given: dict[str, str] = Depends(form),  # noqa: B008 – FastAPI's way
) -> JSONResponse:
    """The same request, pushed by the client itself (RFC 9126 §2)."""
    wired = remote(request)
    client = authenticate(request, wired, given, now=now)
    if "request_uri" in given:
        raise CscRefusal("csc-parameter-invalid", name="request_uri")
    # The client has proven who it is: a client_id beside it must be its own.
    if given.setdefault("client_id", client.client_id) != client.client_id:
        raise CscRefusal("csc-parameter-invalid", name="client_id")
    try:
        address = asked.address_of(wired, given)
    except CscRefusal:
        raise CscRefusal("csc-parameter-invalid", name="redirect_uri") from None
    wanted = asked.read(wired, given, address=address)
    identifier = consent.ask(
        wired,
        kind="redirect",
        client_id=client.client_id,
        asked=wanted,
        state="pushed",
        now=now,
    )
    body = {
        "request_uri": PUSHED + identifier,
        "expires_in": int(consent.PUSHED_LIFE.total_seconds()),
    }
    return JSONResponse(body, 201, headers=PRIVATE)


@router.post("/csc/oauth2/token")
def token(
    request: Request,
    now: Now,
    given: dict[str, str] = Depends(form),  # noqa: B008 – FastAPI's way
) -> JSONResponse:
    """A code, a refresh token or the client's own secret, for an access token (§8.4.4)."""
    wired = remote(request)
    client = authenticate(request, wired, given, now=now)
    kind = given.get("grant_type")
    if kind is None:
        raise CscRefusal("csc-oauth-missing", name="grant_type")
    if kind not in GRANTS:
        raise CscRefusal("csc-parameter-invalid", name="grant_type")
    answer = GRANTS[kind](wired, client, given, now)
    with wired.wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.ACCESS_GRANTED,
            by=client.by,
            subject=client.client_id,
            details={"scopes": [answer.pop("_scope")], "grant": kind},
            now=now,
        )
    return JSONResponse({**answer, "token_type": "Bearer"}, headers=PRIVATE)


@router.post("/csc/oauth2/revoke")
def revoke(
    request: Request,
    now: Now,
    given: dict[str, str] = Depends(form),  # noqa: B008 – FastAPI's way
) -> Response:
    """RFC 7009: a token ends; one that is not this client's is left alone, without a word."""
    wired = remote(request)
    client = authenticate(request, wired, given, now=now)
    value = given.get("token")
    if value is None:
        raise CscRefusal("csc-oauth-missing", name="token")
    ended: tuple[str, str] | None = None
    with wired.wired.house.database.transaction() as session:
        row = tokens.find(session, value)
        if row is None or row.client_id != client.client_id:
            return Response(status_code=204, headers=PRIVATE)
        if row.kind == tokens.REFRESH or row.scope == tokens.CREDENTIAL:
            tokens.revoke_grant(session, row.grant_id, now=now)
        row.revoked_at = row.revoked_at or now
        consented = session.get(ConsentRequest, row.grant_id)
        if row.scope == tokens.CREDENTIAL and consented and consented.authorization_id:
            ended = (consented.authorization_id, tokens.binding(row.client_id, row.holder_id))
        audit.record(
            session,
            tag=Tag.ACCESS_REVOKED,
            by=client.by,
            subject=client.client_id,
            details={"kind": row.kind, "scope": row.scope},
            now=now,
        )
    if ended is not None:
        take_back(wired, *ended, now=now, by=client.by)
    return Response(status_code=204, headers=PRIVATE)


@router.get("/.well-known/oauth-authorization-server/csc")
def metadata(request: Request) -> dict[str, Any]:
    """RFC 8414 §3.1: for the issuer `…/csc`."""
    base = issuer(remote(request))
    methods = ["client_secret_basic", "client_secret_post"]
    return {
        "issuer": base,
        "authorization_endpoint": f"{base}/oauth2/authorize",
        "token_endpoint": f"{base}/oauth2/token",
        "revocation_endpoint": f"{base}/oauth2/revoke",
        "pushed_authorization_request_endpoint": f"{base}/oauth2/pushed_authorize",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": sorted(GRANTS),
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": [tokens.SERVICE, tokens.CREDENTIAL],
        "authorization_details_types_supported": [tokens.CREDENTIAL],
        "authorization_response_iss_parameter_supported": True,
        "ui_locales_supported": ["vi", "en"],
    }


def back(
    wired: Remote,
    address: str,
    state: str | None,
    *,
    code: str | None = None,
    error: DomainError | None = None,
) -> RedirectResponse:
    """The way back to the client with a code or an error, our name (RFC 9207) and its `state`."""
    answer = {"iss": issuer(wired)}
    if error is not None:
        shown = translated(error, version="v2")
        answer |= {"error": error_name(shown)[1], "error_description": shown.message("en")}
    if code is not None:
        answer["code"] = code
    if state is not None:
        answer["state"] = state
    joint = "&" if urlsplit(address).query else "?"
    # RFC 9700 §4.12: 303, so that no browser sends the form with the PIN on.
    return RedirectResponse(
        f"{address}{joint}{urlencode(answer)}", status_code=303, headers=PRIVATE
    )


def authenticate(
    request: Request, wired: Remote, given: Mapping[str, str], *, now: datetime
) -> Client:
    """The client, by HTTP Basic or in the form, not both; failures are counted and audited."""
    address = _address(request)
    rates = wired.wired.rates
    rates.take("token", address)
    basic = basic_credentials(request.headers.get("authorization"))
    if basic is not None and "client_secret" in given:
        raise CscRefusal("csc-parameter-invalid", name="client_secret")
    name, secret = basic or (given.get("client_id", ""), given.get("client_secret", ""))
    if not name:
        raise CscRefusal("csc-oauth-missing", name="client_id")
    if not secret:
        raise CscRefusal("csc-client-missing")
    failures = f"{address} {name[:64]}"
    database = wired.wired.house.database
    try:
        rates.check("token-failure", failures)
    except RateLimited:
        clients.record_refusal(database, name, "rate-limited", now=now)
        raise
    client = clients.authenticate(database, wired.wired.secrets, name[:64], secret)
    if client is None:
        rates.take("token-failure", failures)
        clients.record_refusal(database, name, "client-authentication-failed", now=now)
        # RFC 6749 §5.2 for Basic; §8.4.4 of the CSC API for the form
        code = "csc-client-unknown" if basic else "csc-client-secret-invalid"
        raise CscRefusal(code)
    request.state.client_id = client.client_id
    if tokens.CLIENT_SCOPE not in client.scopes:
        clients.record_refusal(database, name, "scope-missing", now=now)
        raise CscRefusal("csc-client-unauthorized")
    return client


def _page(identifier: str, given: Mapping[str, str]) -> str:
    language = "en" if given.get("lang", "").lower().startswith("en") else "vi"
    return f"/csc/consent/{identifier}?lang={language}"


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
