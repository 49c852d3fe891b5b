"""A system on the other side, as a real server: takes webhooks and plays the national store.

    with running() as other:
        other.url           # http://127.0.0.1:…
        other.failures = 2  # the next two requests are answered with 503
        other.taken         # (method, path, headers, JSON)

`python -m tests.receiver_simulator 8090` runs it by itself. The national store's interface is our
own reading (PUT /documents/{code}): the real one is reached through the data exchange platform.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Taken:
    """One request that was answered with success."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Other:
    url: str = ""
    failures: int = 0
    taken: list[Taken] = field(default_factory=list)


def _handler(other: Other) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status = 204
            if other.failures > 0:
                other.failures -= 1
                status = 503
            else:
                headers = {name.lower(): value for name, value in self.headers.items()}
                other.taken.append(Taken(self.command, self.path, headers, body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST

        def log_message(self, *_: object) -> None:
            """Quiet: what it would print names people."""

    return Handler


@contextmanager
def running(port: int = 0) -> Iterator[Other]:
    """The server on this machine, while the block lasts."""
    other = Other()
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(other))
    other.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield other
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


if __name__ == "__main__":
    with running(int(sys.argv[1]) if len(sys.argv) > 1 else 8090) as made:
        sys.stdout.write(f"{made.url}\n")
        sys.stdout.flush()
        threading.Event().wait()
