"""Who keeps an agency's key: passed on only by written permission, with a record (DOMAIN.md §2).

    hand_over(desk, credential_id, pin=old_pin, given_by="CCCD:…", received_by="CCCD:…",
              permission=Permission(number="12/GUQ", date=…, signer="…", document=pdf),
              activation_code=code, now=now, by=by)

The one who gives opens the key with their PIN; it is sealed anew under a one-time code, with which
the one who receives chooses a PIN of their own. From then on the old PIN opens nothing, and every
mandate that was given under it is over.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from hsm.sealing import seal_with_code
from records import audit
from records.tags import Tag
from signer.errors import SignerError
from signer.holders import keepers
from signer.holders.lifecycle_models import HandoverRow
from signer.keys import activation, closing, credentials, passkey_seals
from signer.routing.working_days import local

if TYPE_CHECKING:
    from signer.desk import Desk

_LARGEST_PERMISSION = 20 << 20


@dataclass(frozen=True)
class Permission:
    """The written permission: its number, day, signer, and the paper itself."""

    number: str
    date: date
    signer: str
    document: bytes = field(repr=False)


@dataclass(frozen=True)
class Handover:
    """One entry of the record. `document` is the permission's digest in the blob store."""

    id: str
    credential_id: str
    given_by: str
    received_by: str
    permission_number: str
    permission_date: date
    permission_signer: str
    document: str
    at: datetime
    by: str


def hand_over(
    desk: Desk,
    credential_id: str,
    *,
    pin: str,
    given_by: str,
    received_by: str,
    permission: Permission,
    activation_code: str,
    now: datetime,
    by: str,
) -> Handover:
    """Pass an agency's key from one keeper to the next.

    Raises SignerError `handover-only-for-seals`, `handover-permission`, `holder-malformed`,
    `handover-not-keeper`, `handover-same-person`, `keeper-left`; ActivationRefused `pin-wrong`;
    CredentialUnusable.
    """
    # 1. Only an agency's key has a keeper, and only the keeper gives it away, on paper.
    credential = credentials.find(desk, credential_id)
    if credential.kind != "agency":
        raise SignerError("handover-only-for-seals")
    _require_permission(permission, now)
    for person in (given_by, received_by):
        keepers.require_holder(person)
    if given_by == received_by:
        raise SignerError("handover-same-person")
    if credential.keeper_left:
        raise SignerError("keeper-left")
    if credential.keeper is not None and credential.keeper != given_by:
        raise SignerError("handover-not-keeper")
    # 2. The one who gives opens it; it is sealed for the one who receives.
    blob = activation.open_key(desk, credential_id, pin, now=now)
    sealed = seal_with_code(blob, activation_code, context=credential.context)
    document = desk.blobs.put(permission.document)
    row = HandoverRow(
        id=secrets.token_hex(16),
        credential_id=credential_id,
        given_by=given_by,
        received_by=received_by,
        permission_number=permission.number.strip(),
        permission_date=permission.date,
        permission_signer=permission.signer.strip(),
        permission_document=document,
        at=now,
        by=by,
    )
    # 3. One transaction: the new seal, the end of what was given under the old one, the record.
    with desk.database.transaction() as session:
        kept = credentials.require_unchanged(session, credential)
        kept.sealed_key, kept.keeper = sealed, received_by
        opened = closing.close_in(session, [credential_id], now=now, by=by)
        passkey_seals.erase_in(session, [credential_id], now=now)
        session.add(row)
        audit.record(
            session,
            tag=Tag.CREDENTIAL_HANDED_OVER,
            by=by,
            subject=f"credential:{credential_id}",
            details={"handover": row.id, "permission": row.permission_number,
                     "document": document},
            now=now,
        )  # fmt: skip
    for one in opened:
        activation.forget(desk, one)
    return _handover(row)


def history(desk: Desk, credential_id: str) -> list[Handover]:
    """Every hand-over of a key, oldest first."""
    wanted = (
        select(HandoverRow)
        .where(HandoverRow.credential_id == credential_id)
        .order_by(HandoverRow.at, HandoverRow.id)
    )
    with desk.database.reading() as session:
        return [_handover(row) for row in session.scalars(wanted)]


def _require_permission(permission: Permission, now: datetime) -> None:
    said = permission.number.strip() and permission.signer.strip()
    if not said or not permission.document or len(permission.document) > _LARGEST_PERMISSION:
        raise SignerError("handover-permission")
    if permission.date > local(now).date():
        raise SignerError("handover-permission")


def _handover(row: HandoverRow) -> Handover:
    return Handover(
        id=row.id,
        credential_id=row.credential_id,
        given_by=row.given_by,
        received_by=row.received_by,
        permission_number=row.permission_number,
        permission_date=row.permission_date,
        permission_signer=row.permission_signer,
        document=row.permission_document,
        at=row.at,
        by=row.by,
    )
