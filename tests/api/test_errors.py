"""Errors as problem+json (RFC 9457), in both languages, with nothing internal in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.errors import STATUS, ApiError, language_of, status_of
from records.errors import DomainError, catalogue
from tests.api.conftest import ONLY_SQLITE, Service


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        (None, "vi"),
        ("", "vi"),
        ("en", "en"),
        ("en-GB,en;q=0.9,vi;q=0.8", "en"),
        ("vi-VN,vi;q=0.9,en;q=0.8", "vi"),
        ("fr,de", "vi"),
        ("en;q=x,vi;q=0.1", "vi"),
    ],
)
def test_language(accept: str | None, language: str) -> None:
    """RFC 9110 §12.5.4: the highest weight wins; Vietnamese otherwise."""
    assert language_of(accept) == language


def test_every_status_has_a_text() -> None:
    """The table names no code that nobody could explain."""
    missing = [code for code in STATUS if code not in catalogue("vi")]
    assert missing == []


def test_status_by_table_then_ending() -> None:
    """One table; what it does not name is 422, understood and not possible."""
    assert status_of(DomainError("pin-wrong")) == 403
    assert status_of(DomainError("disk-full")) == 507
    assert status_of(DomainError("blue-moon-not-found")) == 404
    assert status_of(ApiError("document-empty")) == 422


def test_what_is_not_there_and_what_cannot_be_now() -> None:
    """RFC 9110 §15.5.5 and §15.5.11: what the rooms call not found is 404 or 410, and a state that
    conflicts is 409: the same request may be right later, or was right before."""
    rooms = [
        path.read_text() for room in ("certify", "signer") for path in Path(room).rglob("*.py")
    ]
    absent = {code for text in rooms for code in re.findall(r'NotFound\(\s*"([a-z-]+)"', text)}
    assert {code for code in absent if status_of(DomainError(code)) not in (404, 410)} == set()
    states = {code for text in rooms for code in re.findall(r'Error\(\s*"([a-z-]+)"', text)}
    states = {code for code in states if code.endswith(("-state-wrong", "-settled", "-not-over"))}
    states |= {"fee-not-paid", "fee-nothing-paid", "number-not-open", "number-of-another-day"}
    states |= {"nothing-to-refuse", "register-has-open-numbers", "appointments-too-many"}
    assert len(states) > 10
    assert {code for code in states if status_of(DomainError(code)) != 409} == set()


@ONLY_SQLITE
def test_unknown_address(service: Service) -> None:
    """404 is problem+json too, and says which request it was."""
    answer = service.http.get("/api/v1/nothing", headers={"Accept-Language": "en"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "en"
    body = answer.json()
    assert body["code"] == "page-not-found"
    assert body["title"] == body["messages"]["en"]
    assert body["request_id"] == answer.headers["x-request-id"]


@ONLY_SQLITE
def test_wrong_method(service: Service) -> None:
    """405 with Allow (RFC 9110 §15.5.6)."""
    answer = service.http.delete("/oauth2/token")
    assert answer.status_code == 405
    assert answer.json()["code"] == "method-not-allowed"
    assert "POST" in answer.headers["allow"]


@ONLY_SQLITE
def test_invalid_request_does_not_repeat_the_value(service: Service) -> None:
    """The value of a field that is not valid may be a PIN: only its place is named."""
    answer = service.http.post(
        "/api/v1/authorizations",
        headers=service.bearer("sign"),
        json={"credential_id": "x", "pin": {"secret": "739104"}, "document_ids": ["a"]},
    )
    assert answer.status_code == 422
    assert answer.json()["code"] == "request-invalid"
    assert "body.pin" in {one["where"] for one in answer.json()["errors"]}
    assert "739104" not in answer.text


@ONLY_SQLITE
def test_a_defect_shows_nothing_internal(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """500: a request id for the report, and not one word of the trace."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("table secret_things is missing in /home/user")

    monkeypatch.setattr(service.house.tsa.__class__, "respond", broken)
    answer = service.http.post(
        "/pki/tsa", content=b"x", headers={"Content-Type": "application/timestamp-query"}
    )
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal-error"
    assert "secret_things" not in answer.text
    assert answer.headers["x-request-id"] in answer.text


@ONLY_SQLITE
def test_a_body_that_is_too_large(service: Service) -> None:
    """413, whether the length is declared or the body only turns out to be long."""
    big = b"0" * (70 * 1024)
    kind = {"Content-Type": "application/ocsp-request"}
    declared = service.http.post("/pki/ocsp/persons-g1", content=big, headers=kind)
    assert declared.status_code == 413
    assert declared.json()["code"] == "body-too-large"
    pieces = (big[i : i + 8192] for i in range(0, len(big), 8192))
    streamed = service.http.post("/pki/ocsp/persons-g1", content=pieces, headers=kind)
    assert streamed.status_code == 413
    assert streamed.json()["code"] == "body-too-large"


@ONLY_SQLITE
def test_security_headers(service: Service) -> None:
    """A strict policy everywhere: nothing from elsewhere, no inline script, no framing."""
    for address in ("/", "/healthz", "/static/site.css", "/nothing"):
        headers = service.http.get(address).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
