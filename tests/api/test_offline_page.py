"""The QR code of a copy, checked without a network: the page in a real browser, the command."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certify.issuance import certify_copy
from certify.pages import code_seal
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.test_browser import CHROMIUM, address
from tests.certify.town_hall import BY, TownHall

__all__ = ["address"]
pytestmark = ONLY_SQLITE


@pytest.fixture
def copy(hall: TownHall) -> bytes:
    case = hall.compared()
    return certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY).data


def photograph(data: bytes) -> bytes:
    """The page with the statement as a telephone would see it."""
    document = pypdfium2.PdfDocument(data)
    picture = document[len(document) - 1].render(scale=220 / 72).to_pil().convert("RGB")
    document.close()
    out = io.BytesIO()
    picture.rotate(1.5, expand=True, fillcolor="gray").save(out, "jpeg", quality=80)
    return out.getvalue()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_in_the_browser_without_a_network(
    service: Service, copy: bytes, address: str, tmp_path: Path
) -> None:
    """ "the web page (in the browser) check against the published keys", offline."""
    from playwright.sync_api import sync_playwright

    (tmp_path / "copy.pdf").write_bytes(copy)
    (tmp_path / "photo.jpg").write_bytes(photograph(copy))
    (tmp_path / "changed.pdf").write_bytes(copy.replace(b"/MediaBox", b"/MediaBax", 1))
    said: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 390, "height": 844})
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{address}/verify-offline")
        page.wait_for_selector("#offline[data-ready='1']")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        context.set_offline(True)

        def verdict(**given: Any) -> str:
            page.evaluate("document.getElementById('offline-result').hidden = true")
            if "file" in given:
                page.set_input_files("#offline-file", str(tmp_path / given["file"]))
            else:
                page.fill("#offline-text", given["text"])
                page.click("#offline-form button")
            page.wait_for_selector("#offline-result:not([hidden])")
            return str(page.inner_text("#offline-result .ds-words"))

        assert verdict(file="photo.jpg") == "Mã QR là thật"
        assert "Ủy ban nhân dân phường Hạc Thành" in page.inner_text("#offline-facts")
        assert verdict(file="copy.pdf") == "Mã QR là thật, tệp đúng là bản sao"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert verdict(file="changed.pdf") == "Không tin được"
        true = code_seal.octets_of(code_text(tmp_path / "copy.pdf"))
        forged = code_seal.fragment(true[:-1] + bytes([true[-1] ^ 1]))
        assert verdict(text=f"https://x/v/A#{forged}") == "Không tin được"
        assert "Chữ ký trong mã không đúng" in page.inner_text("#offline-result")
        for hostile in ("#", "https://x/v/AAAA", "<script>", "#0oRN" + "A" * 3000):
            assert verdict(text=hostile) in {"Không tin được", "Chưa kiểm tra được"}
        page.reload()  # the worker keeps the page
        page.wait_for_selector("#offline[data-ready='1']")
        assert verdict(file="photo.jpg") == "Mã QR là thật"
        browser.close()
    assert [one for one in said if "ERR_INTERNET_DISCONNECTED" not in one] == []


def code_text(path: Path) -> str:
    from api.qr_reading import text_in

    return text_in(path.read_bytes(), name=path.name)


def test_at_the_terminal(service: Service, copy: bytes, tmp_path: Path) -> None:
    """`dauso verify-qr` with the published keys and the root alone; exit codes say the rest."""
    answer = service.http.get("/.well-known/dauso-copy-keys.json")
    (key,) = answer.json()["keys"]
    assert (key["crv"], key["revoked"], key["unit"]) == ("P-256", False, "14797")
    root = service.house.authority.issuer("root").certificate
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (tmp_path / "keys.json").write_bytes(answer.content)
    (tmp_path / "copy.pdf").write_bytes(copy)
    (tmp_path / "photo.jpg").write_bytes(photograph(copy))
    (tmp_path / "changed.pdf").write_bytes(copy.replace(b"/MediaBox", b"/MediaBax", 1))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        trusted = ["--keys", "keys.json", "--trust", "root.pem", "--json"]
        command = [sys.executable, "-m", "api.commands", "verify-qr", *words, *trusted]
        environment = {"PATH": "/usr/bin", "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
        )

    read = run("photo.jpg", "--copy", "copy.pdf")
    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout)["file_matches"] is True
    wrong = run("changed.pdf")
    assert (wrong.returncode, "không phải bản sao" in wrong.stderr) == (1, True)
    assert run("root.pem").returncode == 3
    missing = run("not-there.pdf")
    assert missing.returncode != 0
    assert "not-there.pdf" in missing.stderr, "a file that is missing, not a code without a seal"
