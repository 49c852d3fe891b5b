"""What others have shared with a person who signs in: seen, and taken within the grant.

    received(office, recipient_id="citizen:0388…", now=now)          # newest first
    take(office, grant_id, recipient_id="citizen:0388…", now=now, by=…).data

A person named by their store's key needs neither code nor link: being signed in as that person is
the key. Every taking is logged and shown to the owner, like any use (DOMAIN.md §4).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from certify.errors import CertifyError, NotFound
from certify.models import CopyRow, GrantRow, ItemRow
from certify.office import Office
from certify.stores import store
from certify.stores.sharing import Grant, Reused, active, as_grant


@dataclass(frozen=True)
class Received:
    """Somebody else's document, and the permission to see it."""

    grant: Grant
    item: store.Item


def received(office: Office, *, recipient_id: str, now: datetime) -> list[Received]:
    """Every permission that is open, newest first; what was deleted is no longer offered."""
    query = (
        select(GrantRow)
        .join(ItemRow, ItemRow.id == GrantRow.item_id)
        .where(
            GrantRow.recipient == recipient_id,
            GrantRow.revoked_at.is_(None),
            GrantRow.expires_at > now,
            ItemRow.purged_at.is_(None),
        )
        .order_by(GrantRow.given_at.desc(), GrantRow.id)
    )
    with office.database.reading() as session:
        return [_seen(session, row, now) for row in session.scalars(query)]


def find_received(office: Office, grant_id: str, *, recipient_id: str, now: datetime) -> Received:
    """One of them; looking at what it is takes nothing.

    Raises `NotFound` `grant-unknown` for anybody but the recipient, `CertifyError` `grant-ended`.
    """
    with office.database.reading() as session:
        return _seen(session, _mine(session, grant_id, recipient_id, now), now)


def take(office: Office, grant_id: str, *, recipient_id: str, now: datetime, by: str) -> Reused:
    """The bytes, for the purpose that the owner gave; the look is logged before.

    Raises as `find_received`, and `NotFound` `item-purged`.
    """
    with office.database.transaction() as session:
        row = _mine(session, grant_id, recipient_id, now)
        item = session.get_one(ItemRow, row.item_id)
        store.log_access(session, item, purpose=row.purpose, grant_id=row.id, now=now, by=by)
        found = _seen(session, row, now).item
    return Reused(found, office.blobs.get(found.digest))


def _mine(session: Session, grant_id: str, recipient_id: str, now: datetime) -> GrantRow:
    row = session.get(GrantRow, grant_id)
    if row is None or row.recipient != recipient_id:
        raise NotFound("grant-unknown")
    if not active(row, now):
        raise CertifyError("grant-ended")
    return row


def _seen(session: Session, row: GrantRow, now: datetime) -> Received:
    item = session.get_one(ItemRow, row.item_id)
    copy = session.get(CopyRow, item.copy_id) if item.copy_id else None
    return Received(as_grant(row, now), store.as_item(item, copy))
