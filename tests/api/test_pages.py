"""The public pages: Vietnamese first, both languages behind a QR code, nothing from outside."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from api.pages import words
from api.pages.views import report_view
from records.errors import text
from signer.verdicts.report import Changes, Report, SignatureVerdict
from signer.verdicts.verdict import informs, warns
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


def test_what_decides_and_what_is_only_worth_knowing() -> None:
    """DOMAIN §4: "with reasons". A warning on a valid signature is no reason against it, who
    countersigned is not told as a signer of the document, and what is wrong with the file itself is
    said although each of its signatures is good."""
    counter = informs("validation-counter-signature")
    unproven = informs("validation-time-not-proven")
    late = warns("validation-claimed-time-later")
    foreign = warns("validation-active-content")
    one = SignatureVerdict(
        None, "Lê Văn Thử", "CAdES-BASELINE-B", None, None, False, Changes.UNTOUCHED,
        "signature:counter-1", (counter, unproven, late),
    )  # fmt: skip
    report = Report(None, signatures=(one,), findings=(foreign, late))
    view = report_view(report, file="a.p7s", language="en", copy=None)
    (shown,) = view.signatures
    assert shown.reasons == ()
    assert shown.notes == tuple(text(each.code, {}, "en") for each in (late, counter))
    assert view.notes == (text(foreign.code, {}, "en"),)
