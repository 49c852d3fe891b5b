"""`/oauth2/token`: client credentials for an access token (RFC 6749 §4.4, RFC 9068)."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any
from urllib.parse import unquote_plus

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.auth import clients
from api.auth.access_tokens import LIFETIME
from api.auth.guard import Now, Wired
from api.errors import RateLimited
from records import audit
from records.tags import Tag

router = APIRouter(tags=["access"])
_PRIVATE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class AccessToken(BaseModel):
    """RFC 6749 §5.1."""

    access_token: str = Field(examples=["eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9…"])
    token_type: str = Field(examples=["Bearer"])
    expires_in: int = Field(description="Seconds", examples=[900])
    scope: str = Field(examples=["sign validate"])


class OAuthError(BaseModel):
    """RFC 6749 §5.2."""

    error: str = Field(examples=["invalid_client"])
    error_description: str


@router.post(
    "/oauth2/token",
    summary="Ask for an access token",
    response_model=AccessToken,
    responses={
        400: {"model": OAuthError, "description": "The request is not one we can grant"},
        401: {"model": OAuthError, "description": "The client could not be authenticated"},
        429: {"description": "Too many attempts"},
    },
)
def token(
    request: Request,
    wired: Wired,
    now: Now,
    grant_type: Annotated[str, Form(examples=["client_credentials"])] = "",
    scope: Annotated[str, Form(description="Space-separated; all of the client's when empty")] = "",
    client_id: Annotated[str, Form(description="With client_secret_post")] = "",
    client_secret: Annotated[str, Form(description="With client_secret_post")] = "",
) -> JSONResponse:
    """Authenticate by HTTP Basic (`client_secret_basic`) or in the body (`client_secret_post`)."""
    address = request.client.host if request.client else "unknown"
    wired.rates.take("token", address)
    basic = basic_credentials(request.headers.get("authorization"))
    if basic is not None and client_secret:
        return _error(400, "invalid_request", "Use one way of authentication, not two.")
    name, secret = basic or (client_id, client_secret)
    failures = f"{address} {name[:64]}"
    try:
        wired.rates.check("token-failure", failures)
    except RateLimited:
        clients.record_refusal(wired.house.database, name, "rate-limited", now=now)
        raise
    client = clients.authenticate(wired.house.database, wired.secrets, name[:64], secret)
    if client is None:
        wired.rates.take("token-failure", failures)
        clients.record_refusal(wired.house.database, name, "client-authentication-failed", now=now)
        return _error(401, "invalid_client", "The client is unknown or its secret is wrong.")
    if grant_type != "client_credentials":
        return _error(400, "unsupported_grant_type", "Only client_credentials is offered.")
    asked = frozenset(scope.split()) or client.scopes
    if not asked <= client.scopes:
        clients.record_refusal(wired.house.database, client.client_id, "scope-missing", now=now)
        return _error(400, "invalid_scope", "The client may not have all of these scopes.")
    access_token = wired.access_tokens.issue(client.client_id, asked, now=now)
    with wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.ACCESS_GRANTED,
            by=client.by,
            subject=client.client_id,
            details={"scopes": sorted(asked)},
            now=now,
        )
    body = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": int(LIFETIME.total_seconds()),
        "scope": " ".join(sorted(asked)),
    }
    return JSONResponse(body, headers=_PRIVATE)


@router.get("/oauth2/jwks", summary="The public key of the access tokens (RFC 7517)")
def jwks(wired: Wired) -> dict[str, Any]:
    """For front servers that check access tokens themselves."""
    return wired.access_tokens.public_keys()


@router.get("/.well-known/oauth-authorization-server", summary="RFC 8414 metadata")
def metadata(wired: Wired) -> dict[str, Any]:
    """Where to ask, with what."""
    base = wired.house.settings.base_url
    return {
        "issuer": base,
        "token_endpoint": f"{base}/oauth2/token",
        "jwks_uri": f"{base}/oauth2/jwks",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "response_types_supported": [],
        "scopes_supported": sorted(clients.SCOPES),
    }


def basic_credentials(header: str | None) -> tuple[str, str] | None:
    """RFC 6749 §2.3.1: both halves are form-encoded inside Basic. None when it is not Basic."""
    kind, _, encoded = (header or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    name, _, secret = text.partition(":")
    return unquote_plus(name), unquote_plus(secret)


def _error(status: int, error: str, description: str) -> JSONResponse:
    headers = dict(_PRIVATE)
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="dauso"'
    return JSONResponse({"error": error, "error_description": description}, status, headers=headers)
