"""The OAuth 2.0 endpoints of remote signing: authorize, pushed_authorize, token, revoke.

CSC API §8.4; RFC 6749, 7009, 7636, 9126, 9207, 9700. Docs: docs/flows/remote-sign.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Request
from sqlalchemy import select
from starlette.responses import JSONResponse, RedirectResponse, Response

from api.auth import clients
from api.auth.clients import Client
from api.auth.guard import Now
from api.csc import asked, consent, tokens
from api.csc.calls import CscRoute, Remote, remote
from api.csc.errors import PRIVATE, CscRefusal, error_name, translated
from api.csc.models import ConsentRequest
from api.errors import RateLimited
from api.routes.oauth2 import basic_credentials
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.keys import activation, extension
from signer.keys.activation import token_hash

PUSHED = "urn:ietf:params:oauth:request_uri:"
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")

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
    if kind not in _GRANTS:
        raise CscRefusal("csc-parameter-invalid", name="grant_type")
    answer = _GRANTS[kind](wired, client, given, now)
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
        _take_back(wired, *ended, now=now, by=client.by)
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
        "grant_types_supported": sorted(_GRANTS),
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


Answer = dict[str, Any]


def _by_code(wired: Remote, client: Client, given: Mapping[str, str], now: datetime) -> Answer:
    """RFC 6749 §4.1.3: the code once, for the same client, address and verifier."""
    code = given.get("code")
    if code is None:
        raise CscRefusal("csc-oauth-missing", name="code")
    database = wired.wired.house.database
    refusal: CscRefusal | None = None
    with database.transaction() as session:
        wanted = select(ConsentRequest).where(ConsentRequest.code_hash == token_hash(code))
        row = session.scalar(wanted.with_for_update())
        if row is None or row.client_id != client.client_id or row.kind != "redirect":
            raise CscRefusal("csc-code-invalid")
        identifier, holder_id, said = row.id, row.holder_id, dict(row.asked)
        authorization_id = row.authorization_id
        if row.state != "granted":
            # §4.1.2: a code used twice was seen by somebody else: what it gave is taken back.
            tokens.revoke_grant(session, row.id, now=now)
            refusal = CscRefusal("csc-code-invalid")
        elif row.code_expires_at is None or row.code_expires_at <= now:
            refusal = CscRefusal("csc-code-invalid")
        elif not _same_address(said, given):
            refusal = CscRefusal("csc-redirect-mismatch")
        elif not _verified(said["code_challenge"], given.get("code_verifier", "")):
            refusal = CscRefusal("csc-verifier-invalid")
        row.state = "spent"
    binding = tokens.binding(client.client_id, holder_id)
    if refusal is not None:
        if authorization_id is not None:
            _take_back(wired, authorization_id, binding, now=now, by=client.by)
        raise refusal
    if said["scope"] == tokens.SERVICE:
        return _service(wired, identifier, client, holder_id, now=now)
    if authorization_id is None:
        raise CscRefusal("csc-code-invalid")
    desk = wired.wired.house.desk
    sad = extension.hand_over(desk, authorization_id, client=binding, now=now)
    with database.transaction() as session:
        tokens.issue(
            session,
            kind=tokens.ACCESS,
            grant_id=identifier,
            client_id=client.client_id,
            holder_id=holder_id,
            scope=tokens.CREDENTIAL,
            credential_id=sad.credential_id,
            now=now,
            expires_at=sad.expires_at,
            token=sad.token,
        )
    answer: Answer = {
        "access_token": sad.token,
        "expires_in": int((sad.expires_at - now).total_seconds()),
        "_scope": tokens.CREDENTIAL,
    }
    if said.get("credential_id") is None:
        answer["credentialID"] = sad.credential_id
    if said.get("rich"):
        answer["authorization_details"] = [_details(said, sad.credential_id)]
    return answer


def _by_refresh(wired: Remote, client: Client, given: Mapping[str, str], now: datetime) -> Answer:
    """RFC 9700 §4.14: a refresh token is good once; used again, its whole grant ends."""
    value = given.get("refresh_token")
    if value is None:
        raise CscRefusal("csc-oauth-missing", name="refresh_token")
    refusal: CscRefusal | None = None
    with wired.wired.house.database.transaction() as session:
        row = tokens.find(session, value)
        if row is None or row.kind != tokens.REFRESH or row.client_id != client.client_id:
            raise CscRefusal("csc-refresh-invalid")
        if row.revoked_at is not None:
            tokens.revoke_grant(session, row.grant_id, now=now)
            refusal = CscRefusal("csc-refresh-invalid")
        elif row.expires_at <= now:
            refusal = CscRefusal("csc-refresh-expired")
        row.revoked_at = row.revoked_at or now
        grant_id, holder_id, until = row.grant_id, row.holder_id, row.expires_at
    if refusal is not None:
        raise refusal
    return _service(wired, grant_id, client, holder_id, now=now, until=until)


def _by_secret(wired: Remote, client: Client, given: Mapping[str, str], now: datetime) -> Answer:
    """Client credentials give the scope `service` only (§8.4.4)."""
    if given.get("scope", tokens.SERVICE) != tokens.SERVICE:
        raise CscRefusal("csc-scope-invalid")
    grant_id = secrets.token_urlsafe(24)
    return _service(wired, grant_id, client, None, now=now)


_GRANTS: dict[str, Callable[[Remote, Client, Mapping[str, str], datetime], Answer]] = {
    "authorization_code": _by_code,
    "client_credentials": _by_secret,
    "refresh_token": _by_refresh,
}


def _service(
    wired: Remote,
    grant_id: str,
    client: Client,
    holder_id: str | None,
    *,
    now: datetime,
    until: datetime | None = None,
) -> Answer:
    common: dict[str, Any] = {
        "grant_id": grant_id,
        "client_id": client.client_id,
        "holder_id": holder_id,
        "scope": tokens.SERVICE,
        "now": now,
    }
    answer: Answer = {
        "expires_in": int(tokens.ACCESS_LIFE.total_seconds()),
        "_scope": tokens.SERVICE,
    }
    with wired.wired.house.database.transaction() as session:
        answer["access_token"] = tokens.issue(
            session, kind=tokens.ACCESS, expires_at=now + tokens.ACCESS_LIFE, **common
        )
        if holder_id is not None:
            answer["refresh_token"] = tokens.issue(
                session,
                kind=tokens.REFRESH,
                expires_at=until or now + tokens.REFRESH_LIFE,
                **common,
            )
    return answer


def _details(said: Mapping[str, Any], credential_id: str) -> dict[str, Any]:
    """What was granted, as RFC 9396 §7 wants it told."""
    pairs = zip(said["hashes"], said["labels"], strict=True)
    return {
        "type": tokens.CREDENTIAL,
        "credentialID": credential_id,
        "documentDigests": [
            {"hash": base64.b64encode(bytes.fromhex(one)).decode(), "label": label}
            for one, label in pairs
        ],
        "hashAlgorithmOID": said["hash_algorithm"],
    }


def _same_address(said: Mapping[str, Any], given: Mapping[str, str]) -> bool:
    if "redirect_uri" not in given:
        return not said["redirect_given"]
    return bool(given["redirect_uri"] == said["redirect_uri"])


def _verified(challenge: str, verifier: str) -> bool:
    """RFC 7636 §4.6, S256."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode()).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return hmac.compare_digest(made, challenge)


def _take_back(
    wired: Remote, authorization_id: str, binding: str, *, now: datetime, by: str
) -> None:
    """End an authorisation whose code was misused, if it is still open."""
    desk = wired.wired.house.desk
    try:
        given = extension.hand_over(desk, authorization_id, client=binding, now=now)
    except DomainError:
        return
    activation.close(desk, given, now=now, by=by)


def _page(identifier: str, given: Mapping[str, str]) -> str:
    language = "en" if given.get("lang", "").lower().startswith("en") else "vi"
    return f"/csc/consent/{identifier}?lang={language}"


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
