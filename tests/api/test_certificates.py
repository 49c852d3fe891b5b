"""PKCS#10 and PKCS#12 for the systems that call the API; chains for everybody."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from ca.names import Subject
from tests.api.conftest import ONLY_SQLITE, Service

pytestmark = ONLY_SQLITE
REQUESTS = "/api/v1/certificate-requests"
PASSWORD = "mật khẩu của hệ thống"


@pytest.fixture
def asker(service: Service) -> dict[str, str]:
    return service.bearer("certificates")


@pytest.fixture
def approver(service: Service) -> dict[str, str]:
    return service.bearer("approve", name="second-person")


def csr(name: str = "procedure-system") -> str:
    subject = Subject.service(name).to_x509()
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def decide(service: Service, headers: dict[str, str], asked: Any, **more: str) -> Any:
    return service.http.post(
        f"{REQUESTS}/{asked['id']}/decision",
        json={"digest": asked["digest"], **more},
        headers=headers,
    )


def test_pkcs10(service: Service, asker: dict[str, str], approver: dict[str, str]) -> None:
    """By API and PKCS#10, with approval by a second person bound to the request."""
    body = {"csr": csr()}
    first = service.http.post(REQUESTS, json=body, headers=asker)
    assert first.status_code == 202, first.text
    asked = first.json()
    assert asked["state"] == "pending"
    assert [one["id"] for one in service.http.get(REQUESTS, headers=approver).json()] == [
        asked["id"]
    ]
    wrong = decide(service, approver, {**asked, "digest": "0" * 64})
    assert wrong.status_code == 409
    assert decide(service, approver, asked).json()["state"] == "approved"
    done = service.http.post(REQUESTS, json=body, headers=asker)
    assert done.status_code == 200
    certificate = x509.load_pem_x509_certificate(done.json()["certificate"].encode())
    chain = [x509.load_pem_x509_certificate(one.encode()) for one in done.json()["chain"]]
    certificate.verify_directly_issued_by(chain[0])
    chain[0].verify_directly_issued_by(chain[1])
    again = service.http.get(f"{REQUESTS}/{asked['id']}", headers=asker)
    assert again.json()["serial"] == f"{certificate.serial_number:x}"


def test_who_may_do_what(service: Service, asker: dict[str, str], approver: dict[str, str]) -> None:
    """Nobody approves their own, asks in another's name, or looks at another's request."""
    both = service.bearer("certificates", "approve", name="both")
    own = service.http.post(REQUESTS, json={"csr": csr("both")}, headers=both).json()
    assert decide(service, both, own).status_code == 403
    assert service.http.get(f"{REQUESTS}/{own['id']}", headers=asker).status_code == 404
    other = service.http.post(REQUESTS, json={"csr": csr("both")}, headers=asker)
    assert other.status_code == 403
    assert decide(service, asker, own).status_code == 403  # without the scope
    assert decide(service, approver, own, reject="không đúng thủ tục").json()["state"] == "rejected"
    told = service.http.post(REQUESTS, json={"csr": csr("both")}, headers=both)
    assert told.status_code == 202  # another key: another request
    refused = service.http.get(f"{REQUESTS}/{own['id']}", headers=both)
    assert refused.status_code == 403
    assert "không đúng thủ tục" in refused.json()["title"]


def test_pkcs12(
    service: Service, asker: dict[str, str], approver: dict[str, str], tmp_path: Path
) -> None:
    """PKCS#12 for software keys of API clients (RFC 7292); openssl opens it. The key
    is never kept: what was answered is brought back."""
    made = service.http.post(
        f"{REQUESTS}/software-key", json={"password": PASSWORD}, headers=asker
    ).json()
    assert made["private_key"].startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    bundle = {"private_key": made["private_key"], "password": PASSWORD}
    path = f"{REQUESTS}/{made['id']}/pkcs12"
    assert service.http.post(path, json=bundle, headers=asker).status_code == 409
    decide(service, approver, made)
    for change in ({"password": "một mật khẩu khác"}, {"private_key": "không phải khóa"}):
        refused = service.http.post(path, json=bundle | change, headers=asker)
        assert refused.status_code == 422
        assert PASSWORD not in refused.text
    answer = service.http.post(path, json=bundle, headers=asker)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    (tmp_path / "client.p12").write_bytes(answer.content)
    told = subprocess.run(
        ["openssl", "pkcs12", "-in", "client.p12", "-nodes", "-passin", "env:SECRET"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"SECRET": PASSWORD, "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("BEGIN CERTIFICATE") == 3
    assert "BEGIN PRIVATE KEY" in told.stdout
    with service.house.database.reading() as session:
        from ca.models import RequestRow

        row = session.get(RequestRow, made["id"])
        assert row is not None
        assert row.csr is not None
        assert b"PRIVATE" not in row.csr


def test_chains(service: Service) -> None:
    """RFC 8555 §9.1: application/pem-certificate-chain; RFC 5751 §3.2.2: .p7c."""
    pem = service.http.get("/pki/chains/persons-g1.pem")
    found = x509.load_pem_x509_certificates(pem.content)
    authority = service.world.authority
    assert found == [authority.issuer(name).certificate for name in ("persons-g1", "root")]
    p7c = service.http.get("/pki/chains/persons-g1.p7c")
    assert set(pkcs7.load_der_pkcs7_certificates(p7c.content)) == set(found)
    root = service.http.get("/pki/chains/root.pem")
    assert len(x509.load_pem_x509_certificates(root.content)) == 1
    for name in ("nobody.pem", "persons-g1.txt", "persons-g1"):
        assert service.http.get(f"/pki/chains/{name}").status_code == 404
