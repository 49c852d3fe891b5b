"""Documents under way at the screen: what waits, reading page by page, initialling, signing.

The same domain functions as the API of `api.routes.steps`. Every form carries the digest of the
file that its page showed; the approval is asked for that digest and no other. docs/flows/steps.md.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.auth import approval
from api.auth.approval import ApprovalForm
from api.auth.guard import Now, Wired
from api.auth.keys import require_own, usable_of
from api.auth.people import Person, SignedIn, csrf_checked, record_refusal
from api.errors import ApiError
from api.pages import render
from api.pages.steps import document_view, just_done, row_view
from api.routes.steps import RoutedId
from api.services import Services
from records.errors import DomainError
from signer.errors import StepRefused
from signer.keys import credentials
from signer.keys.credentials import Credential
from signer.pdf import page_images
from signer.routing import routed_documents, step_changes, steps
from signer.routing.routed_documents import Actor, RoutedDocument, Step
from signer.routing.step_routes import StepKind

router = APIRouter(
    prefix="/desk/documents",
    include_in_schema=False,
    dependencies=[Depends(csrf_checked)],
)
_HEAD = ["GET", "HEAD"]
_PAGE = 30
ShownDigest = Annotated[str, Form(max_length=64)]
KeyId = Annotated[str, Form(max_length=64)]
ReasonText = Annotated[str, Form(max_length=step_changes.LONGEST_REASON)]


@router.api_route("", methods=_HEAD)
def listed(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    before: Annotated[float | None, Query(ge=0, le=7_000_000_000)] = None,
) -> Response:
    """What waits for this person, then everything of theirs and their unit's."""
    desk, actor = wired.house.desk, actor_of(person)
    earlier = datetime.fromtimestamp(before, UTC) if before is not None else None
    waiting = routed_documents.inbox(desk, actor=actor) if earlier is None else []
    found = routed_documents.listed(desk, actor=actor, before=earlier, limit=_PAGE)
    more = found[-1].created_at.timestamp() if len(found) == _PAGE else None
    return render(
        request,
        "documents.html",
        waiting=[row_view(one, now=now) for one in waiting],
        documents=[row_view(one, now=now) for one in found],
        more=more,
    )


@router.api_route("/{document_id}", methods=_HEAD)
def look(
    document_id: RoutedId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    done: Annotated[str, Query(max_length=8)] = "",
) -> Response:
    """The document, its steps, and what this person may do now. Opening it is recorded."""
    desk, actor = wired.house.desk, actor_of(person)
    found = routed_documents.look(desk, document_id, actor=actor)
    routed_documents.record_view(desk, found, actor=actor, now=now)
    made = just_done(found, by=person.by, now=now) if done else None
    return _page(request, wired, person, found, now=now, made=made)


@router.api_route("/{document_id}/pages/{page}", methods=_HEAD)
def page_of(
    document_id: RoutedId,
    page: Annotated[int, Path(ge=1, le=20_000)],
    wired: Wired,
    person: SignedIn,
) -> Response:
    """One page of the file as it stands, drawn in a confined process."""
    desk = wired.house.desk
    found = routed_documents.look(desk, document_id, actor=actor_of(person))
    routed_documents.require_shown(found)
    if page > found.pages:
        raise ApiError("page-not-found")
    picture = wired.pages.find(found.file, page)
    if picture is None:
        picture = page_images.page_image(desk.blobs.get(found.file), page=page)
        wired.pages.keep(found.file, page, picture)
    headers = {"Cache-Control": "private, max-age=600", "ETag": f'"{found.file}-{page}"'}
    return Response(picture, media_type=page_images.media_type(picture), headers=headers)


@router.get("/{document_id}/file.pdf")
def file(document_id: RoutedId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The file as it stands; the fetch is recorded."""
    found, data = routed_documents.content(
        wired.house.desk, document_id, actor=actor_of(person), now=now
    )
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name)}",
    }
    return Response(data, media_type="application/pdf", headers=headers)


@router.post("/{document_id}/initial")
def initial(
    document_id: RoutedId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    digest: ShownDigest = "",
) -> Response:
    """Read, and agreed with."""
    return _done(
        request,
        wired,
        person,
        document_id,
        lambda actor: steps.initial(
            wired.house.desk, document_id, shown=digest, actor=actor, now=now
        ),
        now=now,
    )


@router.post("/{document_id}/question")
def question(
    document_id: RoutedId,
    wired: Wired,
    now: Now,
    person: SignedIn,
    digest: ShownDigest = "",
    credential_id: KeyId = "",
) -> dict[str, Any]:
    """What the passkey is asked: the digest of the file that is shown, if it still stands."""
    desk = wired.house.desk
    found = routed_documents.look(desk, document_id, actor=actor_of(person))
    if found.file != digest:
        raise StepRefused("shown-not-current")
    key = require_own(desk, person, credential_id)
    digests = [bytes.fromhex(found.file)]
    return approval.ask(wired, key.id, digests, client=person.by, now=now)


@router.post("/{document_id}/signature")
def sign(
    document_id: RoutedId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    given: ApprovalForm,
    digest: ShownDigest = "",
    credential_id: KeyId = "",
    kind: Annotated[StepKind, Form()] = StepKind.SIGNATURE,
) -> Response:
    """The signature of the step whose turn it is, with PIN or passkey."""
    desk = wired.house.desk

    def act(actor: Actor) -> RoutedDocument:
        key = require_own(desk, person, credential_id)
        opens = approval.authorizer(
            wired, given, credential_id=key.id, client=person.by, now=now, by=person.by
        )
        return steps.sign(
            desk,
            document_id,
            kind,
            shown=digest,
            credential_id=key.id,
            authorize=opens,
            actor=actor,
            now=now,
        )

    return _done(request, wired, person, document_id, act, now=now)


@router.post("/{document_id}/refusal")
def refuse(
    document_id: RoutedId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    reason: ReasonText = "",
) -> Response:
    """With the reason, to the drafter."""
    return _done(
        request,
        wired,
        person,
        document_id,
        lambda actor: step_changes.refuse(
            wired.house.desk, document_id, reason=reason, actor=actor, now=now
        ),
        now=now,
    )


@router.post("/{document_id}/recall")
def recall(
    document_id: RoutedId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    reason: ReasonText = "",
) -> Response:
    """The drafter takes it back."""
    return _done(
        request,
        wired,
        person,
        document_id,
        lambda actor: step_changes.recall(
            wired.house.desk, document_id, reason=reason, actor=actor, now=now
        ),
        now=now,
    )


@router.post("/{document_id}/replacement")
def replace(
    document_id: RoutedId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    file: Annotated[UploadFile, File()],
) -> Response:
    """The drafter mends the file before the first signature."""
    return _done(
        request,
        wired,
        person,
        document_id,
        lambda actor: step_changes.replace(
            wired.house.desk, document_id, file.file.read(), actor=actor, now=now
        ),
        now=now,
    )


@router.post("/{document_id}/assignment")
def assign(
    document_id: RoutedId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    position: Annotated[int, Form(ge=0, lt=100)],
    official: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """A colleague of the unit does the step instead; nobody named: whoever has the role."""
    return _done(
        request,
        wired,
        person,
        document_id,
        lambda actor: step_changes.assign(
            wired.house.desk,
            document_id,
            position,
            holder_id=official or None,
            actor=actor,
            now=now,
        ),
        now=now,
    )


def actor_of(person: Person) -> Actor:
    """The official at the screen; documents under way are not citizens' business."""
    if person.kind != "official":
        raise StepRefused("routed-document-not-found")
    return Actor(
        by=person.by,
        holder_id=person.holder_id,
        name=person.name,
        unit=person.unit,
        roles=frozenset(one.value for one in person.roles),
    )


def _done(
    request: Request, wired: Services, person: Person, document_id: str, act: Any, *, now: datetime
) -> Response:
    """Do it and show the document; a refusal is told on the page it was asked from."""
    actor = actor_of(person)
    try:
        act(actor)
    except DomainError as error:
        found = routed_documents.look(wired.house.desk, document_id, actor=actor)
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, found, now=now, problem=error, status=status)
    return RedirectResponse(f"/desk/documents/{document_id}?done=yes", status_code=303)


def _page(
    request: Request,
    wired: Services,
    person: Person,
    found: RoutedDocument,
    *,
    now: datetime,
    problem: DomainError | None = None,
    made: Step | None = None,
    status: int = 200,
) -> Response:
    desk, actor = wired.house.desk, actor_of(person)
    view = document_view(found, actor=actor, now=now)
    keys = _keys(wired, person, found) if view.act not in (None, "initial") else []
    colleagues: list[Credential] = []
    if any(one.may_assign for one in view.steps) and found.current is not None:
        newest = credentials.of_unit(desk, found.current.unit, "official")
        colleagues = list({one.holder_id: one for one in reversed(newest)}.values())
    return render(
        request,
        "document.html",
        status=status,
        document=view,
        keys=keys,
        passkey_offered=any(approval.offered(wired, one.id) for one in keys),
        colleagues=sorted(colleagues, key=lambda one: one.name),
        history=routed_documents.history(desk, found.id, actor=actor),
        problem=problem,
        made=made,
    )


def _keys(wired: Services, person: Person, found: RoutedDocument) -> list[Credential]:
    """Those that fit the step: the person's own, or the seals of its unit."""
    step = found.current
    if step is None:
        return []
    mine = usable_of(wired.house.desk, person)
    if step.kind is StepKind.SIGNATURE:
        return [one for one in mine if one.kind == "official"]
    return [one for one in mine if one.kind == "agency" and one.unit == step.unit]
