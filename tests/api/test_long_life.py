"""Evidence records and the look ahead over HTTP; the schedule makes and keeps the proofs."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json

from api import long_life
from signer.long_life.evidence_records import Evidence
from signer.verdicts.validation import validate
from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import DEMO, PIN, TownHall

DECISION = (DEMO / "decision.pdf").read_bytes()


def signed(service: Service, hall: TownHall, level: str) -> bytes:
    headers = service.bearer("sign", "validate")
    answer = service.http.post(
        "/api/v1/signatures",
        files={"file": ("quyết định.pdf", DECISION, "application/pdf")},
        data={"credential_id": hall.person.id, "pin": PIN, "how": json.dumps({"level": level})},
        headers=headers,
    )
    assert answer.status_code == 201, answer.text
    return answer.content


@ONLY_SQLITE
def test_a_delivered_document_gets_its_record(service: Service, hall: TownHall) -> None:
    """Issue: evidence records over many documents with one time-stamp; a preview of decades."""
    document, plain = signed(service, hall, "B-LTA"), signed(service, hall, "B-B")
    headers = service.bearer("sign", "validate")
    digest = hashlib.sha256(document).hexdigest()
    address = f"/api/v1/evidence-records/{digest}"
    assert service.http.get(address, headers=headers).status_code == 404

    # One round of the schedule: one time-stamp; the next has nothing to do.
    kept = long_life.keep(service.house, now=service.now, by="system:renewal")
    assert (kept.protected, kept.time_stamps) == (1, 1)
    assert long_life.keep(service.house, now=service.now, by="system:renewal").time_stamps == 0
    assert "evidence.made" in service.tags()

    answer = service.http.get(address, headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    evidence = Evidence(
        base64.b64decode(found["record"]), tuple(map(base64.b64decode, found["companions"]))
    )
    report = validate(document, trust=service.house.trust, now=service.now, evidence=evidence)
    assert report.passed
    assert {one.code for one in report.findings} == {"evidence-since"}
    # The service itself uses the record that it keeps.
    answer = service.http.post(
        "/api/v1/validations",
        files={"file": ("a.pdf", document)},
        data={"details": "true"},
        headers=headers,
    )
    codes = [one["code"] for one in answer.json()["details"]["findings"]]
    assert codes == ["evidence-since"]

    def preview(data: bytes, at: str) -> dict[str, object]:
        answer = service.http.post(
            "/api/v1/validations/preview",
            files={"file": ("a.pdf", data, "application/pdf")},
            data={"at": at},
            headers=headers,
        )
        assert answer.status_code == 200, answer.text
        shown: dict[str, object] = answer.json()
        return shown

    soon = preview(document, "2027-06-01")
    assert (soon["answer"], soon["proof"], soon["steps"]) == ("stands", "evidence-record", [])
    later = preview(document, "2034-01-01T00:00:00+07:00")
    assert later["answer"] == "with-renewals"
    (step,) = later["steps"]
    assert step["cause"] == "key"
    assert dt.datetime.fromisoformat(step["by"]).year == 2031
    assert "2031" in later["text"]["vi"]
    # Today's policy says nothing of 2045, and so it is not promised.
    assert preview(document, "2045-01-01")["answer"] == "policy-ends"
    assert preview(plain, "2027-06-01")["answer"] == "not-time-stamped"

    for at, code in (("2001-01-01", "preview-time-past"), ("bao giờ", "time-unreadable")):
        answer = service.http.post(
            "/api/v1/validations/preview",
            files={"file": ("a.pdf", document)},
            data={"at": at},
            headers=headers,
        )
        assert answer.json()["code"] == code
        assert answer.status_code == 422
    for rubbish in (b"", b"%PDF-1.7 nothing", DECISION):
        answer = service.http.post(
            "/api/v1/validations/preview",
            files={"file": ("a.pdf", rubbish)},
            data={"at": "2030-01-01"},
            headers=headers,
        )
        assert 400 <= answer.status_code < 500, answer.text
