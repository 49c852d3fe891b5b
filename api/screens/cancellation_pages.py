"""Cancelling and replacing at the screen: the copy found, the decision read, then PIN or passkey.

What is shown is what is signed: the same words on the same day draw the same bytes, and their
digest is what the competent person approves. docs/flows/cancel.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth import approval
from api.auth.approval import ApprovalForm
from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, record_refusal
from api.pages import render
from api.routes.visits import pdf_answer
from api.screens.certify_pages import own_key
from api.screens.register_pages import READERS, unit_of
from api.services import Services
from certify import cancellation, decisions
from certify.copy_lookup import FoundCopy, find_copy
from certify.decision_signing import Words, cancel_here
from certify.errors import NotFound
from certify.models import CopyStatus
from records.errors import DomainError
from signer.pdf import page_images
from signer.routing.working_days import local
from signer.signing import document_digest

router = APIRouter(
    prefix="/desk/copies", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
_HEAD = ["GET", "HEAD"]
Code = Annotated[str, Path(max_length=40)]
Number = Annotated[str, Form(max_length=64)]
Reason = Annotated[str, Form(max_length=1000)]
Digest = Annotated[str, Form(max_length=64)]


@router.api_route("", methods=_HEAD)
def find(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    wanted: Annotated[str, Query(max_length=60)] = "",
) -> Response:
    """By number or code; what is found opens at once."""
    unit_of(person, *READERS)
    if not wanted.strip():
        return render(request, "copy-find.html", wanted="", problem=None)
    try:
        found = _found(wired, person, wanted, now=now)
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return render(request, "copy-find.html", status=status, wanted=wanted, problem=error)
    return RedirectResponse(f"/desk/copies/{found.code}", status_code=303)


@router.api_route("/{code}", methods=_HEAD)
def look(code: Code, request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The copy, its status, and what a competent person may do."""
    return _page(request, wired, person, _found(wired, person, code, now=now))


@router.post("/{code}/cancellation/draft")
def draft(
    code: Code,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    number: Number = "",
    reason: Reason = "",
) -> Response:
    """The decision as it will be signed."""
    copy = _found(wired, person, code, now=now)
    words = _words(number, reason)
    try:
        document = _drafted(wired, person, copy, words, now=now)
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, copy, words=words, problem=error, status=status)
    digest = document_digest(document).hex()
    wired.pages.keep(digest, 1, page_images.page_image(document, page=1))
    return _page(request, wired, person, copy, words=words, digest=digest)


@router.api_route("/{code}/cancellation/drafts/{digest}", methods=_HEAD)
def drafted(
    code: Code,
    digest: Annotated[str, Path(max_length=64)],
    wired: Wired,
    now: Now,
    person: SignedIn,
) -> Response:
    """The first page of the draft that was just made."""
    _found(wired, person, code, now=now)
    picture = wired.pages.find(digest, 1)
    if picture is None:
        raise NotFound("page-unknown", page=1)
    headers = {"Cache-Control": "private, no-store"}
    return Response(picture, media_type=page_images.media_type(picture), headers=headers)


@router.post("/{code}/cancellation/question")
def question(
    code: Code,
    wired: Wired,
    now: Now,
    person: SignedIn,
    digest: Digest = "",
    number: Number = "",
    reason: Reason = "",
) -> dict[str, Any]:
    """What the passkey is asked: the digest of the draft that is shown."""
    copy = _found(wired, person, code, now=now)
    document = _drafted(wired, person, copy, _words(number, reason), now=now)
    current = document_digest(document).hex()
    key = own_key(wired, person).id
    return approval.ask_shown(
        wired, key, current=current, shown_digest=digest, client=person.by, now=now
    )


@router.post("/{code}/cancellation")
def cancel(
    code: Code,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    given: ApprovalForm,
    digest: Digest = "",
    number: Number = "",
    reason: Reason = "",
) -> Response:
    """Signed, and public with the same act."""
    copy = _found(wired, person, code, now=now)
    words = _words(number, reason)
    try:
        unit_of(person, Role.SIGNER)
        key = own_key(wired, person)
        opens = approval.authorizer(
            wired, given, credential_id=key.id, client=person.by, now=now, by=person.by
        )
        cancel_here(
            wired.house.office,
            copy.id,
            words,
            person=(key.id, opens),
            shown=digest,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, copy, words=words, problem=error, status=status)
    return RedirectResponse(f"/desk/copies/{copy.code}", status_code=303)


@router.api_route("/{code}/cancellation.pdf", methods=_HEAD)
def decision(code: Code, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The signed decision."""
    copy = _found(wired, person, code, now=now)
    if copy.cancellation is None:
        raise NotFound("copy-not-cancelled")
    data = wired.house.office.blobs.get(copy.cancellation.digest)
    return pdf_answer(data, f"quyet-dinh-huy-{copy.code}.pdf")


@router.post("/{code}/replacement")
def replace(
    code: Code,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    wanted: Annotated[str, Form(max_length=60)] = "",
) -> Response:
    """The copy that counts from now on, by its number or code."""
    copy = _found(wired, person, code, now=now)
    try:
        unit_of(person, Role.SIGNER)
        newer = _found(wired, person, wanted, now=now)
        cancellation.replace(wired.house.office, copy.id, by_copy=newer.id, now=now, by=person.by)
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, copy, problem=error, status=status)
    return RedirectResponse(f"/desk/copies/{copy.code}", status_code=303)


def _words(number: str, reason: str) -> Words:
    """Line ends as one: a browser's form sends others than a passkey's question."""
    return Words(number.strip(), " ".join(reason.split()).rstrip("."))


def _found(wired: Services, person: Person, wanted: str, *, now: datetime) -> FoundCopy:
    unit = unit_of(person, *READERS)
    return find_copy(wired.house.office, wanted, unit=unit, today=local(now).date())


def _drafted(
    wired: Services, person: Person, copy: FoundCopy, words: Words, *, now: datetime
) -> bytes:
    unit_of(person, Role.SIGNER)
    cancellation.require_in_force(wired.house.office, copy.id)
    return decisions.draft(
        wired.house.office,
        copy.id,
        number=words.number,
        reason=words.reason,
        holder_id=own_key(wired, person).holder_id,
        now=now,
    )


def _page(
    request: Request,
    wired: Services,
    person: Person,
    copy: FoundCopy,
    *,
    words: Words | None = None,
    digest: str = "",
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    return render(
        request,
        "copy-desk.html",
        status=status,
        copy=copy,
        words=words or Words("", ""),
        digest=digest,
        may_decide=Role.SIGNER in person.roles,
        in_force=copy.status is CopyStatus.IN_FORCE,
        passkey_offered=bool(digest) and approval.offered(wired, own_key(wired, person).id),
        problem=problem,
    )
