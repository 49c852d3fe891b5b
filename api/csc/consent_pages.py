"""The page where a holder reads what is asked and gives the PIN: ours, never the client's.

No cookie and no script: the address holds 256 random bits, and every yes needs the PIN (and the
code, where there is one), so that another site has nothing to forge.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Form, Request
from pydantic import SecretStr
from starlette.responses import Response

from api.auth.guard import Now
from api.csc import consent, redirects
from api.csc.calls import Remote, remote
from api.csc.consent import Consent
from api.csc.errors import CscRefusal, translated
from api.csc.oauth2 import back
from api.errors import RateLimited
from api.pages import language_for, render
from api.request_log import SECURITY_HEADERS
from records.errors import DomainError, text

router = APIRouter(include_in_schema=False)
_SHOWN = 50
"""Hashes listed on the page; a longer list is counted."""


@router.get("/csc/consent/{identifier}")
def show(identifier: str, request: Request, now: Now) -> Response:
    """What is asked, by whom, for what."""
    wired = remote(request)
    wired.wired.rates.take("code", _address(request))
    wanted = consent.waiting(wired, identifier, now=now)
    return _page(request, wired, wanted)


@router.post("/csc/consent/{identifier}")
def decide(
    identifier: str,
    request: Request,
    now: Now,
    act: str = Form("", max_length=16),
    holder: str = Form("", max_length=64),
    pin: SecretStr = Form(SecretStr("")),  # noqa: B008 – FastAPI's way
    code: SecretStr = Form(SecretStr("")),  # noqa: B008 – FastAPI's way
) -> Response:
    """Yes with PIN, no without, or a one-time code first."""
    wired = remote(request)
    wired.wired.rates.take("code", _address(request))
    wanted = consent.waiting(wired, identifier, now=now)
    name = holder.strip()
    if act == "deny":
        consent.deny(wired, wanted, now=now)
        return _done(request, wired, wanted, error=CscRefusal("csc-access-denied"))
    if act not in {"approve", "code"}:
        return _page(request, wired, wanted, holder=name)
    try:
        if act == "code":
            credential = consent.credential_for(wired, wanted, name)
            if credential is None or not wanted.for_signing:
                raise CscRefusal("csc-holder-unknown")
            client = wanted.client
            wired.codes.send(
                credential,
                client_id=client.client_id,
                client_name=client.name,
                now=now,
                by=f"holder:{credential.holder_id}",
            )
            return _page(request, wired, wanted, holder=name, sent=True)
        answer = consent.grant(
            wired,
            wanted,
            holder_id=name,
            pin=pin.get_secret_value()[:128],
            code=code.get_secret_value().strip()[:16],
            now=now,
        )
    except DomainError as error:
        if error.code == "csc-request-unknown":
            raise
        status = 429 if isinstance(error, RateLimited) else 400
        return _page(request, wired, wanted, holder=name, error=error, status=status)
    return _done(request, wired, wanted, code=answer)


def _page(
    request: Request,
    wired: Remote,
    wanted: Consent,
    *,
    holder: str = "",
    sent: bool = False,
    error: DomainError | None = None,
    status: int = 200,
) -> Response:
    asked = wanted.asked
    named = consent.credential_for(wired, wanted, None)
    hashes = list(asked.get("hashes", []))
    labels = list(asked.get("labels", []))
    language = language_for(request)
    rows = [
        {"hash": one, "label": labels[place] if place < len(labels) else ""}
        for place, one in enumerate(hashes[:_SHOWN])
    ]
    return render(
        request,
        "csc-consent.html",
        status=status,
        headers=_headers(wanted),
        c=_words(language),
        client=wanted.client,
        holder_name=named.name if named else "",
        ask_holder=named is None,
        ask_code=wanted.for_signing and (named is None or named.kind != "agency"),
        signing=wanted.for_signing,
        signatures=asked.get("signatures", 0),
        documents=rows,
        more=max(0, len(hashes) - _SHOWN),
        description=asked.get("description", ""),
        until=wanted.expires_at,
        holder=holder,
        sent=sent,
        problem=_problem(error, language),
    )


def _problem(error: DomainError | None, language: str) -> str:
    """Our own words where we have better ones than the protocol: how many attempts are left."""
    if error is None:
        return ""
    better = error.code in {"pin-wrong", "credential-locked"}
    shown = error if better else translated(error, version="v2")
    return text(shown.code, shown.params, language)


def _done(
    request: Request,
    wired: Remote,
    wanted: Consent,
    *,
    code: str | None = None,
    error: CscRefusal | None = None,
) -> Response:
    if wanted.kind == "redirect":
        asked = wanted.asked
        return back(wired, asked["redirect_uri"], asked.get("state"), code=code, error=error)
    return render(
        request,
        "csc-decided.html",
        c=_words(language_for(request)),
        client=wanted.client,
        granted=error is None,
    )


def _headers(wanted: Consent) -> dict[str, str]:
    """The form may lead back to the client, and nowhere else: browsers hold redirects to it."""
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    if wanted.kind == "redirect":
        target = redirects.origin(wanted.asked["redirect_uri"])
        policy = policy.replace("form-action 'self'", f"form-action 'self' {target}")
    return {"Content-Security-Policy": policy, "Pragma": "no-cache"}


class _Words:
    """`c("pin")`: this page's words in one language."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def __call__(self, key: str, **facts: Any) -> str:
        return self._texts[key].format(**facts)


@cache
def _words(language: str) -> _Words:
    path = Path(__file__).parent / f"words.{language}.json"
    return _Words(json.loads(path.read_text("utf-8")))


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"
