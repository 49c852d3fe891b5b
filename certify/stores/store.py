"""A person's electronic document store: given once, used again, and every look is written down.

    item = items(office, owner_id="citizen:0388…")[0]
    data = fetch(office, item.id, owner_id="citizen:0388…", by="citizen:0388…",
                 purpose="tải về", now=now)

DOMAIN.md §4 and §6: the document belongs to the person; the authority keeps register, digest and
evidence. Deleting takes the bytes away, not the record that they were there. An own paper never
calls itself certified.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from certify.errors import CertifyError, NotFound
from certify.models import AccessRow, CapturePageRow, CaptureRow, CaseRow, CopyRow, ItemRow
from certify.office import Office
from certify.scans.captures import held_by
from records import audit
from records.kept_files import is_kept
from records.tags import Tag

CERTIFIED = "certified-copy"
KINDS_ADDED = ("procedure-result", "own-paper")
LARGEST_ITEM = 50 * 1024 * 1024


@dataclass(frozen=True)
class Item:
    """A stored document; `status` is the copy's status, or None for what is not certified."""

    id: str
    owner_id: str
    kind: str
    title: str
    digest: str
    size: int
    added_at: datetime
    purged: bool
    copy_id: str | None
    code: str | None
    status: str | None

    @property
    def certified(self) -> bool:
        return self.kind == CERTIFIED


@dataclass(frozen=True)
class Access:
    """One look at a document, as its owner sees it."""

    at: datetime
    by: str
    purpose: str
    grant_id: str | None
    dossier_code: str | None


def items(office: Office, *, owner_id: str) -> list[Item]:
    """Everything in a store, newest first."""
    query = (
        select(ItemRow, CopyRow)
        .outerjoin(CopyRow, CopyRow.id == ItemRow.copy_id)
        .where(ItemRow.owner_id == owner_id)
        .order_by(ItemRow.added_at.desc(), ItemRow.id)
    )
    with office.database.reading() as session:
        return [as_item(row, copy) for row, copy in session.execute(query)]


def find_item(office: Office, item_id: str, *, owner_id: str) -> Item:
    """One item of this owner. Somebody else's does not exist for the asker (`NotFound`)."""
    with office.database.reading() as session:
        row = owned(session, item_id, owner_id)
        return as_item(row, session.get(CopyRow, row.copy_id) if row.copy_id else None)


def add(
    office: Office,
    *,
    owner_id: str,
    kind: str,
    title: str,
    data: bytes,
    unit: str | None = None,
    now: datetime,
    by: str,
) -> Item:
    """Put a result of a procedure or an own digitised paper in the store (not certified)."""
    if kind not in KINDS_ADDED:
        raise CertifyError("item-kind-wrong", kind=kind)
    if not title.strip() or not data:
        raise CertifyError("item-empty")
    if len(data) > LARGEST_ITEM:
        raise CertifyError("item-too-large", limit=LARGEST_ITEM)
    digest = office.blobs.put(data)
    row = ItemRow(
        id=uuid.uuid4().hex,
        owner_id=owner_id,
        kind=kind,
        title=title,
        digest=digest,
        size=len(data),
        added_at=now,
        unit=unit,
    )
    with office.database.transaction() as session:
        session.add(row)
        _audit(session, Tag.ITEM_STORED, row.id, {"kind": kind, "digest": digest}, now=now, by=by)
    return as_item(row, None)


def put_result(
    session: Session, *, owner_id: str, title: str, digest: str, size: int, now: datetime
) -> ItemRow:
    """The result of an act goes to its owner's store in the act's own transaction, which says so
    in the audit log."""
    row = ItemRow(
        id=uuid.uuid4().hex,
        owner_id=owner_id,
        kind="procedure-result",
        title=title[:512],
        digest=digest,
        size=size,
        added_at=now,
    )
    session.add(row)
    session.flush()
    return row


def fetch(
    office: Office, item_id: str, *, owner_id: str, purpose: str, now: datetime, by: str
) -> bytes:
    """The bytes, for the owner; the look is logged before they are given out."""
    with office.database.transaction() as session:
        row = owned(session, item_id, owner_id)
        log_access(session, row, purpose=purpose, now=now, by=by)
    return office.blobs.get(row.digest)


def accesses(office: Office, item_id: str, *, owner_id: str) -> list[Access]:
    """Who looked, why and when: newest first."""
    with office.database.reading() as session:
        owned(session, item_id, owner_id)
        rows = session.scalars(
            select(AccessRow)
            .where(AccessRow.item_id == item_id)
            .order_by(AccessRow.at.desc(), AccessRow.id.desc())
        )
        return [Access(row.at, row.by, row.purpose, row.grant_id, row.dossier_code) for row in rows]


def export(
    office: Office, *, owner_id: str, now: datetime, by: str
) -> Iterator[tuple[Item, bytes]]:
    """Everything the owner has, one document at a time."""
    for item in items(office, owner_id=owner_id):
        if not item.purged:
            data = fetch(office, item.id, owner_id=owner_id, purpose="export", now=now, by=by)
            yield item, data


def purge(office: Office, item_id: str, *, owner_id: str, now: datetime, by: str) -> None:
    """Delete the bytes at the owner's wish; digest, register line and evidence remain."""
    with office.database.transaction() as session:
        row = owned(session, item_id, owner_id, lock=True)
        if row.purged_at is not None:
            return
        row.purged_at = now
        session.flush()
        unused = not still_used(session, row.digest) and not _untouched(session, row)
        _audit(session, Tag.ITEM_PURGED, row.id, {"digest": row.digest}, now=now, by=by)
    if unused:
        office.blobs.delete(row.digest)


def purge_images(office: Office, *, older_than: timedelta, now: datetime, by: str) -> int:
    """Delete the authority's own captured images of closed cases; returns how many captures."""
    query = (
        select(CaptureRow.id)
        .join(CaseRow, CaseRow.id == CaptureRow.case_id)
        .where(
            CaseRow.closed_at.is_not(None),
            CaseRow.closed_at < now - older_than,
            CaptureRow.purged_at.is_(None),
        )
    )
    with office.database.reading() as session:
        found = list(session.scalars(query))
    for capture_id in found:
        with office.database.transaction() as session:
            row = session.get_one(CaptureRow, capture_id, with_for_update=True)
            row.purged_at = now
            session.flush()
            digests = held_by(session, capture_id)
            unused = [digest for digest in digests if not still_used(session, digest)]
            audit.record(
                session,
                tag=Tag.IMAGES_PURGED,
                by=by,
                subject=f"case:{row.case_id}",
                details={"capture": capture_id, "pages": row.page_count},
                now=now,
            )
        for digest in unused:
            office.blobs.delete(digest)
    return len(found)


def owned(session: Session, item_id: str, owner_id: str, *, lock: bool = False) -> ItemRow:
    """The owner's row. Raises `NotFound`: `item-unknown`."""
    row = session.get(ItemRow, item_id, with_for_update=True if lock else None)
    if row is None or row.owner_id != owner_id:
        raise NotFound("item-unknown")
    return row


def log_access(
    session: Session,
    row: ItemRow,
    *,
    purpose: str,
    grant_id: str | None = None,
    dossier_code: str | None = None,
    now: datetime,
    by: str,
) -> None:
    """Write the look down, or refuse it: no purpose, no bytes left."""
    if not purpose.strip():
        raise CertifyError("purpose-missing")
    if row.purged_at is not None:
        raise NotFound("item-purged")
    session.add(
        AccessRow(
            item_id=row.id,
            grant_id=grant_id,
            by=by,
            purpose=purpose,
            dossier_code=dossier_code,
            at=now,
        )
    )
    details = {"purpose": purpose, "grant": grant_id or "", "dossier": dossier_code or ""}
    _audit(session, Tag.ITEM_VIEWED, row.id, details, now=now, by=by)


def as_item(row: ItemRow, copy: CopyRow | None) -> Item:
    """A row as a value that outlives its session."""
    return Item(
        id=row.id,
        owner_id=row.owner_id,
        kind=row.kind,
        title=row.title,
        digest=row.digest,
        size=row.size,
        added_at=row.added_at,
        purged=row.purged_at is not None,
        copy_id=row.copy_id,
        code=copy.code if copy else None,
        status=copy.status if copy else None,
    )


def still_used(session: Session, digest: str) -> bool:
    """Whether anybody still needs these bytes: content is stored once, whoever brought it."""
    in_stores = select(ItemRow.id).where(ItemRow.digest == digest, ItemRow.purged_at.is_(None))
    in_captures = (
        select(CaptureRow.id)
        .join(CapturePageRow, CapturePageRow.capture_id == CaptureRow.id)
        .where(CapturePageRow.digest == digest, CaptureRow.purged_at.is_(None))
    )
    if any(session.scalar(query.limit(1)) for query in (in_stores, in_captures)):
        return True
    return is_kept(session, digest)


def _untouched(session: Session, row: ItemRow) -> bool:
    """Whether this is also the untouched scan of a page, in an open case or one of its owner's."""
    theirs = or_(CaseRow.closed_at.is_(None), CaseRow.requester_id == row.owner_id)
    query = (
        select(CaptureRow.id)
        .join(CapturePageRow, CapturePageRow.capture_id == CaptureRow.id)
        .join(CaseRow, CaseRow.id == CaptureRow.case_id)
        .where(theirs, CaptureRow.purged_at.is_(None))
        .where(CapturePageRow.facts["untouched"].as_string() == row.digest)
    )
    return session.scalar(query.limit(1)) is not None


def _audit(
    session: Session,
    tag: Tag,
    item_id: str,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(session, tag=tag, by=by, subject=f"item:{item_id}", details=details, now=now)
