"""Fetching what strangers' certificates name: only public addresses, bounded, kept, counted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from api.adapters import guarded_fetch
from api.adapters.guarded_fetch import GuardedFetch
from ca.trust import TrustStore
from signer.trust.status_fetching import Fetched, FetchFailed, fetch_status
from tests.small_pki import SmallPki


class Server(ThreadingHTTPServer):
    """A real server on this machine that misbehaves on request."""

    daemon_threads = True
    asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
            return
        if self.path == "/drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            for _ in range(1_200):
                time.sleep(0.05)
                try:
                    self.wfile.write(b"x")
                except OSError:
                    return
            return
        self.send_response(404 if self.path == "/no" else 200)
        self.end_headers()
        self.wfile.write(b"x" * (5000 if self.path == "/large" else 5))

    def do_POST(self) -> None:
        self.server.asked += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers["Content-Type"].encode() + body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def code(act: Callable[[], object]) -> str:
    with pytest.raises(FetchFailed) as caught:
        act()
    return caught.value.code


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://0.0.0.0/",
        "http://10.1.2.3/ca.crl",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[fc00::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://[2002:7f00:1::]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "ftp://8.8.8.8/x",
        "file:///etc/passwd",
        "ldap://8.8.8.8/cn=x",
        "http://8.8.8.8:22/",
        "http://user:pin@8.8.8.8/",
        "http://8.8.8.8/a b",
        "http://[8.8.8.8/",
        "http:///x",
        "",
    ],
)
def test_no_address_of_ours_is_asked(url: str) -> None:
    """Issue: no private addresses; http(s) only. Nothing is connected to."""
    fetcher = GuardedFetch(seconds=1)
    assert code(lambda: fetcher.get(url, limit=100)) == "fetch-refused"
    assert fetcher.counts["fetch-refused"] == 1


def test_a_name_of_two_faces_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS that mixes a public with a private address; and what was checked is what is called."""

    def mixed(*_: object, **__: object) -> list[object]:
        return [(2, 1, 6, "", ("8.8.8.8", 80)), (2, 1, 6, "", ("127.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", mixed)
    assert code(lambda: GuardedFetch().get("http://crl.example.vn/", limit=9)) == "fetch-refused"
    called: list[object] = []

    def connect(address: object, _timeout: object) -> socket.socket:
        called.append(address)
        raise OSError("not today")

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: mixed()[:1])
    monkeypatch.setattr(guarded_fetch.socket, "create_connection", connect)
    assert code(lambda: GuardedFetch().get("http://crl.example.vn/", limit=9)) == "fetch-failed"
    assert called == [("8.8.8.8", 80)]


def test_bounds_and_memory(server: Server) -> None:
    """Size and time limits; answers and failures are kept; redirects looked at one by one."""
    fetcher = GuardedFetch(seconds=1, private_too=True)
    assert fetcher.get(f"{server.url}/a", limit=5) == b"xxxxx"
    assert fetcher.get(f"{server.url}/a", limit=5) == b"xxxxx"
    assert server.asked == 1
    answer = fetcher.post(f"{server.url}/o", b"?", "application/ocsp-request", limit=99)
    assert answer == b"application/ocsp-request?"
    assert code(lambda: fetcher.get(f"{server.url}/large", limit=4999)) == "fetch-too-large"
    for _ in range(2):
        assert code(lambda: fetcher.get(f"{server.url}/no", limit=9)) == "fetch-failed"
    began = time.monotonic()
    assert code(lambda: fetcher.get(f"{server.url}/drip", limit=9)) == "fetch-too-slow"
    assert time.monotonic() - began < 20
    assert fetcher.get(f"{server.url}/to//a", limit=6) == b"xxxxx"
    assert code(lambda: fetcher.get(f"{server.url}/to//to//to//to//a", limit=9)) == "fetch-failed"
    assert code(lambda: fetcher.get(f"{server.url}/to/file:///etc/hosts", limit=9)) == (
        "fetch-refused"
    )
    assert fetcher.counts["kept"] == 2


def test_a_redirect_inwards_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address is public, the second is not."""
    monkeypatch.setattr(
        guarded_fetch, "_public", lambda address: address != "127.0.0.2", raising=True
    )
    monkeypatch.setattr(guarded_fetch, "_PORTS", {"http": server.server_address[1]})
    fetcher = GuardedFetch(seconds=1)
    inward = f"{server.url}/to/http://127.0.0.2:{server.server_address[1]}/a"
    assert code(lambda: fetcher.get(inward, limit=9)) == "fetch-refused"
    assert server.asked == 1


def test_a_name_server_that_does_not_answer_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes a certificate may own the name in it and its name server: resolving counts
    against the time of the question, and no file asks for longer than its whole allowance."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: release.wait(60) and [])
    began = time.monotonic()
    fetch = GuardedFetch(seconds=0.2)
    assert code(lambda: fetch.get("http://slow.example/ca.crl", limit=10)) == "fetch-too-slow"
    assert time.monotonic() - began < 20
    release.set()


def test_all_questions_about_one_file_share_their_time() -> None:
    """Twenty-four slow answers in a row would keep a person waiting for minutes."""
    pki = SmallPki()
    late = Fetched(begun=time.monotonic() - 31)

    class Never:
        def get(self, url: str, *, limit: int) -> bytes:
            raise AssertionError(f"{url} was asked for, {limit}")

        def post(self, url: str, body: bytes, content_type: str, *, limit: int) -> bytes:
            raise AssertionError(f"{url} was asked for, {len(body)}, {content_type}, {limit}")

    trust = TrustStore((pki.root.certificate,), (pki.issuing.certificate,))
    found = fetch_status([pki.official.der], trust, Never(), found=late)
    assert (found.asked, found.revocation) == (0, [])
