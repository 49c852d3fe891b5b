"""Certified copies over HTTP, from the counter to the public page; validation; the register."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from api import schedule
from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import PIN, SEAL_PIN, UNIT, TownHall, scans

CASES = "/api/v1/certified-copies/cases"
CASE = {
    "unit": UNIT,
    "requester": {"name": "Nguyễn Thị Mẫu", "identifier": "038812345678"},
    "document_kind": "transcript",
    "original": {
        "title": "Bảng điểm tốt nghiệp đại học",
        "issuer": "Trường Đại học Ví Dụ",
        "pages": 2,
    },
    "presented": {
        "at": "2025-11-24T08:30:00+07:00",
        "place": "Bộ phận Một cửa",
        "to": "Phạm Minh Ví Dụ",
    },
}


def captured(service: Service, headers: dict[str, str]) -> str:
    """A case that has its original presented and captured; its identifier."""
    opened = service.http.post(CASES, json=CASE, headers=headers)
    assert opened.status_code == 201, opened.text
    case_id = opened.json()["id"]
    files = [("scans", (f"{n}.jpg", scan, "image/jpeg")) for n, scan in enumerate(scans())]
    capture = service.http.post(f"{CASES}/{case_id}/captures", files=files, headers=headers)
    assert capture.status_code == 201, capture.text
    assert capture.json()["pages"] == 2
    return str(case_id)


def compared(service: Service, case_id: str, headers: dict[str, str], **checklist: bool) -> Any:
    return service.http.post(
        f"{CASES}/{case_id}/comparison",
        json={
            "pages": [{"matches": True}, {"matches": True}],
            "checklist": checklist,
            "official": "Phạm Minh Ví Dụ",
        },
        headers=headers,
    )


def hands(hall: TownHall) -> dict[str, Any]:
    return {
        "person": {"credential_id": hall.person.id, "pin": PIN},
        "seal": {"credential_id": hall.seal.id, "pin": SEAL_PIN},
    }


def test_the_whole_way(service: Service, hall: TownHall) -> None:
    """Through the API: certify, fetch, verify by file and by code."""
    headers = service.bearer("certify", "validate")
    case_id = captured(service, headers)
    assert compared(service, case_id, headers).json()["passed"] is True
    unpaid = service.http.post(
        f"{CASES}/{case_id}/certification", json=hands(hall), headers=headers
    )
    assert unpaid.json()["code"] == "fee-not-paid"
    paid = service.http.post(f"{CASES}/{case_id}/payment", json={}, headers=headers)
    assert (paid.status_code, paid.json()["amount"]) == (200, 4000), paid.text
    keyed = {**headers, "Idempotency-Key": "certify-once-please"}
    made = [
        service.http.post(f"{CASES}/{case_id}/certification", json=hands(hall), headers=keyed)
        for _ in range(2)
    ]
    assert made[0].status_code == 201, made[0].text
    assert made[0].json() == made[1].json()
    copy = made[0].json()
    assert copy["number"] == "01"

    fetched = service.http.get(copy["content_url"], headers=headers)
    assert fetched.status_code == 200, fetched.text
    verdict = service.http.post(
        "/api/v1/validations",
        files={"file": ("bản sao.pdf", fetched.content, "application/pdf")},
        headers=headers,
    ).json()
    assert (verdict["verdict"], verdict["indication"]) == ("valid", "TOTAL_PASSED"), verdict["text"]
    assert verdict["certified_copy"]["code"] == copy["code"]
    assert len(verdict["signatures"]) == 2

    public = service.http.get(f"/api/v1/verifications/{copy['code'].lower()}")
    assert (public.status_code, public.json()["status"]) == (200, "in-force")
    page = service.http.get(f"/v/{copy['code']}")
    assert page.status_code == 200
    assert "đang có hiệu lực" in page.text
    assert "in force" in page.text
    for personal in ("Mẫu", "0388", "Bảng điểm tốt nghiệp", "Thử"):
        assert personal not in page.text
        assert personal not in public.text

    uploaded = service.http.post("/verify", files={"file": ("a.pdf", fetched.content)})
    assert "Hợp lệ" in uploaded.text
    lines = service.http.get(f"/api/v1/registers/{UNIT}/{service.now.year}", headers=headers)
    (line,) = lines.json()["entries"]
    assert (line["number"], line["fee"], line["state"]) == ("01", 4000, "issued")
    for form, start in (("pdf", b"%PDF"), ("csv", b"")):
        export = service.http.get(
            f"/api/v1/registers/{UNIT}/{service.now.year}/export?form={form}", headers=headers
        )
        assert export.status_code == 200
        assert export.content.startswith(start)
    assert service.tags().count("copy.certified") == 1
    assert service.tags()[-1] == "register.exported"

    # DOMAIN.md §4: the authority's own images are purged after a configured term.
    schedule.forget(service.services, service.now + timedelta(days=364))
    assert "images.purged" not in service.tags()
    schedule.forget(service.services, service.now + timedelta(days=366))
    assert service.tags().count("images.purged") == 1


@ONLY_SQLITE
def test_nul_is_refused_wherever_it_stands(service: Service) -> None:
    """Hostile input: 422 whatever the database, before anything is stored."""
    headers = service.bearer("certify", "validate")
    for requester in ({"name": "a\0b"}, {"email": "\0"}):
        order = {**CASE, "requester": {**CASE["requester"], **requester}}
        refused = service.http.post(CASES, json=order, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "request-invalid")
    marks = {**CASE["original"], "security_elements": ["dấu nổi", "x\0"]}
    assert service.http.post(CASES, json={**CASE, "original": marks}, headers=headers).is_error


def test_refusal_ground(service: Service, hall: TownHall) -> None:
    """DOMAIN.md §4: a ground that is met refuses, with the reason in words; no number is taken."""
    headers = service.bearer("certify")
    case_id = captured(service, headers)
    found = compared(service, case_id, headers, altered=True).json()
    assert found["passed"] is False
    assert found["grounds"] == ["ground-altered"]
    assert found["reasons"]["vi"][0]
    case = service.http.get(f"{CASES}/{case_id}", headers=headers).json()
    assert case["state"] == "refused"
    late = service.http.post(f"{CASES}/{case_id}/certification", json=hands(hall), headers=headers)
    assert (late.status_code, late.json()["code"]) == (409, "case-state-wrong")


def test_nobody_saw_the_original(service: Service, hall: TownHall) -> None:
    """DOMAIN.md §4: a citizen's uploaded scan can never be certified by itself."""
    headers = service.bearer("certify")
    order = {key: value for key, value in CASE.items() if key != "presented"}
    case_id = service.http.post(CASES, json=order, headers=headers).json()["id"]
    files = [("scans", (f"{n}.jpg", scan, "image/jpeg")) for n, scan in enumerate(scans())]
    refused = service.http.post(f"{CASES}/{case_id}/captures", files=files, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "not-presented")
    shown = service.http.post(
        f"{CASES}/{case_id}/presentation", json=CASE["presented"], headers=headers
    )
    assert shown.json()["presented"] is True


def test_units_are_apart(service: Service, hall: TownHall) -> None:
    """DOMAIN.md §6: another unit's case does not exist for this client."""
    case_id = captured(service, service.bearer("certify"))
    other = service.bearer("certify", name="far-away", units=["16522"])
    assert service.http.get(f"{CASES}/{case_id}", headers=other).status_code == 404
    assert service.http.get(f"{CASES}?unit={UNIT}", headers=other).status_code == 403
    assert service.http.post(CASES, json=CASE, headers=other).status_code == 403
    address = f"/api/v1/registers/{UNIT}/2026"
    assert service.http.get(address, headers=other).status_code == 403
    assert service.http.get(f"{address}/export", headers=other).status_code == 403


def test_unknown_codes(service: Service) -> None:
    """A code that nobody gave out: 404, on the page in both languages, and rate-limited."""
    code = "K7QF-2M9X-H4TB-0DVW-C6RE"
    assert service.http.get(f"/api/v1/verifications/{code}").json()["code"] == "code-unknown"
    assert service.http.get("/api/v1/verifications/short").status_code == 422
    page = service.http.get(f"/v/{code}")
    assert page.status_code == 404
    assert "Không có mã này" in page.text
    assert "There is no such code" in page.text
    for hostile in ("%3Cscript%3Ealert(1)", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "'\"%00"):
        assert "<script>alert" not in service.http.get(f"/v/{hostile}").text
    tidy = service.http.get("/v?code=k7qf 2m9x h4tb odvw c6re", follow_redirects=False)
    assert tidy.headers["location"] == f"/v/{code}?lang=vi"
    last = [service.http.get(f"/v/{code}").status_code for _ in range(61)][-1]
    assert last == 429


def test_hostile_files_get_a_verdict(service: Service) -> None:
    """Bad input is an answer, never a 5xx."""
    headers = service.bearer("validate")
    for data in (b"not a pdf", b"", b"%PDF-1.7\n" + b"0" * 1000):
        answer = service.http.post(
            "/api/v1/validations", files={"file": ("x.pdf", data)}, headers=headers
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["verdict"] != "valid"
        page = service.http.post("/verify?lang=en", files={"file": ("x.pdf", data)})
        assert page.status_code == 200
