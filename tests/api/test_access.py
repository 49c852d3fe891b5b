"""OAuth2 client credentials: who gets a token, what it opens, what is written down."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from argon2 import extract_parameters

from api.auth import clients
from api.auth.access_tokens import AccessTokens, new_key
from api.errors import ApiError
from tests.api.conftest import ONLY_SQLITE, Service

pytestmark = ONLY_SQLITE


def ask(service: Service, auth: tuple[str, str] | None = None, **form: str):
    return service.http.post(
        "/oauth2/token", data={"grant_type": "client_credentials", **form}, auth=auth
    )


def test_basic_and_post(service: Service) -> None:
    """RFC 6749 §2.3.1: HTTP Basic, or both in the body."""
    secret = service.client("one-stop", "sign", "validate")
    for answer in (
        ask(service, ("one-stop", secret)),
        ask(service, client_id="one-stop", client_secret=secret),
    ):
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
        assert body["scope"] == "sign validate"
    assert "access.granted" in service.tags()


def test_wrong_secret(service: Service) -> None:
    """RFC 6749 §5.2: invalid_client, 401, and the refusal is on record."""
    service.client("one-stop", "sign")
    answer = ask(service, ("one-stop", "guess"))
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert service.tags()[-1] == "access.refused"
    assert ask(service, ("nobody", "guess")).status_code == 401
    assert ask(service).status_code == 401


def test_malformed_basic(service: Service) -> None:
    """A header that is not base64 is a wrong secret, not a failure of ours."""
    answer = service.http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": "Basic ***"},
    )
    assert answer.status_code == 401


def test_scopes_are_the_clients_own(service: Service) -> None:
    """RFC 6749 §5.2 invalid_scope: a client gets what it was given, or less."""
    secret = service.client("one-stop", "sign", "validate")
    assert ask(service, ("one-stop", secret), scope="validate").json()["scope"] == "validate"
    refused = ask(service, ("one-stop", secret), scope="certify")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    other = service.http.post(
        "/oauth2/token", data={"grant_type": "password"}, auth=("one-stop", secret)
    )
    assert other.json()["error"] == "unsupported_grant_type"


def test_guessing_is_slowed_down(service: Service) -> None:
    """Ten wrong secrets in a minute, then 429 with Retry-After; the right one is refused too."""
    secret = service.client("one-stop", "sign")
    codes = [ask(service, ("one-stop", f"guess {i}")).status_code for i in range(11)]
    assert codes[:10] == [401] * 10
    assert codes[10] == 429
    answer = ask(service, ("one-stop", secret))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


def test_bearer(service: Service) -> None:
    """RFC 6750 §3: 401 says how to authenticate; 403 which scope is missing, and is audited."""
    address = "/api/v1/credentials?unit=14797"
    missing = service.http.get(address)
    assert missing.status_code == 401
    assert missing.headers["www-authenticate"].startswith("Bearer")
    forged = service.http.get(address, headers={"Authorization": "Bearer a.b.c"})
    assert forged.json()["code"] == "access-token-invalid"
    few = service.http.get(address, headers=service.bearer("validate"))
    assert few.status_code == 403
    assert 'error="insufficient_scope"' in few.headers["www-authenticate"]
    assert service.tags()[-1] == "request.refused"
    good = service.http.get(address, headers=service.bearer("sign", name="signer-system"))
    assert (good.status_code, good.json()) == (200, {"credentials": []})


def test_a_disabled_client_stops_at_once(service: Service) -> None:
    """Its token is still fresh; it opens nothing any more."""
    headers = service.bearer("sign")
    clients.disable(service.house.database, "procedure-system", now=service.now, by="operator:test")
    answer = service.http.get("/api/v1/credentials?unit=14797", headers=headers)
    assert answer.status_code == 401
    assert (
        ask(service, ("procedure-system", service.secrets["procedure-system"])).status_code == 401
    )


def test_an_old_token_is_refused(service: Service) -> None:
    """RFC 9068 §4: exp is checked (half a minute of clock difference is allowed)."""
    headers = service.bearer("sign")
    service.later(timedelta(minutes=16))
    answer = service.http.get("/api/v1/credentials?unit=14797", headers=headers)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_another_issuers_token_is_refused(service: Service) -> None:
    """RFC 9068 §4: issuer, audience and signature are all ours or it is nothing."""
    pem = new_key()
    ours = AccessTokens(pem, issuer="https://a.example")
    token = ours.issue("one", ["sign"], now=service.now)
    assert ours.check(token, now=service.now).scopes == {"sign"}
    for other in (
        AccessTokens(new_key(), issuer="https://a.example"),
        AccessTokens(pem, issuer="https://b.example"),
    ):
        with pytest.raises(ApiError):
            other.check(token, now=service.now)
    head, payload, _ = token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")
    for forged in (f"{none}.{payload}.", f"{head}.{payload}.", "..", ""):
        with pytest.raises(ApiError):
            ours.check(forged, now=service.now)


def test_the_secret_is_never_kept(service: Service) -> None:
    """Only an argon2id hash is in the table."""
    from api.models import ApiClient

    secret = service.client("one-stop", "sign")
    with service.house.database.reading() as session:
        row = session.get_one(ApiClient, "one-stop")
    assert row.secret_hash.startswith("$argon2id$")
    assert secret not in row.secret_hash


def test_an_unknown_client_takes_as_long(service: Service) -> None:
    """Else time would tell which names exist: the same argon2id work, and never a match."""
    secrets = service.services.secrets
    assert extract_parameters(secrets._decoy) == extract_parameters(secrets.hash("nobody's"))
    assert not secrets.matches(None, "nobody's")


@pytest.mark.parametrize("name", ["", "Ủy ban", "a" * 65, "-x", "x y", "UPPER"])
def test_client_names(service: Service, name: str) -> None:
    """Names go into logs and the audit: a narrow alphabet."""
    with pytest.raises(ApiError, match="name"):
        service.client(name, "sign")


def test_metadata(service: Service) -> None:
    """RFC 8414 and RFC 7517: where to ask, and the public key only."""
    found = service.http.get("/.well-known/oauth-authorization-server").json()
    assert found["token_endpoint"] == f"{service.world.base_url}/oauth2/token"
    (key,) = service.http.get("/oauth2/jwks").json()["keys"]
    assert key["crv"] == "P-256"
    assert "d" not in key
