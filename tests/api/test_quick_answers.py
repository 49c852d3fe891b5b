"""The quick way and the ordinary way give the same answer, octet by octet (decision 0104)."""

from __future__ import annotations

import base64
import threading
from datetime import datetime, timedelta
from urllib.parse import quote

import httpx
import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ca.issuance import issue
from ca.status.revocation import RevocationReason, revoke
from ca.time.tsa import TimeStampAuthority, TsaPolicy
from tests.api.conftest import ONLY_SQLITE, Service
from tests.ca.subjects import MAU
from tests.world import BY

pytestmark = ONLY_SQLITE
OCSP = {"Content-Type": "application/ocsp-request"}
# What is not plain takes the ordinary way: an id of one's own is such a thing.
ORDINARY = {"X-Request-Id": "the-ordinary-way"}
"""Headers that differ between two answers of either way."""
OWN = ("x-request-id",)


@pytest.fixture
def asked(service: Service) -> tuple[bytes, int]:
    """A request about a living certificate, asked once, so that the answer is remembered."""
    world = service.world
    certificate = issue(
        world.authority,
        profile="official",
        subject=MAU,
        public_key=world.key(),
        now=service.now,
        by=BY,
    )
    issuer = world.authority.issuer("persons-g1").certificate
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())
    request = builder.build().public_bytes(Encoding.DER)
    assert service.http.post("/pki/ocsp/persons-g1", content=request, headers=OCSP).is_success
    return request, certificate.serial_number


def ways(service: Service, method: str, path: str, **more: object) -> tuple[httpx.Response, ...]:
    """The answer of the quick way and that of the ordinary one."""
    headers = dict(more.pop("headers", {}) or {})  # type: ignore[call-overload]  # headers are a dict here
    quick = service.http.request(method, path, headers=headers, **more)  # type: ignore[arg-type]  # httpx's own words
    ordinary = service.http.request(method, path, headers=headers | ORDINARY, **more)  # type: ignore[arg-type]  # httpx's own words
    assert ordinary.headers["x-request-id"] == ORDINARY["X-Request-Id"]
    return quick, ordinary


def same(one: httpx.Response, other: httpx.Response) -> bool:
    def shown(answer: httpx.Response) -> dict[str, str]:
        return {name: value for name, value in answer.headers.items() if name not in OWN}

    return (one.status_code, one.content, shown(one)) == (
        other.status_code,
        other.content,
        shown(other),
    )


def requests_counted(service: Service, route: str) -> float:
    value = service.services.metrics.registry.get_sample_value(
        "dauso_http_requests_total", {"method": "POST", "route": route, "status": "200"}
    )
    return value or 0.0


def test_by_post_and_get(service: Service, asked: tuple[bytes, int]) -> None:
    """RFC 6960 appendix A.1; RFC 5019 §6.2 for the headers of the cacheable one."""
    request, _ = asked
    before = requests_counted(service, "/pki/ocsp/")
    assert same(*ways(service, "POST", "/pki/ocsp/persons-g1", content=request, headers=OCSP))
    assert requests_counted(service, "/pki/ocsp/") == before + 1
    path = f"/pki/ocsp/persons-g1/{quote(base64.b64encode(request).decode(), safe='')}"
    quick, ordinary = ways(service, "GET", path)
    assert same(quick, ordinary)
    assert "max-age=300" in quick.headers["cache-control"]
    known = service.http.get(path, headers={"If-None-Match": quick.headers["etag"]})
    assert known.status_code == 304


def test_a_revocation_is_felt_at_once(service: Service, asked: tuple[bytes, int]) -> None:
    """RFC 6960 §2.4: what is remembered is overtaken by a change of status."""
    request, serial = asked
    service.later(timedelta(seconds=2))
    revoke(
        service.world.authority,
        serial,
        reason=RevocationReason.KEY_COMPROMISE,
        now=service.now,
        by=BY,
    )
    answer = service.http.post("/pki/ocsp/persons-g1", content=request, headers=OCSP)
    status = ocsp.load_der_ocsp_response(answer.content).certificate_status
    assert status is ocsp.OCSPCertStatus.REVOKED


@pytest.mark.parametrize("body", [b"", b"\x30", b"\x30\x80" * 40, b"\xff" * 70_000])
def test_what_is_not_plain_goes_the_ordinary_way(service: Service, body: bytes) -> None:
    """RFC 6960 §2.3: an error answer of the protocol, or 413; never a 5xx."""
    answer = service.http.post("/pki/ocsp/persons-g1", content=body, headers=OCSP)
    if len(body) > 64 * 1024:
        assert answer.status_code == 413
    else:
        assert answer.status_code == 200
        malformed = ocsp.OCSPResponseStatus.MALFORMED_REQUEST
        assert ocsp.load_der_ocsp_response(answer.content).response_status is malformed
    stamp = {"Content-Type": "application/timestamp-query"}
    answer = service.http.post("/pki/tsa", content=body, headers=stamp)
    assert answer.status_code in {200, 413}
    if answer.status_code == 200:
        # TimeStampResp → PKIStatusInfo → status: rejection (2).
        assert answer.content[4:7] == b"\x02\x01\x02"


def test_in_pieces(service: Service, asked: tuple[bytes, int]) -> None:
    """RFC 9112 §7.1: a body may come in chunks; it is put together by the ordinary way."""
    request, _ = asked
    pieces = (request[at : at + 10] for at in range(0, len(request), 10))
    answer = service.http.post("/pki/ocsp/persons-g1", content=pieces, headers=OCSP)
    whole = service.http.post("/pki/ocsp/persons-g1", content=request, headers=OCSP)
    assert answer.content == whole.content


def test_wrong_media_type(service: Service, asked: tuple[bytes, int]) -> None:
    """RFC 9110 §15.5.16: 415 where the content is of another type."""
    request, _ = asked
    for path in ("/pki/ocsp/persons-g1", "/pki/tsa"):
        other = {"Content-Type": "application/octet-stream"}
        assert service.http.post(path, content=request, headers=other).status_code == 415
    assert service.http.get("/pki/tsa").status_code == 405
    assert service.http.post("/pki/ocsp/nobody", content=request, headers=OCSP).status_code == 404


def test_a_nonce_asked_about_again_is_signed_at_once(
    service: Service, asked: tuple[bytes, int]
) -> None:
    """RFC 9654 §2.1: an answer of its own to each nonce; from the second on, without the routes."""
    _, serial = asked
    certificate = service.world.authority.certificate(serial).certificate
    issuer = service.world.authority.issuer("persons-g1").certificate

    def request(nonce: bytes) -> bytes:
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256())
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.build().public_bytes(Encoding.DER)

    first = service.http.post("/pki/ocsp/persons-g1", content=request(b"1" * 32), headers=OCSP)
    before = requests_counted(service, "/pki/ocsp/")
    quick, ordinary = ways(
        service, "POST", "/pki/ocsp/persons-g1", content=request(b"2" * 32), headers=OCSP
    )
    assert requests_counted(service, "/pki/ocsp/") == before + 1
    said = [ocsp.load_der_ocsp_response(each.content) for each in (quick, ordinary)]
    assert said[0].tbs_response_bytes == said[1].tbs_response_bytes
    nonce = said[0].extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    assert nonce == b"2" * 32
    for each in (first, quick):
        # An ECDSA signature is an octet longer or shorter by chance.
        assert int(each.headers.pop("content-length")) == len(each.content)
        del each.headers["x-request-id"]
    assert dict(first.headers) == dict(quick.headers)


def test_a_time_stamp_that_needs_more_than_the_token(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one, and one for which a time server is due, are made where one may wait; the
    others on the token's thread. All are the same to those who ask."""
    asked = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {
                "hash_algorithm": {"algorithm": "sha256"},
                "hashed_message": bytes(32),
            },
        }
    ).dump()
    stamp = {"Content-Type": "application/timestamp-query"}
    threads: list[bool] = []
    policy = TsaPolicy(log_aside=True)  # as the service has it
    tsa = TimeStampAuthority(service.world.authority, policy)
    vars(service.services.house)["tsa"] = tsa
    respond = tsa.respond

    def noted(request: bytes, *, now: datetime) -> bytes:
        threads.append(threading.current_thread().name == "pkcs11")
        return respond(request, now=now)

    monkeypatch.setattr(tsa, "respond", noted)
    for _ in range(3):
        answer = service.http.post("/pki/tsa", content=asked, headers=stamp)
        said = tsp.TimeStampResp.load(answer.content)
        assert said["status"]["status"].native == "granted"
    assert threads == [False, True, True]
    tsa._unit = None
    assert service.http.post("/pki/tsa", content=asked, headers=stamp).is_success
    assert threads[3:] == [False]
