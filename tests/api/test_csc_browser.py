"""The consent page in a real browser: Chromium holds to the Content-Security-Policy, tests do not.

Without `form-action` naming the client's origin, Chromium stops the redirect that ends the flow.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hsm.mechanisms import KeyAlgorithm
from tests.api.conftest import ONLY_SQLITE
from tests.api.csc_client import App, digest
from tests.api.csc_client import quick_keys as quick_keys  # fixtures
from tests.api.csc_live import Live
from tests.api.csc_live import live as live
from tests.certify.town_hall import SEAL_PIN, town_hall

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    ONLY_SQLITE,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


class Callback(BaseHTTPRequestHandler):
    """The client's own page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"back at the application")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def callback() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Callback)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/cb"
    server.shutdown()


def test_consent_in_chromium(live: Live, quick_keys: None, callback: str, tmp_path: Path) -> None:
    """The holder reads, gives the PIN, and is back at the application with a code."""
    hall = town_hall(live.service.world, KeyAlgorithm.RSA_2048)
    app = App(live.service, "browser-app", explicit=False, back=callback)
    page_url = live.url + app.page(**app.for_hashes(hall.seal.id, digest()))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 1000})
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text))
        page.goto(page_url)
        assert digest().hex() in page.content()
        page.screenshot(path=os.environ.get("CONSENT_PICTURE", str(tmp_path / "consent.png")))
        page.fill("#pin", "000111")
        page.keyboard.press("Enter")  # Enter approves
        page.wait_for_selector("[role=alert]")
        page.fill("#pin", SEAL_PIN)
        page.keyboard.press("Enter")
        page.wait_for_url(callback + "*")
        assert "back at the application" in page.content()
        address = page.url
        browser.close()
    # the wrong PIN is a 400; nothing that the policy stopped
    assert [one for one in complaints if "400 (Bad Request)" not in one] == []
    code = address.partition("code=")[2].partition("&")[0]
    assert app.exchange(code).status_code == 200
