"""The unit's register at the screen: lines, a number voided, the month exported, the year closed.

Names stand in it: only officials of the unit see it, and every search and export is recorded.
docs/flows/certify.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, needs, record_refusal
from api.errors import ApiError
from api.pages import render
from api.services import Services
from certify import copy_lookup, register, register_closing
from certify.register_export import register_csv, register_pdf
from certify.units import unit as find_unit
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.routing.working_days import local

router = APIRouter(
    prefix="/desk/register", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
_HEAD = ["GET", "HEAD"]
READERS = (Role.INTAKE, Role.COMPARER, Role.SIGNER, Role.CLERK, Role.ADMIN, Role.AUDITOR)
PAGE = 100
Search = Annotated[str, Query(max_length=200)]
Year = Annotated[int | None, Query(ge=2025, le=2200)]
Month = Annotated[int | None, Query(ge=0, le=12)]


def unit_of(person: Person, *roles: Role) -> str:
    """The unit of an official with one of these roles; raises ApiError `role-missing`."""
    needs(person, *roles)
    if person.kind != "official" or person.unit is None:
        raise ApiError("role-missing", roles=", ".join(roles))
    return person.unit


@router.api_route("", methods=_HEAD)
def listed(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    year: Year = None,
    month: Month = None,
    search: Search = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """This month's lines, or those that are looked for in a whole year."""
    unit_of(person, *READERS)
    search = search.strip()
    if search:
        _note(wired, person, Tag.REGISTER_SEARCHED, {"year": year or 0, "search": search}, now=now)
    return _page(request, wired, person, year=year, month=month, search=search, page=page, now=now)


@router.api_route("/export", methods=_HEAD)
def export(
    wired: Wired,
    now: Now,
    person: SignedIn,
    year: Annotated[int, Query(ge=2025, le=2200)],
    month: Month = None,
    form: Annotated[str, Query(pattern="^(pdf|csv)$")] = "pdf",
) -> Response:
    """The eight columns of a month or a year, as PDF or CSV."""
    unit = unit_of(person, *READERS)
    office = wired.house.office
    month = month or None
    if form == "pdf":
        data = register_pdf(office, unit=unit, year=year, month=month, now=now)
        media_type = "application/pdf"
    else:
        data = register_csv(office, unit=unit, year=year, month=month)
        media_type = "text/csv; charset=utf-8"
    details = {"year": year, "month": month or 0, "form": form}
    _note(wired, person, Tag.REGISTER_EXPORTED, details, now=now)
    period = f"{year}" if month is None else f"{year}-{month:02d}"
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="register-{unit}-{period}.{form}"',
    }
    return Response(data, media_type=media_type, headers=headers)


@router.post("/numbers/{number}/void")
def void(
    number: Annotated[int, Path(ge=1, le=10**8)],
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    year: Annotated[int, Form(ge=2025, le=2200)],
    reason: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """An open number ends without a copy; it stays in the register, with the reason."""
    unit = unit_of(person, Role.SIGNER, Role.COMPARER, Role.CLERK)
    office = wired.house.office
    try:
        register.void_of_year(
            office, unit=unit, year=year, number=number, reason=reason, now=now, by=person.by
        )
    except DomainError as error:
        return _told(request, wired, person, error, year=year, now=now)
    return RedirectResponse(f"/desk/register?year={year}&month=0&search={number}", status_code=303)


@router.post("/volumes")
def volume(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    year: Annotated[int, Form(ge=2025, le=2200)],
) -> Response:
    """The next volume of a year; numbers go on."""
    unit = unit_of(person, Role.SIGNER, Role.CLERK)
    try:
        register.open_volume(wired.house.office, unit=unit, year=year, now=now, by=person.by)
    except DomainError as error:
        return _told(request, wired, person, error, year=year, now=now)
    return RedirectResponse(f"/desk/register?year={year}&month=0", status_code=303)


def _told(
    request: Request,
    wired: Services,
    person: Person,
    error: DomainError,
    *,
    year: int,
    now: datetime,
) -> Response:
    status = record_refusal(request, wired, person, error, now=now)
    return _page(
        request, wired, person, year=year, month=None, now=now, problem=error, status=status
    )


def _page(
    request: Request,
    wired: Services,
    person: Person,
    *,
    year: int | None,
    month: int | None,
    search: str = "",
    page: int = 1,
    now: datetime,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    office, unit = wired.house.office, str(person.unit)
    today = local(now).date()
    chosen = year or today.year
    # What is looked for is looked for in the whole year; otherwise the month that is running.
    running = today.month if chosen == today.year else 0
    of_month = 0 if search else running if month is None else month
    found = register.entries(
        office, unit=unit, year=chosen, month=of_month or None, search=search or None
    )
    first = (page - 1) * PAGE
    lines = found[first : first + PAGE]
    codes = copy_lookup.codes_of(office, [one.id for one in lines])
    issued, copies, fees = register.totals(found)
    known = register.years(office, unit=unit)
    return render(
        request,
        "register.html",
        status=status,
        unit_name=find_unit(unit).name,
        symbol=office.register.symbol,
        lines=[(one, office.register.number(one.number), codes.get(one.id)) for one in lines],
        year=chosen,
        years=sorted({*known, chosen, today.year}, reverse=True),
        month=of_month,
        search=search,
        page=page,
        more=len(found) > first + PAGE,
        issued=issued,
        copies=copies,
        fees=fees,
        voided=sum(one.state.value == "void" for one in found),
        lock=register.lock_of(office, unit=unit, year=chosen),
        closing=register_closing.find_closing(office, unit=unit, year=chosen),
        may_lock=Role.SIGNER in person.roles
        and register_closing.is_over(chosen, now=now)
        and chosen in known,
        may_open=bool(person.roles & {Role.SIGNER, Role.CLERK}) and chosen in known,
        volume=register.volume_of(office, unit=unit, year=chosen),
        may_void=bool(person.roles & {Role.SIGNER, Role.COMPARER, Role.CLERK}),
        problem=problem,
    )


def _note(
    wired: Services, person: Person, tag: Tag, details: dict[str, object], *, now: datetime
) -> None:
    with wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=tag,
            by=person.by,
            subject=f"unit:{person.unit}",
            details=details,
            now=now,
        )
