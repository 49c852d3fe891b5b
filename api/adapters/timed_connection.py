"""HTTP exchanges that end in time, whatever the other side does.

    status = exchange("POST", url, body, headers, seconds=10)

A time-out of a socket counts from octet to octet: a server that drips one now and then would hold
the caller for ever. Here one watch stands over the whole exchange and cuts the connection.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit


class TimedConnection(http.client.HTTPConnection):
    """To one address, in the name of one host."""

    def __init__(self, host: str, port: int, address: str, seconds: float, *, secure: bool) -> None:
        super().__init__(host, port, timeout=seconds)
        self._address = address
        self._secure = secure
        self.was_cut = False

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._secure:
            context = ssl.create_default_context()
            wrapped = context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock = wrapped  # before the handshake, which may drip too
            wrapped.do_handshake()

    @contextmanager
    def watched(self, seconds: float) -> Iterator[None]:
        """Cut when the time is over, and closed in any case."""
        watch = threading.Timer(seconds, self.cut)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()
            self.close()

    def cut(self) -> None:
        """End it from outside, whatever it waits for."""
        self.was_cut = True
        connected = self.sock
        if connected is not None:
            try:
                connected.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


def exchange(
    method: str, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float
) -> int:
    """Send, and return the status of the answer; nobody reads what else it says.

    Raises OSError or `http.client.HTTPException`; ValueError for an address that is none.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    connection = TimedConnection(host, port, host, seconds, secure=secure)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with connection.watched(seconds):
        connection.request(method, path, body=body, headers=dict(headers))
        status = connection.getresponse().status
    if connection.was_cut:  # what came until then looks like an answer that has ended
        raise TimeoutError
    return status
