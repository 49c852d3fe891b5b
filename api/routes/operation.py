"""`/healthz`, `/readyz`, `/metrics`: for the machines that watch this one."""

from __future__ import annotations

import threading
import time

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from sqlalchemy import text
from starlette.responses import JSONResponse, Response

from api.auth.guard import Now, Wired
from api.services import Services
from records.errors import DomainError

router = APIRouter(tags=["operation"])
_CHECKED_FOR = 5.0  # seconds: a check is a signature on the token, and anyone may ask
_lock = threading.Lock()


class Readiness(BaseModel):
    """Whether each part answers."""

    ready: bool
    parts: dict[str, str] = Field(examples=[{"database": "ok", "token": "ok", "crl": "ok"}])


@router.get("/healthz", summary="The process lives")
async def healthz() -> dict[str, str]:
    """Touches nothing else, not even a thread: a restart would not mend a database."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Database, token and revocation lists are fit for work",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "At least one part is not"}},
)
def readyz(wired: Wired, now: Now) -> JSONResponse:
    """The token is asked for a signature: a lost token still finds its keys."""
    with _lock:
        kept = wired.readiness.get("parts")
        if kept is None or time.monotonic() - wired.readiness["at"] > _CHECKED_FOR:
            kept = _parts(wired, now)
            wired.readiness.update(parts=kept, at=time.monotonic())
    ready = all(state == "ok" for state in kept.values())
    headers = {"Cache-Control": "no-store"} | ({} if ready else {"Retry-After": "5"})
    return JSONResponse({"ready": ready, "parts": kept}, 200 if ready else 503, headers=headers)


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
def metrics(wired: Wired) -> Response:
    """Keep it from the public at the front server."""
    return Response(
        generate_latest(wired.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


def _parts(wired: Services, now: object) -> dict[str, str]:
    del now
    parts: dict[str, str] = {}
    try:
        with wired.house.database.reading() as session:
            session.execute(text("SELECT 1"))
        parts["database"] = "ok"
    except DomainError as error:
        parts["database"] = error.code
    try:
        wired.house.token.check()
        parts["token"] = "ok"  # noqa: S105 – a state, not a secret
    except DomainError as error:
        parts["token"] = error.code
    return parts
