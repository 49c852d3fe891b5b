"""One case at the screen: examined, captured, assigned, frozen, withdrawn.

Every act is a domain function that is given the viewer. Comparing page by page is
`api.screens.comparison_pages`, the fee `api.screens.fee_pages`. docs/flows/certify.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Path, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, record_refusal
from api.pages import render
from api.screens.counter_pages import viewer_of_staff
from api.services import Services
from certify import register
from certify.copy_lookup import code_of_case
from certify.counter import case_lookup, intake
from certify.counter.cases import Case, Presentation, case_row
from certify.counter.viewers import Viewer
from certify.counter.visit_lookup import visit_of_case
from certify.models import CaseState
from certify.money import bank_payments, payments
from certify.money.fees import fee
from certify.scans import captures, comparison, page_findings, recognition
from certify.scans.comparison import Checklist, PageFinding
from certify.units import unit as find_unit
from records.errors import DomainError
from signer.keys import credentials
from signer.routing.working_days import local

router = APIRouter(
    prefix="/desk/cases", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
_HEAD = ["GET", "HEAD"]
CaseId = Annotated[str, Path(max_length=32)]
Reason = Annotated[str, Form(max_length=1000)]
Tick = Annotated[bool, Form()]
_ENDED_WITHOUT = (CaseState.REFUSED, CaseState.FROZEN, CaseState.WITHDRAWN)
GROUNDS = ("altered", "damaged", "secret", "unlawful", "not_legalised", "private_unconfirmed")


def ticked(
    altered: Tick = False,
    damaged: Tick = False,
    secret: Tick = False,
    unlawful: Tick = False,
    not_legalised: Tick = False,
    private_unconfirmed: Tick = False,
) -> Checklist:
    """The six grounds as the form brings them."""
    return Checklist(altered, damaged, secret, unlawful, not_legalised, private_unconfirmed)


Ticked = Annotated[Checklist, Depends(ticked)]


@router.api_route("/{case_id}", methods=_HEAD)
def look(case_id: CaseId, request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """Where the case stands and what may be done next."""
    return page(request, wired, person, case_id, now=now)


@router.post("/{case_id}/presentation")
def present(
    case_id: CaseId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """For a case that a system opened by itself; one of a visit is presented with its visit."""

    def act(viewer: Viewer) -> object:
        unit = find_unit(str(person.unit))
        shown = Presentation(at=now, place=f"Bộ phận Một cửa, {unit.committee}", to=person.name)
        return intake.record_presentation(
            wired.house.office, case_id, shown, viewer=viewer, now=now, by=person.by
        )

    return done(request, wired, person, case_id, act, now=now)


@router.post("/{case_id}/examination")
def examine(
    case_id: CaseId, request: Request, wired: Wired, now: Now, person: SignedIn, found: Ticked
) -> Response:
    """The six grounds on the original itself; one that is met ends the case."""
    office = wired.house.office

    def act(viewer: Viewer) -> object:
        return comparison.examine(
            office, case_id, checklist=found, viewer=viewer, now=now, by=person.by
        )

    return done(request, wired, person, case_id, act, now=now)


@router.post("/{case_id}/captures")
def capture(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    scans: Annotated[list[UploadFile], File()],
    clean: Tick = False,
) -> Response:
    """The scans, page after page; straightened and cropped unless told not to."""
    data = [one.file.read() for one in scans]

    def act(viewer: Viewer) -> object:
        return captures.record_capture(
            wired.house.office, case_id, data, clean=clean, viewer=viewer, now=now, by=person.by
        )

    return done(request, wired, person, case_id, act, now=now)


@router.post("/{case_id}/text-layer")
def recognise(
    case_id: CaseId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """The option of a text layer; says so where the engine is not installed."""

    def act(viewer: Viewer) -> object:
        return recognition.recognise(
            wired.house.office, case_id, viewer=viewer, now=now, by=person.by
        )

    return done(request, wired, person, case_id, act, now=now)


@router.post("/{case_id}/assignment")
def assign(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    official: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """To an official of this unit."""

    def act(viewer: Viewer) -> object:
        return intake.assign(
            wired.house.office, case_id, to=official, viewer=viewer, now=now, by=person.by
        )

    return done(request, wired, person, case_id, act, now=now)


@router.post("/{case_id}/freeze")
def freeze(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    reason: Reason = "",
) -> Response:
    """Suspected forgery."""

    def act(viewer: Viewer) -> object:
        return comparison.freeze(
            wired.house.office, case_id, reason=reason, viewer=viewer, now=now, by=person.by
        )

    return done(request, wired, person, case_id, act, now=now)


@router.post("/{case_id}/withdrawal")
def withdraw(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    reason: Reason = "",
) -> Response:
    """The requester no longer wants it."""

    def act(viewer: Viewer) -> object:
        return intake.withdraw(
            wired.house.office, case_id, reason=reason, viewer=viewer, now=now, by=person.by
        )

    return done(request, wired, person, case_id, act, now=now)


@router.post("/{case_id}/number-void")
def void_number(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    reason: Reason = "",
) -> Response:
    """The number that was taken ends without a copy, and the case may be certified anew."""

    def act(viewer: Viewer) -> object:
        case = case_lookup.find_case(wired.house.office, case_id, viewer=viewer)
        return register.void_case_number(
            wired.house.office, case_id, unit=case.unit, reason=reason, now=now, by=person.by
        )

    roles = (Role.COMPARER, Role.SIGNER)
    return done(request, wired, person, case_id, act, roles=roles, now=now)


def done(
    request: Request,
    wired: Services,
    person: Person,
    case_id: str,
    act: Callable[[Viewer], object],
    *,
    roles: tuple[Role, ...] = (Role.INTAKE, Role.COMPARER),
    now: datetime,
) -> Response:
    """Do it and show the case; a refusal is told on the page it was asked from."""
    viewer = viewer_of_staff(person, *roles)
    try:
        act(viewer)
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return page(request, wired, person, case_id, now=now, problem=error, status=status)
    return RedirectResponse(f"/desk/cases/{case_id}", status_code=303)


def page(
    request: Request,
    wired: Services,
    person: Person,
    case_id: str,
    *,
    now: datetime,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    """The case with the acts that are possible now."""
    office, viewer = wired.house.office, viewer_of_staff(person)
    case = case_lookup.find_case(office, case_id, viewer=viewer)
    pages: list[captures.CapturedPage] = []
    found: dict[int, PageFinding] = {}
    if case.state not in (CaseState.OPEN, CaseState.REFUSED, CaseState.WITHDRAWN):
        _, pages = captures.captured_pages(office, case_id, viewer=viewer)
        found = page_findings.pages_found(office, case_id, viewer=viewer)
    with office.database.reading() as session:
        left = payments.outstanding(session, case_row(session, case_id), on=local(now).date())
    paid = payments.receipts(office, case_id)
    newest = credentials.of_unit(office.desk, case.unit, "official")
    return render(
        request,
        "case.html",
        status=status,
        case=case,
        step=_step(case),
        pages=pages,
        found=found,
        compared_all=bool(pages) and all(one.number in found for one in pages),
        fee=fee(pages=case.original.pages, copies=case.copies, on=local(now).date()),
        left=left,
        order=bank_payments.asked(office, case_id, now=now) if left > 0 else None,
        receipts=paid,
        refundable=case.state in _ENDED_WITHOUT and sum(one.amount for one in paid) > 0,
        code=code_of_case(office, case_id) if case.state is CaseState.ISSUED else None,
        grounds=GROUNDS,
        colleagues=list({one.holder_id: one for one in newest}.values()),
        engine=recognition.engine(),
        visit=visit_of_case(office, case_id, viewer=viewer),
        roles={role.value for role in person.roles},
        problem=problem,
    )


def _step(case: Case) -> int:
    """How far the case is: presented, captured, compared, certified."""
    if case.state is CaseState.OPEN:
        return 1 if case.presented else 0
    order = (CaseState.CAPTURED, CaseState.COMPARED, CaseState.CERTIFYING, CaseState.ISSUED)
    return {state: n for n, state in zip((2, 3, 3, 4), order, strict=True)}.get(case.state, 0)
