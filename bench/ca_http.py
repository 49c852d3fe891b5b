"""The PKI endpoints over real HTTP: uvicorn serving the whole application in this process, the
load generator in another.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import uvicorn
from asn1crypto import tsp

from api.app import create_app
from api.first_run import prepare_home
from api.house import House
from api.request_log import configure
from api.settings import Settings
from bench.ca_world import ISSUER, BenchWorld
from bench.http_load import http_request, spawned
from bench.report import Report


@contextmanager
def served(world: BenchWorld) -> Iterator[int]:
    """The port under which this world's application answers."""
    settings = Settings(
        home=world.home,
        database_url=f"sqlite:///{world.home / 'dauso.sqlite'}",
        blobs=str(world.home / "blobs"),
        base_url=world.authority.base_url,
        log_level="ERROR",
    )
    house = House(settings)
    prepare_home(settings)
    configure(settings.log_level)
    # The parts this bench already opened; the rest opens when asked for.
    vars(house).update(database=world.database, token=world.token, authority=world.authority)
    # asyncio switches Nagle's delay off only where the protocol is named.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        config = uvicorn.Config(create_app(house), log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


def measure(
    report: Report,
    world: BenchWorld,
    keys: str,
    requests: list[bytes],
    raw: Callable[[float], float],
) -> None:
    """`requests` are OCSP requests without nonce; `raw` measures the rate of the time-stamp key
    for so many seconds."""
    path = f"/pki/ocsp/{ISSUER}"
    gets = [
        http_request("GET", f"{path}/{quote(base64.b64encode(each).decode(), safe='')}")
        for each in requests
    ]
    posts = [http_request("POST", path, each, "application/ocsp-request") for each in requests]
    stamps = [
        http_request("POST", "/pki/tsa", _stamp_request(), "application/timestamp-query")
        for _ in range(50)
    ]
    with served(world) as port:
        if keys == "p-256":
            for name, prepared in (("GET", gets), ("POST", posts)):
                spawned(port, prepared, seconds=0.1)  # every answer is signed now
                spent = time.process_time()
                answered = spawned(port, prepared, seconds=report.seconds * 2)
                spent = time.process_time() - spent
                report.add(
                    f"OCSP pre-signed over HTTP, {name}, one process",
                    answered,
                    "1/s",
                    limit=4_000,
                    peer="goal",
                    goal=1.0,
                )
                # What the same process would answer with a core of its own (at least: its warming
                # up is in the time and not in the answers).
                report.add(
                    f"OCSP pre-signed over HTTP, {name}, per second of the server's processor",
                    answered * report.seconds * 2 / spent,
                    "1/s",
                )
        # In turn: from one half minute to the next the same machine can be a third slower.
        rounds = [
            (raw(report.seconds / 2), spawned(port, stamps, seconds=report.seconds))
            for _ in range(report.rounds)
        ]
        report.add(
            f"time-stamps over HTTP ({keys})",
            statistics.median(answered for _, answered in rounds),
            "1/s",
            limit=statistics.median(alone for alone, _ in rounds),
            peer="raw signatures of the same key",
            goal=0.65 if keys == "rsa-2048" else None,
        )


def _stamp_request() -> bytes:
    encoded: bytes = tsp.TimeStampReq(
        {
            "version": "v1",
            "message_imprint": {
                "hash_algorithm": {"algorithm": "sha256"},
                "hashed_message": hashlib.sha256(secrets.token_bytes(8)).digest(),
            },
            "nonce": secrets.randbits(63),
            "cert_req": True,
        }
    ).dump()
    return encoded
