"""Domain errors as HTTP: one table from code to status, and the problem+json body (RFC 9457).

A DomainError that is not in the table is 422: the request was understood and cannot be done.
Every body carries the stable code and both languages; ``title`` follows Accept-Language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse

from records.errors import DomainError

PROBLEM_TYPE = "application/problem+json"

# Only what is not 422. Kept by status, so that a reader sees the policy at a glance.
_BY_STATUS: dict[int, tuple[str, ...]] = {
    400: ("idempotency-key-invalid", "body-malformed"),
    401: (
        "bank-signature-wrong",
        "access-token-missing",
        "access-token-invalid",
        "client-authentication-failed",
    ),
    403: (
        "scope-missing",
        "request-for-another",
        "request-rejected",
        "approval-own-request",
        "unit-not-allowed",
        "pin-wrong",
        "credential-locked",
        "digest-not-authorized",
        "authorization-of-another-credential",
        "not-competent",
        "recipient-not-yours",
        "decision-signer-not-competent",
        "step-not-yours",
        "credential-not-for-step",
        "not-delegated",
        "delegation-stale",
        "signing-delegation-own",
        "handout-secret-wrong",
        "list-own",
        "rekey-own-request",
        "image-own-upload",
        "witnesses-refused",
        "role-missing",
        "form-stale",
        "form-foreign",
        "sign-in-refused",
        "sign-in-stale",
        "passkey-wrong",
        "passkey-not-recognised",
        "passkey-question-over",
        "act-of-the-office",
        "stack-of-another-signer",
        "visit-for-another",
    ),
    404: (
        "est-label-unknown",
        "account-unknown",
        "passkey-unknown",
        "page-not-found",
        "policy-unknown",
        "validation-report-unknown",
        "document-not-found",
        "evidence-none",
        "issuer-not-found",
        "client-not-found",
        "authorization-unknown",
        "case-unknown",
        "certificate-unknown",
        "code-unknown",
        "copy-unknown",
        "credential-unknown",
        "image-unknown",
        "delegation-unknown",
        "grant-unknown",
        "issuer-unknown",
        "item-unknown",
        "list-unknown",
        "mandate-unknown",
        "number-unknown",
        "preparation-unknown",
        "rekey-request-unknown",
        "request-unknown",
        "unit-unknown",
        "receipt-unknown",
        "transfer-unknown",
        "register-empty",
        "stack-line-not-prepared",
        "stack-unknown",
        "appointment-unknown",
        "digital-copy-unknown",
        "page-unknown",
        "refusal-unknown",
        "register-not-closed",
        "visit-unknown",
    ),
    405: ("method-not-allowed",),
    409: (
        "account-exists",
        "passkey-already-enrolled",
        "passkey-known",
        "idempotency-in-progress",
        "batch-state-wrong",
        "batch-in-hand",
        "batch-changed",
        "case-state-wrong",
        "copy-in-progress",
        "copy-frozen-for-another-signer",
        "copy-claim-lost",
        "copy-not-in-force",
        "certificate-revoked-already",
        "client-exists",
        "credential-changed",
        "credential-state",
        "keeper-left",
        "image-approved-already",
        "digest-already-used",
        "field-already-signed",
        "fee-nothing-due",
        "fee-nothing-paid",
        "fee-not-paid",
        "number-not-open",
        "number-of-another-day",
        "nothing-to-refuse",
        "issuance-under-way",
        "key-reused",
        "holder-has-credential",
        "activated-already",
        "list-state",
        "list-other",
        "list-taken-over",
        "rekey-request-decided",
        "not-captured",
        "not-compared",
        "not-presented",
        "payment-already-recorded",
        "preparation-in-hand",
        "preparation-used",
        "register-locked",
        "register-has-open-numbers",
        "register-year-not-over",
        "transfer-settled",
        "stack-state-wrong",
        "stack-hands-missing",
        "register-closing-in-hand",
        "register-closing-lost",
        "routed-document-state",
        "step-not-its-turn",
        "step-in-hand",
        "step-lost",
        "step-done-already",
        "shown-not-current",
        "document-signed-already",
        "delegation-ended",
        "signing-delegation-ended",
        "request-decided",
        "request-not-approved",
        "approval-other-request",
        "already-presented",
        "comparison-unfinished",
        "dossier-already-open",
        "slot-full",
        "appointment-not-over",
        "appointments-too-many",
        "visit-already-booked",
        "visit-over",
    ),
    410: (
        "handout-closed",
        "preparation-expired",
        "authorization-expired",
        "activation-expired",
        "document-expired",
        "routed-document-withdrawn",
        "item-purged",
        "images-purged",
        "grant-ended",
    ),
    413: ("body-too-large",),
    415: ("media-type-unsupported",),
    422: ("anchor-not-found",),  # the document is there; its text says something else
    429: ("rate-limited",),
    500: ("internal-error", "database-damaged", "blob-damaged", "blob-missing"),
    503: (
        "blob-store-unreachable",
        "clock-stepped-back",
        "database-busy",
        "database-unreachable",
        "time-not-available",
        "provider-unavailable",
        "registry-unavailable",
        "registry-answer-malformed",
        "token-absent",
        "token-closed",
        "token-pin-wrong",
        "token-refused",
    ),
    507: ("disk-full",),
}
STATUS: dict[str, int] = {code: status for status, codes in _BY_STATUS.items() for code in codes}
_BY_ENDING = {"-not-found": 404, "-too-large": 413}


class ApiError(DomainError):
    """A refusal that the HTTP face itself decides (scope, limits, malformed requests)."""


class RateLimited(ApiError):
    """Too many requests; ``retry_after`` is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("rate-limited", retry_after=retry_after)
        self.retry_after = retry_after


def status_of(error: DomainError) -> int:
    """The table, then the ending of the code, then 422."""
    if error.code in STATUS:
        return STATUS[error.code]
    for ending, status in _BY_ENDING.items():
        if error.code.endswith(ending):
            return status
    return 422


def language_of(accept: str | None) -> str:
    """``vi`` unless the reader prefers English (RFC 9110 §12.5.4)."""
    best, quality = "vi", 0.0
    for part in (accept or "").lower().split(","):
        tag, _, parameters = part.strip().partition(";")
        name = tag.strip().split("-")[0]
        try:
            weight = float(parameters.partition("q=")[2] or "1")
        except ValueError:
            continue
        if name in {"vi", "en"} and weight > quality:
            best, quality = name, weight
    return best


def problem(
    request: Request,
    error: DomainError,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, Any]] | None = None,
) -> JSONResponse:
    """The problem+json answer for one error; nothing internal, nothing secret."""
    status = status or status_of(error)
    language = language_of(request.headers.get("accept-language"))
    body: dict[str, Any] = {
        "type": f"/problems/{error.code}",
        "title": error.message(language),
        "status": status,
        "instance": quote(request.url.path),
        "code": error.code,
        "messages": {"vi": error.message("vi"), "en": error.message("en")},
        "request_id": getattr(request.state, "request_id", None),
    }
    if errors is not None:
        body["errors"] = errors
    extra = dict(headers or {})
    extra["Content-Language"] = language
    extra["Vary"] = "Accept-Language"
    extra.setdefault("Cache-Control", "no-store")
    if isinstance(error, RateLimited):
        extra["Retry-After"] = str(error.retry_after)
    elif status == 503:
        extra.setdefault("Retry-After", str(error.params.get("retry_after", 5)))
    return JSONResponse(body, status, headers=extra, media_type=PROBLEM_TYPE)
