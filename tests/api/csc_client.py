"""A client of the remote-signing service, and a holder with a browser, for tests."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from api.csc import redirects
from api.csc.outbox import Message, SpoolOutbox
from hsm.custody import Custody, WrappedKey
from hsm.mechanisms import KeyAlgorithm
from tests.api.conftest import Service
from tests.certify.town_hall import TownHall, town_hall

BACK = "https://app.example.vn/cb"
SHA256 = "2.16.840.1.101.3.4.2.1"
RSA = "1.2.840.113549.1.1.1"
RSA_SHA256 = "1.2.840.113549.1.1.11"

_made: dict[tuple[KeyAlgorithm, int], WrappedKey] = {}


@pytest.fixture
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th key of every test is the same one (wrapped keys outlive a test's database): making
    RSA keys is most of what a test would wait for."""
    generate = Custody.generate
    asked = iter(range(1000))

    def again(custody: Custody, algorithm: KeyAlgorithm) -> WrappedKey:
        place = (algorithm, next(asked))
        if place not in _made:
            _made[place] = generate(custody, algorithm)
        return _made[place]

    monkeypatch.setattr(Custody, "generate", again)


@pytest.fixture
def hall(service: Service, quick_keys: None) -> TownHall:
    """An official and a seal with RSA keys, as the province has them."""
    return town_hall(service.world, KeyAlgorithm.RSA_2048)


def digest(text: str = "tài liệu") -> bytes:
    return hashlib.sha256(text.encode()).digest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class App:
    """A signature application registered with the service."""

    service: Service
    name: str
    explicit: bool = True
    back: str = BACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def __post_init__(self) -> None:
        scopes = ("csc", "csc-explicit") if self.explicit else ("csc",)
        self.service.client(self.name, *scopes)
        redirects.register(
            self.service.house.database,
            self.name,
            [self.back],
            now=self.service.now,
            by="operator:test",
        )

    @property
    def secret(self) -> str:
        return self.service.secrets[self.name]

    @property
    def challenge(self) -> str:
        return url64(hashlib.sha256(self.verifier.encode()).digest())

    def token(self, **form: str) -> httpx.Response:
        return self.service.http.post("/csc/oauth2/token", data=form, auth=(self.name, self.secret))

    def service_token(self) -> str:
        answer = self.token(grant_type="client_credentials")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def call(
        self, method: str, body: Any = None, *, token: str | None = None, version: str = "v2"
    ) -> httpx.Response:
        return self.service.http.post(
            f"/csc/{version}/{method}",
            content=json.dumps(body if body is not None else {}),
            headers={"Authorization": f"Bearer {token or self.service_token()}"},
        )

    def question(self, **more: str) -> dict[str, str]:
        """The parameters of oauth2/authorize."""
        return {
            "response_type": "code",
            "client_id": self.name,
            "redirect_uri": self.back,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            "state": "trạng thái &=1",
            **more,
        }

    def page(self, **more: str) -> str:
        """Where the holder's browser is sent: the address of our page."""
        answer = self.service.http.get(
            "/csc/oauth2/authorize", params=self.question(**more), follow_redirects=False
        )
        assert answer.status_code == 302, answer.text
        assert "consent" in answer.headers["location"], answer.headers["location"]
        return str(answer.headers["location"])

    def for_hashes(self, credential_id: str, *hashes: bytes, **more: str) -> dict[str, str]:
        return {
            "scope": "credential",
            "credentialID": credential_id,
            "numSignatures": str(len(hashes)),
            "hashes": ",".join(map(url64, hashes)),
            "hashAlgorithmOID": SHA256,
            **more,
        }

    def exchange(self, code: str, /, **more: str) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.back,
            "code_verifier": self.verifier,
        }
        return self.token(**{**form, **more})

    def consented(self, pin: str, page: str, *, holder: str = "", code: str = "") -> str:
        """The holder says yes; the code that came back."""
        answer = decide(self.service, page, "approve", pin=pin, holder=holder, code=code)
        assert answer.status_code == 303, answer.text
        return answered(answer)["code"]


def decide(service: Service, page: str, act: str, **form: str) -> httpx.Response:
    return service.http.post(page, data={"act": act, **form}, follow_redirects=False)


def answered(response: httpx.Response) -> dict[str, str]:
    """What came back to the client in the address."""
    parts = urlsplit(response.headers["location"])
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def messages(service: Service) -> list[Message]:
    return list(SpoolOutbox(service.house.settings.home / "outbox").waiting())


def code_sent(service: Service) -> str:
    """The newest one-time code, as the holder reads it in their mail."""
    found = re.search(r"\b\d{6}\b", messages(service)[-1].text)
    assert found is not None
    return found[0]
