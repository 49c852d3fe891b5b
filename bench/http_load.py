"""A load generator small enough not to be what is measured: one process, one loop, kept
connections, requests prepared as bytes.

    answered = per_second(port, [request, …], seconds=2.0)

It runs in a process of its own (`spawned`), so that it does not share the server's interpreter.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from tempfile import NamedTemporaryFile

_SEPARATOR = b"\n--next--\n"


def http_request(method: str, path: str, body: bytes = b"", content_type: str = "") -> bytes:
    """HTTP/1.1 with a kept connection."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body:
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def spawned(port: int, requests: Sequence[bytes], *, seconds: float, connections: int = 8) -> float:
    """Answers per second; raises RuntimeError when one of them is not a 200."""
    with NamedTemporaryFile() as file:
        file.write(_SEPARATOR.join(requests))
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "bench.http_load", str(port), file.name, str(seconds),
             str(connections)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parent.parent,
        )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or done.stdout)
    return float(done.stdout)


def per_second(
    port: int, requests: Sequence[bytes], seconds: float, connections: int, *, least: int = 0
) -> float:
    """Keep `connections` requests in flight for so long, and until `least` are answered."""
    selector = selectors.DefaultSelector()
    following = cycle(requests)
    lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for line in lines:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(line, selectors.EVENT_READ, (line, bytearray()))
        line.sendall(next(following))
    answered, began = 0, time.perf_counter()
    until = began + seconds
    while (now := time.perf_counter()) < until or answered < least:
        for ready, _ in selector.select(0.1):
            line, received = ready.data
            received += line.recv(65536)
            head = received.find(b"\r\n\r\n")
            if head < 0 or len(received) < head + 4 + _length(received[:head]):
                continue
            if not received.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(bytes(received[:200]).decode(errors="replace"))
            received.clear()
            answered += 1
            line.sendall(next(following))
    for line in lines:
        line.close()
    return answered / (now - began)


def _length(head: bytearray) -> int:
    at = head.lower().index(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0])


if __name__ == "__main__":
    port_, path_, seconds_, connections_ = sys.argv[1:]
    prepared = Path(path_).read_bytes().split(_SEPARATOR)
    # Warm up: what a server remembers, it remembers after the first time.
    per_second(int(port_), prepared, 0.2, int(connections_), least=2 * len(prepared))
    print(per_second(int(port_), prepared, float(seconds_), int(connections_)))
