"""SAO Y, SAO LỤC, TRÍCH SAO at the screen: the clerk uploads a signed document and seals the copy.

docs/flows/sao-y.md.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, UploadFile
from pydantic import SecretStr
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.keys import require_own, usable_of
from api.auth.people import Person, Role, SignedIn, csrf_checked, record_refusal
from api.pages import render
from api.routes.digital_copies import judge_of, wanted_pages
from api.routes.visits import pdf_answer
from api.screens.counter_pages import viewer_of_staff
from api.services import Services
from certify.digital_copies import DigitalCopy, find_digital_copy, make_digital_copy
from records.errors import DomainError
from signer.looks.appearance import COPY_FORMS

router = APIRouter(
    prefix="/desk/sao-y", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
_HEAD = ["GET", "HEAD"]
_NO_PIN = SecretStr("")


@router.api_route("", methods=_HEAD)
def form(
    request: Request,
    wired: Wired,
    person: SignedIn,
    made: Annotated[str, Query(max_length=32)] = "",
) -> Response:
    """The form, and the copy that was just made."""
    viewer = viewer_of_staff(person, Role.CLERK)
    copy = find_digital_copy(wired.house.office, made, viewer=viewer) if made else None
    return _page(request, wired, person, copy=copy)


@router.post("")
def make(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    file: Annotated[UploadFile, File()],
    kind: Annotated[str, Form(max_length=16)] = "SAO Y",
    title: Annotated[str, Form(max_length=400)] = "",
    pages: Annotated[str, Form(max_length=400, pattern="^[0-9, ]*$")] = "",
    seal: Annotated[str, Form(max_length=64)] = "",
    pin: Annotated[SecretStr, Form(max_length=64)] = _NO_PIN,
) -> Response:
    """Signatures checked, report archived, copy sealed; or why not."""
    viewer = viewer_of_staff(person, Role.CLERK)
    try:
        key = require_own(wired.house.desk, person, seal)
        copy = make_digital_copy(
            wired.house.office,
            unit=str(person.unit),
            form=kind,
            source=file.file.read(),
            title=title,
            seal=(key.id, pin.get_secret_value()),
            pages=wanted_pages(pages),
            judge=judge_of(wired, person.by),
            viewer=viewer,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, problem=error, status=status)
    return RedirectResponse(f"/desk/sao-y?made={copy.id}", status_code=303)


@router.api_route("/{copy_id}/copy.pdf", methods=_HEAD)
def fetch(copy_id: Annotated[str, Path(max_length=32)], wired: Wired, person: SignedIn) -> Response:
    """The sealed copy."""
    copy = find_digital_copy(
        wired.house.office, copy_id, viewer=viewer_of_staff(person, Role.CLERK)
    )
    return pdf_answer(copy.data, f"sao-y-{copy.id[:8]}.pdf")


def _page(
    request: Request,
    wired: Services,
    person: Person,
    *,
    copy: DigitalCopy | None = None,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    seals = [one for one in usable_of(wired.house.desk, person) if one.kind == "agency"]
    return render(
        request,
        "sao-y.html",
        status=status,
        forms=COPY_FORMS,
        seals=seals,
        copy=copy,
        problem=problem,
    )
