"""How large a request may be: counted while it streams in, never after it was stored.

A declared Content-Length is refused at once; a body that grows past its limit is cut there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request

from api.errors import ApiError, problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALL = 64 * 1024
# A thousand hashes in Base64 with what surrounds them (remote signing).
HASHES = 256 * 1024
# What surrounds an uploaded file in a multipart form: boundaries, names and the other fields.
FORM_ALLOWANCE = 64 * 1024


def limit_for(path: str, max_upload_bytes: int) -> int:
    """Protocol requests are small; only the API and the verification page take files."""
    if path.startswith("/api/v1/siva/") or path == "/csc/v2/signatures/signDoc":
        return max_upload_bytes * 4 // 3 + FORM_ALLOWANCE  # Base64
    if path.startswith(("/api/v1/", "/verify", "/desk/")):
        return max_upload_bytes + FORM_ALLOWANCE
    if path.startswith("/csc/v"):
        return HASHES
    return SMALL


class RequestTooLarge(Exception):  # a signal inside this middleware, not an error
    """Stops the reader of a body that has passed its limit."""


class RequestSize:
    """ASGI middleware: 413 as problem+json, whatever the framework makes of the cut body."""

    def __init__(self, app: ASGIApp, *, limit: Callable[[str], int]) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await self._refuse(scope, receive, send, limit)
            return
        received = 0
        exceeded = False
        started = False

        async def counted() -> Message:
            nonlocal received, exceeded
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > limit:
                    exceeded = True
                    raise RequestTooLarge
            return message

        async def answered(message: Message) -> None:
            nonlocal started
            if exceeded and not started:
                return  # the framework's own idea of what went wrong; ours follows below
            started = True
            await send(message)

        try:
            await self._app(scope, counted, answered)
        except Exception:
            if not exceeded:
                raise
        if exceeded and not started:
            await self._refuse(scope, receive, send, limit)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        megabytes = f"{limit / 1024 / 1024:.1f}"
        error = ApiError("body-too-large", limit=megabytes)
        response = problem(Request(scope), error, headers={"Connection": "close"})
        await response(scope, receive, send)
