"""What every request leaves behind: an id, one JSON log line, metrics and security headers.

The log holds the route's template, never the address with its codes and identifiers, and never
a header or a body: nothing secret and nothing personal can get into it.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("dauso.http")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
}


def security_headers(https: bool) -> dict[str, str]:
    """What every answer carries; over https also that it stays https."""
    headers = dict(SECURITY_HEADERS)
    if https:
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return headers


def configure(level: str) -> None:
    """JSON lines on standard error, for our events and the libraries' alike. Called by serve."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Libraries tell a story of their own at INFO; ours is one line per request.
    for name in ("pyhanko", "pyhanko_certvalidator", "alembic", "fontTools", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


class Metrics:
    """The figures of one application; a registry of its own, so that tests do not share it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter(
            "dauso_http_requests", "Requests answered", labels, registry=self.registry
        )
        self.seconds = Histogram(
            "dauso_http_request_seconds",
            "Time to answer a request",
            ("route",),
            registry=self.registry,
            buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30),
        )
        self.refusals = Counter(
            "dauso_refusals", "Requests refused, by code", ("code",), registry=self.registry
        )
        self.crl_next_update = Gauge(
            "dauso_crl_next_update_timestamp_seconds",
            "When the current CRL stops being fresh",
            ("issuer",),
            registry=self.registry,
        )
        self.work_runs = Counter(
            "dauso_scheduled_work",
            "Scheduled work, by task and outcome",
            ("task", "outcome"),
            registry=self.registry,
        )


class RequestRecord:
    """ASGI middleware, outermost: whatever happens inside, the record is made."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        https: bool,
        failed: Callable[[Request, Exception], Response],
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._failed = failed
        self._headers = security_headers(https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        offered = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = offered if _REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        begun = False
        status = 500

        async def completed(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                begun, status = True, message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, completed)
        except Exception as error:
            log.error("unexpected error", request_id=request_id, exc_info=error)
            if begun:
                raise
            await self._failed(Request(scope), error)(scope, receive, completed)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", None) or "(none)"
            self._metrics.requests.labels(scope["method"], route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            # state is where the guard leaves the client's name
            client = scope.get("state", {}).get("client_id")
            log.info(
                "request",
                request_id=request_id,
                method=scope["method"],
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 1),
                client=client,
            )
