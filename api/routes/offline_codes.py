"""The QR code that needs no network: the published keys, and the page that checks it alone."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, JSONResponse, Response

from api.auth.guard import Now, Wired
from api.pages import language_for, render, words
from certify.pages.code_keys import published

router = APIRouter(include_in_schema=False)
_HEAD = ["GET", "HEAD"]
_STATIC = Path(__file__).parent.parent / "pages" / "static"
_SAID = "offline.say."


@router.api_route("/.well-known/dauso-copy-keys.json", methods=_HEAD)
def keys(wired: Wired, now: Now) -> Response:
    """Every unit's keys with their certificates; anybody may keep them for when there is no net."""
    listed = [one.to_json() for one in published(wired.house.database)]
    body = {"issued_at": now.isoformat(), "keys": listed}
    headers = {
        "Cache-Control": "public, max-age=300",
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    return JSONResponse(body, headers=headers)


@router.api_route("/verify-offline", methods=_HEAD)
def page(request: Request) -> Response:
    """Loads once; from then on it asks nobody. The one page that may use the camera."""
    language = language_for(request)
    said = {
        key.removeprefix(_SAID): text
        for key, text in words(language).items()
        if key.startswith(_SAID)
    }
    headers = {
        "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=()",
        "Cache-Control": "no-cache",
    }
    return render(request, "verify-offline.html", said=said, headers=headers)


@router.api_route("/verify-offline-worker.js", methods=_HEAD)
def worker() -> Response:
    """At the root, because a worker serves only what lies below its own address."""
    return FileResponse(
        _STATIC / "offline-worker.js",
        media_type="text/javascript",
        headers={"Cache-Control": "no-cache"},
    )
