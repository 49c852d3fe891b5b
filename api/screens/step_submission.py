"""Submitting a draft at the screen: choose the file and the route, and it begins its first step."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from pydantic import TypeAdapter, ValidationError
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, SignedIn, csrf_checked, record_refusal
from api.errors import ApiError
from api.pages import render
from api.routes.step_orders import DocumentKind, Line, Title
from api.screens.step_pages import actor_of
from api.services import Services
from api.transit import safe_name
from records.errors import DomainError
from signer.routing import step_routes, steps
from signer.routing.steps import Submission

router = APIRouter(
    prefix="/desk/documents/new",
    include_in_schema=False,
    dependencies=[Depends(csrf_checked)],
)
_KIND, _LINE, _TITLE = TypeAdapter(DocumentKind), TypeAdapter(Line), TypeAdapter(Title)
Typed = Annotated[str, Form(max_length=600)]


@router.api_route("", methods=["GET", "HEAD"])
def form(request: Request, wired: Wired, person: SignedIn) -> Response:
    """The file, what it is, and which way it goes."""
    actor_of(person)
    return _form(request, wired, person)


@router.post("")
def submit(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    file: Annotated[UploadFile, File()],
    title: Typed = "",
    kind: Typed = "",
    symbol: Typed = "",
    route_id: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Refused on the same page while it can be mended."""
    desk, actor = wired.house.desk, actor_of(person)
    try:
        route = step_routes.find(desk, route_id)
        if route.retired or route.unit != person.unit:
            raise ApiError("route-not-found")
        submission = Submission(
            unit=route.unit,
            title=_read(_TITLE, title),
            kind=_read(_KIND, kind),
            symbol=_read(_LINE, symbol),
            name=safe_name(file.filename),
            drafter=person.holder_id,
            steps=route.steps,
        )
        made = steps.submit(desk, file.file.read(), submission, actor=actor, now=now)
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        typed = {"title": title, "kind": kind, "symbol": symbol, "route_id": route_id}
        return _form(request, wired, person, typed=typed, problem=error, status=status)
    return RedirectResponse(f"/desk/documents/{made.id}", status_code=303)


def _form(
    request: Request,
    wired: Services,
    person: Person,
    *,
    typed: dict[str, str] | None = None,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    routes = step_routes.of_unit(wired.house.desk, person.unit) if person.unit else []
    empty = {"title": "", "kind": "QĐ", "symbol": "QĐ-UBND", "route_id": ""}
    return render(
        request,
        "document-new.html",
        status=status,
        routes=routes,
        typed=typed or empty,
        problem=problem,
        megabytes=wired.house.settings.max_upload_bytes // (1024 * 1024),
    )


def _read(kind: TypeAdapter[str], text: str) -> str:
    """What a person typed, as the API would take it. Raises ApiError `request-invalid`."""
    try:
        return kind.validate_python(" ".join(text.split()))
    except ValidationError:
        raise ApiError("request-invalid") from None
