"""A population registry that is a real server: `python -m tests.registry_simulator 8089`.

    with running({"038800000001": Person("Nguyễn Thị Mẫu", "1980-09-02")}) as registry:
        registry.url            # http://127.0.0.1:…
        registry.down = True    # answers 503 from now on

It knows the people it is given; names are compared without regard to case, spaces and the way
their letters are composed, as the real one is said to do. (Its interface is our own assumption:
the real one is reached through the national data exchange platform.)
"""

from __future__ import annotations

import json
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Person:
    name: str
    born: str = ""
    deceased: bool = False


@dataclass
class Registry:
    """What the server knows and how it behaves; changed while it runs."""

    people: dict[str, Person]
    url: str = ""
    token: str = "registry-secret"
    down: bool = False
    failures: int = 0
    """So many requests more are answered with 503."""
    raw: bytes | None = None
    """Answered instead of a true answer."""
    pause: float = 0.0
    """Seconds between the bytes of an answer."""
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, claim: dict[str, str]) -> dict[str, Any]:
        self.asked.append(claim)
        person = self.people.get(claim.get("citizen_id", ""))
        if person is None:
            return {"outcome": "unknown", "differs": [], "reference": "r-0"}
        if person.deceased:
            return {"outcome": "deceased", "differs": [], "reference": "r-1"}
        differs = []
        if _plain(claim.get("name", "")) != _plain(person.name):
            differs.append("name")
        if claim.get("born") and person.born and claim["born"] != person.born:
            differs.append("born")
        outcome = "mismatch" if differs else "match"
        return {"outcome": outcome, "differs": differs, "reference": f"r-{len(self.asked)}"}


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if registry.down or registry.failures > 0:
                registry.failures -= 1
                self._say(503, b"", {"Retry-After": "9"})
            elif self.headers.get("Authorization") != f"Bearer {registry.token}":
                self._say(401, b"")
            elif self.path != "/identity-checks":
                self._say(404, b"")
            elif registry.raw is not None:
                self._say(200, registry.raw)
            else:
                claims = json.loads(body)["claims"]
                answers = [registry.answer(claim) for claim in claims]
                self._say(200, json.dumps({"answers": answers}).encode())

        def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if not registry.pause:
                self.wfile.write(body)
                return
            with suppress(OSError):
                for octet in body:
                    self.wfile.write(bytes([octet]))
                    time.sleep(registry.pause)

        def log_message(self, *_: object) -> None:
            """Quiet: what it would print names people."""

    return Handler


@contextmanager
def running(people: dict[str, Person], port: int = 0) -> Iterator[Registry]:
    """The server on this machine, while the block lasts."""
    registry = Registry(dict(people))
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(registry))
    registry.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


if __name__ == "__main__":
    MAU = {"038812345678": Person("Nguyễn Thị Mẫu", "1980-09-02")}
    with running(MAU, int(sys.argv[1]) if len(sys.argv) > 1 else 8089) as made:
        sys.stdout.write(f"{made.url} token {made.token}\n")
        sys.stdout.flush()
        threading.Event().wait()
