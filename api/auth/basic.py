"""A client that proves itself in each request: by its secret (RFC 7617), or by a certificate that
the TLS proxy in front has checked.

The second way is off unless `DAUSO_EST_CERTIFICATE_HEADER` names a header; the proxy must remove
that header from what comes from outside (docs/operations.md).
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from urllib.parse import unquote_to_bytes

from cryptography import x509
from starlette.requests import Request

from api.auth import clients
from api.auth.clients import Client
from api.errors import ApiError
from api.routes.oauth2 import basic_credentials
from api.services import Services
from ca.errors import UNREADABLE, CertificateUnknown
from ca.models import CertificateStatus

_LARGEST_HEADER = 16 * 1024


def authenticated(
    request: Request, wired: Services, *, scope: str, now: datetime
) -> tuple[Client, x509.Certificate | None]:
    """The client, with its certificate when that is how it proved itself.

    Raises ApiError: `client-authentication-failed` (401), `scope-missing` (403), RateLimited.
    """
    address = request.client.host if request.client else "unknown"
    wired.rates.take("token", address)
    name, client, certificate = "", None, None
    header = wired.house.settings.est_certificate_header
    shown = request.headers.get(header) if header else None
    wired.rates.check("token-failure", address)
    if shown:
        certificate = _certificate(shown)
        client = _holder(wired, certificate, now) if certificate is not None else None
    else:
        name, secret = basic_credentials(request.headers.get("authorization")) or ("", "")
        if name:
            client = clients.authenticate(wired.house.database, wired.secrets, name[:64], secret)
    if client is None:
        if name or shown:
            clients.record_refusal(
                wired.house.database, name, "client-authentication-failed", now=now
            )
            wired.rates.take("token-failure", address)
        raise ApiError("client-authentication-failed")
    request.state.client_id = client.client_id
    wired.rates.take("api", client.client_id)
    if scope not in client.scopes:
        raise ApiError("scope-missing", scope=scope)
    return client, certificate


def _certificate(text: str) -> x509.Certificate | None:
    """URL-encoded PEM (nginx), or base64 DER between colons (RFC 9440)."""
    if len(text) > _LARGEST_HEADER:
        return None
    try:
        if text.startswith(":") and text.endswith(":"):
            return x509.load_der_x509_certificate(base64.b64decode(text[1:-1], validate=True))
        return x509.load_pem_x509_certificate(unquote_to_bytes(text))
    except (*UNREADABLE, binascii.Error):
        return None


def _holder(wired: Services, certificate: x509.Certificate, now: datetime) -> Client | None:
    """The client named by a certificate of ours that is in force."""
    try:
        record = wired.house.authority.certificate(certificate.serial_number)
    except CertificateUnknown:
        return None
    valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    if (
        record.certificate != certificate
        or record.profile != "api-client"
        or record.status is not CertificateStatus.GOOD
        or not valid
    ):
        return None
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return clients.load(wired.house.database, str(names[0].value)) if names else None
