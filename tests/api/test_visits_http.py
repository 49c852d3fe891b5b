"""Visits, single acts on cases and copies of digital documents over HTTP."""

from __future__ import annotations

from typing import Any

from certify.counter.appointments import free_slots
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.test_certifying import CASE, CASES
from tests.certify.test_refusal import signed_original
from tests.certify.town_hall import OFFICIAL_ID, PIN, SEAL_PIN, UNIT, TownHall, scans

pytestmark = ONLY_SQLITE
VISITS = "/api/v1/certified-copies/visits"
DOCUMENT = {key: CASE[key] for key in ("document_kind", "original")}
ORDER: dict[str, Any] = {
    "unit": UNIT,
    "requester": CASE["requester"],
    "documents": [DOCUMENT | {"copies": 3}, DOCUMENT],
    "dossier_code": "H56.17.22-251124-AA0001",
}


def test_a_dossier_of_the_procedure_system(service: Service, hall: TownHall) -> None:
    """Through the API: opened with a dossier code, booked, changed, presented, slip."""
    headers = service.bearer("certify")
    hours = service.http.get(
        f"/api/v1/certified-copies/units/{UNIT}/slots", headers=headers
    ).json()["slots"]
    keyed = {**headers, "Idempotency-Key": "dossier-one"}
    order = ORDER | {"appointment": {"starts_at": hours[0]["starts_at"]}}
    opened = [service.http.post(VISITS, json=order, headers=keyed) for _ in range(2)]
    assert opened[0].status_code == 201, opened[0].text
    assert opened[0].json() == opened[1].json()
    visit = opened[0].json()
    here = f"{VISITS}/{visit['id']}"
    assert [case["copies"] for case in visit["cases"]] == [3, 1]
    again = service.http.post(VISITS, json=ORDER, headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "dossier-already-open")
    slip = service.http.get(f"{here}/slip", headers=headers)
    assert (slip.status_code, slip.content[:5]) == (200, b"%PDF-")
    moved = service.http.put(
        f"{here}/appointment", json={"starts_at": hours[5]["starts_at"]}, headers=headers
    )
    assert moved.json()["starts_at"] == hours[5]["starts_at"]
    wrong = {"starts_at": "2026-11-22T08:00:00+07:00"}
    refused = service.http.put(f"{here}/appointment", json=wrong, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "slot-not-offered")
    early = service.http.post(f"{here}/appointment/no-show", headers=headers)
    assert early.json()["code"] == "appointment-not-over"
    cancelled = service.http.post(
        f"{here}/appointment/cancellation", json={"reason": "bận"}, headers=headers
    )
    assert cancelled.json()["appointment"]["state"] == "cancelled"
    assert service.http.get(f"{here}/slip", headers=headers).status_code == 404
    shown = service.http.post(
        f"{here}/presentation", json={"place": "Một cửa", "official": "Ví Dụ"}, headers=headers
    )
    assert all(case["presented"] for case in shown.json()["cases"])
    assert service.http.get(VISITS, params={"unit": UNIT}, headers=headers).json()["visits"]
    # Another unit's system does not know it; the slip's page says nothing personal.
    foreign = service.bearer("certify", name="other-system", units=["14758"])
    assert service.http.get(here, headers=foreign).status_code == 404
    assert service.http.post(VISITS, json=ORDER, headers=foreign).status_code == 404
    assert len(free_slots(hall.office, UNIT, now=service.now)) == len(hours)


def test_single_acts_on_a_case(service: Service, hall: TownHall) -> None:
    """Assigned, examined, compared page by page, frozen; a refusal signed and fetched."""
    headers = service.bearer("certify")
    http = service.http

    def opened() -> str:
        return f"{CASES}/{http.post(CASES, json=CASE, headers=headers).json()['id']}"

    case = opened()
    assigned = http.post(f"{case}/assignment", json={"official": OFFICIAL_ID}, headers=headers)
    assert assigned.status_code == 200, assigned.text
    stranger = http.post(f"{case}/assignment", json={"official": "CCCD:1"}, headers=headers)
    assert stranger.json()["code"] == "assignee-not-of-unit"
    clean = http.post(f"{case}/examination", json={"official": "Ví Dụ"}, headers=headers)
    assert clean.json() == {"grounds": []}
    files = [("scans", (f"{n}.jpg", scan, "image/jpeg")) for n, scan in enumerate(scans())]
    assert http.post(f"{case}/captures", files=files, headers=headers).status_code == 201
    finding = {"matches": True, "official": "Ví Dụ"}
    assert http.put(f"{case}/pages/1/finding", json=finding, headers=headers).status_code == 204
    unfinished = http.post(f"{case}/conclusion", json={"official": "Ví Dụ"}, headers=headers)
    assert (unfinished.status_code, unfinished.json()["code"]) == (409, "comparison-unfinished")
    http.put(f"{case}/pages/2/finding", json=finding, headers=headers)
    ended = http.post(f"{case}/conclusion", json={"official": "Ví Dụ"}, headers=headers)
    assert ended.json()["passed"] is True
    image = http.get(f"{case}/pages/2/image", headers=headers)
    assert (image.headers["content-type"], image.content) == ("image/jpeg", scans()[1])
    assert http.get(f"{case}/pages/3/image", headers=headers).status_code == 404
    frozen = http.post(f"{case}/freeze", json={"reason": "nghi giả"}, headers=headers)
    assert frozen.json()["state"] == "frozen"

    case = opened()
    assert http.get(f"{case}/refusal", headers=headers).status_code == 404
    met = http.post(
        f"{case}/examination",
        json={"checklist": {"secret": True}, "official": "Ví Dụ"},
        headers=headers,
    )
    assert met.json() == {"grounds": ["ground-secret"]}
    order = {"person": {"credential_id": hall.person.id, "pin": PIN}, "explanation": "Dấu Mật."}
    made = http.post(f"{case}/refusal", json=order, headers=headers)
    assert (made.status_code, made.json()["grounds"]) == (200, ["ground-secret"]), made.text
    fetched = http.get(made.json()["content_url"], headers=headers)
    assert fetched.content.startswith(b"%PDF-")


def test_sao_y(service: Service, hall: TownHall) -> None:
    """A copy of a digital document, once for one key; its original stays inside it."""
    headers = service.bearer("certify")
    source = signed_original(hall)
    form = {
        "unit": UNIT,
        "form": "SAO Y",
        "title": "Quyết định",
        "seal": hall.seal.id,
        "pin": SEAL_PIN,
    }
    files = {"file": ("a.pdf", source, "application/pdf")}
    address = "/api/v1/digital-copies"
    keyed = {**headers, "Idempotency-Key": "sao-y-once"}
    made = [service.http.post(address, data=form, files=files, headers=keyed) for _ in range(2)]
    assert made[0].status_code == 201, made[0].text
    assert made[0].json() == made[1].json()
    fetched = service.http.get(made[0].json()["content_url"], headers=headers)
    assert fetched.content.startswith(source)
    unsigned = {"file": ("a.pdf", scans()[0], "application/pdf")}
    refused = service.http.post(address, data=form, files=unsigned, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "digital-original-unsigned")
