"""Enrolment over Secure Transport (RFC 7030, RFC 8951): /.well-known/est[/LABEL]/…

A client proves itself by its secret (or by its certificate, see `api.auth.basic`), its PKCS#10
request proves possession of the key, and a second person approves. Until then the answer is 202
with Retry-After, and the client asks again with the same request. A label names the profile;
without one it is `api-client`. TLS is the proxy's, as for the rest of the service.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from fastapi import APIRouter, Body, Path, Request
from sqlalchemy import select
from starlette.responses import Response

from api.auth.basic import authenticated
from api.auth.guard import Now, Wired
from api.errors import ApiError, RateLimited, language_of, status_of
from api.services import Services
from ca import enrolment, renewal, requests_again
from ca.errors import CaError
from ca.models import CertificateRow
from ca.names import Subject
from hsm.mechanisms import KeyAlgorithm
from records.errors import DomainError

router = APIRouter(prefix="/.well-known/est", tags=["pki"])
RETRY_AFTER = 300
_CERTIFICATES = "application/pkcs7-mime; smime-type=certs-only"
_REQUEST = "application/pkcs10"
_LINE = 76
_ALGORITHMS = {
    KeyAlgorithm.P_256: ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7"),
    KeyAlgorithm.P_384: ("1.2.840.10045.2.1", "1.3.132.0.34"),
    KeyAlgorithm.RSA_2048: ("1.2.840.113549.1.1.1", 2048),
    KeyAlgorithm.RSA_3072: ("1.2.840.113549.1.1.1", 3072),
    KeyAlgorithm.RSA_4096: ("1.2.840.113549.1.1.1", 4096),
}
Label = Annotated[str, Path(max_length=32, description="The profile", examples=["api-client"])]
Pkcs10 = Annotated[bytes, Body(media_type=_REQUEST, description="Base64 of a PKCS#10 request")]
_ANSWERS = {
    200: {"content": {"application/pkcs7-mime": {}}, "description": "Certificates, base64"},
    202: {"content": {"text/plain": {}}, "description": "Waits for approval: ask again later"},
    400: {"content": {"text/plain": {}}, "description": "The request cannot be granted"},
    401: {"content": {"text/plain": {}}, "description": "The client is not authenticated"},
    403: {"content": {"text/plain": {}}, "description": "The client may not do this"},
    415: {"content": {"text/plain": {}}, "description": "Not application/pkcs10"},
}


@router.get(
    "/cacerts",
    summary="CA certificates (EST)",
    operation_id="est_cacerts",
    response_class=Response,
    responses={200: _ANSWERS[200]},
)
def cacerts(wired: Wired) -> Response:
    """RFC 7030 §4.1: the issuing CAs, the roots, and the certificates that link roots."""
    authority = wired.house.authority
    certificates = [issuer.certificate for issuer in authority.issuers()]
    with authority.database.reading() as session:
        links = session.scalars(
            select(CertificateRow.der)
            .where(CertificateRow.profile == "cross")
            .order_by(CertificateRow.issued_at)
        ).all()
    certificates += [x509.load_der_x509_certificate(der) for der in links]
    return _certs_only(certificates, media_type="application/pkcs7-mime")


@router.get(
    "/csrattrs",
    summary="What a request should contain (EST)",
    operation_id="est_csrattrs",
    response_class=Response,
    responses={200: {"content": {"application/csrattrs": {}}, "description": "CsrAttrs, base64"}},
)
def csrattrs() -> Response:
    """RFC 7030 §4.5.2: the kinds of keys, best first."""
    return _base64(csr_attributes("api-client"), "application/csrattrs")


@router.get("/{label}/cacerts", include_in_schema=False)
def cacerts_labelled(label: Label, request: Request, wired: Wired) -> Response:
    """RFC 7030 §3.2.2; the same certificates whichever the label, and 404 for one that is none."""
    return _no_label(request, label) or cacerts(wired)


@router.get("/{label}/csrattrs", include_in_schema=False)
def csrattrs_labelled(label: Label, request: Request) -> Response:
    """RFC 7030 §4.5.2, for another profile."""
    return _no_label(request, label) or _base64(csr_attributes(label), "application/csrattrs")


@router.post(
    "/simpleenroll",
    summary="Ask for a certificate (EST)",
    operation_id="est_simpleenroll",
    response_class=Response,
    responses=_ANSWERS,  # type: ignore[arg-type]  # FastAPI's own looser type
)
def simpleenroll(request: Request, wired: Wired, now: Now, body: Pkcs10 = b"") -> Response:
    """RFC 7030 §4.2.1."""
    return _answered(request, wired, now, body, label="api-client", again=False)


@router.post("/{label}/simpleenroll", include_in_schema=False)
def simpleenroll_labelled(
    label: Label, request: Request, wired: Wired, now: Now, body: Pkcs10 = b""
) -> Response:
    """The same for another profile (RFC 7030 §3.2.2)."""
    return _no_label(request, label) or _answered(
        request, wired, now, body, label=label, again=False
    )


@router.post(
    "/simplereenroll",
    summary="Renew or re-key a certificate (EST)",
    operation_id="est_simplereenroll",
    response_class=Response,
    responses=_ANSWERS,  # type: ignore[arg-type]  # FastAPI's own looser type
)
def simplereenroll(request: Request, wired: Wired, now: Now, body: Pkcs10 = b"") -> Response:
    """RFC 7030 §4.2.2: the same name; the same key renews, another one replaces."""
    return _answered(request, wired, now, body, label="api-client", again=True)


def _answered(
    request: Request, wired: Services, now: datetime, body: bytes, *, label: str, again: bool
) -> Response:
    """Errors as RFC 7030 §4.2.3 wants them: a status, and plain words."""
    try:
        client, shown = authenticated(request, wired, scope="certificates", now=now)
        _expect(request)
        csr = decoded(body)
        if again:
            certificate = _again(wired, csr, shown, now=now, by=client.by)
            return _certs_only([certificate], media_type=_CERTIFICATES)
        asked = requests_again.ask(
            wired.house.authority, profile=label, csr=csr, now=now, by=client.by
        )
    except DomainError as error:
        return _refusal(request, error)
    if asked.certificate is None:
        words = {"Retry-After": str(RETRY_AFTER)}
        waiting = f"{asked.request.id} {asked.request.digest}\n"
        return Response(waiting, 202, headers=words, media_type="text/plain")
    return _certs_only([asked.certificate], media_type=_CERTIFICATES)


def _again(
    wired: Services, csr: bytes, shown: x509.Certificate | None, *, now: datetime, by: str
) -> x509.Certificate:
    authority = wired.house.authority
    parsed, public_key = enrolment.read_csr(csr)
    subject = Subject.from_x509(parsed.subject)
    if by != f"client:{subject.common_name}":
        raise CaError("request-for-another", name=subject.common_name)
    if shown is not None:
        if Subject.from_x509(shown.subject) != subject:
            raise CaError("request-other-subject")
        serial: int | None = shown.serial_number
    else:
        serial = requests_again.newest_of(authority, subject, now=now)
    if serial is None:
        raise CaError("nothing-to-renew")
    held = authority.certificate(serial).certificate
    if held.public_key() == public_key:
        return renewal.renew(authority, serial, now=now, by=by)
    return renewal.rekey(authority, serial, public_key=public_key, now=now, by=by)


def decoded(body: bytes) -> bytes:
    """RFC 8951 §3.1: base64 (RFC 4648 §4), white space allowed, whatever the headers say."""
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise CaError("request-unreadable") from None


def csr_attributes(label: str) -> bytes:
    """CsrAttrs: one key kind after the other, each with its curve or size."""
    attributes = b""
    for algorithm in requests_again.algorithms_of(label):
        kind, detail = _ALGORITHMS[algorithm]
        value = core.Integer(detail) if isinstance(detail, int) else core.ObjectIdentifier(detail)
        values = core.SetOf([value], spec=type(value))
        attributes += _sequence(core.ObjectIdentifier(kind).dump() + values.dump())
    return _sequence(attributes)


def _sequence(contents: bytes) -> bytes:
    made: bytes = core.Sequence(contents=contents).dump()
    return made


def _no_label(request: Request, label: str) -> Response | None:
    """RFC 7030 §3.2.2: under a label that is none of ours there is nothing, not even CAs."""
    if label in requests_again.BY_REQUEST:
        return None
    known = ", ".join(requests_again.BY_REQUEST)
    return _refusal(request, CaError("est-label-unknown", name=label, known=known))


def _expect(request: Request) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != _REQUEST:
        raise ApiError("media-type-unsupported", expected=_REQUEST)


def _refusal(request: Request, error: DomainError) -> Response:
    status = status_of(error)
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="dauso"'
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after)
    elif status == 503:
        headers["Retry-After"] = str(error.params.get("retry_after", RETRY_AFTER))
    status = 400 if status in (409, 413, 422) else status
    words = error.message(language_of(request.headers.get("accept-language")))
    return Response(f"{words}\n", status, headers=headers, media_type="text/plain")


def _certs_only(certificates: list[x509.Certificate], *, media_type: str) -> Response:
    return _base64(pkcs7.serialize_certificates(certificates, Encoding.DER), media_type)


def _base64(content: bytes, media_type: str) -> Response:
    text = base64.b64encode(content)
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return Response(
        b"\r\n".join([*lines, b""]),
        media_type=media_type,
        headers={"Content-Transfer-Encoding": "base64", "Cache-Control": "no-store"},
    )
