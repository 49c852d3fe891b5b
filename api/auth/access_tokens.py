"""JWT access tokens (RFC 9068): short-lived, ES256, checked without asking anybody.

The key is a file of its own under ``secrets``: who steals it can call the API, but cannot sign
a document, because that takes a holder's PIN.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from api.errors import ApiError

LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True)
class Access:
    """What a valid access token says."""

    client_id: str
    scopes: frozenset[str]


def new_key() -> str:
    """A fresh P-256 key as PEM, for the secrets directory."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


class AccessTokens:
    """Makes and checks the tokens of one issuer (our base URL)."""

    def __init__(self, pem: str, *, issuer: str) -> None:
        self._key = ECKey.import_key(pem)
        self._kid = self._key.thumbprint()
        self._issuer = issuer
        self._audience = f"{issuer}/api/v1"

    def issue(self, client_id: str, scopes: Iterable[str], *, now: datetime) -> str:
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": client_id,
            "client_id": client_id,
            "scope": " ".join(sorted(scopes)),
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "jti": secrets.token_urlsafe(16),
        }
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self._kid}
        return jwt.encode(header, claims, self._key)

    def check(self, token: str, *, now: datetime) -> Access:
        """What the token grants; ``access-token-invalid`` when it is not ours or is old."""
        try:
            decoded = jwt.decode(token, self._key, algorithms=["ES256"])
            rules = jwt.JWTClaimsRegistry(
                now=int(now.timestamp()),
                leeway=30,
                iss={"essential": True, "value": self._issuer},
                aud={"essential": True, "value": self._audience},
                exp={"essential": True},
                client_id={"essential": True},
            )
            rules.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise ApiError("access-token-invalid") from error
        # RFC 9068 §4: the type must say that this is an access token.
        if decoded.header.get("typ") != "at+jwt":
            raise ApiError("access-token-invalid")
        scope = str(decoded.claims.get("scope", ""))
        return Access(str(decoded.claims["client_id"]), frozenset(scope.split()))

    def public_keys(self) -> dict[str, Any]:
        """The JWK set (RFC 7517), public part only."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._kid, "use": "sig", "alg": "ES256"}]}
