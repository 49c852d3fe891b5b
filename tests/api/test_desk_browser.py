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
from api.auth.people import Person
from api.house import House
from signer.routing import delegations, routed_documents, steps
from signer.routing.routed_documents import Actor, RoutedDocument
from signer.routing.step_routes import PlannedStep, StepKind
from signer.verdicts.validation import validate
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


def waiting_for(house: House, signer: Person, *, now: datetime) -> RoutedDocument:
    """A notice whose turn is this person's, who signs it for the chairman."""
    assert signer.unit is not None
    delegations.give(
        house.desk, unit=signer.unit, holder_id=signer.holder_id, name=signer.name,
        authority_lines=("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"), basis="QĐ 01", now=now, by="official:a",
    )  # fmt: skip
    submission = steps.Submission(
        unit=signer.unit, title="Thông báo tiếp nhận", kind="TB", symbol="TB-UBND", name="tb.pdf",
        drafter="CCCD:038900000009",
        steps=(PlannedStep(StepKind.SIGNATURE, signer.unit, signer.holder_id),),
    )  # fmt: skip
    drafter = Actor("official:038900000009", "CCCD:038900000009", unit=signer.unit)
    draft = (DEMO / "draft.pdf").read_bytes()
    return steps.submit(house.desk, draft, submission, actor=drafter, now=now)


def test_a_passkey_signs_in_and_signs(house: House) -> None:
    """Link, passkey, sign out, sign in, enrol it for the key; with it a document on its route is
    signed, then a batch is reviewed and approved."""
    from playwright.sync_api import sync_playwright

    now = datetime.now(UTC)
    them = person(house, roles=["signer"], now=now)
    link = accounts.make_link(house.database, them.account_id, now=now, by="operator:test")
    address = house.settings.base_url
    waiting = waiting_for(house, them, now=now)
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
        page.goto(f"{address}/desk/documents")
        page.click(f"text={waiting.title} >> nth=0")
        page.wait_for_selector("img.ds-page")
        assert fits()
        page.click("[data-passkey-button]")
        page.wait_for_url("**?done=yes")
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
    looker = Actor(them.by, them.holder_id, unit=them.unit)
    done, data = routed_documents.content(
        house.desk, waiting.id, actor=looker, now=datetime.now(UTC)
    )
    assert (done.state, done.steps[0].shown) == ("complete", waiting.file)
    report = validate(data, trust=house.trust, now=datetime.now(UTC))
    assert [one.signer for one in report.signatures] == [them.name]
    assert report.passed
