"""Batches at the screen: list, review with ticks, one approval, progress, results.

The same domain functions as the API (`api.routes.batches`, `batch_results`). What is approved is
what the page showed: its fingerprint of the ticked digests comes back with the PIN, and if a
document came in, or a tick changed elsewhere meanwhile, nothing is authorised. docs/flows/batch.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.auth import approval
from api.auth.approval import ApprovalForm
from api.auth.guard import Now, Wired
from api.auth.keys import keys_of, require_own, usable_of
from api.auth.people import Person, Role, SignedIn, csrf_checked, needs, record_refusal
from api.batch_work import shelves_of
from api.errors import ApiError
from api.pages import language_for, render
from api.pages.batches import batch_view, item_view
from api.routes.batch_results import archived, followed, table
from api.routes.batch_shapes import BatchItemShape
from api.services import Services
from api.transit import safe_name
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.batches import batch, batch_reading, batch_review
from signer.batches.batch_review import Offered
from signer.errors import BatchRefused
from signer.keys import activation
from signer.keys.activation import Authorization
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.pdf import page_images
from signer.signing import SignatureRequest

router = APIRouter(
    prefix="/desk/batches",
    include_in_schema=False,
    dependencies=[Depends(csrf_checked)],
)
_HEAD = ["GET", "HEAD"]
_MOST_FILES = 500
PAGE = 100
BatchId = Annotated[str, Path(max_length=64, pattern="^bat_[0-9a-f]+$")]
Position = Annotated[int, Path(ge=0, lt=batch.MOST_DOCUMENTS)]
Chosen = Annotated[str, Form(max_length=64)]


@router.api_route("", methods=_HEAD)
def listed(request: Request, wired: Wired, person: SignedIn) -> Response:
    """Every batch for this person's keys, and where a new one begins."""
    needs(person, Role.SIGNER, Role.CLERK)
    return _list(request, wired, person)


@router.post("")
def begin(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    credential_id: Annotated[str, Form(max_length=64)],
    files: Annotated[list[UploadFile], File()],
    look: Annotated[Literal["name", "none"], Form()] = "name",
) -> Response:
    """A batch of this person's own documents."""
    needs(person, Role.SIGNER, Role.CLERK)
    desk = wired.house.desk
    key = require_own(desk, person, credential_id)
    shown = look == "name" and key.kind != "agency"
    how = SignatureRequest(
        level=Level.B_LTA, appearance=Appearance.person(anchor=key.name) if shown else None
    )
    try:
        if not 0 < len(files) <= _MOST_FILES:
            raise ApiError("batch-files-count", limit=_MOST_FILES)
        opened = batch.open_batch(
            desk, credential_id=key.id, client=person.by, request=how, now=now, by=person.by
        )
        for one in files:
            document = (safe_name(one.filename), one.file.read())
            batch.add(
                desk, shelves_of(wired.house.settings), opened.id, [document],
                client=person.by, now=now, by=person.by,
            )  # fmt: skip
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _list(request, wired, person, problem=error, status=status)
    return RedirectResponse(f"/desk/batches/{opened.id}", status_code=303)


@router.api_route("/{batch_id}", methods=_HEAD)
def review(
    batch_id: BatchId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    after: Annotated[int, Query(ge=-1, lt=batch.MOST_DOCUMENTS)] = -1,
    at: Annotated[int | None, Query(ge=0, lt=batch.MOST_DOCUMENTS)] = None,
) -> Response:
    """The documents with their ticks, one of them open, and the approval."""
    found = _offered(wired, person, batch_id)
    return _review(request, wired, person, found, after=after, at=at, now=now)


@router.api_route("/{batch_id}/documents/{position}", methods=_HEAD)
def viewer(
    batch_id: BatchId,
    position: Position,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
) -> Response:
    """One document's pages, as the part of the page that htmx asks for."""
    found = _offered(wired, person, batch_id)
    return render(
        request,
        "batch-viewer.html",
        batch=found.batch,
        open=_opened(wired, person, found, position, now=now),
    )


@router.api_route("/{batch_id}/documents/{position}/pages/{page}", methods=_HEAD)
def page(
    batch_id: BatchId,
    position: Position,
    page: Annotated[int, Path(ge=1, le=10_000)],
    wired: Wired,
    person: SignedIn,
) -> Response:
    """One page as a picture, drawn in a confined process."""
    desk, found = wired.house.desk, _offered(wired, person, batch_id)
    digest, _ = batch_review.known_page(desk, batch_id, position, client=found.client)
    picture = wired.pages.find(digest, page)
    if picture is None:
        shelves = shelves_of(wired.house.settings)
        whole = batch_review.original(desk, shelves, batch_id, position, client=found.client)
        picture = page_images.page_image(whole.data, page=page)
        wired.pages.keep(digest, page, picture)
    return Response(
        picture,
        media_type=page_images.media_type(picture),
        headers={"Cache-Control": "private, max-age=600", "ETag": f'"{digest}-{page}"'},
    )


@router.post("/{batch_id}/choice")
def choose(
    batch_id: BatchId,
    request: Request,
    wired: Wired,
    person: SignedIn,
    position: Annotated[int | None, Form(ge=0, lt=batch.MOST_DOCUMENTS)] = None,
    ticked: Annotated[str, Form(max_length=5)] = "",
    every: Annotated[str, Form(max_length=5)] = "",
) -> Response:
    """A tick, or all of them; answers with what the approval would be for now."""
    desk, found = wired.house.desk, _offered(wired, person, batch_id)
    if every:
        positions: Sequence[int] = range(found.batch.total)
        tick, untick = (positions, ()) if every == "all" else ((), positions)
    elif position is not None:
        tick, untick = ((position,), ()) if ticked else ((), (position,))
    else:
        raise ApiError("request-invalid")
    batch.choose(desk, batch_id, tick=tick, untick=untick, client=found.client)
    if request.headers.get("hx-request") != "true":
        return RedirectResponse(f"/desk/batches/{batch_id}", status_code=303)
    digests = batch.chosen_digests(desk, batch_id, client=found.client)
    return render(request, "batch-chosen.html", count=len(digests), chosen=fingerprint(digests))


@router.post("/{batch_id}/question")
def question(
    batch_id: BatchId, wired: Wired, now: Now, person: SignedIn, chosen: Chosen = ""
) -> dict[str, Any]:
    """What the passkey is asked: these digests and no others."""
    desk, found = wired.house.desk, _offered(wired, person, batch_id)
    digests = batch.chosen_digests(desk, batch_id, client=found.client)
    _require_shown(digests, chosen)
    return approval.ask(wired, found.batch.credential_id, digests, client=found.client, now=now)


@router.post("/{batch_id}/authorization")
def authorize(
    batch_id: BatchId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    given: ApprovalForm,
    chosen: Chosen = "",
) -> Response:
    """One PIN or passkey for all that is ticked; the work begins."""
    desk, found = wired.house.desk, _offered(wired, person, batch_id)
    opens = approval.authorizer(
        wired,
        given,
        credential_id=found.batch.credential_id,
        client=found.client,
        now=now,
        by=person.by,
        minutes=activation.LONGEST_MINUTES,
    )

    def authorizer(digests: Sequence[bytes]) -> Authorization:
        _require_shown(digests, chosen)
        return opens(digests)

    try:
        batch.authorize(
            desk, batch_id, authorizer=authorizer, client=found.client, now=now, by=person.by
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _review(request, wired, person, found, now=now, problem=error, status=status)
    return RedirectResponse(f"/desk/batches/{batch_id}", status_code=303)


@router.post("/{batch_id}/cancellation")
def cancel(batch_id: BatchId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """What is signed stays signed, the rest is not touched."""
    found = _offered(wired, person, batch_id)
    batch.cancel(wired.house.desk, batch_id, client=found.client, now=now, by=person.by)
    return RedirectResponse(f"/desk/batches/{batch_id}", status_code=303)


@router.get("/{batch_id}/events")
async def events(batch_id: BatchId, request: Request, wired: Wired, person: SignedIn) -> Response:
    """Progress, as it happens."""
    from starlette.concurrency import run_in_threadpool

    found = await run_in_threadpool(_offered, wired, person, batch_id)
    return await followed(request, wired.house.desk, batch_id, client=found.client)


@router.get("/{batch_id}/results.csv")
def results(batch_id: BatchId, wired: Wired, person: SignedIn) -> Response:
    """The result file."""
    desk, found = wired.house.desk, _offered(wired, person, batch_id)
    rows = [
        BatchItemShape.of(batch_id, one)
        for one in batch_reading.items(
            desk, batch_id, client=found.client, limit=batch.MOST_DOCUMENTS
        )
    ]
    return Response(
        table(rows),
        media_type="text/csv; charset=utf-8",
        headers={
            "Cache-Control": "private, no-store",
            "Content-Disposition": f'attachment; filename="{batch_id}.csv"',
        },
    )


@router.get("/{batch_id}/signed.zip")
def all_signed(batch_id: BatchId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """Every signed document at once."""
    found = _offered(wired, person, batch_id)
    return archived(wired, batch_id, client=found.client, now=now, by=person.by)


@router.get("/{batch_id}/documents/{position}/signed.pdf")
def signed(
    batch_id: BatchId, position: Position, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """The signed document; the fetch is recorded."""
    desk, found = wired.house.desk, _offered(wired, person, batch_id)
    shelves = shelves_of(wired.house.settings)
    data = batch_reading.content(desk, shelves, batch_id, position, client=found.client)
    (item,) = batch_reading.items(desk, batch_id, client=found.client, after=position - 1, limit=1)
    _record(wired, person, Tag.DOCUMENT_DELIVERED, batch_id, position, item.result, now=now)
    return Response(
        data,
        media_type="application/pdf",
        headers={
            "Cache-Control": "private, no-store",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(item.name)}",
        },
    )


def fingerprint(digests: Sequence[bytes]) -> str:
    """What the page shows as ticked, in one short string."""
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _require_shown(digests: Sequence[bytes], chosen: str) -> None:
    if fingerprint(digests) != chosen:
        raise BatchRefused("batch-changed")


def _offered(wired: Services, person: Person, batch_id: str) -> Offered:
    needs(person, Role.SIGNER, Role.CLERK)
    desk = wired.house.desk
    return batch_review.offered(desk, batch_id, [one.id for one in keys_of(desk, person)])


def _opened(
    wired: Services, person: Person, found: Offered, position: int, *, now: Any
) -> dict[str, Any]:
    """The document in the viewer; that it was opened is recorded (Law 91/2025)."""
    desk = wired.house.desk
    items = batch_reading.items(
        desk, found.batch.id, client=found.client, after=position - 1, limit=1
    )
    if not items:
        raise BatchRefused("batch-document-not-found", position=position)
    item = items[0]
    _record(wired, person, Tag.DOCUMENT_VIEWED, found.batch.id, position, item.digest, now=now)
    return {"item": item, "pages": range(1, (item.pages or 0) + 1)}


def _record(
    wired: Services,
    person: Person,
    tag: Tag,
    batch_id: str,
    position: int,
    digest: str | None,
    *,
    now: Any,
) -> None:
    with wired.house.database.transaction() as session:
        audit.record(
            session,
            tag=tag,
            by=person.by,
            subject=f"batch:{batch_id}",
            details={"position": position, "digest": digest or ""},
            now=now,
        )


def _list(
    request: Request,
    wired: Services,
    person: Person,
    *,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    desk = wired.house.desk
    keys = keys_of(desk, person)
    names = {one.id: one.name for one in keys}
    found = batch_review.of_keys(desk, list(names))
    return render(
        request,
        "batches.html",
        status=status,
        batches=[batch_view(one, names[one.batch.credential_id]) for one in found],
        keys=[one for one in usable_of(desk, person) if one.kind != "agency"],
        problem=problem.message(language_for(request)) if problem is not None else "",
        most_files=_MOST_FILES,
    )


def _review(
    request: Request,
    wired: Services,
    person: Person,
    found: Offered,
    *,
    now: Any,
    after: int = -1,
    at: int | None = None,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    desk, language = wired.house.desk, language_for(request)
    items = batch_reading.items(desk, found.batch.id, client=found.client, after=after, limit=PAGE)
    digests = batch.chosen_digests(desk, found.batch.id, client=found.client)
    key = require_own(desk, person, found.batch.credential_id)
    first = at if at is not None else (items[0].position if items else None)
    return render(
        request,
        "batch.html",
        status=status,
        batch=batch_view(found, key.name),
        items=[item_view(one, language) for one in items],
        after=after,
        page_size=PAGE,
        open=_opened(wired, person, found, first, now=now) if first is not None else None,
        count=len(digests),
        chosen=fingerprint(digests),
        passkey_offered=approval.offered(wired, key.id),
        problem=problem.message(language) if problem is not None else "",
    )
