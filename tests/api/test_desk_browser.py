"""Passkeys in a real browser with its own authenticator: sign in, and open a signing key (PRF)."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from api.app import create_app
from api.auth import accounts
from api.house import House
from tests.api.conftest import ONLY_SQLITE, house_of
from tests.api.people import person
from tests.certify.town_hall import DEMO, PIN, town_hall
from tests.world import World

CHROMIUM = shutil.which("chromium")
pytestmark = [
    ONLY_SQLITE,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
AUTHENTICATOR = {
    "protocol": "ctap2",
    "ctap2Version": "ctap2_1",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "hasPrf": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def house(world: World, tmp_path: Path) -> Iterator[House]:
    """Served at `localhost`: passkeys need a name and a secure context."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = house_of(world, tmp_path / "home", base_url=f"http://localhost:{port}")
    town_hall(world)
    app = create_app(made, clock=lambda: datetime.now(UTC))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield made
    server.should_exit = True
    thread.join(timeout=20)


def test_a_passkey_signs_in_and_signs(house: House) -> None:
    """Link, passkey, sign out, sign in, enrol it for the key, review a batch, approve it."""
    from playwright.sync_api import sync_playwright

    now = datetime.now(UTC)
    them = person(house, roles=["signer"], now=now)
    link = accounts.make_link(house.database, them.account_id, now=now, by="operator:test")
    address = house.settings.base_url
    said: list[str] = []

    def listen(message: Any) -> None:
        said.append(message.text)

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 390, "height": 844})
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", listen)
        page.on("pageerror", lambda error: said.append(str(error)))
        devices = context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})

        def fits() -> bool:
            return bool(page.evaluate("document.documentElement.scrollWidth") <= 390)

        page.goto(accounts.sign_in_address(address, link))
        page.click("main button")
        page.fill("#passkey-name", "Điện thoại")
        page.click("[data-passkey-button]")
        page.wait_for_selector("text=dùng để ký được")
        assert fits()
        page.click("text=Đăng xuất")
        page.click("[data-passkey-button]")
        page.wait_for_url("**/desk")
        page.goto(f"{address}/desk/certificates")
        page.click("a.ds-card")
        page.fill("#passkey-pin", PIN)
        page.click("[data-passkey-button]")
        page.wait_for_selector(".alert-success")
        assert fits()
        page.goto(f"{address}/desk/batches")
        page.set_input_files("#files", str(DEMO / "decision.pdf"))
        page.click("main button[type=submit]")
        page.wait_for_selector("img.ds-page")
        assert fits()
        page.uncheck(".ds-tick")
        page.wait_for_selector("#batch-chosen .ds-count:text-is('0')")
        page.check(".ds-tick")
        page.wait_for_selector("#batch-chosen .ds-count:text-is('1')")
        page.click("[data-passkey-button]")
        page.wait_for_selector("[data-follow]")
        browser.close()
    # The browser's own advice about password fields is not an error of the page.
    assert [one for one in said if "[DOM]" not in one] == []
