"""What others see over HTTP: the PKI endpoints (step 2), and steps 3 to 5 as a client (step 6)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from api.auth import clients
from api.demonstration.cast import CITIZEN, DOCUMENT_KIND
from api.demonstration.steps import OPERATOR, clock
from signer.verdicts.validation import validate

if TYPE_CHECKING:
    from api.demonstration.cast import Cast
    from api.demonstration.steps import Made
    from api.house import House


@dataclass(frozen=True)
class Fetched:
    """What the addresses inside a certificate gave."""

    issuer: x509.Certificate
    crl: x509.CertificateRevocationList
    status: ocsp.OCSPCertStatus


def check_addresses(made: Made) -> None:
    """Step 2: what the new certificates point to is there and says *good*."""
    with httpx.Client(timeout=30) as client:
        for credential in (made.official, made.agency):
            follow(credential.certificate, client)


def follow(certificate: x509.Certificate, client: httpx.Client) -> Fetched:
    """Fetch issuer, CRL and OCSP answer from the certificate's own addresses, and check each.

    Raises RuntimeError when an address is wrong, an answer is not signed by whom it should be, or
    the certificate is not good.
    """
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    urls = {one.access_method: one.access_location.value for one in access}
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    names = [name.value for point in points for name in point.full_name or ()]

    issuer = x509.load_der_x509_certificate(
        _body(client.get(urls[AuthorityInformationAccessOID.CA_ISSUERS]))
    )
    certificate.verify_directly_issued_by(issuer)
    crl = x509.load_der_x509_crl(_body(client.get(names[0])))
    if not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]  # a CA's key
        raise RuntimeError("the CRL is not signed by its issuer")
    if crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
        raise RuntimeError("a fresh certificate is on the CRL")
    request = (
        ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256()).build()
    )
    answer = ocsp.load_der_ocsp_response(
        _body(
            client.post(
                urls[AuthorityInformationAccessOID.OCSP],
                content=request.public_bytes(Encoding.DER),
                headers={"Content-Type": "application/ocsp-request"},
            )
        )
    )
    if answer.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise RuntimeError(f"OCSP says {answer.certificate_status}")
    return Fetched(issuer, crl, answer.certificate_status)


def as_client(house: House, cast: Cast, made: Made, base_url: str) -> dict[str, Any]:
    """Step 6: another system signs, certifies and verifies, knowing only the API."""
    client_id, secret = register(house, cast)
    with httpx.Client(base_url=base_url, timeout=60) as http:
        # 1. An access token by OAuth2 client credentials.
        answer = http.post(
            "/oauth2/token",
            auth=(client_id, secret),
            data={"grant_type": "client_credentials", "scope": "sign certify validate"},
        )
        http.headers["Authorization"] = f"Bearer {_json(answer)['access_token']}"
        # 2. The official signs and the agency seals, in one call.
        decision = _body(
            http.post(
                "/api/v1/signatures/sealed",
                files={"file": ("decision.pdf", cast.decision, "application/pdf")},
                data={
                    "credential_id": made.official.id,
                    "pin": cast.official_pin,
                    "seal_credential_id": made.agency.id,
                    "seal_pin": cast.agency_pin,
                    "how": json.dumps(
                        {"level": "B-LTA", "appearance": {"anchor": made.official.name}}
                    ),
                    "seal_how": json.dumps({"level": "B-LTA", "appearance": {"template": "seal"}}),
                },
                headers={"Idempotency-Key": secrets.token_hex(16)},
            )
        )
        # 3. A certified copy: case, scans, comparison, payment, certification.
        copy, document = certify(http, cast, made)
        # 4. Both results by file, the copy by its code.
        verdicts = []
        for name, data in (("decision.pdf", decision), ("copy.pdf", document)):
            verdict = _json(
                http.post("/api/v1/validations", files={"file": (name, data, "application/pdf")})
            )
            if verdict["indication"] != "TOTAL_PASSED":
                raise RuntimeError(f"{name}: {verdict}")
            verdicts.append(verdict)
        status = _json(http.get(f"/api/v1/verifications/{copy['code']}"))
        if status["status"] != "in-force":
            raise RuntimeError(f"the copy's status is {status}")
    # The service's own word is not enough: the bytes are checked here too.
    for data in (decision, document):
        if not validate(data, trust=house.trust, now=clock()).passed:
            raise RuntimeError("a document made over HTTP does not validate")
    return {"client": client_id, "copy": copy, "verification": status, "validations": verdicts}


def register(house: House, cast: Cast) -> tuple[str, str]:
    """The client that plays the procedure system."""
    name = "procedure-system-demo"
    created = clients.create(
        house.database,
        clients.Secrets(),
        client_id=name,
        name="Hệ thống giải quyết thủ tục hành chính (demo)",
        scopes=("sign", "certify", "validate"),
        units=(cast.unit.code,),
        now=clock(),
        by=OPERATOR,
    )
    return created.client_id, created.secret


def certify(http: httpx.Client, cast: Cast, made: Made) -> tuple[dict[str, Any], bytes]:
    """Case, scans, comparison, payment, certification; the API's answer and the copy's bytes."""
    case = _json(
        http.post(
            "/api/v1/certified-copies/cases",
            json={
                "unit": cast.unit.code,
                "requester": {"name": CITIZEN.name, "identifier": CITIZEN.identifier},
                "document_kind": DOCUMENT_KIND,
                "original": {
                    "title": cast.original.title,
                    "issuer": cast.original.issuer,
                    "pages": cast.original.pages,
                },
                "presented": {
                    "at": clock().isoformat(),
                    "place": cast.unit.committee,
                    "to": "Phạm Minh Ví Dụ",
                },
            },
        )
    )
    path = f"/api/v1/certified-copies/cases/{case['id']}"
    scans = [
        ("scans", (f"{number}.jpg", scan, "image/jpeg"))
        for number, scan in enumerate(cast.scans, start=1)
    ]
    _json(http.post(f"{path}/captures", files=scans))
    compared = {"pages": [{"matches": True}] * len(scans), "official": "Phạm Minh Ví Dụ"}
    _json(http.post(f"{path}/comparison", json=compared))
    _json(http.post(f"{path}/payment", json={"method": "cash"}))
    order = {
        "person": {"credential_id": made.official.id, "pin": cast.official_pin},
        "seal": {"credential_id": made.agency.id, "pin": cast.agency_pin},
    }
    key = {"Idempotency-Key": secrets.token_hex(16)}
    copy = _json(http.post(f"{path}/certification", json=order, headers=key))
    # Asked again under the same key, it is the same copy: nothing is done twice.
    if _json(http.post(f"{path}/certification", json=order, headers=key)) != copy:
        raise RuntimeError("the same request under the same key gave another copy")
    return copy, _body(http.get(copy["content_url"]))


def _body(answer: httpx.Response) -> bytes:
    if answer.is_error:
        raise RuntimeError(
            f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:300]}"
        )
    return answer.content


def _json(answer: httpx.Response) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(_body(answer))
    return decoded
