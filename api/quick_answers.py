"""OCSP answers and time-stamps without the framework: what is asked thousands of times a second.

A validator's OCSP request is answered from memory or with one signature, as is a time-stamp;
routing, dependencies and the log line of an ordinary request would cost several times
what the answer does. This layer lies around the whole application and takes only the plain cases:

- OCSP by GET or POST whose answer is remembered (`Responder.remembered`: no database, no token);
- OCSP by POST that was asked before but for its nonce: one signature, on the token's own thread;
- a time-stamp request of ordinary size: the same (`api.token_queue`).

Everything else (another method, a condition, an odd content type, an answer that has to be signed)
goes on to the routes in `api/routes/pki.py`, which say the same. Requests taken here count in the
figures of `/metrics` and carry the same headers; they leave no log line, as what is asked of a
public responder is nobody's business (docs/decisions/0104).
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Any

from api.request_log import Metrics, security_headers
from api.routes.pki import OCSP_MAX_AGE, OCSP_RESPONSE, cache_headers
from api.token_queue import TokenQueue
from ca.der import MalformedDer
from ca.status.ocsp import OcspReply, decode_get
from ca.status.ocsp_request import MAX_REQUEST

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.services import Services
    from ca.time.tsa import TimeStampAuthority

OCSP_PATH = "/pki/ocsp/"
TSA_PATH = "/pki/tsa"
_NOT_PLAIN = frozenset(
    {b"if-none-match", b"if-modified-since", b"x-request-id", b"transfer-encoding"}
)
_STAMPING = 2
Headers = list[tuple[bytes, bytes]]


class QuickAnswers:
    """ASGI middleware around everything; one per application."""

    def __init__(self, app: ASGIApp, *, services: Services, https: bool) -> None:
        self._app = app
        self._services = services
        self._constant = [
            (name.lower().encode(), value.encode())
            for name, value in security_headers(https).items()
        ]
        self._figures = _Figures(services.metrics)
        # Unlike any other process's; drawing each anew would hand the interpreter over each time.
        self._prefix = os.urandom(8).hex().encode()
        self._numbers = count()
        self._queue = TokenQueue(lambda: services.house.token)
        self._tsa: TimeStampAuthority | None = None
        # For the time-stamp now and then that needs more than the token.
        self._stamping = ThreadPoolExecutor(_STAMPING, "time-stamps")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith(OCSP_PATH):
                return await self._ocsp(scope, receive, send, path)
            if path == TSA_PATH and scope["method"] == "POST":
                return await self._time_stamp(scope, receive, send)
        return await self._app(scope, receive, send)

    async def _ocsp(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        issuer, _, encoded = path[len(OCSP_PATH) :].partition("/")
        kind = _content_type(scope["headers"])
        if kind is None:
            return await self._app(scope, receive, send)
        started = perf_counter()
        now = self._services.clock()
        if scope["method"] == "GET" and encoded:
            asked = _decoded(encoded)
            reply = self._remembered(asked, issuer, now)
            if reply is None or not reply.max_age(now):
                return await self._app(scope, receive, send)
            headers = _cacheable(reply, now)
        elif scope["method"] == "POST" and not encoded and kind == b"application/ocsp-request":
            message = await receive()
            again = _Again(message, receive)
            if message["type"] != "http.request" or message.get("more_body"):
                return await self._app(scope, again, send)
            body = message.get("body", b"")
            reply = self._remembered(body, issuer, now)
            if reply is None and self._services.house.responder.knows(body, issuer=issuer):
                reply = await self._queue.run(partial(self._signed, body, issuer))
            if reply is None:
                return await self._app(scope, again, send)
            headers = [(b"cache-control", b"no-store")]
        else:
            return await self._app(scope, receive, send)
        await self._send(send, reply.der, OCSP_RESPONSE.encode(), headers)
        self._figures.count(scope["method"], OCSP_PATH, perf_counter() - started)
        return None

    async def _time_stamp(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _content_type(scope["headers"]) != b"application/timestamp-query":
            return await self._app(scope, receive, send)
        started = perf_counter()
        message = await receive()
        body = message.get("body", b"")
        if message["type"] != "http.request" or message.get("more_body") or len(body) > MAX_REQUEST:
            return await self._app(scope, _Again(message, receive), send)
        try:
            reply = None
            if self._tsa is not None:
                reply = await self._queue.run(partial(self._stamp_at_once, body))
            if reply is None:
                loop = asyncio.get_running_loop()
                reply = await loop.run_in_executor(self._stamping, self._stamp, body)
        except Exception:  # refused or broken: the route asks again, and says so in our one form
            return await self._app(scope, _Again(message, receive), send)
        headers = [(b"cache-control", b"no-store")]
        await self._send(send, reply, b"application/timestamp-reply", headers)
        self._figures.count("POST", TSA_PATH, perf_counter() - started)
        return None

    def _stamp_at_once(self, body: bytes) -> bytes | None:
        """On the token's thread, where nobody may wait for a time server or a table."""
        now, tsa = self._services.clock(), self._tsa
        return tsa.respond(body, now=now) if tsa and tsa.needs_only_the_token(now) else None

    def _stamp(self, body: bytes) -> bytes:
        # The time is taken when the work begins, not when the request began to wait.
        self._tsa = self._services.house.tsa
        return self._tsa.respond(body, now=self._services.clock())

    def _remembered(self, request: bytes, issuer: str, now: datetime) -> OcspReply | None:
        if not request or len(request) > MAX_REQUEST:
            return None
        return self._services.house.responder.remembered(request, issuer=issuer, now=now)

    def _signed(self, request: bytes, issuer: str) -> OcspReply | None:
        """On the token's thread. The time is that of the signature, not of the wait for it."""
        now = self._services.clock()
        return self._services.house.responder.signed(request, issuer=issuer, now=now)

    async def _send(self, send: Send, body: bytes, media_type: bytes, headers: Headers) -> None:
        start: Message = {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", media_type),
                (b"content-length", b"%d" % len(body)),
                (b"x-request-id", b"%b%016x" % (self._prefix, next(self._numbers))),
                *headers,
                *self._constant,
            ],
        }
        await send(start)
        await send({"type": "http.response.body", "body": body})


@dataclass
class _Again:
    """A receive channel that gives the message already read once more, then the rest."""

    first: Message | None
    rest: Receive

    async def __call__(self) -> Message:
        if self.first is not None:
            message, self.first = self.first, None
            return message
        return await self.rest()


class _Figures:
    """The same counters as for every other request, their labels looked up once."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._known: dict[tuple[str, str], tuple[Any, Any]] = {}

    def count(self, method: str, route: str, seconds: float) -> None:
        pair = self._known.get((method, route))
        if pair is None:
            pair = self._known[method, route] = (
                self._metrics.requests.labels(method, route, "200"),
                self._metrics.seconds.labels(route),
            )
        pair[0].inc()
        pair[1].observe(seconds)


def _content_type(headers: Headers) -> bytes | None:
    """The content type (empty when there is none), or None for a request that is not plain."""
    found = b""
    for name, value in headers:
        if name == b"content-type":
            found = value.partition(b";")[0].strip().lower()
        elif name in _NOT_PLAIN:
            return None
    return found


@lru_cache(maxsize=8192)
def _decoded(encoded: str) -> bytes:
    try:
        return decode_get(encoded)
    except MalformedDer:
        return b""


def _cacheable(reply: OcspReply, now: datetime) -> Headers:
    """RFC 5019 §6.2, as `api.routes.pki` writes them; they change once a second at most."""
    assert reply.answer is not None
    seconds = min(timedelta(seconds=reply.max_age(now)), OCSP_MAX_AGE)
    moment = datetime.fromtimestamp(int(now.timestamp()), UTC)
    return _encoded(reply.der, reply.answer.this_update, moment, int(seconds.total_seconds()))


@lru_cache(maxsize=8192)
def _encoded(der: bytes, modified: datetime, now: datetime, seconds: int) -> Headers:
    expires = now + timedelta(seconds=seconds)
    headers = cache_headers(der, modified=modified, expires=expires, now=now)
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
