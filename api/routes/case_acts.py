"""What is done with one case between the counter and the certification, over HTTP.

Assigned, examined, compared page by page, recognised, refused in writing, frozen, withdrawn. The
acts that lead straight to a copy are in `api.routes.certified_copies`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.routes.certification_shapes import (
    CaseShape,
    ChecklistShape,
    ComparisonShape,
    FindingShape,
    Hand,
)
from api.routes.certified_copies import CaseId
from api.routes.shapes import Shape, problems
from api.routes.visit_shapes import AssignmentOrder, ReasonOrder, RefusalShape
from api.routes.visits import Certifier, pdf_answer, viewer_of
from certify.counter import intake, refusal
from certify.errors import NotFound
from certify.scans import captures, comparison, page_findings, recognition
from certify.scans.comparison import Checklist, PageFinding

router = APIRouter(prefix="/api/v1/certified-copies/cases", tags=["certified copies"])
PageNumber = Annotated[int, Path(ge=1, le=2000)]


class FindingOrder(FindingShape):
    """The finding on one page, and who made it."""

    official: str = Field(max_length=100, examples=["Phạm Minh Ví Dụ"])


class ExaminationOrder(Shape):
    """The look at the original before it is scanned."""

    checklist: ChecklistShape = Field(default_factory=ChecklistShape)
    official: str = Field(max_length=100, examples=["Phạm Minh Ví Dụ"])


class ConclusionOrder(ExaminationOrder):
    """The end of a comparison whose pages all have their finding."""

    security_elements: list[Annotated[str, Field(max_length=100)]] | None = Field(
        None, max_length=20
    )


class RefusalOrder(Shape):
    """Who signs the refusal, and what the grounds alone do not say."""

    person: Hand
    explanation: str = Field("", max_length=2000)


class GroundsShape(BaseModel):
    """The grounds that are met; none: the original may be captured."""

    grounds: list[str]


class LayersShape(BaseModel):
    """How many pages have a text layer now."""

    pages: int
    engine: str | None


@router.post(
    "/{case_id}/assignment",
    summary="Give the case to an official of the unit",
    response_model=CaseShape,
    responses=problems(404, 409),
)
def assign(
    case_id: CaseId, order: AssignmentOrder, wired: Wired, now: Now, client: Certifier
) -> CaseShape:
    """Somebody with an official's certificate of this unit."""
    made = intake.assign(
        wired.house.office,
        case_id,
        to=order.official,
        viewer=viewer_of(client),
        now=now,
        by=client.by,
    )
    return CaseShape.of(made)


@router.post(
    "/{case_id}/examination",
    summary="Examine the original before it is scanned",
    response_model=GroundsShape,
    responses=problems(404, 409),
)
def examine(
    case_id: CaseId, order: ExaminationOrder, wired: Wired, now: Now, client: Certifier
) -> GroundsShape:
    """A ground that is met ends the case; then its written refusal can be signed."""
    met = comparison.examine(
        wired.house.office,
        case_id,
        checklist=Checklist(**order.checklist.model_dump()),
        viewer=viewer_of(client),
        now=now,
        by=f"{client.by}/{order.official}",
    )
    return GroundsShape(grounds=[ground.value for ground in met])


@router.put(
    "/{case_id}/pages/{page}/finding",
    status_code=204,
    response_class=Response,
    summary="Record the finding on one page",
    responses=problems(404, 409),
)
def find(
    case_id: CaseId,
    page: PageNumber,
    order: FindingOrder,
    wired: Wired,
    now: Now,
    client: Certifier,
) -> Response:
    """While the comparison goes on; a later one replaces it."""
    page_findings.record_page(
        wired.house.office,
        case_id,
        page,
        PageFinding(order.matches, order.note),
        viewer=viewer_of(client),
        now=now,
        by=f"{client.by}/{order.official}",
    )
    return Response(status_code=204)


@router.post(
    "/{case_id}/conclusion",
    summary="End the comparison from the findings of its pages",
    response_model=ComparisonShape,
    responses=problems(404, 409),
)
def conclude(
    case_id: CaseId, order: ConclusionOrder, wired: Wired, now: Now, client: Certifier
) -> ComparisonShape:
    """Refused while a page has no finding."""
    found = page_findings.conclude(
        wired.house.office,
        case_id,
        checklist=Checklist(**order.checklist.model_dump()),
        security_elements=order.security_elements,
        viewer=viewer_of(client),
        now=now,
        by=f"{client.by}/{order.official}",
    )
    return ComparisonShape.of(found)


@router.get(
    "/{case_id}/pages/{page}/image",
    summary="One captured page",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {}, "image/png": {}}, "description": "The page"},
        **problems(404, 409, 410),
    },
)
def image(
    case_id: CaseId,
    page: PageNumber,
    wired: Wired,
    now: Now,
    client: Certifier,
    untouched: bool = False,
) -> Response:
    """As cleaned up, or `untouched` as scanned; the look is logged."""
    data = captures.page_image(
        wired.house.office,
        case_id,
        page,
        untouched=untouched,
        viewer=viewer_of(client),
        now=now,
        by=client.by,
    )
    return image_answer(data)


@router.post(
    "/{case_id}/text-layer",
    summary="Recognise the text of the captured pages",
    response_model=LayersShape,
    responses=problems(404, 409),
)
def recognise(case_id: CaseId, wired: Wired, now: Now, client: Certifier) -> LayersShape:
    """An option; where the engine is not installed the answer says so (`ocr-unavailable`)."""
    pages = recognition.recognise(
        wired.house.office, case_id, viewer=viewer_of(client), now=now, by=client.by
    )
    return LayersShape(pages=pages, engine=recognition.engine())


@router.post(
    "/{case_id}/refusal",
    summary="Sign the written refusal",
    response_model=RefusalShape,
    responses=problems(404, 409, 507),
)
def refuse(
    case_id: CaseId, order: RefusalOrder, wired: Wired, now: Now, client: Certifier
) -> RefusalShape:
    """Reasoned, B-LTA, delivered to the requester's store; made once."""
    made = refusal.issue_refusal(
        wired.house.office,
        case_id,
        person=order.person.pair(),
        explanation=order.explanation,
        viewer=viewer_of(client),
        now=now,
        by=client.by,
    )
    return RefusalShape.of(made)


@router.get(
    "/{case_id}/refusal",
    summary="The signed refusal",
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {}}, "description": "PDF/A with one signature"},
        **problems(404),
    },
)
def refused(case_id: CaseId, wired: Wired, client: Certifier) -> Response:
    """For the unit's systems; the requester has it in the store."""
    made = refusal.find_refusal(wired.house.office, case_id, viewer=viewer_of(client))
    if made is None:
        raise NotFound("refusal-unknown")
    return pdf_answer(made.data, f"tu-choi-{made.code}.pdf")


@router.post(
    "/{case_id}/freeze",
    summary="Suspected forgery",
    response_model=CaseShape,
    responses=problems(404, 409),
)
def freeze(
    case_id: CaseId, order: ReasonOrder, wired: Wired, now: Now, client: Certifier
) -> CaseShape:
    """The case stops, is kept as it is, and never gets a number."""
    made = comparison.freeze(
        wired.house.office,
        case_id,
        reason=order.reason,
        viewer=viewer_of(client),
        now=now,
        by=client.by,
    )
    return CaseShape.of(made)


@router.post(
    "/{case_id}/withdrawal",
    summary="The requester no longer wants this copy",
    response_model=CaseShape,
    responses=problems(404, 409),
)
def withdraw(
    case_id: CaseId, order: ReasonOrder, wired: Wired, now: Now, client: Certifier
) -> CaseShape:
    """Only before a number was taken."""
    made = intake.withdraw(
        wired.house.office,
        case_id,
        reason=order.reason,
        viewer=viewer_of(client),
        now=now,
        by=client.by,
    )
    return CaseShape.of(made)


def image_answer(data: bytes) -> Response:
    """A captured page is a JPEG; an untouched one may be a PNG."""
    kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
    headers = {"Cache-Control": "private, no-store"}
    return Response(data, media_type=kind, headers=headers)
