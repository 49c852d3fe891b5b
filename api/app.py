"""The HTTP application: API, PKI endpoints and public pages over one house.

house = House.open(settings, now=now)
uvicorn.run(create_app(house))
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from api.auth.guard import services
from api.auth.people import SignInNeeded, recognise, to_sign_in
from api.errors import ApiError, problem, status_of
from api.house import House
from api.openapi import describe
from api.pages import problem_page
from api.quick_answers import QuickAnswers
from api.request_log import RequestRecord
from api.request_size import RequestSize, limit_for
from api.routes.all import ROUTERS
from api.services import Services, system_clock
from records import audit
from records.errors import DomainError
from records.tags import Tag

log = structlog.get_logger("dauso.http")

_DESCRIPTION = """
Digital signatures and certified electronic copies for a Vietnamese province.

**Sign**: upload a document, let the holder authorise its digest with the PIN, sign, download;
or do it in one call with `POST /api/v1/signatures`.
**Certify**: open a case, upload the scans, record the comparison, certify, fetch the copy.
**Validate**: `POST /api/v1/validations`; anyone verifies by code at `/v/{code}`.

Errors are `application/problem+json` (RFC 9457) with a stable `code` and both languages.
POSTs that act take an `Idempotency-Key`: the same request under the same key is done once.
"""

_TAGS = [
    {"name": "access", "description": "OAuth2 client credentials"},
    {"name": "credentials", "description": "Holders' signing credentials"},
    {"name": "documents", "description": "Documents on their way through"},
    {"name": "signatures", "description": "Authorise, sign, seal"},
    {"name": "batches", "description": "Thousands of documents under one PIN, in the background"},
    {"name": "steps", "description": "Initials, signature, number and seal, each in its turn"},
    {"name": "certified copies", "description": "Procedure 2.000815, from original to copy"},
    {"name": "validation", "description": "Verdicts by file and by code"},
    {"name": "pki", "description": "CRL, OCSP, certificates, time-stamps: plain HTTP, no account"},
    {"name": "certificates", "description": "Certificates for client systems: PKCS#10, PKCS#12"},
    {"name": "people", "description": "Accounts of people at the screens"},
    {"name": "operation", "description": "Health and figures"},
]


class _Application(FastAPI):
    """FastAPI, and around all that it does for a request the answers that need nothing of it."""

    quick: QuickAnswers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.quick(scope, receive, send)

    async def by_routes(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)


def create_app(house: House, *, clock: Callable[[], datetime] = system_clock) -> FastAPI:
    """The whole HTTP face over ``house``; ``clock`` gives each request its time."""
    wired = Services.around(house, clock=clock)
    app = _Application(
        title="Dấu Số",
        version="1",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        docs_url=None,  # the bundled viewer loads scripts from a CDN
        redoc_url=None,
        servers=[{"url": house.settings.base_url}],
    )
    app.state.services = wired
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # FastAPI's own way to do it
    for router in ROUTERS:
        app.include_router(router)
    static = Path(__file__).parent / "pages" / "static"
    app.mount("/static", StaticFiles(directory=static), name="static")

    app.add_exception_handler(DomainError, _domain_error)
    app.add_exception_handler(SignInNeeded, to_sign_in)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)

    limit = house.settings.max_upload_bytes
    app.add_middleware(RequestSize, limit=lambda path: limit_for(path, limit))
    https = house.settings.base_url.startswith("https://")
    app.add_middleware(RequestRecord, metrics=wired.metrics, https=https, failed=_unexpected)
    app.quick = QuickAnswers(app.by_routes, services=wired, https=https)
    return app


def _domain_error(request: Request, error: Exception) -> Response:
    """A refusal: counted, audited when a known client asked for an act, told in both languages."""
    if not isinstance(error, DomainError):
        raise error
    wired = services(request)
    wired.metrics.refusals.labels(error.code).inc()
    person = getattr(request.state, "person", None)
    client_id = getattr(request.state, "client_id", None)
    by = person.by if person is not None else f"client:{client_id}" if client_id else None
    status = status_of(error)
    acting = request.method not in {"GET", "HEAD"} or status == 403
    if by is not None and acting and status < 500:
        _audit_refusal(request, error, by)
    headers = {}
    if status == 401:
        # RFC 6750 §3: say which scheme, and why when a token was sent.
        reason = ', error="invalid_token"' if error.code == "access-token-invalid" else ""
        headers["WWW-Authenticate"] = f'Bearer realm="dauso"{reason}'
    elif error.code == "scope-missing":
        scope = error.params.get("scope", "")
        headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{scope}"'
    return _shown(request, error, status, headers)


def _audit_refusal(request: Request, error: DomainError, by: str) -> None:
    """The refusal stands even when it cannot be written down (a full disk is often the reason)."""
    wired = services(request)
    route = getattr(request.scope.get("route"), "path", "")
    details = {"code": error.code, "route": route, "request": request.state.request_id}
    try:
        with wired.house.database.transaction() as session:
            audit.record(
                session,
                tag=Tag.REQUEST_REFUSED,
                by=by,
                subject=route,
                details=details,
                now=wired.clock(),
            )
    except DomainError as failure:
        log.error("refusal not audited", code=failure.code)


def _invalid_request(request: Request, error: Exception) -> Response:
    """422 with the place and the reason, never the value: it may be a PIN."""
    if not isinstance(error, RequestValidationError):
        raise error
    places: list[dict[str, Any]] = [
        {"where": ".".join(str(step) for step in one["loc"]), "reason": one["msg"]}
        for one in error.errors()
    ]
    if _for_a_browser(request):
        return _shown(request, ApiError("request-invalid-here"), 422, {})
    return problem(request, ApiError("request-invalid"), errors=places)


def _http_error(request: Request, error: Exception) -> Response:
    """The framework's own 404, 405 and the like, in our form."""
    if not isinstance(error, HTTPException):
        raise error
    known = {
        400: ApiError("body-malformed", expected="multipart/form-data, JSON"),
        404: ApiError("page-not-found"),
        405: ApiError("method-not-allowed", method=request.method),
    }
    refusal = known.get(error.status_code, ApiError("body-malformed", expected="HTTP"))
    return _shown(request, refusal, error.status_code, dict(error.headers or {}))


def _unexpected(request: Request, error: Exception) -> Response:
    """A defect of ours: it is in the log, and nothing of it goes to the caller."""
    del error
    request_id = request.state.request_id
    return _shown(request, ApiError("internal-error", request_id=request_id), 500, {})


def _shown(request: Request, error: DomainError, status: int, headers: dict[str, str]) -> Response:
    """A page for a person's browser, problem+json for everybody else."""
    if _for_a_browser(request):
        if request.url.path.startswith("/desk"):
            wired = services(request)
            recognise(request, wired, now=wired.clock())
        return problem_page(request, error, status=status, headers=headers)
    return problem(request, error, status=status, headers=headers)


def _for_a_browser(request: Request) -> bool:
    machine = request.url.path.startswith(("/api/", "/pki/", "/oauth2/", "/static/"))
    return not machine and "text/html" in request.headers.get("accept", "")
