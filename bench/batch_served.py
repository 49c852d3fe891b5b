"""A batch as a client meets it: `dauso serve` on its embedded default, documents over HTTP.

Also `python -m bench.batch_served [COUNT]` alone. The service is a process of its own, as are its
workers; what is measured is what the client's clock says.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.signer import paper

_ROOT = Path(__file__).parents[1]
PIN = "925817"
_FIRST_RUN = (
    "from datetime import UTC, datetime\n"
    "from api.first_run import create\n"
    "from api.settings import Settings\n"
    "if __name__ == '__main__':\n"
    "    create(Settings.from_environment(), now=datetime.now(UTC), by='operator:bench').close()\n"
)


@dataclass(frozen=True)
class Measured:
    """Documents per second: put in (inspected, on disk), and from the PIN to the last outcome."""

    uploaded: float
    signed: float
    outcomes: dict[str, int]


def measure(count: int, *, level: str = "B-B") -> Measured:
    """One batch of so many one-page documents, signed by an official with an RSA-2048 key."""
    documents = [paper.decision() + b"%% %d\n" % number for number in range(count)]
    with service() as (http, credential, _):
        made = http.post(
            "/api/v1/batches", json={"credential_id": credential, "how": {"level": level}}
        )
        place = f"/api/v1/batches/{made.raise_for_status().json()['id']}"
        began = time.perf_counter()
        for first in range(0, count, 100):
            files = [
                ("files", (f"{first + n}.pdf", data, "application/pdf"))
                for n, data in enumerate(documents[first : first + 100])
            ]
            http.post(f"{place}/documents", files=files).raise_for_status()
        uploaded = time.perf_counter() - began
        began = time.perf_counter()
        http.post(f"{place}/authorization", json={"pin": PIN}).raise_for_status()
        with http.stream("GET", f"{place}/events") as events:
            last = [line for line in events.iter_lines() if line.startswith("data: ")][-1]
        signed = time.perf_counter() - began
    return Measured(count / uploaded, count / signed, json.loads(last[6:])["counts"])


@contextmanager
def service(**settings: str) -> Iterator[tuple[httpx.Client, str, int]]:
    """A running `dauso serve`: a client with its token, an official's credential, its process."""
    with tempfile.TemporaryDirectory(prefix="dauso-batch-") as directory:
        folder = Path(directory)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DAUSO_")}
        environment = {**kept, "DAUSO_HOME": str(folder / "home"), "DAUSO_PORT": port}
        environment |= settings
        environment["PYTHONPATH"] = str(_ROOT)
        script, pin = folder / "first_run.py", folder / "pin"
        script.write_text(_FIRST_RUN)
        pin.write_text(PIN + "\n")
        pin.chmod(0o600)
        _run(environment, str(script))
        credential = _run(
            environment, "-m", "api.commands", "credentials", "official", "--name",
            "Nguyễn Thị Mẫu", "--citizen-id", "038800000001", "--unit", "14797", "--unit-name",
            "UBND phường Hạc Thành", "--pin-file", str(pin),
        ).strip()  # fmt: skip
        client = json.loads(
            _run(environment, "-m", "api.commands", "clients", "create", "bench", "--scope",
                 "sign", "--json")
        )  # fmt: skip
        server = subprocess.Popen(
            [sys.executable, "-m", "api.commands", "serve"],
            cwd=_ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("w"),
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as http:
                _wait(http)
                access = http.post(
                    "/oauth2/token",
                    data={"grant_type": "client_credentials", "scope": "sign"},
                    auth=("bench", client["client_secret"]),
                ).raise_for_status()
                http.headers["Authorization"] = f"Bearer {access.json()['access_token']}"
                yield http, credential, server.pid
        except httpx.HTTPError:
            sys.stderr.write((folder / "log").read_text()[-6000:])
            raise
        finally:
            server.terminate()
            server.wait(60)


def _wait(http: httpx.Client) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if http.get("/readyz").status_code == 200:
                return
        except httpx.ConnectError:
            time.sleep(0.1)
    raise TimeoutError("the service did not become ready")


def _run(environment: dict[str, str], *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


if __name__ == "__main__":
    print(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5000))
