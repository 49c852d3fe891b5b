"""Signing in through the province's service: a real OpenID Connect server, honest and not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import accounts
from api.settings import write_secret
from tests.api.conftest import ONLY_SQLITE, Service, house_of
from tests.api.people import person
from tests.oidc_simulator import Provider, running
from tests.world import World

pytestmark = ONLY_SQLITE
BACK = "/sign-in/provider/back"


@pytest.fixture
def provider(world: World) -> Iterator[Provider]:
    with running(
        client_id="dauso", secret="provider-secret", redirect_uri=f"{world.base_url}{BACK}"
    ) as made:
        made.person = {"sub": "u1", "citizen_id": "038800000001", "name": "Lê Văn Thử"}
        made.clock = world.now.timestamp
        yield made


@pytest.fixture
def service(world: World, provider: Provider, tmp_path: Path) -> Iterator[Service]:
    house = house_of(world, tmp_path / "home", sso_issuer=provider.url, sso_name="Cổng SSO tỉnh")
    write_secret(house.settings.secrets / "sso-client.secret", "provider-secret")
    made = Service(http=None, house=house, world=world, now=world.now)  # type: ignore[arg-type]  # set below
    app = create_app(house, clock=lambda: made.now)
    with TestClient(
        app, base_url=world.base_url, raise_server_exceptions=False, follow_redirects=False
    ) as http:
        made.http = http
        yield made


def journey(service: Service, **params: str) -> Any:
    """From our page to the provider's and back."""
    out = service.http.get("/sign-in/provider", params=params)
    assert out.status_code == 303, out.text
    at = httpx.get(out.headers["location"])
    back = urlsplit(at.headers["location"])
    return service.http.get(f"{back.path}?{back.query}")


def test_an_official_signs_in(service: Service, provider: Provider) -> None:
    """OpenID Connect Core §3.1 with PKCE: discovery, code, token, and on to where they wanted."""
    person(service.house, roles=["signer"], now=service.now)
    assert "Đăng nhập qua Cổng SSO tỉnh" in service.http.get("/sign-in").text
    entered = journey(service, next="/desk/certificates")
    assert (entered.status_code, entered.headers["location"]) == (303, "/desk/certificates")
    shown = service.http.get("/desk/account").text
    assert "Lê Văn Thử" in shown
    assert "Cổng định danh" in shown
    assert "Người có thẩm quyền ký" in shown
    # Discovery and keys are kept: the next one asks for a token only.
    before = len(provider.asked)
    assert journey(service).headers["location"] == "/desk"
    assert provider.asked[before:] == ["/authorize", "/token"]


def test_a_citizen_gets_an_account(service: Service, provider: Provider) -> None:
    """Nobody made an account for a citizen: their first sign-in does, without any role."""
    provider.person |= {"citizen_id": "038812345678", "name": "Nguyễn Thị Mẫu"}
    assert journey(service).status_code == 303
    (made,) = accounts.everyone(service.house.database, matching="038812345678")
    assert (made.person.kind, made.person.roles) == ("citizen", frozenset())
    accounts.disable(
        service.house.database, made.person.account_id, now=service.now, by="operator:test"
    )
    assert journey(service).status_code == 403


def test_words_not_to_be_taken(service: Service, provider: Provider) -> None:
    """Core §3.1.3.7: another issuer, audience, nonce, key, time, algorithm; junk; no number."""
    person(service.house, now=service.now)
    now = int(service.now.timestamp())
    for lie in (
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["dauso", "another"]},
        {"azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": now - 3600},
        {"iat": now + 7200},
        {"sub": None},
        {"citizen_id": None},
        {"citizen_id": 38800000001},
        {"citizen_id": "0388"},
        {"name": None},
    ):
        provider.lie = lie
        assert journey(service).status_code == 403, lie
    provider.lie = {}
    provider.algorithm = "none"
    assert journey(service).status_code == 403
    provider.algorithm, provider.signing_key = "ES256", ECKey.generate_key("P-256")
    assert journey(service).status_code == 403
    provider.signing_key = None
    for raw in (b"", b"[]", b"{}", b'{"id_token": 5}', b"[" * 9000, b"x" * 300_000):
        provider.raw = raw
        assert journey(service).status_code == 403, raw[:20]
    provider.raw = None
    out = service.http.get("/sign-in/provider")
    back = urlsplit(httpx.get(out.headers["location"]).headers["location"])
    provider.down = True
    assert service.http.get(f"{back.path}?{back.query}").status_code == 503
    provider.down = False
    # It has changed its keys: they are looked up again.
    provider.key = ECKey.generate_key("P-256", auto_kid=True)
    assert journey(service).status_code == 303
    assert service.tags().count("sign-in.refused") == 13 + 2 + 6


def test_the_way_back_is_this_browsers(service: Service, provider: Provider) -> None:
    """RFC 6749 §10.12: another browser's answer, another journey's state, a used one: refused."""
    person(service.house, now=service.now)
    out = service.http.get("/sign-in/provider")
    back = urlsplit(httpx.get(out.headers["location"]).headers["location"])
    cookie = service.http.cookies.get("dauso-journey", path=BACK)
    service.http.cookies.clear()
    assert service.http.get(f"{back.path}?{back.query}").status_code == 403
    service.http.cookies.set("dauso-journey", cookie, path=BACK)
    assert service.http.get(f"{back.path}?code=x&state=other").status_code == 403
    service.http.cookies.set("dauso-journey", cookie, path=BACK)
    assert service.http.get(f"{back.path}?{back.query}").status_code == 403  # the journey is over
    assert service.http.get("/desk").status_code == 303
    assert "session.opened" not in service.tags()
