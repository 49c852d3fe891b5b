"""HTTP to addresses that strangers' certificates name, guarded: `trust.status_fetching.Fetcher`.

    fetcher = GuardedFetch(seconds=10)
    fetcher.get("http://crl.example.vn/ca.crl", limit=1 << 20)

A certificate may name any address, so this asks only what is public: the name is resolved, every
address must be global (no private, loopback, link-local, multicast or reserved one), and the
connection goes to the address that was checked; each redirect is looked at anew. http and https on
their own ports, bounded size and time, answers kept for a while, failures too. Everything is
counted. docs/decisions/0231: it is off unless DAUSO_FETCH says on.
"""

from __future__ import annotations

import collections
import hashlib
import http.client
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from api.adapters.timed_connection import TimedConnection
from signer.trust.status_fetching import FetchFailed

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 3
_CHUNK = 64 << 10
_PORTS = {"http": 80, "https": 443}
_MOST_KEPT = 256
_LARGEST_KEPT = 64 << 20
_FAILURE_KEPT = 60.0


@dataclass(frozen=True)
class _Kept:
    until: float
    data: bytes | None
    code: str = ""


class GuardedFetch:
    """Safe to share between threads. `counts` says how often what happened."""

    def __init__(
        self,
        *,
        seconds: float = 10.0,
        keep_seconds: float = 600.0,
        private_too: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`private_too` lets addresses of this machine and network pass: for tests alone."""
        self._seconds, self._keep = seconds, keep_seconds
        self._private_too, self._clock = private_too, clock
        self._kept: collections.OrderedDict[bytes, _Kept] = collections.OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        self.counts: collections.Counter[str] = collections.Counter()

    def get(self, url: str, *, limit: int) -> bytes:
        """Raises FetchFailed: `fetch-refused`, -failed, -too-slow, -too-large."""
        return self._remembered(url, None, "", limit)

    def post(self, url: str, body: bytes, content_type: str, *, limit: int) -> bytes:
        """The same for a request with a body: OCSP."""
        return self._remembered(url, body, content_type, limit)

    def _remembered(self, url: str, body: bytes | None, kind: str, limit: int) -> bytes:
        key = hashlib.sha256(b"\0".join((url.encode(), body or b"", b"%d" % limit))).digest()
        with self._lock:
            known = self._kept.get(key)
            if known is not None and known.until > self._clock():
                self.counts["kept"] += 1
                if known.data is None:
                    raise FetchFailed(known.code, address=_shown(url), why="kept")
                return known.data
        try:
            data = self._fetch(url, body, kind, limit)
        except FetchFailed as error:
            self._put(key, _Kept(self._clock() + _FAILURE_KEPT, None, error.code))
            self.counts[error.code] += 1
            raise
        self._put(key, _Kept(self._clock() + self._keep, data))
        self.counts["fetched"] += 1
        return data

    def _put(self, key: bytes, kept: _Kept) -> None:
        with self._lock:
            before = self._kept.pop(key, None)
            self._size -= len(before.data or b"") if before else 0
            self._kept[key] = kept
            self._size += len(kept.data or b"")
            while len(self._kept) > _MOST_KEPT or self._size > _LARGEST_KEPT:
                _key, oldest = self._kept.popitem(last=False)
                self._size -= len(oldest.data or b"")

    def _fetch(self, url: str, body: bytes | None, kind: str, limit: int) -> bytes:
        deadline = time.monotonic() + self._seconds
        for _ in range(_MOST_REDIRECTS + 1):
            parts, host, port = self._checked(url)
            address = self._resolved(host, port, url, deadline)
            left = deadline - time.monotonic()
            if left <= 0:
                raise FetchFailed("fetch-too-slow", address=_shown(url))
            connection = TimedConnection(host, port, address, left, secure=parts.scheme == "https")
            try:
                with connection.watched(left):
                    answer = self._exchange(connection, parts, body, kind, limit, url)
            except FetchFailed:
                raise
            except (OSError, http.client.HTTPException, ValueError) as error:
                if time.monotonic() >= deadline:
                    raise FetchFailed("fetch-too-slow", address=_shown(url)) from None
                why = type(error).__name__
                raise FetchFailed("fetch-failed", address=_shown(url), why=why) from None
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer.location)
        raise FetchFailed("fetch-failed", address=_shown(url), why="redirects")

    def _exchange(
        self,
        connection: TimedConnection,
        parts: SplitResult,
        body: bytes | None,
        kind: str,
        limit: int,
        url: str,
    ) -> bytes | _Redirect:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"User-Agent": "dauso", "Accept": "*/*"}
        if body is not None:
            headers["Content-Type"] = kind
        connection.request("GET" if body is None else "POST", path, body=body, headers=headers)
        response = connection.getresponse()
        if response.status in _REDIRECTS and response.headers.get("Location"):
            return _Redirect(str(response.headers["Location"]))
        if response.status != http.client.OK:
            raise FetchFailed("fetch-failed", address=_shown(url), why=str(response.status))
        found = bytearray()
        while part := response.read(_CHUNK):
            found += part
            if len(found) > limit:
                raise FetchFailed("fetch-too-large", address=_shown(url))
        if connection.was_cut:
            raise FetchFailed("fetch-too-slow", address=_shown(url))
        return bytes(found)

    def _checked(self, url: str) -> tuple[SplitResult, str, int]:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise FetchFailed("fetch-refused", address=_shown(url)) from None
        plain = url.isascii() and not any(one <= " " or one == "\x7f" for one in url)
        known = _PORTS.get(parts.scheme)
        if known is None or not host or parts.username or parts.password or not plain:
            raise FetchFailed("fetch-refused", address=_shown(url))
        if port not in (None, known) and not self._private_too:
            raise FetchFailed("fetch-refused", address=_shown(url))
        return parts, host, port or known

    def _resolved(self, host: str, port: int, url: str, deadline: float) -> str:
        """The address to connect to. One that is not public among them spoils the whole name."""
        addresses = _addresses(host, port, max(0.0, deadline - time.monotonic()))
        if addresses is None:
            raise FetchFailed("fetch-too-slow", address=_shown(url))
        if not addresses:
            raise FetchFailed("fetch-failed", address=_shown(url), why="name")
        if not (self._private_too or all(map(_public, addresses))):
            raise FetchFailed("fetch-refused", address=_shown(url))
        return addresses[0]


@dataclass(frozen=True)
class _Redirect:
    location: str


def _addresses(host: str, port: int, seconds: float) -> list[str] | None:
    """What a name resolves to; None when it takes too long.

    Whoever owns the name may also own its name server, and the resolver takes no time limit.
    """
    found: list[str] = []

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(str(row[4][0]) for row in rows))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return None if asking.is_alive() else found


def _public(address: str) -> bool:
    """Global unicast; what hides a private IPv4 address in an IPv6 one is looked through."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is not None:
            return False
        if found in ipaddress.IPv6Network("64:ff9b::/96"):
            return _public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast and not found.is_reserved


def _shown(url: str) -> str:
    """Without what may be secret in it."""
    return url.partition("?")[0][:200]
