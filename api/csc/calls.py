"""One call of a method: who asks, in which version, with which parameters.

A method is a function from `Call` to `Reply`; the routes are made from tables of methods. Reading
a parameter either gives a value of the right type or refuses in the specification's words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.auth.guard import services
from api.csc.errors import CscRefusal, refusal, translated
from api.csc.one_time_codes import OneTimeCodes
from api.csc.outbox import Outbox, SpoolOutbox
from api.csc.tokens import Bearer, bearer_of
from api.services import Services
from api.settings import read_secret
from records import audit
from records.errors import DomainError
from records.tags import Tag

log = structlog.get_logger("dauso.csc")
_QUICK = 64 * 1024  # larger bodies are not parsed on the event loop


@dataclass(frozen=True)
class Remote:
    """What remote signing needs beside the services of the API; one per application."""

    wired: Services
    outbox: Outbox
    codes: OneTimeCodes

    @classmethod
    def around(cls, wired: Services, outbox: Outbox | None = None) -> Remote:
        settings = wired.house.settings
        outbox = outbox or SpoolOutbox(settings.home / "outbox")
        key = read_secret(settings.secrets / "access-token.pem")
        return cls(wired, outbox, OneTimeCodes(wired.house.database, outbox, secret=key))


def remote(request: Request) -> Remote:
    """The application's, made at first use."""
    state = request.app.state
    if not hasattr(state, "csc"):
        state.csc = Remote.around(services(request))
    made: Remote = state.csc
    return made


@dataclass(frozen=True)
class Reply:
    """What a method answers; 204 has no body. `afterwards` runs when the answer is on its way."""

    body: Mapping[str, Any] | None = None
    status: int = 200
    afterwards: BackgroundTask | None = None


class Parameters:
    """The JSON object of a request; `null` is an absent parameter (CSC API §7.1)."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = {name: value for name, value in given.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def text(self, name: str, *, longest: int = 4096) -> str:
        """A required string."""
        value = self._given.get(name)
        if not isinstance(value, str):
            raise CscRefusal("csc-parameter-missing", kind="string", name=name)
        if len(value) > longest or not is_text(value):
            raise CscRefusal("csc-parameter-invalid", name=name)
        return value

    def maybe(self, name: str, *, longest: int = 4096) -> str | None:
        """An optional string."""
        return self.text(name, longest=longest) if name in self._given else None

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self._given.get(name, default)
        if value not in choices:
            raise CscRefusal("csc-parameter-invalid", name=name)
        return str(value)

    def flag(self, name: str) -> bool:
        value = self._given.get(name, False)
        if not isinstance(value, bool):
            raise CscRefusal("csc-parameter-invalid", name=name)
        return value

    def number(self, name: str, default: int | None = None) -> int:
        value = self._given.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise CscRefusal("csc-parameter-missing", kind="integer", name=name)
        return value

    def texts(self, name: str) -> list[str]:
        """A required array of strings."""
        value = self._given.get(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise CscRefusal("csc-parameter-missing", kind="array", name=name)
        return value

    def objects(self, name: str) -> list[Parameters]:
        """An optional array of objects; absent is empty."""
        value = self._given.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise CscRefusal("csc-parameter-invalid", name=name)
        return [Parameters(one) for one in value]


@dataclass(frozen=True)
class Call:
    """A request to one method."""

    version: str
    given: Parameters
    remote: Remote
    now: datetime
    _bearer: Bearer | None = field(default=None, repr=False)

    @property
    def wired(self) -> Services:
        return self.remote.wired

    @property
    def bearer(self) -> Bearer:
        """Whoever calls; methods without one are `info` alone."""
        if self._bearer is None:
            raise CscRefusal("csc-authorization-malformed")
        return self._bearer

    @property
    def by(self) -> str:
        return self.bearer.client.by

    @property
    def hashes_name(self) -> str:
        """v2 speaks of `hashes` where v1 has `hash`."""
        return "hash" if self.version == "v1" else "hashes"

    @property
    def hash_algorithm_name(self) -> str:
        return "hashAlgo" if self.version == "v1" else "hashAlgorithmOID"


Method = Callable[[Call], Reply]


def is_text(value: str) -> bool:
    """Whether a string can be stored and shown: no NUL, no half of a surrogate pair."""
    return "\0" not in value and _encodable(value)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_bearer(request: Request, wired: Services, *, now: datetime) -> Bearer:
    """RFC 6750 §2.1; never from the address or the body, where logs would find it."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not value.strip():
        raise CscRefusal("csc-authorization-malformed")
    bearer = bearer_of(wired.house.database, value.strip(), now=now)
    request.state.client_id = bearer.client.client_id
    wired.rates.take("api", bearer.client.client_id)
    return bearer


async def read_json(request: Request) -> Mapping[str, Any]:
    """The body as a JSON object; an empty one counts as `{}`."""
    data = await request.body()
    if not data.strip():
        return {}
    try:
        if len(data) > _QUICK:
            read = await run_in_threadpool(json.loads, data, parse_constant=_no_such_number)
        else:
            read = json.loads(data, parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        raise CscRefusal("csc-body-malformed") from None
    if not isinstance(read, dict):
        raise CscRefusal("csc-body-malformed")
    return read


class CscRoute(APIRoute):
    """A route whose refusals are JSON in the words of the specification, counted and audited."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()
        version = "v1" if self.path.startswith("/csc/v1/") else "v2"

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except DomainError as error:
                await run_in_threadpool(_remember, request, error, self.path, version)
                return refusal(error, version=version)

        return handler


def _remember(request: Request, error: DomainError, route: str, version: str) -> None:
    """As the API does with its own refusals: the refusal stands even if this cannot be written."""
    wired = services(request)
    code = translated(error, version=version).code
    wired.metrics.refusals.labels(code).inc()
    client_id = getattr(request.state, "client_id", None)
    if client_id is None or code == "csc-still-working":
        return
    try:
        with wired.house.database.transaction() as session:
            audit.record(
                session,
                tag=Tag.REQUEST_REFUSED,
                by=f"client:{client_id}",
                subject=route,
                details={"code": error.code, "route": route, "request": request.state.request_id},
                now=wired.clock(),
            )
    except DomainError as failure:
        log.error("refusal not audited", code=failure.code)


def _no_such_number(text: str) -> float:
    raise ValueError(text)  # NaN and Infinity are not JSON
