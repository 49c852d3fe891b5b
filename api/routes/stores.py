"""A person's store over HTTP: for systems that act at the owner's request, and for recipients.

The owner's acts (`/api/v1/stores/…`, scope `stores`) and the recipients' (`/api/v1/
shared-documents`, scope `store`) are apart: a recipient reaches a document by a grant only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Path, Security, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.shapes import Shape, problems
from api.services import Services
from api.store_archive import archive, pieces
from api.store_recipients import require_known
from certify.stores import sharing, store
from certify.stores.sharing import Grant, Recipient, Reused
from certify.stores.store import Access, Item
from certify.units import units

router = APIRouter(prefix="/api/v1", tags=["stores"])
Portal = Annotated[Client, Security(caller, scopes=["stores"])]
Receiver = Annotated[Client, Security(caller, scopes=["store"])]
Owner = Annotated[
    str,
    Path(
        max_length=40,
        pattern=r"^(citizen:[0-9]{12}|organisation:[0-9]{10}(-?[0-9]{3})?)$",
        examples=["citizen:038812345678"],
    ),
]
ItemId = Annotated[str, Path(max_length=32)]
_FILE = {"content": {"application/octet-stream": {}}, "description": "The document"}
_ZIP = {"content": {"application/zip": {}}, "description": "Documents and manifest.json"}


class ItemShape(BaseModel):
    """A document; what is not certified says so."""

    id: str
    kind: str = Field(examples=["certified-copy", "procedure-result", "own-paper"])
    certified: bool
    title: str
    digest: str
    size: int
    added_at: datetime
    deleted: bool
    code: str | None
    status: str | None = Field(examples=["in-force"])

    @classmethod
    def of(cls, item: Item) -> ItemShape:
        return cls(
            id=item.id,
            kind=item.kind,
            certified=item.certified,
            title=item.title,
            digest=item.digest,
            size=item.size,
            added_at=item.added_at,
            deleted=item.purged,
            code=item.code,
            status=item.status,
        )


class ItemList(BaseModel):
    items: list[ItemShape]


class AccessShape(BaseModel):
    """One look."""

    at: datetime
    by: str
    purpose: str
    grant_id: str | None
    dossier_code: str | None

    @classmethod
    def of(cls, one: Access) -> AccessShape:
        return cls(
            at=one.at,
            by=one.by,
            purpose=one.purpose,
            grant_id=one.grant_id,
            dossier_code=one.dossier_code,
        )


class AccessList(BaseModel):
    accesses: list[AccessShape]


class GrantOrder(Shape):
    """Who may see the document, why, and until when."""

    recipient_kind: Literal["agency", "procedure", "person"]
    recipient: str = Field(
        max_length=128,
        description="An agency's or client's code, a store's key, or `link:` and an address",
        examples=["H56.DEMO.14758"],
    )
    recipient_name: str = Field(min_length=1, max_length=256)
    purpose: str = Field(min_length=1, max_length=500)
    until: datetime


class GrantShape(BaseModel):
    """A grant as its owner sees it; `code` and `link` are shown once, when it is given."""

    id: str
    recipient: str
    recipient_name: str
    purpose: str
    given_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    active: bool
    code: str | None = None
    link: str | None = None

    @classmethod
    def of(cls, grant: Grant, code: str | None = None, link: str | None = None) -> GrantShape:
        return cls(
            id=grant.id,
            recipient=grant.recipient.id,
            recipient_name=grant.recipient.name,
            purpose=grant.purpose,
            given_at=grant.given_at,
            expires_at=grant.expires_at,
            revoked_at=grant.revoked_at,
            active=grant.active,
            code=code,
            link=link,
        )


class GrantList(BaseModel):
    grants: list[GrantShape]


class UseOrder(Shape):
    """A recipient takes a shared document, for a purpose and usually for a dossier."""

    code: str = Field(max_length=40)
    purpose: str = Field(min_length=1, max_length=500)
    recipient: str | None = Field(
        None, max_length=128, description="As whom, when not as the client itself"
    )
    dossier_code: str | None = Field(None, max_length=64, examples=["H56.17.22-261123-0001"])


class SharedShape(BaseModel):
    """What the document is worth today; use it by its digest, no upload is needed."""

    kind: str
    certified: bool
    title: str
    digest: str
    size: int
    code: str | None
    status: str | None
    verification_url: str | None
    reuse_id: str | None = Field(description="The record that a dossier uses it")


@router.get("/stores/{owner}/items", summary="A store's documents", responses=problems())
def list_items(owner: Owner, wired: Wired, client: Portal) -> ItemList:
    """Newest first."""
    del client
    found = store.items(wired.house.office, owner_id=owner)
    return ItemList(items=[ItemShape.of(one) for one in found])


@router.post(
    "/stores/{owner}/items",
    status_code=201,
    summary="Add an own paper or a procedure's result",
    responses=problems(413, 507),
)
def add_item(
    owner: Owner,
    wired: Wired,
    now: Now,
    client: Portal,
    kind: Annotated[Literal["own-paper", "procedure-result"], Form()],
    title: Annotated[str, Form(min_length=1, max_length=400)],
    file: Annotated[UploadFile, File()],
    unit: Annotated[str | None, Form(max_length=16)] = None,
) -> ItemShape:
    """Never certified: only a certification makes a certified copy."""
    if unit is not None and not client.may_touch(unit):
        raise ApiError("unit-not-allowed", unit=unit)
    made = store.add(
        wired.house.office,
        owner_id=owner,
        kind=kind,
        title=title,
        data=file.file.read(store.LARGEST_ITEM + 1),
        unit=unit,
        now=now,
        by=client.by,
    )
    return ItemShape.of(made)


@router.get(
    "/stores/{owner}/items/{item_id}/content",
    summary="A document, for its owner",
    response_class=Response,
    responses={200: _FILE, **problems(404, 410)},
)
def content(owner: Owner, item_id: ItemId, wired: Wired, now: Now, client: Portal) -> Response:
    """The look is logged."""
    office = wired.house.office
    item = store.find_item(office, item_id, owner_id=owner)
    data = store.fetch(
        office, item_id, owner_id=owner, purpose="chủ sở hữu xem", now=now, by=client.by
    )
    return _file(item, data)


@router.delete(
    "/stores/{owner}/items/{item_id}",
    status_code=204,
    summary="Delete a document",
    responses=problems(404),
)
def delete(owner: Owner, item_id: ItemId, wired: Wired, now: Now, client: Portal) -> Response:
    """The bytes go; digest, register line and access log stay, as the law asks."""
    store.purge(wired.house.office, item_id, owner_id=owner, now=now, by=client.by)
    return Response(status_code=204)


@router.get(
    "/stores/{owner}/items/{item_id}/accesses",
    summary="Who looked, why and when",
    responses=problems(404),
)
def list_accesses(owner: Owner, item_id: ItemId, wired: Wired, client: Portal) -> AccessList:
    """Newest first."""
    del client
    found = store.accesses(wired.house.office, item_id, owner_id=owner)
    return AccessList(accesses=[AccessShape.of(one) for one in found])


@router.post(
    "/stores/{owner}/items/{item_id}/grants",
    status_code=201,
    summary="Share a document",
    responses=problems(404, 410),
)
def share(
    owner: Owner, item_id: ItemId, order: GrantOrder, wired: Wired, now: Now, client: Portal
) -> GrantShape:
    """For a named recipient and a purpose, a year at most. The code is never shown again."""
    if order.until.tzinfo is None:
        raise ApiError("time-unreadable", value=order.until.isoformat())
    require_known(wired, order.recipient_kind, order.recipient)
    office = wired.house.office
    made = sharing.share(
        office,
        item_id,
        owner_id=owner,
        recipient=Recipient(order.recipient_kind, order.recipient, order.recipient_name),
        purpose=order.purpose,
        expires_at=order.until,
        now=now,
        by=client.by,
    )
    by_link = order.recipient.startswith(sharing.LINK)
    link = f"{office.base_url.rstrip('/')}/d/{made.code}" if by_link else None
    return GrantShape.of(made.grant, made.code, link)


@router.get(
    "/stores/{owner}/items/{item_id}/grants",
    summary="With whom a document is shared",
    responses=problems(404),
)
def list_grants(owner: Owner, item_id: ItemId, wired: Wired, now: Now, client: Portal) -> GrantList:
    """Past ones too."""
    del client
    found = sharing.grants(wired.house.office, item_id, owner_id=owner, now=now)
    return GrantList(grants=[GrantShape.of(one) for one in found])


@router.delete(
    "/stores/{owner}/grants/{grant_id}",
    status_code=204,
    summary="Take a share back",
    responses=problems(404),
)
def revoke(owner: Owner, grant_id: ItemId, wired: Wired, now: Now, client: Portal) -> Response:
    """At once."""
    sharing.revoke(wired.house.office, grant_id, owner_id=owner, now=now, by=client.by)
    return Response(status_code=204)


@router.get(
    "/stores/{owner}/export",
    summary="Everything, as a ZIP",
    response_class=Response,
    responses={200: _ZIP, **problems()},
)
def export(owner: Owner, wired: Wired, now: Now, client: Portal) -> Response:
    """Documents, and a manifest with statuses, shares and accesses."""
    made = archive(wired.house.office, owner_id=owner, now=now, by=client.by)
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": 'attachment; filename="kho-du-lieu.zip"',
    }
    return StreamingResponse(pieces(made), media_type="application/zip", headers=headers)


@router.post(
    "/shared-documents", summary="Use a shared document by its code", responses=problems(404, 410)
)
def use(order: UseOrder, wired: Wired, now: Now, client: Receiver) -> SharedShape:
    """Digest and status of today; with a dossier's code the use is recorded, without an upload."""
    taken = _taken(order, wired, now, client)
    item = taken.item
    return SharedShape(
        kind=item.kind,
        certified=item.certified,
        title=item.title,
        digest=item.digest,
        size=item.size,
        code=item.code,
        status=item.status,
        verification_url=wired.house.office.address(item.code) if item.code else None,
        reuse_id=taken.reuse_id,
    )


@router.post(
    "/shared-documents/content",
    summary="The bytes of a shared document",
    response_class=Response,
    responses={200: _FILE, **problems(404, 410)},
)
def use_content(order: UseOrder, wired: Wired, now: Now, client: Receiver) -> Response:
    """Within the grant, and logged like every look."""
    taken = _taken(order, wired, now, client)
    return _file(taken.item, taken.data)


def _taken(order: UseOrder, wired: Services, now: datetime, client: Client) -> Reused:
    wired.rates.take("code", client.client_id)
    recipient = order.recipient or client.client_id
    mine = {
        name: code
        for code, unit in units().items()
        if client.units is not None and code in client.units
        for name in (code, unit.agency_code)
    }
    if recipient != client.client_id and recipient not in mine:
        raise ApiError("recipient-not-yours", recipient=recipient)
    return sharing.reuse(
        wired.house.office,
        order.code,
        recipient_id=recipient,
        purpose=order.purpose,
        dossier_code=order.dossier_code,
        unit=mine.get(recipient),
        now=now,
        by=client.by,
    )


def _file(item: Item, data: bytes) -> Response:
    form = "application/pdf" if data.startswith(b"%PDF") else "application/octet-stream"
    name = quote(f"{item.title[:80]}{'.pdf' if form.endswith('pdf') else ''}", safe="")
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "ETag": f'"{item.digest}"',
    }
    return Response(data, media_type=form, headers=headers)
