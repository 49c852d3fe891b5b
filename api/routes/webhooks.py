"""Where a client wants to be told: new copies it asked for, changes of copies it fetched."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Security
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.adapters.delivery_ways import webhook_secret
from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.shapes import Shape, problems
from api.settings import outside_address
from api.webhook_models import WebhookRow
from records import audit
from records.tags import Tag

router = APIRouter(prefix="/api/v1/webhook", tags=["access"])
AnyClient = Annotated[Client, Security(caller, scopes=[])]


class WebhookOrder(Shape):
    """https, or http on this machine."""

    url: str = Field(max_length=2000, examples=["https://motcua.example.gov.vn/dauso"])


class WebhookShape(BaseModel):
    """`secret` checks the signatures (Standard Webhooks 1.0); shown when the address is set."""

    url: str | None
    secret: str | None = None


@router.put("", summary="Set the address and get a secret", responses=problems())
def put(order: WebhookOrder, wired: Wired, now: Now, client: AnyClient) -> WebhookShape:
    """A new secret each time; the old one stops at once."""
    if not outside_address(order.url):
        raise ApiError("webhook-url-invalid")
    with wired.house.database.transaction() as session:
        row = session.get(WebhookRow, client.client_id, with_for_update=True)
        if row is None:
            row = WebhookRow(client_id=client.client_id, url=order.url, version=0, set_at=now)
            session.add(row)
        row.url, row.version, row.set_at = order.url, row.version + 1, now
        version = row.version
        session.flush()
        audit.record(
            session,
            tag=Tag.WEBHOOK_SET,
            by=client.by,
            subject=client.client_id,
            details={"version": version},
            now=now,
        )
    secret = webhook_secret(wired.house.settings, client.client_id, version)
    return WebhookShape(url=order.url, secret=secret)


@router.get("", summary="The address that is set", responses=problems())
def get(wired: Wired, client: AnyClient) -> WebhookShape:
    """Without the secret."""
    with wired.house.database.reading() as session:
        row = session.get(WebhookRow, client.client_id)
    return WebhookShape(url=row.url if row is not None else None)


@router.delete("", status_code=204, summary="Be told nothing more", responses=problems())
def delete(wired: Wired, now: Now, client: AnyClient) -> Response:
    """What is on its way is dropped."""
    with wired.house.database.transaction() as session:
        row = session.get(WebhookRow, client.client_id, with_for_update=True)
        if row is not None:
            session.delete(row)
            details = {"version": 0}
            audit.record(
                session,
                tag=Tag.WEBHOOK_SET,
                by=client.by,
                subject=client.client_id,
                details=details,
                now=now,
            )
    return Response(status_code=204)
