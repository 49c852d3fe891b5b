"""A citizen's store on the screen: my papers, with whom I share them, who used them, all of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Path, Request, UploadFile
from starlette.responses import RedirectResponse, Response, StreamingResponse

from api.auth.guard import Now, Wired
from api.auth.people import Person, SignedIn, csrf_checked, record_refusal
from api.pages import language_for, render
from api.screens.received_papers import as_download, citizen, owner_name
from api.services import Services
from api.store_archive import archive, pieces
from api.store_recipients import require_known
from certify.stores import deliveries, received, sharing, store
from certify.stores.sharing import LINK, Recipient
from records.errors import DomainError

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])
ItemId = Annotated[str, Path(max_length=32)]
_MOST_DAYS = 366
_NOTHING_TYPED = {"kind": "link", "recipient": "", "name": "", "purpose": "", "days": 30}


@router.get("/desk/papers")
def papers(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """Everything in the store, what happened to it, and what others share with this person."""
    return _papers(request, wired, citizen(person), now)


@router.post("/desk/papers")
def add(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    title: Annotated[str, Form(max_length=400)],
    file: Annotated[UploadFile, File()],
) -> Response:
    """An own paper: kept, shared if its owner likes, never certified."""
    try:
        store.add(
            wired.house.office,
            owner_id=citizen(person).by,
            kind="own-paper",
            title=title,
            data=file.file.read(store.LARGEST_ITEM + 1),
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _papers(request, wired, person, now, refusal=error, status=status)
    return RedirectResponse("/desk/papers", status_code=303)


@router.get("/desk/papers/export")
def export(wired: Wired, now: Now, person: SignedIn) -> Response:
    """Everything as a ZIP with its manifest."""
    made = archive(wired.house.office, owner_id=citizen(person).by, now=now, by=person.by)
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": 'attachment; filename="kho-du-lieu.zip"',
    }
    return StreamingResponse(pieces(made), media_type="application/zip", headers=headers)


@router.get("/desk/papers/{item_id}")
def paper(request: Request, item_id: ItemId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """One document: share it, take shares back, see who looked."""
    return _paper(request, wired, now, citizen(person), item_id)


@router.get("/desk/papers/{item_id}/file")
def download(item_id: ItemId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The bytes, for their owner."""
    office, owner = wired.house.office, citizen(person).by
    item = store.find_item(office, item_id, owner_id=owner)
    data = store.fetch(
        office, item_id, owner_id=owner, purpose="chủ sở hữu tải về", now=now, by=person.by
    )
    return as_download(item, data)


@router.post("/desk/papers/{item_id}/share")
def share(
    request: Request,
    item_id: ItemId,
    wired: Wired,
    now: Now,
    person: SignedIn,
    kind: Annotated[str, Form(max_length=16)],
    recipient: Annotated[str, Form(max_length=120)],
    purpose: Annotated[str, Form(max_length=500)],
    days: Annotated[int, Form(ge=1, le=_MOST_DAYS)],
    name: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """By code for an agency or a system, by link for anybody, both shown this once; a citizen named
    by number finds it on their own page."""
    recipient, by_link = recipient.strip(), kind == "link"
    code = {"link": f"{LINK}{recipient}", "citizen": f"citizen:{recipient.replace(' ', '')}"}
    try:
        require_known(wired, kind, recipient)
        made = sharing.share(
            wired.house.office,
            item_id,
            owner_id=citizen(person).by,
            recipient=Recipient(
                "person" if kind in code else kind,
                code.get(kind, recipient) if recipient else "",
                name.strip() or recipient,
            ),
            purpose=purpose,
            expires_at=now + timedelta(days=days),
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        typed = {
            "kind": kind,
            "recipient": recipient,
            "name": name,
            "purpose": purpose,
            "days": days,
        }
        return _paper(
            request, wired, now, person, item_id, refusal=error, typed=typed, status=status
        )
    link = f"{wired.house.office.base_url.rstrip('/')}/d/{made.code}" if by_link else None
    given = {"code": None if kind == "citizen" else made.code, "link": link}
    return _paper(request, wired, now, person, item_id, given=given)


@router.post("/desk/papers/{item_id}/grants/{grant_id}/revoke")
def revoke(item_id: ItemId, grant_id: ItemId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """At once."""
    owner = citizen(person).by
    sharing.revoke(wired.house.office, grant_id, owner_id=owner, now=now, by=person.by)
    return RedirectResponse(f"/desk/papers/{item_id}", status_code=303)


@router.post("/desk/papers/{item_id}/delete")
def delete(item_id: ItemId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The file goes; the authority keeps register and digest."""
    owner = citizen(person).by
    store.purge(wired.house.office, item_id, owner_id=owner, now=now, by=person.by)
    return RedirectResponse("/desk/papers", status_code=303)


def _papers(
    request: Request,
    wired: Services,
    person: Person,
    now: Now,
    *,
    refusal: DomainError | None = None,
    status: int = 200,
) -> Response:
    office = wired.house.office
    shared = received.received(office, recipient_id=person.by, now=now)
    return render(
        request,
        "papers.html",
        received=[(one, owner_name(wired, one.item.owner_id)) for one in shared],
        status=status,
        items=store.items(office, owner_id=person.by),
        messages=deliveries.messages(office, to=person.by, limit=5),
        megabytes=store.LARGEST_ITEM // (1024 * 1024),
        refusal=refusal.message(language_for(request)) if refusal else None,
    )


def _paper(
    request: Request,
    wired: Services,
    now: Now,
    person: Person,
    item_id: str,
    *,
    refusal: DomainError | None = None,
    given: dict[str, Any] | None = None,
    typed: dict[str, Any] = _NOTHING_TYPED,
    status: int = 200,
) -> Response:
    office = wired.house.office
    return render(
        request,
        "paper.html",
        status=status,
        item=store.find_item(office, item_id, owner_id=person.by),
        grants=sharing.grants(office, item_id, owner_id=person.by, now=now),
        accesses=store.accesses(office, item_id, owner_id=person.by),
        given=given,
        typed=typed,
        refusal=refusal.message(language_for(request)) if refusal else None,
    )
