"""The comparison at the screen: each page of the capture beside what is found on it.

The images are those of the capture that counts; each look at one is logged. docs/flows/certify.md.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, record_refusal
from api.pages import render
from api.routes.case_acts import image_answer
from api.screens.case_pages import CaseId, Ticked, done
from api.screens.counter_pages import viewer_of_staff
from api.services import Services
from certify.counter import case_lookup
from certify.counter.viewers import Viewer
from certify.errors import NotFound
from certify.scans import captures, page_findings
from certify.scans.comparison import PageFinding
from records.errors import DomainError

router = APIRouter(
    prefix="/desk/cases", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
_HEAD = ["GET", "HEAD"]
PageNumber = Annotated[int, Path(ge=1, le=2000)]


@router.api_route("/{case_id}/pages/{number}", methods=_HEAD)
def compare(
    case_id: CaseId, number: PageNumber, request: Request, wired: Wired, person: SignedIn
) -> Response:
    """The scan on the left; what was declared and what is found on the right."""
    return _compare(request, wired, person, case_id, number)


@router.api_route("/{case_id}/pages/{number}/image", methods=_HEAD)
def image(
    case_id: CaseId,
    number: PageNumber,
    wired: Wired,
    now: Now,
    person: SignedIn,
    untouched: bool = False,
) -> Response:
    """The captured page, or the scan before it was cleaned up."""
    data = captures.page_image(
        wired.house.office,
        case_id,
        number,
        untouched=untouched,
        viewer=viewer_of_staff(person),
        now=now,
        by=person.by,
    )
    return image_answer(data)


@router.post("/{case_id}/pages/{number}/finding")
def find(
    case_id: CaseId,
    number: PageNumber,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    matches: Annotated[bool, Form()],
    note: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Recorded, and on to the next page that has no finding yet."""
    viewer = viewer_of_staff(person, Role.COMPARER)
    office = wired.house.office
    try:
        finding = PageFinding(matches, note.strip())
        page_findings.record_page(
            office, case_id, number, finding, viewer=viewer, now=now, by=person.by
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _compare(request, wired, person, case_id, number, problem=error, status=status)
    known = page_findings.pages_found(office, case_id, viewer=viewer)
    _, pages = captures.captured_pages(office, case_id, viewer=viewer)
    left = [one.number for one in pages if one.number not in known]
    later = [one for one in left if one > number]
    following = (later or left or [0])[0]
    where = f"/pages/{following}" if following else "#conclusion"
    return RedirectResponse(f"/desk/cases/{case_id}{where}", status_code=303)


@router.post("/{case_id}/conclusion")
def conclude(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    found: Ticked,
    security: Annotated[str, Form(max_length=600)] = "",
) -> Response:
    """The comparison as a whole: the grounds once more, and what a scan cannot carry over."""
    viewer_of_staff(person, Role.COMPARER)

    def act(viewer: Viewer) -> object:
        return page_findings.conclude(
            wired.house.office,
            case_id,
            checklist=found,
            security_elements=[part.strip() for part in security.split(",") if part.strip()],
            viewer=viewer,
            now=now,
            by=person.by,
        )

    return done(request, wired, person, case_id, act, now=now)


def _compare(
    request: Request,
    wired: Services,
    person: Person,
    case_id: str,
    number: int,
    *,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    office, viewer = wired.house.office, viewer_of_staff(person)
    case = case_lookup.find_case(office, case_id, viewer=viewer)
    _, pages = captures.captured_pages(office, case_id, viewer=viewer)
    if not 1 <= number <= len(pages):
        raise NotFound("page-unknown", page=number)
    return render(
        request,
        "compare.html",
        status=status,
        case=case,
        pages=pages,
        shown=pages[number - 1],
        found=page_findings.pages_found(office, case_id, viewer=viewer),
        may_find="comparer" in {role.value for role in person.roles},
        problem=problem,
    )
