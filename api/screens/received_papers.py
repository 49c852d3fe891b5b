"""What others share with a citizen who signs in: what it is, and a button to take it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Request
from sqlalchemy import select
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, SignedIn, csrf_checked
from api.errors import ApiError
from api.pages import render
from api.people_models import AccountRow
from api.services import Services
from certify.stores import received
from certify.stores.store import Item

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])
GrantId = Annotated[str, Path(max_length=32)]


@router.get("/desk/papers/shared/{grant_id}")
def page(request: Request, grant_id: GrantId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """Looking takes nothing and logs nothing; it says that taking does."""
    found = received.find_received(
        wired.house.office, grant_id, recipient_id=citizen(person).by, now=now
    )
    return render(
        request,
        "received.html",
        grant=found.grant,
        item=found.item,
        owner=owner_name(wired, found.item.owner_id),
    )


@router.post("/desk/papers/shared/{grant_id}/file")
def take(grant_id: GrantId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The bytes; the owner sees who took them, when and why."""
    taken = received.take(
        wired.house.office, grant_id, recipient_id=citizen(person).by, now=now, by=person.by
    )
    return as_download(taken.item, taken.data)


def as_download(item: Item, data: bytes) -> Response:
    """A document of a store as a file with its title for a name."""
    form = "application/pdf" if data.startswith(b"%PDF") else "application/octet-stream"
    ending = ".pdf" if form.endswith("pdf") else ""
    name = quote(f"{item.title[:80]}{ending}", safe="")
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
    }
    return Response(data, media_type=form, headers=headers)


def owner_name(wired: Services, owner_id: str) -> str:
    """Who shares: by name where they have an account, else by the end of their number."""
    kind, _, number = owner_id.partition(":")
    query = select(AccountRow.name).where(
        AccountRow.kind == kind, AccountRow.holder_id.in_((number, f"CCCD:{number}"))
    )
    with wired.house.database.reading() as session:
        return session.scalar(query.limit(1)) or f"… {number[-4:]}"


def citizen(person: Person) -> Person:
    """A store belongs to a citizen. Raises `ApiError` `role-missing` for everybody else."""
    if person.kind != "citizen":
        raise ApiError("role-missing", roles="citizen")
    return person
