"""Who is asking, and may they? The dependencies that every protected route declares.

def handler(client: Annotated[Client, Security(caller, scopes=["sign"])]) -> ...: ...
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import OAuth2, SecurityScopes

from api.auth.clients import SCOPES, Client, load
from api.errors import ApiError
from api.services import Services

_scheme = OAuth2(
    scheme_name="oauth2",
    flows=OAuthFlows(
        clientCredentials=OAuthFlowClientCredentials(tokenUrl="/oauth2/token", scopes=SCOPES)
    ),
    description="OAuth2 client credentials (RFC 6749 §4.4); send the token as a Bearer header.",
    auto_error=False,
)


def services(request: Request) -> Services:
    """Everything the application was wired with."""
    wired: Services = request.app.state.services
    return wired


def caller(
    scopes: SecurityScopes,
    request: Request,
    authorization: Annotated[str | None, Depends(_scheme)],
) -> Client:
    """The client behind the Bearer token, as it stands in the database at this moment.

    Raises ApiError: 401 without a valid token, 403 when a scope is missing (which is audited).
    """
    wired = services(request)
    kind, _, token = (authorization or "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise ApiError("access-token-missing")
    now = wired.clock()
    access = wired.access_tokens.check(token.strip(), now=now)
    client = load(wired.house.database, access.client_id)
    if client is None:
        raise ApiError("access-token-invalid")
    request.state.client_id = client.client_id
    wired.rates.take("api", client.client_id)
    for scope in scopes.scopes:
        # The token may grant less than the client has by now, or more than it still has.
        if scope not in access.scopes or scope not in client.scopes:
            raise ApiError("scope-missing", scope=scope)
    return client


async def _wired(request: Request) -> Services:
    """Asynchronous only so that the framework need not change threads for it."""
    return services(request)


async def _now(request: Request) -> datetime:
    """The time of this request."""
    return services(request).clock()


Wired = Annotated[Services, Depends(_wired)]
Now = Annotated[datetime, Depends(_now)]
