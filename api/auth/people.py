"""Who is at the screen, and may they? What every page for signed-in people declares.

    router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])

    @router.get("/desk")
    def home(request: Request, person: SignedIn) -> Response:
        needs(person, Role.SIGNER, Role.CLERK)      # any of them

Without a session a page leads to the sign-in page and back again. A form carries `{{ csrf }}`.
"""

from __future__ import annotations

import contextlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.errors import ApiError, status_of
from api.services import Services
from records import audit
from records.errors import DomainError
from records.tags import Tag

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_LOOPBACK = ("localhost", "127.0.0.1")


class Role(StrEnum):
    """What a person does in their unit (DOMAIN.md §1); one may have several."""

    SIGNER = "signer"  # người có thẩm quyền
    CLERK = "clerk"  # văn thư
    INTAKE = "intake"  # công chức tiếp nhận
    COMPARER = "comparer"  # công chức tư pháp – hộ tịch
    ADMIN = "admin"  # quản trị
    AUDITOR = "auditor"  # kiểm toán


@dataclass(frozen=True)
class Person:
    """Somebody with a session, as their account stands at this moment."""

    account_id: str
    kind: Literal["official", "citizen"]
    holder_id: str
    name: str
    unit: str | None
    roles: frozenset[Role] = field(default_factory=frozenset)
    language: str = "vi"

    @property
    def by(self) -> str:
        """`official:0388…` or `citizen:0388…`, as acts are recorded."""
        return f"{self.kind}:{self.holder_id.removeprefix('CCCD:')}"


class SignInNeeded(Exception):
    """No session: not an error, a way to go. `to_sign_in` answers it."""


def signed_in(request: Request, wired: Wired, now: Now) -> Person:
    """The person behind the session's cookie; raises SignInNeeded when there is none."""
    from api.auth import sessions

    token = request.cookies.get(sessions.cookie_name(wired.house.settings))
    person = sessions.person_of(wired.house.database, token, now=now) if token else None
    if person is None or token is None:
        raise SignInNeeded
    request.state.person = person
    request.state.csrf = csrf_token(token)
    wired.rates.take("api", person.account_id)
    return person


SignedIn = Annotated[Person, Depends(signed_in)]


def recognise(request: Request, wired: Services, *, now: datetime) -> None:
    """For a page that needs nobody, under `/desk`: whoever is signed in keeps their menu."""
    if getattr(request.state, "person", None) is None:
        with contextlib.suppress(SignInNeeded, DomainError):
            signed_in(request, wired, now)


def needs(person: Person, *roles: Role) -> None:
    """Any of `roles`; raises ApiError `role-missing`."""
    if not person.roles.intersection(roles):
        raise ApiError("role-missing", roles=", ".join(roles))


def record_refusal(
    request: Request, wired: Services, person: Person, error: DomainError, *, now: datetime
) -> int:
    """For a page that tells a refusal itself: counted and audited as every other; its status."""
    wired.metrics.refusals.labels(error.code).inc()
    route = getattr(request.scope.get("route"), "path", "")
    details = {"code": error.code, "route": route, "request": request.state.request_id}
    with wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.REQUEST_REFUSED,
            by=person.by,
            subject=route,
            details=details,
            now=now,
        )
    return status_of(error)


def csrf_token(session_token: str) -> str:
    """Bound to the session, and useless to whoever only sees it: the cookie stays unknown."""
    return hmac.new(session_token.encode(), b"dauso csrf v1", sha256).hexdigest()


async def csrf_checked(request: Request, wired: Wired) -> None:
    """A POST comes from our own page: same origin, and the page's token (form or header)."""
    if request.method in _SAFE_METHODS:
        return
    from api.auth import sessions

    require_same_origin(request, wired.house.settings.base_url)
    token = request.cookies.get(sessions.cookie_name(wired.house.settings))
    if not token:
        raise SignInNeeded
    given = request.headers.get("x-csrf-token")
    if given is None:
        sent = (await request.form()).get("csrf")
        given = sent if not isinstance(sent, UploadFile) else None
    if given is None or not hmac.compare_digest(given.encode(), csrf_token(token).encode()):
        raise ApiError("form-stale")


def require_same_origin(request: Request, base_url: str) -> None:
    """Browsers say where a POST comes from; what comes from elsewhere is refused."""
    origin = request.headers.get("origin")
    if origin is not None and origin != "null":
        if origin not in origins(base_url):
            raise ApiError("form-foreign")
        return
    # `null` hides where it comes from: then the browser must say that it is from here.
    unsaid = "same-origin" if origin is None else "cross-site"
    if request.headers.get("sec-fetch-site", unsaid) not in {"same-origin", "none"}:
        raise ApiError("form-foreign")


def origins(base_url: str) -> list[str]:
    """Ours; on a machine of one's own both names of it (passkeys need `localhost`)."""
    parts = urlsplit(base_url)
    if parts.hostname in _LOOPBACK:
        port = f":{parts.port}" if parts.port else ""
        return [f"{parts.scheme}://{name}{port}" for name in _LOOPBACK]
    return [f"{parts.scheme}://{parts.netloc}"]


def address_of(request: Request) -> str:
    """The caller's network address, for limits."""
    return request.client.host if request.client else "unknown"


def safe_next(target: str | None) -> str:
    """A path of ours to go on to; anything else leads to the desk (no open redirect)."""
    if target and target.startswith("/") and not target.startswith(("//", "/\\")):
        path = target.split("?", 1)[0]
        if "\\" not in target and target.isprintable() and not path.startswith("/sign-"):
            return target[:500]
    return "/desk"


def to_sign_in(request: Request, error: Exception) -> Response:
    """To the sign-in page and, for a page that was only looked at, back again."""
    del error
    back = request.url.path if request.method in _SAFE_METHODS else "/desk"
    query = f"?{request.url.query}" if request.url.query and back == request.url.path else ""
    where = f"/sign-in?next={quote(back + query, safe='/')}"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=204, headers={"HX-Redirect": where})
    return RedirectResponse(where, status_code=303, headers={"Cache-Control": "no-store"})
