"""A register's year closed at the screen: the page read, then PIN or passkey, and the unit's seal.

What is shown is what is signed: the same lines on the same day draw the same page, and its digest
is what the certifying person approves. docs/flows/close-register.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import RedirectResponse, Response

from api.auth import approval
from api.auth.approval import ApprovalForm
from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, record_refusal
from api.pages import render
from api.routes.visits import pdf_answer
from api.screens.certify_pages import (
    NO_PIN,
    SealPin,
    own_key,
    seal_hand,
    standing_mandate,
    unit_seal,
)
from api.screens.register_pages import READERS, unit_of
from api.services import Services
from certify import register_closing
from certify.closing_page import lines_name
from certify.errors import NotFound
from certify.register_closing import Closing
from certify.units import unit as find_unit
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.pdf import page_images
from signer.signing import document_digest

router = APIRouter(
    prefix="/desk/register/closings", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
_HEAD = ["GET", "HEAD"]
Year = Annotated[int, Path(ge=2025, le=2200)]
Digest = Annotated[str, Form(max_length=64)]


@router.api_route("/{year}", methods=_HEAD)
def look(year: Year, request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The page as it will be signed, and the form to approve it; or the closed year's register."""
    unit = unit_of(person, Role.SIGNER)
    if register_closing.find_closing(wired.house.office, unit=unit, year=year) is not None:
        return RedirectResponse(f"/desk/register?year={year}&month=0", status_code=303)
    return _page(request, wired, person, year, now=now)


@router.api_route("/{year}/drafts/{digest}", methods=_HEAD)
def drafted(
    year: Year,
    digest: Annotated[str, Path(max_length=64)],
    wired: Wired,
    person: SignedIn,
) -> Response:
    """The draft that was just made, as a picture."""
    del year
    unit_of(person, Role.SIGNER)
    picture = wired.pages.find(digest, 1)
    if picture is None:
        raise NotFound("page-unknown", page=1)
    headers = {"Cache-Control": "private, no-store"}
    return Response(picture, media_type=page_images.media_type(picture), headers=headers)


@router.post("/{year}/question")
def question(
    year: Year, wired: Wired, now: Now, person: SignedIn, digest: Digest = ""
) -> dict[str, Any]:
    """What the passkey is asked: the digest of the page that is shown."""
    current = document_digest(_draft(wired, person, year, now=now)).hex()
    key = own_key(wired, person).id
    return approval.ask_shown(
        wired, key, current=current, shown_digest=digest, client=person.by, now=now
    )


@router.post("/{year}")
def close(
    year: Year,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    given: ApprovalForm,
    digest: Digest = "",
    seal_pin: SealPin = NO_PIN,
) -> Response:
    """The person signs the page that was shown, the unit seals it; the year is closed."""
    unit = unit_of(person, Role.SIGNER)
    try:
        key = own_key(wired, person)
        opens = approval.authorizer(
            wired, given, credential_id=key.id, client=person.by, now=now, by=person.by
        )
        register_closing.close_year(
            wired.house.office,
            unit=unit,
            year=year,
            person=(key.id, opens),
            seal=seal_hand(wired, person, seal_pin.get_secret_value(), now=now),
            shown=digest,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, year, now=now, problem=error, status=status)
    return RedirectResponse(f"/desk/register?year={year}&month=0", status_code=303)


@router.api_route("/{year}/page.pdf", methods=_HEAD)
def signed(year: Year, wired: Wired, person: SignedIn) -> Response:
    """The signed page."""
    closed = _closed(wired, person, year)
    return pdf_answer(closed.data, f"khoa-so-{closed.unit}-{year}.pdf")


@router.api_route("/{year}/lines.csv", methods=_HEAD)
def lines(year: Year, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The lines whose SHA-256 the page names; names stand in them, so the export is recorded."""
    closed = _closed(wired, person, year)
    office = wired.house.office
    data = register_closing.closed_lines(office, unit=closed.unit, year=year)
    with wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.REGISTER_EXPORTED,
            by=person.by,
            subject=f"unit:{closed.unit}",
            details={"year": year, "month": 0, "form": "closed"},
            now=now,
        )
    name = lines_name(closed.unit, year)
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Response(data, media_type="text/csv; charset=utf-8", headers=headers)


def _closed(wired: Services, person: Person, year: int) -> Closing:
    unit = unit_of(person, *READERS)
    found = register_closing.find_closing(wired.house.office, unit=unit, year=year)
    if found is None:
        raise NotFound("register-not-closed", year=year)
    return found


def _draft(wired: Services, person: Person, year: int, *, now: datetime) -> bytes:
    unit = unit_of(person, Role.SIGNER)
    return register_closing.draft_closing(
        wired.house.office,
        unit=unit,
        year=year,
        person_id=own_key(wired, person).id,
        now=now,
    )


def _page(
    request: Request,
    wired: Services,
    person: Person,
    year: int,
    *,
    now: datetime,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    unit, digest = unit_of(person, Role.SIGNER), ""
    try:
        document = _draft(wired, person, year, now=now)
        digest = document_digest(document).hex()
        wired.pages.keep(digest, 1, page_images.page_image(document, page=1))
    except DomainError as error:
        if problem is None:
            problem = error
            status = record_refusal(request, wired, person, error, now=now)
    key, seal = (own_key(wired, person), unit_seal(wired, person)) if digest else (None, None)
    return render(
        request,
        "closing.html",
        status=status,
        year=year,
        symbol=wired.house.office.register.symbol,
        unit_name=find_unit(unit).name,
        digest=digest,
        key=key,
        seal=seal,
        mandate=standing_mandate(wired, seal, now=now) if seal else None,
        passkey_offered=key is not None and approval.offered(wired, key.id),
        problem=problem,
    )
