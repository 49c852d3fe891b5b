"""Refusals in the words of the specification (CSC API v2 §10, v1.0.4 §10; RFC 6749 §5.2).

A client gets `error` and `error_description` exactly as the specification has them; the codes are
ours, so that audit log and figures say the same thing everywhere. What the rooms below refuse is
translated here, in one table.
"""

from __future__ import annotations

from starlette.responses import JSONResponse

from api.errors import ApiError, RateLimited, status_of
from records.errors import DomainError

PRIVATE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

_ERRORS: dict[str, tuple[int, str]] = {
    # CSC API §10.2, table 3, where it is not `invalid_request`
    "csc-token-invalid": (401, "invalid_token"),
    "csc-token-expired": (401, "expired_token"),
    "csc-scope-insufficient": (403, "insufficient_scope"),
    "csc-client-unauthorized": (400, "unauthorized_client"),
    "csc-access-denied": (400, "access_denied"),
    "csc-response-type-unsupported": (400, "unsupported_response_type"),
    "csc-scope-invalid": (400, "invalid_scope"),
    # the methods' own
    "csc-pin-invalid": (400, "invalid_pin"),
    "csc-otp-invalid": (400, "invalid_otp"),
    "csc-authentication-invalid": (400, "invalid_authentication_data"),
    "csc-still-working": (202, "accepted_request"),
    "csc-operation-failed": (400, "server_error"),
    "csc-method-unknown": (501, "invalid_request"),
    # oauth2/token §8.4.4
    "csc-code-invalid": (400, "invalid_grant"),
    "csc-redirect-mismatch": (400, "invalid_grant"),
    "csc-verifier-invalid": (400, "invalid_grant"),
    "csc-refresh-invalid": (400, "invalid_grant"),
    "csc-refresh-expired": (400, "invalid_grant"),
    "csc-client-missing": (401, "invalid_request"),
    "csc-client-unknown": (401, "invalid_client"),
}


class CscRefusal(ApiError):
    """A refusal that the specification has words for; `invalid_request` unless the table says."""


def translated(error: DomainError, *, version: str) -> DomainError:
    """What a room below refused, as the specification says it; anything else as it is."""
    if error.code == "pin-wrong" and version == "v1":
        return CscRefusal("csc-pin-invalid")
    if error.code in _CREDENTIAL_DISABLED:
        return CscRefusal("csc-credential-disabled")
    if error.code not in _TRANSLATED:
        return error
    code, name = _TRANSLATED[error.code]
    return CscRefusal(code, name=name) if name else CscRefusal(code)


_TRANSLATED: dict[str, tuple[str, str]] = {
    "pin-wrong": ("csc-authentication-invalid", ""),
    "credential-locked": ("csc-credential-locked", ""),
    "credential-unknown": ("csc-parameter-invalid", "credentialID"),
    "authorization-unknown": ("csc-parameter-invalid", "SAD"),
    "authorization-expired": ("csc-sad-expired", ""),
    "activation-expired": ("csc-sad-expired", ""),
    "digest-not-authorized": ("csc-hash-unauthorized", ""),
    "digest-already-used": ("csc-hash-unauthorized", ""),
    "hash-malformed": ("csc-hash-length", ""),
    "scheme-unfit": ("csc-parameter-invalid", "signAlgo"),
    "signatures-exhausted": ("csc-signatures-too-many", ""),
    "too-many-digests": ("csc-signatures-too-many", ""),
    "certificate-expired": ("csc-certificate-expired", ""),
}
_CREDENTIAL_DISABLED = {
    "credential-suspended",
    "credential-revoked",
    "credential-enrolling",
    "credential-abandoned",
    "certificate-revoked",
    "certificate-held",
    "certificate-not-yet-valid",
}


def error_name(error: DomainError) -> tuple[int, str]:
    """HTTP status and `error` of a refusal that has been translated."""
    if error.code in _ERRORS:
        return _ERRORS[error.code]
    if isinstance(error, CscRefusal):
        return 400, "invalid_request"
    status = status_of(error)
    if status in {429, 503}:
        return status, "temporarily_unavailable"
    if status >= 500:
        return 500, "server_error"
    return 400, "invalid_request"


def refusal(error: DomainError, *, version: str = "v2") -> JSONResponse:
    """The JSON answer (§10.2); English, because the specification fixes the descriptions."""
    shown = translated(error, version=version)
    status, name = error_name(shown)
    headers = dict(PRIVATE)
    if status == 401:
        # RFC 6750 §3 for a bearer, RFC 6749 §5.2 for a client
        bearer = name in {"invalid_token", "expired_token"}
        headers["WWW-Authenticate"] = (
            'Bearer realm="dauso", error="invalid_token"' if bearer else 'Basic realm="dauso"'
        )
    elif status == 403:
        headers["WWW-Authenticate"] = 'Bearer realm="dauso", error="insufficient_scope"'
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(error.retry_after)
    elif status == 503:
        headers["Retry-After"] = str(error.params.get("retry_after", 5))
    body = {"error": name, "error_description": shown.message("en")}
    return JSONResponse(body, status, headers=headers)
