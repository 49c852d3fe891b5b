"""A holder's handwritten signature, or an agency's seal: sent in once, approved by somebody else.

    sent = submit(desk, credential_id, png, now=now, by=by)       # checked at once, shown nowhere
    approve(desk, sent.id, now=now, by="official:…")               # from now on it is drawn
    set_image(desk, credential_id, png, approved_by=…, …)          # both at once, at the office

Decree 30/2020 annex I says what such a picture is (`signer.keys.images`). Whoever approves has
compared it with the specimen that the office keeps, which no program can.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session

from records import audit
from records.entry import plain
from records.tags import Tag
from signer.errors import CredentialUnusable, SignerError
from signer.keys import closing, credentials, images
from signer.models import CredentialRow, ImageRow

if TYPE_CHECKING:
    from collections.abc import Collection

    from signer.desk import Desk

_LONGEST_REASON = 500


@dataclass(frozen=True)
class HolderImage:
    """`digest` is that of the PNG as it came; `approved_at` None: it waits."""

    id: str
    credential_id: str
    kind: str
    digest: str
    width: int
    height: int
    uploaded_at: datetime
    uploaded_by: str
    approved_at: datetime | None
    approved_by: str | None


def submit(desk: Desk, credential_id: str, png: bytes, *, now: datetime, by: str) -> HolderImage:
    """Check it and let it wait; one that still waited gives way to it.

    Raises ImageRefused with what is wrong, CredentialUnusable for a credential that has ended.
    """
    made = _checked(desk, credential_id, png, now=now, by=by)
    with desk.database.transaction() as session:
        session.execute(
            delete(ImageRow).where(
                ImageRow.credential_id == credential_id, ImageRow.approved_at.is_(None)
            )
        )
        row = _write(session, made)
        _record(session, Tag.CREDENTIAL_IMAGE_SENT, row, now=now, by=by)
    return made


def set_image(
    desk: Desk, credential_id: str, png: bytes, *, approved_by: str, now: datetime, by: str
) -> HolderImage:
    """Taken in and approved in one act, at the office: `approved_by` compared it with the specimen.

    Raises what `submit` raises. One that waits goes on waiting.
    """
    sent = _checked(desk, credential_id, png, now=now, by=by)
    made = replace(sent, approved_at=now, approved_by=approved_by)
    with desk.database.transaction() as session:
        row = _write(session, made)
        _record(session, Tag.CREDENTIAL_IMAGE_SET, row, now=now, by=by)
    return made


def inherit(session: Session, former: str, heir: str) -> None:
    """A picture was approved for the holder, not for the key: a successor's is the one drawn."""
    drawn = session.scalars(
        _newest_first()
        .where(ImageRow.credential_id == former, ImageRow.approved_at.is_not(None))
        .limit(1)
    ).one_or_none()
    if drawn is not None:
        _write(session, replace(_image(drawn), id=secrets.token_hex(16), credential_id=heir))


def approve(desk: Desk, image_id: str, *, now: datetime, by: str) -> HolderImage:
    """Compared with the specimen: it is drawn from now on. Not by whoever sent it."""
    with desk.database.transaction() as session:
        row = _waiting(session, image_id)
        if by == row.uploaded_by:
            raise SignerError("image-own-upload")
        row.approved_at, row.approved_by = now, by
        _record(session, Tag.CREDENTIAL_IMAGE_SET, row, now=now, by=by)
        return _image(row)


def reject(desk: Desk, image_id: str, *, reason: str, now: datetime, by: str) -> HolderImage:
    """Turned down: it waits no longer, and the log keeps why."""
    with desk.database.transaction() as session:
        row = _waiting(session, image_id)
        found = _image(row)
        why = plain(reason)[:_LONGEST_REASON]
        _record(session, Tag.CREDENTIAL_IMAGE_REFUSED, row, now=now, by=by, reason=why)
        session.delete(row)
        return found


def of_credential(desk: Desk, credential_id: str) -> tuple[HolderImage | None, HolderImage | None]:
    """The one that is drawn, and the one that waits."""
    wanted = _newest_first().where(ImageRow.credential_id == credential_id)
    with desk.database.reading() as session:
        found = [_image(one) for one in session.scalars(wanted)]
    drawn = next((one for one in found if one.approved_at is not None), None)
    waits = next((one for one in found if one.approved_at is None), None)
    return drawn, waits


def image_digest(desk: Desk, credential_id: str) -> str | None:
    """The digest of the image to draw, or None: a signature without a picture is still one."""
    wanted = _newest_first().where(
        ImageRow.credential_id == credential_id, ImageRow.approved_at.is_not(None)
    )
    with desk.database.reading() as session:
        return session.scalar(wanted.with_only_columns(ImageRow.blob).limit(1))


def find(desk: Desk, image_id: str) -> HolderImage:
    """Raises SignerError `image-unknown`."""
    with desk.database.reading() as session:
        row = session.get(ImageRow, image_id)
    if row is None:
        raise SignerError("image-unknown")
    return _image(row)


def waiting(
    desk: Desk, *, units: Collection[str] | None = None, limit: int = 100
) -> list[HolderImage]:
    """What waits for approval, oldest first; of these units' credentials, or of all."""
    wanted = select(ImageRow).where(ImageRow.approved_at.is_(None))
    if units is not None:
        wanted = wanted.join(CredentialRow).where(CredentialRow.unit.in_(units))
    with desk.database.reading() as session:
        found = session.scalars(wanted.order_by(ImageRow.uploaded_at).limit(limit))
        return [_image(one) for one in found]


def waiting_count(desk: Desk, *, units: Collection[str] | None = None) -> int:
    """How many wait."""
    wanted = select(func.count()).select_from(ImageRow).where(ImageRow.approved_at.is_(None))
    if units is not None:
        wanted = wanted.join(CredentialRow).where(CredentialRow.unit.in_(units))
    with desk.database.reading() as session:
        return session.scalar(wanted) or 0


def content(desk: Desk, image: HolderImage) -> bytes:
    """The PNG as it came."""
    return desk.blobs.get(image.digest)


def _newest_first() -> Select[ImageRow]:
    """The one that was approved last is the one that is drawn."""
    return select(ImageRow).order_by(
        ImageRow.approved_at.desc(), ImageRow.uploaded_at.desc(), ImageRow.id.desc()
    )


def _checked(desk: Desk, credential_id: str, png: bytes, *, now: datetime, by: str) -> HolderImage:
    """A picture that may be drawn, kept among the blobs; no row yet."""
    credential = credentials.find(desk, credential_id)
    if credential.state not in closing.LIVING:
        raise CredentialUnusable(f"credential-{credential.state}", credential=credential_id)
    kind = "seal" if credential.kind == "agency" else "signature"
    picture = images.check(png, kind)
    digest = desk.blobs.put(png)
    return HolderImage(secrets.token_hex(16), credential_id, kind, digest, picture.width,
                       picture.height, now, by, None, None)  # fmt: skip


def _write(session: Session, image: HolderImage) -> ImageRow:
    """The only place where a row of an image is made."""
    fields = {one.name: getattr(image, one.name) for one in dataclass_fields(image)}
    row = ImageRow(blob=fields.pop("digest"), **fields)
    session.add(row)
    return row


def _waiting(session: Session, image_id: str) -> ImageRow:
    row = session.get(ImageRow, image_id, with_for_update=True)
    if row is None:
        raise SignerError("image-unknown")
    if row.approved_at is not None:
        raise SignerError("image-approved-already")
    return row


def _image(row: ImageRow) -> HolderImage:
    return HolderImage(
        id=row.id,
        credential_id=row.credential_id,
        kind=row.kind,
        digest=row.blob,
        width=row.width,
        height=row.height,
        uploaded_at=row.uploaded_at,
        uploaded_by=row.uploaded_by,
        approved_at=row.approved_at,
        approved_by=row.approved_by,
    )


def _record(
    session: Session, tag: Tag, row: ImageRow, *, now: datetime, by: str, reason: str | None = None
) -> None:
    details = {"kind": row.kind, "digest": row.blob, "uploaded_by": row.uploaded_by}
    if reason is not None:
        details["reason"] = reason
    if row.approved_by is not None:
        details["approved_by"] = row.approved_by
    audit.record(
        session,
        tag=tag,
        by=by,
        subject=f"credential:{row.credential_id}",
        details=details,
        now=now,
    )
