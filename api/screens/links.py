"""The page that a share's link opens: what it is, and a button to take it. No account is needed."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.pages import render
from certify.stores import sharing

router = APIRouter(include_in_schema=False)


@router.api_route("/d/{code}", methods=["GET", "HEAD"])
def page(code: str, request: Request, wired: Wired, now: Now) -> Response:
    """Looking at the page takes nothing and logs nothing: mail scanners open links too."""
    wired.rates.take("code", request.client.host if request.client else "unknown")
    grant, item = sharing.linked(wired.house.office, code[:40], now=now)
    return render(request, "link.html", grant=grant, item=item, code=code[:40])


@router.post("/d/{code}")
def take(code: str, request: Request, wired: Wired, now: Now) -> Response:
    """The bytes; the owner sees that the recipient of this link took them."""
    wired.rates.take("code", request.client.host if request.client else "unknown")
    office = wired.house.office
    grant, _ = sharing.linked(office, code[:40], now=now)
    taken = sharing.reuse(
        office,
        code[:40],
        recipient_id=grant.recipient.id,
        purpose=grant.purpose,
        now=now,
        by=grant.recipient.id,
    )
    form = "application/pdf" if taken.data.startswith(b"%PDF") else "application/octet-stream"
    ending = ".pdf" if form.endswith("pdf") else ""
    name = quote(f"{taken.item.title[:80]}{ending}", safe="")
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
    }
    return Response(taken.data, media_type=form, headers=headers)
