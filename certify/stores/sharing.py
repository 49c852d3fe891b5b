"""Sharing is the owner's act: a named recipient, a purpose, an end, and it can be taken back.

    shared = share(office, item.id, owner_id=…, recipient=Recipient("agency", "H56…", "…"),
                   purpose="Nộp hồ sơ tuyển dụng", expires_at=…, now=now, by=by)
    reuse(office, shared.code, recipient_id="H56…", dossier_code="H56-261123-0001", …)

The code is shown once and only its hash is kept. Every use is logged and shown to the owner. A
procedure system that re-uses a copy gets its digest and status with the bytes: no new upload.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from certify import codes
from certify.counter import dossier
from certify.errors import CertifyError, NotFound
from certify.models import CopyRow, GrantRow, ItemRow
from certify.office import Office
from certify.stores import store
from certify.stores.delivery_models import ReuseRow
from records import audit
from records.tags import Tag

RECIPIENT_KINDS = ("agency", "procedure", "person")
LONGEST = timedelta(days=366)
LINK = "link:"
"""Recipients who come by a link, such as `link:mau@example.vn`; they need no account."""
_STORE = re.compile(r"(citizen:[0-9]{12}|organisation:[0-9]{10}(-?[0-9]{3})?)\Z")
"""The key of somebody's store, by which they find in it what is shared with them."""


@dataclass(frozen=True)
class Recipient:
    """Who may look: an agency or procedure system by its code, a person by their store's key."""

    kind: str
    id: str
    name: str


@dataclass(frozen=True)
class Grant:
    """A permission as its owner sees it; `active` at the moment it was read."""

    id: str
    item_id: str
    recipient: Recipient
    purpose: str
    given_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    active: bool


@dataclass(frozen=True)
class Shared:
    """A new grant with its code, which is never shown again."""

    grant: Grant
    code: str = field(repr=False)


@dataclass(frozen=True)
class Reused:
    """What a recipient gets: the bytes, and what they are worth today."""

    item: store.Item
    data: bytes = field(repr=False)
    reuse_id: str | None = None


def share(
    office: Office,
    item_id: str,
    *,
    owner_id: str,
    recipient: Recipient,
    purpose: str,
    expires_at: datetime,
    now: datetime,
    by: str,
) -> Shared:
    """Let one recipient see one document until a moment (a year at most)."""
    to_oneself = recipient.id == owner_id
    if to_oneself or not _reachable(recipient) or not recipient.name.strip():
        raise CertifyError("recipient-invalid")
    if not purpose.strip():
        raise CertifyError("purpose-missing")
    if not now < expires_at <= now + LONGEST:
        raise CertifyError("grant-term-wrong", days=LONGEST.days)
    code = codes.new()
    with office.database.transaction() as session:
        item = store.owned(session, item_id, owner_id)
        if item.purged_at is not None:
            raise NotFound("item-purged")
        row = GrantRow(
            id=uuid.uuid4().hex,
            item_id=item_id,
            recipient_kind=recipient.kind,
            recipient=recipient.id,
            recipient_name=recipient.name,
            purpose=purpose,
            code_digest=_digest(code),
            given_at=now,
            expires_at=expires_at,
        )
        session.add(row)
        details = {"item": item_id, "recipient": recipient.id, "until": expires_at}
        _audit(session, Tag.GRANT_GIVEN, row.id, details, now=now, by=by)
    return Shared(as_grant(row, now), code)


def revoke(office: Office, grant_id: str, *, owner_id: str, now: datetime, by: str) -> None:
    """Take a permission back; what was fetched before stays fetched, and logged."""
    with office.database.transaction() as session:
        row = session.get(GrantRow, grant_id, with_for_update=True)
        if row is None:
            raise NotFound("grant-unknown")
        store.owned(session, row.item_id, owner_id)
        if row.revoked_at is None:
            row.revoked_at = now
            _audit(session, Tag.GRANT_REVOKED, grant_id, {"item": row.item_id}, now=now, by=by)


def grants(office: Office, item_id: str, *, owner_id: str, now: datetime) -> list[Grant]:
    """Every permission ever given on a document, newest first."""
    with office.database.reading() as session:
        store.owned(session, item_id, owner_id)
        rows = session.scalars(
            select(GrantRow)
            .where(GrantRow.item_id == item_id)
            .order_by(GrantRow.given_at.desc(), GrantRow.id)
        )
        return [as_grant(row, now) for row in rows]


def reuse(
    office: Office,
    code: str,
    *,
    recipient_id: str,
    purpose: str,
    dossier_code: str | None = None,
    unit: str | None = None,
    now: datetime,
    by: str,
) -> Reused:
    """Fetch a shared document within its grant; with a dossier's code it is used there.

    Raises `NotFound` `grant-unknown` for a wrong code and for anybody but the named recipient, who
    alone learns that a grant has ended (`grant-ended`) or the document is gone (`item-purged`).
    """
    dossier_text = dossier.parse(dossier_code).text if dossier_code else None
    with office.database.transaction() as session:
        row = session.scalars(
            select(GrantRow).where(GrantRow.code_digest == _digest(codes.read(code)))
        ).one_or_none()
        if row is None or row.recipient != recipient_id:
            raise NotFound("grant-unknown")
        if not active(row, now):
            raise CertifyError("grant-ended")
        item = session.get_one(ItemRow, row.item_id)
        store.log_access(
            session,
            item,
            purpose=purpose,
            grant_id=row.id,
            dossier_code=dossier_text,
            now=now,
            by=by,
        )
        copy = session.get(CopyRow, item.copy_id) if item.copy_id else None
        found = store.as_item(item, copy)
        reuse_id = None
        if dossier_text is not None:
            reuse_id = _recorded(session, row, found, dossier_text, unit, now=now, by=by)
    return Reused(found, office.blobs.get(found.digest), reuse_id)


def _recorded(
    session: Session,
    row: GrantRow,
    item: store.Item,
    dossier_code: str,
    unit: str | None,
    *,
    now: datetime,
    by: str,
) -> str:
    """The use in a dossier instead of an upload; the same dossier counts once."""
    known = session.scalars(
        select(ReuseRow).where(ReuseRow.grant_id == row.id, ReuseRow.dossier_code == dossier_code)
    ).one_or_none()
    if known is not None:
        return known.id
    made = ReuseRow(
        id=uuid.uuid4().hex,
        grant_id=row.id,
        item_id=item.id,
        digest=item.digest,
        dossier_code=dossier_code,
        unit=unit,
        at=now,
        by=by,
    )
    session.add(made)
    details = {"item": item.id, "digest": item.digest, "dossier": dossier_code}
    _audit(session, Tag.DOCUMENT_REUSED, row.id, details, now=now, by=by)
    return made.id


def linked(office: Office, code: str, *, now: datetime) -> tuple[Grant, store.Item]:
    """What a link with this code opens, before anything is taken: only grants made for links.

    Raises `NotFound` `grant-unknown`, `CertifyError` `grant-ended`, `code-malformed`.
    """
    with office.database.reading() as session:
        row = session.scalars(
            select(GrantRow).where(GrantRow.code_digest == _digest(codes.read(code)))
        ).one_or_none()
        if row is None or not row.recipient.startswith(LINK):
            raise NotFound("grant-unknown")
        if not active(row, now):
            raise CertifyError("grant-ended")
        item = session.get_one(ItemRow, row.item_id)
        copy = session.get(CopyRow, item.copy_id) if item.copy_id else None
        return as_grant(row, now), store.as_item(item, copy)


def _reachable(recipient: Recipient) -> bool:
    """Whoever holds a link may open it: such a share is a person's, never called an agency's."""
    before, colon, rest = recipient.id.partition(":")
    if recipient.kind == "person":
        return bool(rest.strip()) if before == "link" else bool(_STORE.match(recipient.id))
    return recipient.kind in RECIPIENT_KINDS and bool(before.strip()) and not colon


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("ascii")).hexdigest()


def active(row: GrantRow, now: datetime) -> bool:
    """Neither taken back nor over."""
    return row.revoked_at is None and row.expires_at > now


def as_grant(row: GrantRow, now: datetime) -> Grant:
    """A row as a value that outlives its session."""
    return Grant(
        id=row.id,
        item_id=row.item_id,
        recipient=Recipient(row.recipient_kind, row.recipient, row.recipient_name),
        purpose=row.purpose,
        given_at=row.given_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        active=active(row, now),
    )


def _audit(
    session: Session,
    tag: Tag,
    grant_id: str,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(session, tag=tag, by=by, subject=f"grant:{grant_id}", details=details, now=now)
