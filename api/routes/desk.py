"""The desk: what waits for this person, first thing after signing in."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.auth.people import SignedIn, csrf_checked
from api.pages import render

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])


@router.api_route("/desk", methods=["GET", "HEAD"])
def home(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """What waits, most urgent first."""
    del wired, now, person
    return render(request, "desk-home.html", waiting=[])
