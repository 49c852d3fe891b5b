"""Pages: Vietnamese first, nothing fetched from elsewhere; the public ones need no cookie."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api import local_time
from api.pages.navigation import navigation_of
from records.errors import DomainError

_HERE = Path(__file__).parent
FORM_HEADERS = {"Referrer-Policy": "same-origin"}
"""For pages with forms: under `no-referrer` a browser says that a POST comes from `null`."""


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """One page in the reader's language (`?lang=`), both catalogues at hand."""
    language = language_for(request)
    other = "en" if language == "vi" else "vi"
    house = request.app.state.services.house
    person = getattr(request.state, "person", None)
    signed_in = {
        "person": person,
        "csrf": getattr(request.state, "csrf", ""),
        "navigation": navigation_of(person, request.url.path) if person is not None else (),
    }
    text = (
        _environment()
        .get_template(template)
        .render(
            language=language,
            other_language=other,
            here=request.url.path,
            w=_Words(language),
            vi=_Words("vi"),
            en=_Words("en"),
            test_system=house.is_test,
            base_url=house.settings.base_url,
            **(signed_in | context),
        )
    )
    extra = {"Cache-Control": "no-store", "Content-Language": language} | dict(headers or {})
    if person is not None:
        extra |= FORM_HEADERS
    return HTMLResponse(text, status, headers=extra)


def language_for(request: Request) -> str:
    """The address decides, then the signed-in person's choice, then Vietnamese.

    Never the browser: a QR code is read by people with any browser.
    """
    asked = request.query_params.get("lang")
    if asked in {"vi", "en"}:
        return asked
    person = getattr(request.state, "person", None)
    return person.language if person is not None else "vi"


def problem_page(
    request: Request, error: DomainError, *, status: int, headers: Mapping[str, str]
) -> HTMLResponse:
    """A refusal as a page, in both languages."""
    language = language_for(request)
    texts = [error.message("vi"), error.message("en")]
    if language == "en":
        texts.reverse()
    return render(
        request, "problem.html", status=status, headers=headers, texts=texts, problem_status=status
    )


class _Words:
    """`w("home.title")`: the catalogue's words; a missing key is a defect that a test finds."""

    def __init__(self, language: str) -> None:
        self._texts = words(language)

    def __call__(self, key: str, **facts: object) -> str:
        return self._texts[key].format(**facts)


@cache
def words(language: str) -> Mapping[str, str]:
    """All page texts of one language: `words.vi.json` and `words.<pages>.vi.json` beside it."""
    texts: dict[str, str] = {}
    for path in sorted(_HERE.glob(f"words*.{language}.json")):
        for key, text in json.loads(path.read_text("utf-8")).items():
            if texts.setdefault(key, text) != text:
                raise ValueError(f"{path.name} gives {key!r} a second text")
    return texts


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "local_time": local_time.shown,
        "local_date": local_time.shown_date,
        "local_hour": local_time.shown_hour,
        "local_day": local_time.shown_day,
    }
    environment.filters.update(filters)
    return environment
