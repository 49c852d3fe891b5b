"""Keys elsewhere, time-stamps and levels, as a program asks for them over HTTP."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from signer.verdicts.validation import validate
from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import DEMO
from tests.signer.elsewhere import Citizen

DECISION = (DEMO / "decision.pdf").read_bytes()
pytestmark = ONLY_SQLITE


def upload(service: Service, headers: dict[str, str], data: bytes, name: str) -> dict[str, Any]:
    answer = service.http.post(
        "/api/v1/documents", files={"file": (name, data, "application/pdf")}, headers=headers
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_citizens_own_token(service: Service) -> None:
    """Upload, prepare, sign outside, complete, fetch; once, and only by the client that began."""
    citizen, headers = Citizen.of(service.world), service.bearer("sign")
    document = upload(service, headers, DECISION, "đơn.pdf")
    order = {
        "document_ids": [document["id"]],
        "pdf": {"level": "B-LTA", "reason": "Nộp hồ sơ"},
        "certificate": base64_of(citizen.der),
    }
    answer = service.http.post("/api/v1/signatures/prepared", json=order, headers=headers)
    assert answer.status_code == 201, answer.text
    waiting = answer.json()
    assert (waiting["signature_scheme"], waiting["digest_algorithm"]) == ("ecdsa", "sha256")
    assert waiting["signer_status"] == "good"
    octets = base64.b64decode(waiting["to_be_signed"])
    assert base64.b64decode(waiting["to_be_signed_digest"]) == hashlib.sha256(octets).digest()
    place = f"/api/v1/signatures/prepared/{waiting['id']}"
    other = service.bearer("sign", name="another-system")
    value = {"signature": base64_of(citizen.value(octets, side_by_side=True))}
    for body, who, status, code in (
        ({"signature": base64_of(b"wrong")}, headers, 422, "value-does-not-fit"),
        ({"signature": "***"}, headers, 422, "base64-malformed"),
        (value, other, 404, "preparation-unknown"),
    ):
        refused = service.http.post(f"{place}/completion", json=body, headers=who)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    key = {"Idempotency-Key": "9a1f0d1e-5b7c-4c64-8c56-1f0f1c7f2b61"}
    done = service.http.post(f"{place}/completion", json=value, headers=headers | key)
    assert done.status_code == 201, done.text
    assert done.json()["level"] == "PAdES-BASELINE-LTA"
    assert done.json()["indication"] == "TOTAL_PASSED"
    again = service.http.post(f"{place}/completion", json=value, headers=headers | key)
    assert again.json() == done.json()
    once = service.http.post(f"{place}/completion", json=value, headers=headers)
    assert (once.status_code, once.json()["code"]) == (409, "preparation-used")
    assert service.http.get(place, headers=headers).json()["state"] == "completed"
    fetched = service.http.get(done.json()["document"]["content_url"], headers=headers).content
    assert validate(fetched, trust=service.house.trust, now=service.now).passed
    assert service.tags().count("signature.completed") == 1


def test_xml_and_requests_that_make_no_sense(service: Service) -> None:
    """The same for another format; one way of signing, one answer."""
    citizen, headers = Citizen.of(service.world, "rsa-2048"), service.bearer("sign")
    document = upload(service, headers, b"<don><ten>A</ten></don>", "don.xml")
    order: dict[str, Any] = {
        "document_ids": [document["id"]],
        "files": {"format": "xades-enveloped", "level": "B-T"},
        "certificate": base64_of(citizen.der),
    }
    waiting = service.http.post("/api/v1/signatures/prepared", json=order, headers=headers).json()
    value = base64_of(citizen.value(base64.b64decode(waiting["to_be_signed"])))
    place = f"/api/v1/signatures/prepared/{waiting['id']}/completion"
    done = service.http.post(place, json={"signature": value}, headers=headers)
    assert done.json()["level"] == "XAdES-BASELINE-T", done.text
    for wrong in (
        {**order, "pdf": {}},
        {**order, "files": None},
        {**order, "minutes": 0},
        {**order, "certificate": base64_of(b"no certificate")},
        {**order, "certificate": "="},
        {**order, "files": {"format": "asic-s"}},
    ):
        answer = service.http.post("/api/v1/signatures/prepared", json=wrong, headers=headers)
        assert answer.status_code == 422, (wrong, answer.text)
        assert answer.json()["messages"]["vi"]
    for body in ({}, {"signature": value, "cms": value}):
        assert service.http.post(place, json=body, headers=headers).status_code == 422


def test_time_stamps_and_higher_levels(service: Service) -> None:
    """A digest, a PDF, any file; then a B-B signature raised to B-LTA."""
    headers = service.bearer("sign")
    digest = hashlib.sha384(b"x").hexdigest()
    given = service.http.post(
        "/api/v1/time-stamps", json={"digest": digest, "algorithm": "sha384"}, headers=headers
    )
    assert given.status_code == 201, given.text
    assert base64.b64decode(given.json()["token"]).startswith(b"\x30")
    short = service.http.post(
        "/api/v1/time-stamps", json={"digest": digest, "algorithm": "sha256"}, headers=headers
    )
    assert (short.status_code, short.json()["code"]) == (422, "digest-length-wrong")
    pdf = upload(service, headers, DECISION, "a.pdf")
    stamped = service.http.post(
        "/api/v1/time-stamps", json={"document_id": pdf["id"]}, headers=headers
    ).json()
    assert stamped["document"]["act"] == "time-stamped"
    text = upload(service, headers, b"text", "a.txt")
    token = service.http.post(
        "/api/v1/time-stamps", json={"document_id": text["id"]}, headers=headers
    ).json()
    assert token["token"]
    assert token["document"] is None
    none = service.http.post(
        "/api/v1/augmentations", json={"document_id": text["id"]}, headers=headers
    )
    assert (none.status_code, none.json()["code"]) == (422, "not-signed")

    citizen = Citizen.of(service.world)
    order = {
        "document_ids": [text["id"]],
        "files": {"format": "cades-detached", "level": "B-B"},
        "certificate": base64_of(citizen.der),
    }
    waiting = service.http.post("/api/v1/signatures/prepared", json=order, headers=headers).json()
    value = base64_of(citizen.value(base64.b64decode(waiting["to_be_signed"])))
    done = service.http.post(
        f"/api/v1/signatures/prepared/{waiting['id']}/completion",
        json={"signature": value},
        headers=headers,
    ).json()
    wanted = {"document_id": done["document"]["id"], "level": "B-LTA"}
    missing = service.http.post("/api/v1/augmentations", json=wanted, headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (422, "content-needed")
    wanted["content_document_id"] = text["id"]
    raised = service.http.post("/api/v1/augmentations", json=wanted, headers=headers)
    assert raised.status_code == 201, raised.text
    data = service.http.get(raised.json()["content_url"], headers=headers).content
    assert validate(data, trust=service.house.trust, now=service.now, content=b"text").passed
