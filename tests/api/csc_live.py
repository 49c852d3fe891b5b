"""The application behind a real socket, for clients and browsers that nobody here wrote."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from api.app import create_app
from tests.api.conftest import Service, house_of
from tests.world import World


@dataclass
class Live:
    """A running server and its address."""

    service: Service
    url: str


class _Http:
    """The few words of a test client that `App` uses, over a real connection."""

    def __init__(self, url: str, app: Any) -> None:
        self._client = httpx.Client(base_url=url, timeout=60)
        self.app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def live(world: World, tmp_path: Path) -> Iterator[Live]:
    """uvicorn in a thread, on a port that was free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    house = house_of(world, tmp_path / "home")
    application = create_app(house, clock=lambda: datetime.now(UTC))
    server = uvicorn.Server(
        uvicorn.Config(application, host="127.0.0.1", port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    url = f"http://127.0.0.1:{port}"
    http: Any = _Http(url, application)
    yield Live(Service(http=http, house=house, world=world, now=datetime.now(UTC)), url)
    http.close()
    server.should_exit = True
    thread.join(timeout=20)
