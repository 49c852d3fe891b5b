"""Signing at the screen: the copy as it will be, then PIN or passkey; the refusal likewise.

What is shown is what is signed: the assembled file is kept, drawn page by page, and its digest is
what the person approves. The unit's seal follows at once: under the clerk's mandate, or with the
seal's PIN beside it. docs/flows/certify.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Request
from pydantic import SecretStr
from starlette.responses import RedirectResponse, Response

from api.auth import approval
from api.auth.approval import ApprovalForm
from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, record_refusal
from api.errors import ApiError
from api.pages import render
from api.routes.visits import pdf_answer
from api.screens.case_pages import CaseId, page
from api.screens.counter_pages import viewer_of_staff
from api.services import Services
from certify.counter import case_lookup, refusal
from certify.errors import CertifyError, NotFound
from certify.issuance import Hand, certify_copy
from certify.models import CaseState
from certify.pages.prepared import PreparedCopy, find_prepared, prepare_copy
from certify.scans.comparison import Ground, noted
from certify.units import unit as find_unit
from records.errors import DomainError
from signer.keys import credentials, mandates
from signer.keys.activation import Authorization
from signer.keys.credentials import Credential
from signer.keys.mandates import Mandate
from signer.pdf import page_images
from signer.signing import document_digest

router = APIRouter(
    prefix="/desk/cases", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
_HEAD = ["GET", "HEAD"]
Digest = Annotated[str, Form(max_length=64)]
Words = Annotated[str, Form(max_length=refusal.LONGEST_EXPLANATION)]
SealPin = Annotated[SecretStr, Form(max_length=64)]
NO_PIN = SecretStr("")


@router.post("/{case_id}/preparation")
def prepare(
    case_id: CaseId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """Take the number and show the copy as it will be."""
    office = wired.house.office
    try:
        case_lookup.find_case(office, case_id, viewer=viewer_of_staff(person, Role.SIGNER))
        prepare_copy(
            office,
            case_id,
            person_id=own_key(wired, person).id,
            seal_id=unit_seal(wired, person).id,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return page(request, wired, person, case_id, now=now, problem=error, status=status)
    return RedirectResponse(f"/desk/cases/{case_id}/certification", status_code=303)


@router.api_route("/{case_id}/certification", methods=_HEAD)
def certification(
    case_id: CaseId, request: Request, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """The pages to read, and the form to approve them."""
    return _certification(request, wired, person, case_id, now=now)


@router.api_route("/{case_id}/certification/pages/{number}", methods=_HEAD)
def shown(
    case_id: CaseId,
    number: Annotated[int, Path(ge=1, le=2000)],
    wired: Wired,
    person: SignedIn,
) -> Response:
    """One page of the copy, as it will be signed."""
    copy = _prepared(wired, person, case_id)
    picture = wired.pages.find(copy.digest, number)
    if picture is None:
        picture = page_images.page_image(copy.pdf, page=number)
        wired.pages.keep(copy.digest, number, picture)
    headers = {"Cache-Control": "private, no-store"}
    return Response(picture, media_type=page_images.media_type(picture), headers=headers)


@router.post("/{case_id}/certification/question")
def question(
    case_id: CaseId, wired: Wired, now: Now, person: SignedIn, digest: Digest = ""
) -> dict[str, Any]:
    """What the passkey is asked: the digest of the copy that is shown."""
    copy = _prepared(wired, person, case_id)
    current = copy.digest
    key = own_key(wired, person).id
    return approval.ask_shown(
        wired, key, current=current, shown_digest=digest, client=person.by, now=now
    )


@router.post("/{case_id}/certification")
def certify(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    given: ApprovalForm,
    digest: Digest = "",
    seal_pin: SealPin = NO_PIN,
) -> Response:
    """The person signs what was shown, the unit seals it; then the copy exists."""
    office = wired.house.office
    try:
        copy = _prepared(wired, person, case_id)
        if copy.digest != digest:
            raise CertifyError("shown-not-current")
        key = own_key(wired, person)
        opens = approval.authorizer(
            wired, given, credential_id=key.id, client=person.by, now=now, by=person.by
        )
        seal = seal_hand(wired, person, seal_pin.get_secret_value(), now=now)
        certify_copy(office, case_id, person=(key.id, opens), seal=seal, now=now, by=person.by)
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _certification(
            request, wired, person, case_id, now=now, problem=error, status=status
        )
    return RedirectResponse(f"/desk/cases/{case_id}", status_code=303)


@router.api_route("/{case_id}/refusal", methods=_HEAD)
def refusal_form(case_id: CaseId, request: Request, wired: Wired, person: SignedIn) -> Response:
    """The grounds on record, and what was noted beside the pages as a first explanation."""
    viewer = viewer_of_staff(person, Role.SIGNER)
    notes = "; ".join(noted(wired.house.office, case_id, viewer=viewer))
    return _refusal(
        request, wired, person, case_id, explanation=notes[: refusal.LONGEST_EXPLANATION]
    )


@router.post("/{case_id}/refusal/draft")
def draft(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    explanation: Words = "",
) -> Response:
    """The refusal as it will be signed."""
    try:
        document = _draft(wired, person, case_id, explanation, now=now)
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _refusal(request, wired, person, case_id, problem=error, status=status)
    digest = document_digest(document).hex()
    wired.pages.keep(digest, 1, page_images.page_image(document, page=1))
    return _refusal(request, wired, person, case_id, digest=digest, explanation=explanation)


@router.api_route("/{case_id}/refusal/drafts/{digest}", methods=_HEAD)
def drafted(
    case_id: CaseId,
    digest: Annotated[str, Path(max_length=64)],
    wired: Wired,
    person: SignedIn,
) -> Response:
    """The first page of the draft that was just made."""
    case_lookup.find_case(wired.house.office, case_id, viewer=viewer_of_staff(person, Role.SIGNER))
    picture = wired.pages.find(digest, 1)
    if picture is None:
        raise NotFound("page-unknown", page=1)
    return Response(picture, media_type=page_images.media_type(picture))


@router.post("/{case_id}/refusal/question")
def refusal_question(
    case_id: CaseId,
    wired: Wired,
    now: Now,
    person: SignedIn,
    digest: Digest = "",
    explanation: Words = "",
) -> dict[str, Any]:
    """What the passkey is asked: the digest of the draft that is shown."""
    document = _draft(wired, person, case_id, explanation, now=now)
    current = document_digest(document).hex()
    key = own_key(wired, person).id
    return approval.ask_shown(
        wired, key, current=current, shown_digest=digest, client=person.by, now=now
    )


@router.post("/{case_id}/refusal")
def refuse(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    given: ApprovalForm,
    digest: Digest = "",
    explanation: Words = "",
) -> Response:
    """Signed and delivered."""
    try:
        key = own_key(wired, person)
        opens = approval.authorizer(
            wired, given, credential_id=key.id, client=person.by, now=now, by=person.by
        )
        refusal.issue_refusal(
            wired.house.office,
            case_id,
            person=(key.id, opens),
            explanation=explanation,
            shown=digest,
            viewer=viewer_of_staff(person, Role.SIGNER),
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _refusal(request, wired, person, case_id, problem=error, status=status)
    return RedirectResponse(f"/desk/cases/{case_id}/refusal", status_code=303)


@router.api_route("/{case_id}/refusal.pdf", methods=_HEAD)
def refused(case_id: CaseId, wired: Wired, person: SignedIn) -> Response:
    """The signed refusal."""
    made = refusal.find_refusal(wired.house.office, case_id, viewer=viewer_of_staff(person))
    if made is None:
        raise NotFound("refusal-unknown")
    return pdf_answer(made.data, f"tu-choi-{made.code}.pdf")


def _prepared(wired: Services, person: Person, case_id: str) -> PreparedCopy:
    """The copy that is shown, for a signer of its unit."""
    office = wired.house.office
    case_lookup.find_case(office, case_id, viewer=viewer_of_staff(person, Role.SIGNER))
    return find_prepared(office, case_id)


def _draft(
    wired: Services, person: Person, case_id: str, explanation: str, *, now: datetime
) -> bytes:
    return refusal.draft_refusal(
        wired.house.office,
        case_id,
        person_id=own_key(wired, person).id,
        explanation=explanation,
        viewer=viewer_of_staff(person, Role.SIGNER),
        now=now,
        by=person.by,
    )


def own_key(wired: Services, person: Person) -> Credential:
    """The official's own key: never a seal, never as a citizen."""
    for one in credentials.by_holder(wired.house.desk, person.holder_id):
        if one.kind == "official" and one.state == "active":
            return one
    raise ApiError("own-key-missing")


def unit_seal(wired: Services, person: Person) -> Credential:
    unit = find_unit(str(person.unit))
    for name in (unit.code, unit.agency_code):
        for one in credentials.of_unit(wired.house.desk, name, "agency"):
            if one.state == "active":
                return one
    raise ApiError("unit-seal-missing", unit=unit.name)


def standing_mandate(wired: Services, seal: Credential, *, now: datetime) -> Mandate | None:
    """The clerk's leave for this service to put the seal on, while it stands."""
    office = wired.house.office
    return mandates.standing(office.desk, credential_id=seal.id, client=office.client, now=now)


def seal_hand(wired: Services, person: Person, pin: str, *, now: datetime) -> Hand:
    """The seal under the clerk's mandate for this service; without one, with the seal's PIN."""
    office, seal = wired.house.office, unit_seal(wired, person)
    mandate = standing_mandate(wired, seal, now=now)
    if mandate is None and not pin:
        raise ApiError("seal-pin-missing")  # an empty one would count as a wrong one
    if pin or mandate is None:
        return seal.id, pin
    standing = mandate.id

    def opened(digests: Sequence[bytes]) -> Authorization:
        return mandates.authorize(
            office.desk,
            mandate_id=standing,
            digests=digests,
            client=office.client,
            now=now,
            by=person.by,
        )

    return seal.id, opened


def _certification(
    request: Request,
    wired: Services,
    person: Person,
    case_id: str,
    *,
    now: datetime,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    office = wired.house.office
    case = case_lookup.find_case(office, case_id, viewer=viewer_of_staff(person, Role.SIGNER))
    if case.state is not CaseState.CERTIFYING:
        # Issued meanwhile, or its number was voided: the case says what is next.
        return page(request, wired, person, case_id, now=now, problem=problem, status=status)
    copy, key, seal = (
        _prepared(wired, person, case_id),
        own_key(wired, person),
        unit_seal(wired, person),
    )
    mandate = standing_mandate(wired, seal, now=now)
    return render(
        request,
        "certification.html",
        status=status,
        case=case,
        copy=copy,
        key=key,
        seal=seal,
        mandate=mandate,
        passkey_offered=approval.offered(wired, key.id),
        problem=problem,
    )


def _refusal(
    request: Request,
    wired: Services,
    person: Person,
    case_id: str,
    *,
    digest: str = "",
    explanation: str = "",
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    office, viewer = wired.house.office, viewer_of_staff(person, Role.SIGNER)
    case = case_lookup.find_case(office, case_id, viewer=viewer)
    made = refusal.find_refusal(office, case_id, viewer=viewer)
    return render(
        request,
        "refusal.html",
        status=status,
        case=case,
        made=made,
        grounds=[Ground(one) for one in (case.closing_reason or "").split(",") if one]
        if case.state is CaseState.REFUSED
        else [],
        digest=digest,
        explanation=explanation,
        passkey_offered=bool(digest) and approval.offered(wired, own_key(wired, person).id),
        problem=problem,
    )
