"""The PKI endpoints of a running server, judged by OpenSSL."""

from __future__ import annotations

import base64
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ca.status.revocation import RevocationReason, revoke
from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import TownHall

pytestmark = ONLY_SQLITE


@pytest.fixture
def address(service: Service) -> Iterator[str]:
    """The same application behind a real HTTP server on a free port."""
    from api.commands.serve import bind

    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(service.http.app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def run(*command: str | Path) -> str:
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def files(service: Service, hall: TownHall, tmp_path: Path) -> dict[str, Path]:
    found = service.world.certificates(tmp_path)
    found["official"] = tmp_path / "official.pem"
    found["official"].write_bytes(hall.person.certificate.public_bytes(Encoding.PEM))
    found["chain"] = tmp_path / "chain.pem"
    found["chain"].write_bytes(found["root"].read_bytes() + found["persons-g1"].read_bytes())
    return found


def test_openssl_ocsp(service: Service, hall: TownHall, address: str, files: dict) -> None:
    """RFC 6960: good, then revoked, as `openssl ocsp` sees it over HTTP."""
    question = (
        *("openssl", "ocsp", "-issuer", files["persons-g1"], "-cert", files["official"]),
        *("-url", f"{address}/pki/ocsp/persons-g1", "-CAfile", files["chain"]),
    )
    said = run(*question)
    assert "Response verify OK" in said
    assert "good" in said
    revoke(
        service.house.authority,
        hall.person.certificate.serial_number,
        reason=RevocationReason.CESSATION_OF_OPERATION,
        now=service.now,
        by="operator:test",
    )
    time.sleep(1.1)  # answers may be a second old
    assert "revoked" in run(*question)


def test_openssl_crl_and_chain(
    service: Service, hall: TownHall, address: str, files: dict, tmp_path: Path
) -> None:
    """RFC 5280: the CRL and the chain from their addresses verify together."""
    revoked = hall.seal.certificate
    revoke(
        service.house.authority,
        revoked.serial_number,
        reason=RevocationReason.SUPERSEDED,
        now=service.now,
        by="operator:test",
    )
    for issuer in ("root", "persons-g1", "agencies-g1"):
        (tmp_path / f"{issuer}.crl").write_bytes(
            httpx.get(f"{address}/pki/crl/{issuer}.crl").content
        )
        fetched = httpx.get(f"{address}/pki/certificates/{issuer}.cer")
        assert fetched.headers["content-type"] == "application/pkix-cert"
        parsed = x509.load_der_x509_certificate(fetched.content)
        assert parsed == service.house.authority.issuer(issuer).certificate
        said = run(
            *("openssl", "crl", "-inform", "DER", "-in", tmp_path / f"{issuer}.crl"),
            *("-CAfile", files["chain"] if issuer != "agencies-g1" else files[issuer]),
            *("-noout", "-text"),
        )
        if issuer == "agencies-g1":
            assert f"{revoked.serial_number:X}" in said.upper().replace(":", "")


def test_openssl_ts(address: str, files: dict, tmp_path: Path) -> None:
    """RFC 3161: a query made by OpenSSL, answered over HTTP, verified by OpenSSL."""
    data, query, reply = (tmp_path / name for name in ("data", "query.tsq", "reply.tsr"))
    data.write_bytes(b"what was there")
    run("openssl", "ts", "-query", "-data", data, "-sha256", "-cert", "-out", query)
    answer = httpx.post(
        f"{address}/pki/tsa",
        content=query.read_bytes(),
        headers={"Content-Type": "application/timestamp-query"},
    )
    assert answer.headers["content-type"] == "application/timestamp-reply"
    reply.write_bytes(answer.content)
    said = run(
        *("openssl", "ts", "-verify", "-queryfile", query, "-in", reply),
        *("-CAfile", files["root"], "-untrusted", files["services-g1"]),
    )
    assert "Verification: OK" in said
    wrong = httpx.post(f"{address}/pki/tsa", content=b"x", headers={"Content-Type": "text/plain"})
    assert wrong.status_code == 415
    garbage = httpx.post(
        f"{address}/pki/tsa",
        content=b"garbage",
        headers={"Content-Type": "application/timestamp-query"},
    )
    assert garbage.status_code == 200  # a rejection in the protocol


def test_caches(service: Service, hall: TownHall) -> None:
    """RFC 9110 §13, RFC 5019 §6.2: ETag, 304, and never longer than the answer holds."""
    first = service.http.get("/pki/crl/persons-g1.crl")
    assert first.headers["content-type"] == "application/pkix-crl"
    assert "max-age=300" in first.headers["cache-control"]
    etag = {"If-None-Match": first.headers["etag"]}
    assert service.http.get("/pki/crl/persons-g1.crl", headers=etag).status_code == 304
    head = service.http.head("/pki/crl/persons-g1.crl")
    assert (head.status_code, head.content) == (200, b"")

    issuer = service.house.authority.issuer("persons-g1").certificate
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        hall.person.certificate, issuer, hashes.SHA1()
    )
    encoded = base64.b64encode(builder.build().public_bytes(Encoding.DER)).decode()
    for form in (encoded, encoded.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")):
        answer = service.http.get(f"/pki/ocsp/persons-g1/{form}")
        assert answer.headers["content-type"] == "application/ocsp-response"
        parsed = ocsp.load_der_ocsp_response(answer.content)
        assert parsed.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert "max-age" in answer.headers["cache-control"]
        again = service.http.get(
            f"/pki/ocsp/persons-g1/{form}", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/pki/crl/nobody.crl",
        "/pki/crl/..%2Froot.crl",
        "/pki/certificates/nobody.cer",
        "/pki/ocsp/nobody/AAAA",
    ],
)
def test_unknown_issuers(service: Service, path: str) -> None:
    """404 as problem+json."""
    answer = service.http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_malformed_ocsp(service: Service) -> None:
    """RFC 6960 §2.3: malformedRequest, in the protocol."""
    for answer in (
        service.http.get("/pki/ocsp/persons-g1/@@@"),
        service.http.post(
            "/pki/ocsp/persons-g1",
            content=b"junk",
            headers={"Content-Type": "application/ocsp-request"},
        ),
    ):
        parsed = ocsp.load_der_ocsp_response(answer.content)
        assert parsed.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
