"""OpenID Connect, authorization code with PKCE: the implementation of `IdentityProvider`.

    provider = OpenIdConnect("https://sso.thanhhoa.gov.vn", client_id="dauso", redirect_uri=…)

Discovery (OpenID Connect Discovery 1.0 §4), the code flow (Core §3.1) with PKCE S256 (RFC 7636),
an ID token signed by a key of the provider's set, for us, for this journey's nonce, and in time.
An answer of whatever else, size or shape identifies nobody.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from api.auth.identity_provider import Identity, Journey, ProviderUnavailable
from api.errors import ApiError
from api.settings import Settings, outside_address, read_secret

_LARGEST_ANSWER = 256 * 1024
_SECONDS = 10.0
_KEEP_SECONDS = 600.0
_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384"]
_LEEWAY = 30


class OpenIdConnect:
    """Safe to share between threads; what was discovered is kept for ten minutes."""

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        redirect_uri: str,
        secret: str = "",
        name: str = "",
        number_claim: str = "citizen_id",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._redirect_uri = redirect_uri
        self._secret = secret
        self._name = name or httpx.URL(issuer).host
        self._number_claim = number_claim
        self._client = httpx.Client(timeout=_SECONDS, follow_redirects=False, transport=transport)
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    def close(self) -> None:
        self._client.close()

    def address(self, journey: Journey) -> str:
        """The provider's page, with this journey's state, nonce and challenge."""
        return str(
            prepare_grant_uri(
                self._endpoint("authorization_endpoint"),
                self._client_id,
                "code",
                redirect_uri=self._redirect_uri,
                scope="openid profile",
                state=journey.state,
                nonce=journey.nonce,
                code_challenge=create_s256_code_challenge(journey.verifier),
                code_challenge_method="S256",
            )
        )

    def identify(self, journey: Journey, *, code: str, now: datetime) -> Identity:
        """Exchange the code and take the ID token's word, if it is one."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": journey.verifier,
        }
        if not self._secret:
            form["client_id"] = self._client_id
        auth = (self._client_id, self._secret) if self._secret else None
        answer = self._ask("POST", self._endpoint("token_endpoint"), data=form, auth=auth)
        claims = self._claims(str(answer.get("id_token", "")), journey, now)
        number, name = claims.get(self._number_claim), claims.get("name")
        if not isinstance(number, str) or not isinstance(name, str):
            raise ApiError("provider-answer-refused", reason="claims")
        return Identity(number, name, str(claims["sub"]))

    def _claims(self, token: str, journey: Journey, now: datetime) -> Mapping[str, Any]:
        """OpenID Connect Core §3.1.3.7: issuer, audience, party, signature, times, nonce."""
        rules = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=_LEEWAY,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": journey.nonce},
        )
        try:
            decoded = self._decoded(token)
            rules.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ApiError("provider-answer-refused", reason=type(error).__name__) from None
        audience, party = decoded.claims["aud"], decoded.claims.get("azp")
        several = isinstance(audience, list) and len(audience) > 1
        if (several or party is not None) and party != self._client_id:
            raise ApiError("provider-answer-refused", reason="azp")
        return decoded.claims

    def _decoded(self, token: str) -> jwt.Token:
        try:
            return jwt.decode(token, self._keys(), algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            # The provider may have changed its keys since we looked.
            stale = self._endpoint("jwks_uri")
            with self._lock:
                self._known.pop(stale, None)
            return jwt.decode(token, self._keys(), algorithms=_ALGORITHMS)

    def _keys(self) -> KeySet:
        found: Any = self._remembered(self._endpoint("jwks_uri"))
        return KeySet.import_key_set(found)

    def _endpoint(self, name: str) -> str:
        where = self._remembered(f"{self._issuer}/.well-known/openid-configuration")
        # Discovery §4.3: what calls itself otherwise is somebody else.
        if where.get("issuer") != self._issuer:
            raise ApiError("provider-answer-refused", reason="issuer")
        address = where.get(name)
        if not isinstance(address, str) or not outside_address(address):
            raise ApiError("provider-answer-refused", reason=name)
        return address

    def _remembered(self, url: str) -> dict[str, Any]:
        with self._lock:
            kept = self._known.get(url)
        if kept is not None and time.monotonic() - kept[0] < _KEEP_SECONDS:
            return kept[1]
        answer = self._ask("GET", url)
        with self._lock:
            self._known[url] = (time.monotonic(), answer)
        return answer

    def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        try:
            with self._client.stream(method, url, **more) as answer:
                received = bytearray()
                for piece in answer.iter_bytes():
                    received += piece
                    if len(received) > _LARGEST_ANSWER:
                        raise ApiError("provider-answer-refused", reason="size")
                status = answer.status_code
        except httpx.HTTPError as error:
            raise ProviderUnavailable(type(error).__name__) from None
        if status == 429 or status >= 500:
            raise ProviderUnavailable(f"HTTP {status}")
        if status != 200:
            raise ApiError("provider-answer-refused", reason=f"HTTP {status}")
        try:
            found = json.loads(received)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ApiError("provider-answer-refused", reason="JSON")
        return found


def provider_of(settings: Settings) -> OpenIdConnect | None:
    """The provider that the settings name, or None: then there is no such way in."""
    if settings.sso_issuer is None:
        return None
    secret = settings.secrets / "sso-client.secret"
    return OpenIdConnect(
        settings.sso_issuer,
        client_id=settings.sso_client_id,
        redirect_uri=f"{settings.base_url}/sign-in/provider/back",
        secret=read_secret(secret) if secret.exists() else "",
        name=settings.sso_name,
        number_claim=settings.sso_number_claim,
    )
