"""Sign and seal over HTTP: in steps and in one call, and every way it can be refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from signer.verdicts.validation import validate
from tests.api.conftest import Service
from tests.certify.town_hall import DEMO, PIN, SEAL_PIN, UNIT, TownHall

DECISION = (DEMO / "decision.pdf").read_bytes()
PDF = {"file": ("quyết định.pdf", DECISION, "application/pdf")}


def test_in_steps(service: Service, hall: TownHall, tmp_path: Path) -> None:
    """Upload, authorise with the PIN (digest shown), sign, download."""
    headers = service.bearer("sign")
    uploaded = service.http.post("/api/v1/documents", files=PDF, headers=headers)
    assert uploaded.status_code == 201, uploaded.text
    document = uploaded.json()
    assert document["digest"] == hashlib.sha256(DECISION).hexdigest()
    assert document["name"] == "quyết định.pdf"
    assert uploaded.headers["location"] == f"/api/v1/documents/{document['id']}"

    found = service.http.get(f"/api/v1/credentials?unit={UNIT}&kind=official", headers=headers)
    (credential,) = found.json()["credentials"]
    assert credential["id"] == hall.person.id
    authorised = service.http.post(
        "/api/v1/authorizations",
        json={"credential_id": credential["id"], "pin": PIN, "document_ids": [document["id"]]},
        headers=headers,
    )
    assert authorised.status_code == 201, authorised.text
    (shown,) = authorised.json()["documents"]
    assert shown["digest"] == document["digest"]

    order = {"sad": authorised.json()["sad"], "level": "B-LTA", "reason": "Phê duyệt"}
    signed = service.http.post(
        f"/api/v1/documents/{document['id']}/signatures", json=order, headers=headers
    )
    assert signed.status_code == 201, signed.text
    assert signed.json()["source_id"] == document["id"]
    fetched = service.http.get(signed.json()["content_url"], headers=headers)
    assert fetched.content.startswith(DECISION.rstrip(b"\n")[:1000])
    assert fetched.headers["repr-digest"].startswith("sha-256=:")
    report = validate(fetched.content, trust=service.house.trust, now=service.now)
    assert report.passed, report.to_text("en")
    assert report.signatures[0].level.endswith("LTA")

    # The SAD was for one signature on one digest: it opens nothing again.
    again = service.http.post(
        f"/api/v1/documents/{document['id']}/signatures", json=order, headers=headers
    )
    assert again.status_code in {403, 404, 409, 410}
    tags = service.tags()
    for tag in ("document.received", "authorization.given", "signature.made", "document.delivered"):
        assert tag in tags
    assert tags[-1] == "request.refused"


def test_in_one_call_and_repeated(service: Service, hall: TownHall) -> None:
    """Under one Idempotency-Key the document is signed once and delivered twice."""
    headers = {**service.bearer("sign"), "Idempotency-Key": "one-and-the-same"}
    form = {"credential_id": hall.person.id, "pin": PIN, "how": json.dumps({"level": "B-B"})}
    answers = [
        service.http.post("/api/v1/signatures", files=PDF, data=form, headers=headers)
        for _ in range(2)
    ]
    assert [one.status_code for one in answers] == [201, 201], answers[0].text
    assert answers[0].headers["content-type"] == "application/pdf"
    assert answers[0].content == answers[1].content
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert service.tags().count("signature.made") == 1
    other = service.http.post(
        "/api/v1/signatures",
        files={"file": ("other.pdf", DECISION + b"\n", "application/pdf")},
        data=form,
        headers=headers,
    )
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


def test_sign_then_seal(service: Service, hall: TownHall) -> None:
    """Decree 30/2020: the authorised person, then the agency, both B-LTA."""
    answer = service.http.post(
        "/api/v1/signatures/sealed",
        files=PDF,
        data={
            "credential_id": hall.person.id,
            "pin": PIN,
            "seal_credential_id": hall.seal.id,
            "seal_pin": SEAL_PIN,
            "how": json.dumps({"appearance": {"anchor": "Lê Văn Thử"}}),
            "seal_how": json.dumps({"appearance": {"template": "seal"}}),
        },
        headers=service.bearer("sign"),
    )
    assert answer.status_code == 201, answer.text
    report = validate(answer.content, trust=service.house.trust, now=service.now)
    assert report.passed, report.to_text("en")
    assert len(report.signatures) == 2


def test_wrong_pin_and_lock(service: Service, hall: TownHall) -> None:
    """Each wrong PIN says how many are left; the fifth locks, and the right one comes too late."""
    headers = service.bearer("sign")
    form = {"credential_id": hall.person.id, "pin": "000999"}
    codes = []
    for _ in range(5):
        answer = service.http.post("/api/v1/signatures", files=PDF, data=form, headers=headers)
        assert answer.status_code == 403
        codes.append(answer.json()["code"])
    assert codes == ["pin-wrong"] * 4 + ["credential-locked"]
    late = service.http.post(
        "/api/v1/signatures", files=PDF, data={**form, "pin": PIN}, headers=headers
    )
    assert late.json()["code"] == "credential-locked"
    assert "authorization.refused" in service.tags()
    assert "000999" not in late.text


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [
        ("damaged", DECISION[: len(DECISION) // 2], 422),
        ("not a PDF", b"PK\x03\x04 hello", 422),
        ("empty", b"", 422),
    ],
)
def test_bad_documents(
    service: Service, hall: TownHall, name: str, data: bytes, status: int
) -> None:
    """One clear message, nothing half-done."""
    answer = service.http.post(
        "/api/v1/signatures",
        files={"file": ("x.pdf", data, "application/pdf")},
        data={"credential_id": hall.person.id, "pin": PIN},
        headers=service.bearer("sign"),
    )
    assert answer.status_code == status, answer.text
    assert answer.json()["messages"]["vi"]
    assert "signature.made" not in service.tags()


def test_somebody_elses_document(service: Service, hall: TownHall) -> None:
    """Another client's document does not exist for this one."""
    mine = service.http.post("/api/v1/documents", files=PDF, headers=service.bearer("sign"))
    other = service.bearer("sign", name="other-system")
    answer = service.http.get(f"/api/v1/documents/{mine.json()['id']}/content", headers=other)
    assert (answer.status_code, answer.json()["code"]) == (404, "document-not-found")


def test_a_client_of_another_unit(service: Service, hall: TownHall) -> None:
    """A client asks only the holders of the units it works for."""
    headers = service.bearer("sign", name="far-away", units=["16522"])
    assert service.http.get(f"/api/v1/credentials?unit={UNIT}", headers=headers).status_code == 403
    answer = service.http.post(
        "/api/v1/signatures",
        files=PDF,
        data={"credential_id": hall.person.id, "pin": PIN},
        headers=headers,
    )
    assert answer.json()["code"] == "unit-not-allowed"
