"""A sign-in service that is a real server: OpenID Connect with PKCE, and what can go wrong in it.

    with running(client_id="dauso", secret="s", redirect_uri=…) as provider:
        provider.url                       # the issuer
        provider.person = {"sub": "…", "citizen_id": "0388…", "name": "…"}
        provider.lie["nonce"] = "another"  # in every ID token from now on

Its page asks nobody anything: whoever comes to it is `person`. The code works once, for the client,
address and verifier that it was made for (RFC 6749 §4.1.3, RFC 7636 §4.6).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey


@dataclass
class Provider:
    """What the server knows and how it behaves; changed while it runs."""

    client_id: str
    secret: str
    redirect_uri: str
    url: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    lie: dict[str, Any] = field(default_factory=dict)
    down: bool = False
    algorithm: str = "ES256"
    raw: bytes | None = None
    """Answered to the token request instead of a true answer."""
    discovery: dict[str, Any] = field(default_factory=dict)
    """Put over the discovery document."""
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", auto_kid=True))
    signing_key: ECKey | None = None
    """Signs instead of `key`, which stays the one that is published."""
    clock: Callable[[], float] = time.time
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            **self.discovery,
        }

    def authorize(self, query: dict[str, str]) -> str:
        """The address to go back to; a wrong client or address is never redirected to."""
        assert query["client_id"] == self.client_id
        assert query["redirect_uri"] == self.redirect_uri
        assert query["response_type"] == "code"
        assert "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """None: invalid_grant or invalid_client."""
        basic = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
        if authorization != f"Basic {basic}":
            return None
        query = self.codes.pop(form.get("code", ""), None)
        if query is None or form.get("redirect_uri") != query["redirect_uri"]:
            return None
        hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() != query["code_challenge"]:
            return None
        now = int(self.clock())
        claims = {
            "iss": self.url,
            "aud": self.client_id,
            "iat": now,
            "exp": now + 300,
            "nonce": query["nonce"],
            **self.person,
            **self.lie,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm == "none":
            parts = ({"alg": "none"}, claims)
            texts = [base64.urlsafe_b64encode(json.dumps(one).encode()) for one in parts]
            token = b".".join(one.rstrip(b"=") for one in texts).decode() + "."
        else:
            header = {"alg": self.algorithm, "kid": self.key.kid}
            token = jwt.encode(header, claims, self.signing_key or self.key)
        return {"access_token": "x", "token_type": "Bearer", "id_token": token}


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.asked.append(parts.path)
            if provider.down:
                self._say(503, b"")
            elif parts.path == "/.well-known/openid-configuration":
                self._json(provider.document())
            elif parts.path == "/keys":
                self._json({"keys": [provider.key.as_dict(private=False)]})
            elif parts.path == "/authorize":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self._say(303, b"", {"Location": provider.authorize(query)})
            else:
                self._say(404, b"")

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            if provider.down:
                self._say(503, b"")
            elif provider.raw is not None:
                self._say(200, provider.raw)
            else:
                answer = provider.token(form, self.headers.get("Authorization", ""))
                if answer is None:
                    self._say(400, b'{"error": "invalid_grant"}')
                else:
                    self._json(answer)

        def _json(self, value: object) -> None:
            self._say(200, json.dumps(value).encode())

        def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def running(*, client_id: str, secret: str, redirect_uri: str) -> Iterator[Provider]:
    """The provider on a port that was free."""
    provider = Provider(client_id, secret, redirect_uri)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
