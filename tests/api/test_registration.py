"""One person at a time over HTTP, with a registry that is a real server beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api import schedule
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.test_enrolment import LIST, asked, registry, send
from tests.registry_simulator import Registry

__all__ = ["asked", "registry"]  # fixtures
pytestmark = ONLY_SQLITE
MAU = {"name": "Nguyễn Thị Mẫu", "citizen_id": "038800000001", "born": "1980-09-02"}
UNIT = {"unit": "14797", "unit_name": "UBND phường Hạc Thành"}


def post(service: Service, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
    answer: httpx.Response = service.http.post(f"/api/v1{path}", json=body, headers=headers)
    return answer


def request_of(key: ec.EllipticCurvePrivateKey) -> str:
    """The name in it counts for nothing: the officer says who it is."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "anybody")])
    signed = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def test_one_person_whose_key_the_service_keeps(asked: Service, registry: Registry) -> None:
    """Identity first; a code told once; nobody has two keys of one kind."""
    service, officer = asked, asked.bearer("enrol", "sign", name="ra-system")
    quick = {**UNIT, "algorithm": "p-256"}
    wrong = post(service, "/credentials", officer, **{**MAU, "born": "1980-09-03"}, **quick)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "identity-mismatch")
    registry.down = True
    away = post(service, "/credentials", officer, **MAU, **quick)
    assert (away.status_code, "retry-after" in away.headers) == (503, True)
    registry.down = False
    # A registry that answers nonsense is no better: the request is not what has to be corrected.
    registry.raw = b"<html>bao tri</html>"
    nonsense = post(service, "/credentials", officer, **MAU, **quick)
    assert nonsense.status_code == 503
    assert nonsense.json()["code"] == "registry-answer-malformed"
    assert nonsense.headers["retry-after"] == "300"
    assert "thử lại" in nonsense.json()["messages"]["vi"]
    registry.raw = None
    made = post(service, "/credentials", officer, **MAU, **quick)
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    credential = f"/credentials/{made.json()['credential']['id']}"
    first = post(
        service, f"{credential}/activation", officer,
        code=made.json()["activation_code"], pin="925817",
    )  # fmt: skip
    assert first.status_code == 200
    twice = post(service, "/credentials", officer, **MAU, **quick)
    assert (twice.status_code, twice.json()["code"]) == (409, "holder-has-credential")
    assert service.tags().count("identity.checked") == 2


def test_one_person_with_a_key_of_their_own(asked: Service) -> None:
    """PKCS#10: possession proven, identity checked, the name is the officer's."""
    service, officer = asked, asked.bearer("enrol", name="ra-system")
    key = ec.generate_private_key(ec.SECP256R1())
    csr = request_of(key)
    path = "/holder-certificates"
    unknown = post(service, path, officer, **{**MAU, "citizen_id": "038800000009"}, **UNIT, csr=csr)
    assert unknown.json()["code"] == "identity-unknown"
    made = post(service, path, officer, **MAU, **UNIT, csr=csr)
    assert made.status_code == 201, made.text
    certificate = x509.load_pem_x509_certificate(made.json()["certificate"].encode())
    assert certificate.public_key() == key.public_key()
    assert "Nguyễn Thị Mẫu" in made.json()["subject"]
    assert len(made.json()["chain"]) == 2
    again = post(service, path, officer, **MAU, **UNIT, csr=csr)
    assert again.json()["certificate"] == made.json()["certificate"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"unit": "99999"}, 422, "unit-not-known"),
        ({"unit": None}, 422, "unit-not-known"),
        ({"citizen_id": "1"}, 422, None),
        ({"csr": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA"}, 422, "request-unreadable"),
        ({"profile": "tsa"}, 422, None),
    ],
)
def test_what_cannot_be_registered(
    service: Service, change: dict[str, Any], status: int, code: str | None
) -> None:
    officer = service.bearer("enrol", name="ra-system")
    csr = request_of(ec.generate_private_key(ec.SECP256R1()))
    answer = post(service, "/holder-certificates", officer, **{**MAU, **UNIT, "csr": csr, **change})
    assert answer.status_code == status, answer.text
    assert code in (None, answer.json()["code"])


def test_a_units_own_client_registers_its_own_people(service: Service) -> None:
    own = service.bearer("enrol", name="unit-system", units=["14758"])
    body = {**MAU, **UNIT, "algorithm": "p-256"}
    assert post(service, "/credentials", own, **body).status_code == 403
    citizen = {**MAU, "profile": "citizen", "state": "Thanh Hóa", "locality": "Hạc Thành"}
    assert post(service, "/credentials", own, **citizen).status_code == 403
    assert post(service, "/credentials", own, **{**body, "unit": "14758"}).status_code == 201
    signer = service.bearer("sign", name="signing-system")
    assert post(service, "/credentials", signer, **body).status_code == 403


def test_the_slips(service: Service, tmp_path: Path) -> None:
    """Codes on paper, for who has the hand-out secret; a used one is not printed again."""
    officer = service.bearer("enrol", "sign", name="ra-system")
    where = f"/enrolments/{send(service, LIST, officer).json()['id']}"
    secret = post(service, f"{where}/start", officer).json()["handout_secret"]
    schedule.enrol_lists(service.services, service.now)
    refused = post(service, f"{where}/results/slips", officer, handout_secret="A" * 28)
    assert refused.status_code == 403
    made = post(service, f"{where}/results/slips", officer, handout_secret=secret, unit="14797")
    assert made.headers["content-type"] == "application/pdf"
    assert made.headers["cache-control"] == "no-store"
    pdf = tmp_path / "slips.pdf"
    pdf.write_bytes(made.content)
    told = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, check=True, text=True)
    pages = told.stdout.split("\f")
    assert len(pages) == 3  # the receipt, one sheet, and what follows the last form feed
    assert "Ký nhận" in pages[0]
    assert "Mã kích hoạt" in pages[1]
    nobody = post(service, f"{where}/results/slips", officer, handout_secret=secret, unit="14798")
    assert nobody.json()["code"] == "slips-none"
    assert service.tags().count("handout.opened") == 2
