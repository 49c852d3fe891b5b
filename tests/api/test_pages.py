"""The public pages: Vietnamese first, both languages behind a QR code, nothing from outside."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from api.pages import words
from tests.api.conftest import ONLY_SQLITE, Service

PAGES = Path(__file__).parents[2] / "api" / "pages"


def test_both_languages_have_the_same_words() -> None:
    """A key in one catalogue only would be a page that breaks in the other language."""
    vietnamese, english = (
        json.loads((PAGES / f"words.{one}.json").read_text("utf-8")) for one in ("vi", "en")
    )
    assert vietnamese.keys() == english.keys()


def test_every_word_a_template_asks_for_is_there() -> None:
    """The literal keys of the templates."""
    asked: set[str] = set()
    for path in (PAGES / "templates").glob("*.html"):
        asked |= set(re.findall(r'\bw\("([a-z_.-]+)"[,)]', path.read_text("utf-8")))
    assert asked
    assert asked <= words("vi").keys()


@ONLY_SQLITE
@pytest.mark.parametrize("path", ["/", "/verify", "/v/K7QF-2M9X-H4TB-0DVW-C6RE", "/nothing"])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_pages_stand_alone(service: Service, path: str, language: str) -> None:
    """Strict CSP: no inline script or style, nothing from another host."""
    answer = service.http.get(f"{path}?lang={language}", headers={"Accept": "text/html"})
    assert answer.headers["content-type"].startswith("text/html")
    assert f'<html lang="{language}">' in answer.text
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|<script(?![^>]*\ssrc=)", answer.text)
    for address in re.findall(r'(?:src|href|action)="([^"]+)"', answer.text):
        assert address.startswith(("/", "#")), address
        if address.startswith(("/static/", "/pki/")):
            assert service.http.get(address).status_code == 200, address
    assert "TEST" in answer.text  # the test hierarchy says so on every page


@ONLY_SQLITE
def test_htmx_gets_the_report_alone(service: Service) -> None:
    """The same form works with and without scripts."""
    file = {"file": ("x.pdf", b"not a pdf")}
    part = service.http.post("/verify", files=file, headers={"HX-Request": "true"})
    assert "<html" not in part.text
    whole = service.http.post("/verify", files=file)
    assert "<html" in whole.text
    assert "Không đọc được tệp" in whole.text
    missing = service.http.post("/verify", headers={"Accept": "text/html"})
    assert missing.status_code == 422
