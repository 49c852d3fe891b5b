"""Certificates for the systems that call the API: PKCS#10, PKCS#12, approval, chains.

A request is made by one client and approved by another (or by `dauso ca approve`), who says which
digest they saw. With PKCS#12 the key is made here, in memory, and leaves at once, encrypted under
the caller's password; nothing of it is kept, so the caller brings it back for the PKCS#12 file
once the certificate is there.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)
from fastapi import APIRouter, Path, Security
from pydantic import Field, SecretStr
from starlette.responses import JSONResponse, Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.shapes import Shape, problems
from ca import enrolment, requests_again
from ca.authority import Authority
from ca.enrolment import CertificateRequest
from ca.errors import CaError
from ca.models import RequestState
from ca.names import Subject
from ca.requests_again import Asked

router = APIRouter(tags=["certificates"])
REQUESTS = "/api/v1/certificate-requests"
Requester = Annotated[Client, Security(caller, scopes=["certificates"])]
Approver = Annotated[Client, Security(caller, scopes=["approve"])]
RequestId = Annotated[str, Path(max_length=64, pattern=r"^[0-9a-f]+$")]
_PRIVATE = {"Cache-Control": "no-store"}


class Pkcs10(Shape):
    """A request whose key the caller holds."""

    profile: Literal["api-client", "organisation", "agency-seal"] = "api-client"
    csr: str = Field(max_length=32_768, description="PKCS#10, PEM")


class SoftwareKey(Shape):
    """A key to be made here and given out at once; the certificate names the client."""

    password: SecretStr = Field(min_length=12, max_length=200, description="Never kept")
    algorithm: Literal["p-256", "rsa-3072"] = "p-256"


class Bundle(Shape):
    """What a PKCS#12 file is made of."""

    private_key: SecretStr = Field(max_length=16_384, description="As it was given out, PEM")
    password: SecretStr = Field(min_length=12, max_length=200)


class Decision(Shape):
    """Which request was seen; a reason turns it down."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    reject: str | None = Field(default=None, max_length=500)


class RequestShape(Shape):
    """Where a request stands. `digest` is what an approval names."""

    id: str
    profile: str
    subject: str
    digest: str
    state: str = Field(description="pending, approved, rejected or issued")
    requested_by: str
    serial: str | None = None
    certificate: str | None = Field(default=None, description="PEM, once it is issued")
    chain: list[str] = Field(default=[], description="PEM, from the issuing CA to the root")
    private_key: str | None = Field(default=None, description="PKCS#8, encrypted; shown once")

    @classmethod
    def of(cls, request: CertificateRequest, **more: object) -> Self:
        return cls(
            id=request.id,
            profile=request.profile,
            subject=request.subject.display(),
            digest=request.digest,
            state=request.state.value,
            requested_by=request.requested_by,
            serial=None if request.serial is None else f"{request.serial:x}",
            **more,  # type: ignore[arg-type]  # pydantic checks them
        )


@router.post(
    REQUESTS,
    summary="Ask for a certificate with a PKCS#10 request",
    operation_id="request_certificate",
    status_code=202,
    response_model=RequestShape,
    responses={200: {"model": RequestShape, "description": "Issued"}, **problems(409)},
)
def request_certificate(body: Pkcs10, client: Requester, wired: Wired, now: Now) -> Response:
    """Possession of the key is proven by the request's signature. Asked again, it says where the
    request stands, and gives the certificate once a second person has approved it."""
    authority = wired.house.authority
    asked = requests_again.ask(
        authority, profile=body.profile, csr=body.csr.encode(), now=now, by=client.by
    )
    return _shown(authority, asked)


@router.post(
    f"{REQUESTS}/software-key",
    summary="Have a key made and ask for its certificate",
    operation_id="request_software_key",
    status_code=202,
    response_model=RequestShape,
    responses=problems(409),
)
def request_software_key(body: SoftwareKey, client: Requester, wired: Wired, now: Now) -> Response:
    """The key is made in memory and answered encrypted under the password; it is not kept."""
    key = _generated(body.algorithm)
    name = Subject.service(client.client_id).to_x509()
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    authority = wired.house.authority
    asked = requests_again.ask(
        authority,
        profile="api-client",
        csr=csr.public_bytes(Encoding.DER),
        now=now,
        by=client.by,
    )
    encryption = BestAvailableEncryption(body.password.get_secret_value().encode())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
    return _shown(authority, asked, private_key=pem)


@router.get(
    REQUESTS,
    summary="Requests that wait for approval",
    operation_id="waiting_requests",
    response_model=list[RequestShape],
    responses=problems(),
)
def waiting(client: Approver, wired: Wired) -> list[RequestShape]:
    """Oldest first, at most a hundred."""
    del client
    return [RequestShape.of(one) for one in enrolment.waiting(wired.house.authority)]


@router.get(
    REQUESTS + "/{request_id}",
    summary="Where one's own request stands",
    operation_id="certificate_request",
    response_model=RequestShape,
    responses={202: {"model": RequestShape, "description": "Waits"}, **problems(404, 409)},
)
def certificate_request(
    request_id: RequestId, client: Requester, wired: Wired, now: Now
) -> Response:
    """With certificate and chain once it is issued."""
    authority = wired.house.authority
    asked = requests_again.look(authority, request_id, now=now, by=client.by)
    return _shown(authority, asked)


@router.post(
    REQUESTS + "/{request_id}/decision",
    summary="Approve or reject somebody else's request",
    operation_id="decide_request",
    response_model=RequestShape,
    responses=problems(404, 409),
)
def decide(
    request_id: RequestId, body: Decision, client: Approver, wired: Wired, now: Now
) -> RequestShape:
    """Bound to the digest of profile, name and key; nobody decides about their own."""
    authority = wired.house.authority
    if body.reject is not None:
        if enrolment.find(authority, request_id).digest != body.digest:
            raise CaError("approval-other-request")
        return RequestShape.of(
            enrolment.reject(authority, request_id, reason=body.reject, now=now, by=client.by)
        )
    return RequestShape.of(
        enrolment.approve(authority, request_id, digest=body.digest, now=now, by=client.by)
    )


@router.post(
    REQUESTS + "/{request_id}/pkcs12",
    summary="Key, certificate and chain as one PKCS#12 file",
    operation_id="certificate_pkcs12",
    response_class=Response,
    responses={
        200: {"content": {"application/x-pkcs12": {}}, "description": "RFC 7292"},
        **problems(404, 409),
    },
)
def certificate_pkcs12(
    request_id: RequestId, body: Bundle, client: Requester, wired: Wired, now: Now
) -> Response:
    """The caller brings the key and its password; neither is kept."""
    authority = wired.house.authority
    asked = requests_again.look(authority, request_id, now=now, by=client.by)
    if asked.certificate is None:
        raise CaError("request-not-approved", state=asked.request.state.value)
    password = body.password.get_secret_value().encode()
    try:
        key = load_pem_private_key(body.private_key.get_secret_value().encode(), password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ApiError("private-key-unreadable") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ApiError("private-key-unreadable")
    if key.public_key() != asked.certificate.public_key():
        raise ApiError("private-key-other")
    content = pkcs12.serialize_key_and_certificates(
        client.client_id.encode(),
        key,
        asked.certificate,
        authority.chain(asked.certificate),
        BestAvailableEncryption(password),
    )
    return Response(content, media_type="application/x-pkcs12", headers=_PRIVATE)


@router.get(
    "/pki/chains/{file}",
    summary="An issuer's chain up to the root (PEM, PKCS#7)",
    operation_id="pki_chain",
    response_class=Response,
    tags=["pki"],
    responses={
        200: {
            "content": {"application/pem-certificate-chain": {}, "application/pkcs7-mime": {}},
            "description": "RFC 8555 §9.1 or RFC 5751 §3.2.2",
        },
        404: {"description": "No such issuer"},
    },
)
def chain(
    file: Annotated[str, Path(max_length=100, examples=["persons-g1.pem"])], wired: Wired
) -> Response:
    """`{issuer}.pem` or `{issuer}.p7c`: the issuing CA first, the root last."""
    authority = wired.house.authority
    name, _, form = file.rpartition(".")
    known = {one.name: one for one in authority.issuers()}
    if name not in known or form not in ("pem", "p7c"):
        raise ApiError("issuer-not-found", issuer=file)
    certificate = known[name].certificate
    path = authority.chain(certificate)
    whole = path if path and path[0] == certificate else [certificate, *path]
    headers = {"Cache-Control": "public, max-age=86400"}
    if form == "p7c":
        content = pkcs7.serialize_certificates(whole, Encoding.DER)
        return Response(content, media_type="application/pkcs7-mime", headers=headers)
    pem = b"".join(one.public_bytes(Encoding.PEM) for one in whole)
    return Response(pem, media_type="application/pem-certificate-chain", headers=headers)


def _generated(algorithm: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if algorithm == "rsa-3072":
        return rsa.generate_private_key(public_exponent=65537, key_size=3072)
    return ec.generate_private_key(ec.SECP256R1())


def _shown(authority: Authority, asked: Asked, *, private_key: str | None = None) -> Response:
    more: dict[str, object] = {"private_key": private_key}
    issued = asked.request.state is RequestState.ISSUED
    if asked.certificate is not None:
        more["certificate"] = pem(asked.certificate)
        more["chain"] = [pem(one) for one in authority.chain(asked.certificate)]
    shape = RequestShape.of(asked.request, **more)
    headers = _PRIVATE if issued else {**_PRIVATE, "Retry-After": "300"}
    return JSONResponse(shape.model_dump(), 200 if issued else 202, headers=headers)


def pem(certificate: x509.Certificate) -> str:
    """As answers carry it."""
    return certificate.public_bytes(Encoding.PEM).decode()
