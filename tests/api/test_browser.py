"""The verification page in a real browser, under its own content security policy."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import DEMO

CHROMIUM = shutil.which("chromium")
pytestmark = [
    ONLY_SQLITE,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.fixture
def address(service: Service) -> Iterator[str]:
    config = uvicorn.Config(service.http.app, port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("width", [360, 1280])
def test_verify_by_file(address: str, width: int, tmp_path: Path) -> None:
    """The report comes in place through htmx; no script error, nothing blocked, no side-scroll."""
    from playwright.sync_api import sync_playwright

    said: list[str] = []

    def listen(message: Any) -> None:
        said.append(message.text)

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("console", listen)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{address}/verify")
        page.set_input_files("#file", str(DEMO / "decision.pdf"))
        page.click("button[type=submit]")
        page.wait_for_selector(".ds-verdict", timeout=60_000)
        assert page.inner_text(".ds-words") == "Chưa đủ căn cứ"
        assert page.url == f"{address}/verify"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.goto(f"{address}/v/K7QF-2M9X-H4TB-0DVW-C6RE")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    # The 404 of the unknown code is the browser's own remark, not an error of the page.
    assert [one for one in said if "404" not in one] == []
