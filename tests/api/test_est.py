"""Enrolment over Secure Transport: curl and openssl as the client (RFC 7030, RFC 8951)."""

from __future__ import annotations

import base64
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from ca import enrolment
from ca.models import CertificateStatus
from ca.names import Subject
from ca.status.revocation import RevocationReason, revoke
from tests.api.conftest import ONLY_SQLITE, Service

pytestmark = ONLY_SQLITE
EST = "/.well-known/est"
NAME = "procedure-system"
PKCS10 = {"Content-Type": "application/pkcs10"}


@pytest.fixture
def client(service: Service) -> tuple[str, str]:
    """A client that may ask for certificates, with its secret."""
    return NAME, service.client(NAME, "certificates")


def csr(name: str = NAME, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    subject = Subject.service(name).to_x509()
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.encodebytes(signed.public_bytes(Encoding.DER))


def approve_all(service: Service) -> None:
    authority = service.world.authority
    for one in enrolment.waiting(authority):
        enrolment.approve(
            authority, one.id, digest=one.digest, now=service.now, by="operator:second"
        )


def certificates(body: bytes) -> list[x509.Certificate]:
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))


def enrolled(
    service: Service, client: tuple[str, str], key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    body = csr(key=key)
    path = f"{EST}/simpleenroll"
    assert service.http.post(path, content=body, headers=PKCS10, auth=client).status_code == 202
    approve_all(service)
    answer = service.http.post(path, content=body, headers=PKCS10, auth=client)
    assert answer.status_code == 200, answer.text
    (certificate,) = certificates(answer.content)
    return certificate


def test_approval_then_certificate(service: Service, client: tuple[str, str]) -> None:
    """RFC 7030 §4.2.3: "If the server responds with an HTTP 202 this indicates that the request
    has been accepted for processing but that a response is not yet available … The server MUST
    include a Retry-After header"; the client repeats the request."""
    body = csr()
    path = f"{EST}/simpleenroll"
    waits = service.http.post(path, content=body, headers=PKCS10, auth=client)
    assert waits.status_code == 202
    assert int(waits.headers["retry-after"]) > 0
    assert service.http.post(path, content=body, headers=PKCS10, auth=client).status_code == 202
    assert len(enrolment.waiting(service.world.authority)) == 1
    approve_all(service)
    answer = service.http.post(path, content=body, headers=PKCS10, auth=client)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"
    assert answer.headers["content-transfer-encoding"] == "base64"
    again = service.http.post(path, content=body, headers=PKCS10, auth=client)
    assert certificates(again.content) == certificates(answer.content)
    authority = service.world.authority
    (made,) = certificates(answer.content)
    made.verify_directly_issued_by(authority.issuer("services-g1").certificate)
    assert {"certificate-request.made", "certificate-request.approved"} <= set(service.tags())


def test_cacerts_and_csrattrs(service: Service, tmp_path: Path) -> None:
    """RFC 7030 §4.1.3: "a certs-only CMC Simple PKI Response"; no authentication is needed."""
    answer = service.http.get(f"{EST}/cacerts")
    assert answer.headers["content-type"] == "application/pkcs7-mime"
    (tmp_path / "ca.p7").write_bytes(base64.b64decode(answer.content))
    told = subprocess.run(
        ["openssl", "pkcs7", "-inform", "DER", "-in", str(tmp_path / "ca.p7"), "-print_certs"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.count("BEGIN CERTIFICATE") == 4
    assert service.http.get(f"{EST}/agency-seal/cacerts").content == answer.content
    attributes = service.http.get(f"{EST}/csrattrs")
    assert attributes.headers["content-type"] == "application/csrattrs"
    (tmp_path / "attributes").write_bytes(base64.b64decode(attributes.content))
    told = subprocess.run(
        ["openssl", "asn1parse", "-inform", "DER", "-in", str(tmp_path / "attributes")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "prime256v1" in told.stdout
    # RFC 7030 §3.2.2: a label that is none of ours does not answer as if it existed.
    for nothing in ("tsa/csrattrs", "nope/csrattrs", "nope/cacerts", "official/cacerts"):
        answer = service.http.get(f"{EST}/{nothing}")
        assert (answer.status_code, answer.headers["content-type"][:10]) == (404, "text/plain")
    assert service.http.post(f"{EST}/nope/simpleenroll", content=b"").status_code == 404


def test_reenrolment(service: Service, client: tuple[str, str]) -> None:
    """RFC 7030 §4.2.2: the same key renews; another key replaces, under the same name."""
    key = ec.generate_private_key(ec.SECP256R1())
    path = f"{EST}/simplereenroll"
    none = service.http.post(path, content=csr(key=key), headers=PKCS10, auth=client)
    assert none.status_code == 400
    assert none.headers["content-type"].startswith("text/plain")
    first = enrolled(service, client, key)
    service.later(timedelta(days=300))
    (renewed,) = certificates(
        service.http.post(path, content=csr(key=key), headers=PKCS10, auth=client).content
    )
    assert renewed.public_key() == first.public_key()
    assert renewed.serial_number != first.serial_number
    other = ec.generate_private_key(ec.SECP256R1())
    (rekeyed,) = certificates(
        service.http.post(path, content=csr(key=other), headers=PKCS10, auth=client).content
    )
    assert rekeyed.public_key() == other.public_key()
    # The key is replaced, and so is every certificate that it has.
    for one in (first, renewed):
        replaced = service.world.authority.certificate(one.serial_number)
        assert replaced.status is CertificateStatus.REVOKED
    # What was issued for the first request serves no more: it is looked at anew.
    again = f"{EST}/simpleenroll"
    answer = service.http.post(again, content=csr(key=key), headers=PKCS10, auth=client)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", PKCS10, 400),
        (b"not base64 at all!", PKCS10, 400),
        (base64.b64encode(b"\x30\x03\x02\x01\x00"), PKCS10, 400),
        (base64.b64encode(b"\x30" * 20_000), PKCS10, 400),
        (b"A" * 70_000, PKCS10, 413),
        (csr("somebody-else"), PKCS10, 403),
        (csr(), {"Content-Type": "text/plain"}, 415),
    ],
)
def test_refusals(
    service: Service, client: tuple[str, str], body: bytes, headers: dict[str, str], status: int
) -> None:
    """RFC 7030 §4.2.3: "If the client sends an improper request … 4xx"; never a 5xx."""
    answer = service.http.post(f"{EST}/simpleenroll", content=body, headers=headers, auth=client)
    assert answer.status_code == status, answer.text
    assert not enrolment.waiting(service.world.authority)


def test_a_forged_request(service: Service, client: tuple[str, str]) -> None:
    """RFC 2986 §3: the signature proves possession of the private key."""
    broken = bytearray(base64.b64decode(csr()))
    broken[-1] ^= 1
    answer = service.http.post(
        f"{EST}/simpleenroll", content=base64.b64encode(broken), headers=PKCS10, auth=client
    )
    assert answer.status_code == 400


def test_who_may_ask(service: Service, client: tuple[str, str]) -> None:
    """RFC 7030 §3.2.3: 401 with a challenge; a client without the right is told 403."""
    path = f"{EST}/simpleenroll"
    for wrong in (None, (NAME, "wrong"), ("nobody", "x")):
        answer = service.http.post(path, content=csr(), headers=PKCS10, auth=wrong)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
    service.client("reader", "ca")
    reader = ("reader", service.secrets["reader"])
    assert service.http.post(path, content=csr(), headers=PKCS10, auth=reader).status_code == 403
    for label in ("official", "root", "ocsp", "nothing"):
        answer = service.http.post(
            f"{EST}/{label}/simpleenroll", content=csr(), headers=PKCS10, auth=client
        )
        assert answer.status_code == 404, label
    assert "access.refused" in service.tags()


def test_a_certificate_as_proof(service: Service, client: tuple[str, str]) -> None:
    """RFC 7030 §3.3.2: certificate-based client authentication, passed on by the TLS proxy; off
    unless the header is configured."""
    key = ec.generate_private_key(ec.SECP256R1())
    first = enrolled(service, client, key)
    path = f"{EST}/simplereenroll"
    shown = {"X-Client-Cert": quote(first.public_bytes(Encoding.PEM).decode())}
    body = csr(key=key)
    off = service.http.post(path, content=body, headers=PKCS10 | shown)
    assert off.status_code == 401
    settings = replace(service.house.settings, est_certificate_header="X-Client-Cert")
    service.house.settings = settings
    good = service.http.post(path, content=body, headers=PKCS10 | shown)
    assert good.status_code == 200, good.text
    der = base64.b64encode(first.public_bytes(Encoding.DER)).decode()
    rfc9440 = {"X-Client-Cert": f":{der}:"}
    assert service.http.post(path, content=body, headers=PKCS10 | rfc9440).status_code == 200
    strange = {"X-Client-Cert": "-----BEGIN CERTIFICATE-----"}
    assert service.http.post(path, content=body, headers=PKCS10 | strange).status_code == 401
    revoke(
        service.world.authority,
        first.serial_number,
        reason=RevocationReason.KEY_COMPROMISE,
        now=service.now,
        by="operator:test",
    )
    assert service.http.post(path, content=body, headers=PKCS10 | shown).status_code == 401


@pytest.fixture
def address(service: Service) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(service.http.app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_with_curl_and_openssl(
    service: Service, client: tuple[str, str], address: str, tmp_path: Path
) -> None:
    """A client made of curl and openssl alone, as RFC 7030 appendix A shows its exchanges."""

    def run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(
        *("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-keyout", "key.pem", "-outform", "DER", "-out", "csr.der", "-utf8"),
        *("-subj", f"/C=VN/O=ỦY BAN NHÂN DÂN TỈNH THANH HÓA/CN={NAME}"),
    )
    run("openssl", "base64", "-in", "csr.der", "-out", "csr.b64")

    def enrol() -> str:
        return run(
            *("curl", "-s", "-u", ":".join(client), "-H", "Content-Type: application/pkcs10"),
            *("-H", "Content-Transfer-Encoding: base64", "--data-binary", "@csr.b64"),
            *("-o", "answer.b64", "-w", "%{http_code}", f"{address}{EST}/simpleenroll"),
        )

    assert enrol() == "202"
    approve_all(service)
    assert enrol() == "200"
    run("openssl", "base64", "-d", "-in", "answer.b64", "-out", "answer.p7")
    run(
        "openssl", "pkcs7", "-inform", "DER", "-in", "answer.p7", "-print_certs", "-out", "cert.pem"
    )
    paths = service.world.certificates(tmp_path)
    run(
        *("openssl", "verify", "-x509_strict", "-CAfile", str(paths["root"])),
        *("-untrusted", str(paths["services-g1"]), "cert.pem"),
    )
    assert run("openssl", "x509", "-in", "cert.pem", "-noout", "-pubkey") == run(
        "openssl", "pkey", "-in", "key.pem", "-pubout"
    )
