"""PKI endpoints over plain HTTP: CRL, certificates, OCSP (RFC 6960, RFC 5019), time-stamps.

Validators fetch these with whatever they have; answers carry the content types and cache headers
that the RFCs ask for, and errors of the protocol are answered in the protocol.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Annotated, Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Body, Path, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.errors import ApiError
from api.services import Services
from ca.der import MalformedDer
from ca.errors import CaError
from ca.status import crl
from ca.status.crl_scope import scope_of
from ca.status.ocsp import OcspReply, decode_get

router = APIRouter(prefix="/pki", tags=["pki"])
Handler = TypeVar("Handler", bound=Callable[..., Any])

# A revocation republishes the CRL at once: nobody's cache may hold the old one for long.
CRL_MAX_AGE = timedelta(minutes=5)
OCSP_MAX_AGE = timedelta(minutes=5)
CERTIFICATE_MAX_AGE = timedelta(days=1)
OCSP_RESPONSE = "application/ocsp-response"


def get_and_head(path: str, **described: Any) -> Callable[[Handler], Handler]:
    """A GET route that also answers HEAD, described once."""

    def register(handler: Handler) -> Handler:
        router.head(path, include_in_schema=False)(handler)
        return router.get(path, **described)(handler)

    return register


IssuerName = Annotated[str, Path(max_length=64, examples=["persons-g1"])]


@get_and_head(
    "/crl/{file}",
    summary="An issuer's current revocation list (DER)",
    operation_id="pki_crl",
    response_class=Response,
    responses={
        200: {"content": {"application/pkix-crl": {}}, "description": "A CRL (RFC 5280 §5)"},
        304: {"description": "Not changed since the ETag or date given"},
        404: {"description": "No such list"},
    },
)
def revocation_list(
    file: Annotated[str, Path(max_length=100, examples=["persons-g1.crl"])],
    request: Request,
    wired: Wired,
    now: Now,
) -> Response:
    """Complete, delta and sharded lists: republished before due, and at once after a revocation."""
    authority = wired.house.authority
    known = scope_of(file, {one.name for one in authority.issuers()})
    der = crl.current(authority, known[0], known[1]) if known else None
    if der is None:
        raise ApiError("issuer-not-found", issuer=file)
    parsed = x509.load_der_x509_crl(der)
    expires = parsed.next_update_utc or now
    return _cached(
        request,
        der,
        "application/pkix-crl",
        modified=parsed.last_update_utc,
        expires=min(expires, now + CRL_MAX_AGE),
        now=now,
    )


@get_and_head(
    "/certificates/{issuer}.cer",
    summary="The issuer's own certificate (DER)",
    operation_id="pki_certificate",
    response_class=Response,
    responses={
        200: {"content": {"application/pkix-cert": {}}, "description": "RFC 5280 §4.2.2.1"},
        304: {"description": "Not changed"},
        404: {"description": "No such issuer"},
    },
)
def issuer_certificate(issuer: IssuerName, request: Request, wired: Wired, now: Now) -> Response:
    """What the AIA of every certificate points to."""
    if not _known(wired, issuer):
        raise ApiError("issuer-not-found", issuer=issuer)
    certificate = wired.house.authority.issuer(issuer).certificate
    return _cached(
        request,
        certificate.public_bytes(Encoding.DER),
        "application/pkix-cert",
        modified=certificate.not_valid_before_utc,
        expires=now + CERTIFICATE_MAX_AGE,
        now=now,
    )


@router.post(
    "/ocsp/{issuer}",
    summary="Status of certificates (OCSP by POST)",
    operation_id="pki_ocsp_post",
    response_class=Response,
    responses={
        200: {"content": {"application/ocsp-response": {}}, "description": "OCSPResponse, DER"},
        415: {"description": "Not application/ocsp-request"},
    },
)
async def ocsp_post(
    issuer: IssuerName,
    request: Request,
    wired: Wired,
    now: Now,
    body: Annotated[bytes, Body(media_type="application/ocsp-request")] = b"",
) -> Response:
    """RFC 6960 appendix A.1. A malformed request is answered with malformedRequest."""
    _expect(request, "application/ocsp-request")
    reply = await _answered(wired, issuer, body, now)
    return Response(reply.der, media_type=OCSP_RESPONSE, headers={"Cache-Control": "no-store"})


@get_and_head(
    "/ocsp/{issuer}/{encoded:path}",
    summary="Status of certificates (OCSP by GET, cacheable)",
    operation_id="pki_ocsp_get",
    response_class=Response,
    responses={
        200: {"content": {"application/ocsp-response": {}}, "description": "OCSPResponse, DER"},
    },
)
async def ocsp_get(
    issuer: IssuerName,
    encoded: Annotated[str, Path(description="The request: URL-encoded base64 of its DER")],
    request: Request,
    wired: Wired,
    now: Now,
) -> Response:
    """RFC 6960 appendix A.1, RFC 5019 §5."""
    try:
        body = decode_get(encoded)
    except MalformedDer:
        body = b""
    return _ocsp(await _answered(wired, issuer, body, now), request, now)


@router.post(
    "/tsa",
    summary="Time-stamps (RFC 3161)",
    operation_id="pki_tsa",
    response_class=Response,
    responses={
        200: {"content": {"application/timestamp-reply": {}}, "description": "TimeStampResp, DER"},
        415: {"description": "Not application/timestamp-query"},
    },
)
def time_stamp(
    request: Request,
    wired: Wired,
    now: Now,
    body: Annotated[bytes, Body(media_type="application/timestamp-query")] = b"",
) -> Response:
    """RFC 3161 §3.4. A bad request is answered with a rejection in the protocol."""
    _expect(request, "application/timestamp-query")
    reply = wired.house.tsa.respond(body, now=now)
    headers = {"Cache-Control": "no-store"}
    return Response(reply, media_type="application/timestamp-reply", headers=headers)


async def _answered(wired: Services, issuer: str, body: bytes, now: datetime) -> OcspReply:
    """From memory on the event loop where it can be; the rest may wait for database and token."""
    responder = wired.house.responder
    known = responder.remembered(body, issuer=issuer, now=now)
    if known is not None:
        return known
    return await run_in_threadpool(_reply, wired, issuer, body, now)


def _reply(wired: Services, issuer: str, body: bytes, now: datetime) -> OcspReply:
    if not _known(wired, issuer):
        raise ApiError("issuer-not-found", issuer=issuer)
    return wired.house.responder.reply(body, issuer=issuer, now=now)


def _ocsp(reply: OcspReply, request: Request, now: datetime) -> Response:
    """RFC 5019 §6.2: what is the same for everybody may be kept, until it is due."""
    seconds = reply.max_age(now)
    if reply.answer is None or not seconds:
        return Response(reply.der, media_type=OCSP_RESPONSE, headers={"Cache-Control": "no-store"})
    return _cached(
        request,
        reply.der,
        OCSP_RESPONSE,
        modified=reply.answer.this_update,
        expires=now + min(timedelta(seconds=seconds), OCSP_MAX_AGE),
        now=now,
    )


def _known(wired: Services, issuer: str) -> bool:
    try:
        wired.house.authority.issuer(issuer)
    except CaError:
        return False
    return True


def _expect(request: Request, media_type: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise ApiError("media-type-unsupported", expected=media_type)


def _cached(
    request: Request,
    content: bytes,
    media_type: str,
    *,
    modified: datetime,
    expires: datetime,
    now: datetime,
) -> Response:
    """200 with a strong ETag and dates, or 304 (RFC 9110 §13, RFC 5019 §6.2)."""
    headers = cache_headers(content, modified=modified, expires=expires, now=now)
    etag = headers["ETag"]
    offered = request.headers.get("if-none-match")
    if offered is not None and (
        offered.strip() == "*" or etag in {one.strip() for one in offered.split(",")}
    ):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def cache_headers(
    content: bytes, *, modified: datetime, expires: datetime, now: datetime
) -> dict[str, str]:
    """A strong ETag and the dates, for caches on the way (RFC 9111)."""
    seconds = max(0, int((expires - now).total_seconds()))
    return {
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        "Last-Modified": _http_date(modified),
        "Expires": _http_date(max(expires, now)),
        "Cache-Control": f"public, max-age={seconds}, no-transform, must-revalidate",
    }


def _http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)
