"""What holders do with their own credential: stop it, ask for a new key.

    suspend_own(desk, credential_id, pin=pin, reason="mất điện thoại", now=now, by=by)
    request = request_rekey(desk, credential_id, reason="quên mã PIN", now=now, by=by)
    grant_rekey(desk, request.id, activation_code=code, now=now, by="official:…")

Choosing and changing the PIN is `signer.keys.pins`. A stop needs the PIN, so that nobody stops
another's work; who has lost it asks an officer, as does who wants to go on. A new key is granted
by a second person who has made sure that it is the holder who asks.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from ca.status.revocation import RevocationReason
from records import audit
from records.tags import Tag
from signer.errors import CredentialUnusable, SignerError
from signer.holders import lifecycle, successors
from signer.holders.lifecycle_models import RekeyRequestRow
from signer.keys import activation, closing, credentials

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential

_LONGEST_REASON = 500


@dataclass(frozen=True)
class RekeyRequest:
    """`state`: pending, done, rejected."""

    id: str
    credential_id: str
    reason: str
    state: str
    requested_at: datetime
    requested_by: str
    decision: str | None = None
    successor_id: str | None = None


def suspend_own(
    desk: Desk, credential_id: str, *, pin: str, reason: str, now: datetime, by: str
) -> None:
    """The holder stops their credential and its certificate, proved by the PIN."""
    activation.open_key(desk, credential_id, pin, now=now)
    lifecycle.suspend(desk, credential_id, reason=reason[:_LONGEST_REASON], now=now, by=by)


def request_rekey(
    desk: Desk, credential_id: str, *, reason: str, now: datetime, by: str
) -> RekeyRequest:
    """Ask for a new key. Asked again while one waits, the waiting one is returned."""
    credential = credentials.find(desk, credential_id)
    if credential.state not in closing.LIVING:
        raise CredentialUnusable(f"credential-{credential.state}", credential=credential_id)
    with desk.database.transaction() as session:
        waiting = session.scalars(
            select(RekeyRequestRow).where(
                RekeyRequestRow.credential_id == credential_id, RekeyRequestRow.state == "pending"
            )
        ).first()
        if waiting is not None:
            return _request(waiting)
        row = RekeyRequestRow(
            id=secrets.token_hex(16),
            credential_id=credential_id,
            reason=reason[:_LONGEST_REASON],
            state="pending",
            requested_at=now,
            requested_by=by,
        )
        session.add(row)
        _record(session, Tag.CREDENTIAL_REKEY_REQUESTED, row, now=now, by=by)
        return _request(row)


def find_request(desk: Desk, request_id: str) -> RekeyRequest:
    """Raises SignerError `rekey-request-unknown`."""
    with desk.database.reading() as session:
        row = session.get(RekeyRequestRow, request_id)
    if row is None:
        raise SignerError("rekey-request-unknown")
    return _request(row)


def waiting_requests(desk: Desk, *, limit: int = 100) -> list[RekeyRequest]:
    """What waits for a decision, oldest first."""
    wanted = (
        select(RekeyRequestRow)
        .where(RekeyRequestRow.state == "pending")
        .order_by(RekeyRequestRow.requested_at)
        .limit(limit)
    )
    with desk.database.reading() as session:
        return [_request(row) for row in session.scalars(wanted)]


def grant_rekey(
    desk: Desk, request_id: str, *, activation_code: str, now: datetime, by: str
) -> Credential:
    """The new key, sealed under a one-time code for the holder; the old one ends."""
    with desk.database.transaction() as session:
        row = _pending(session, request_id)
        if by == row.requested_by:
            raise SignerError("rekey-own-request")
        credential_id = row.credential_id
    made = successors.rekey(
        desk,
        credential_id,
        activation_code=activation_code,
        reason=RevocationReason.SUPERSEDED,
        now=now,
        by=by,
    )
    with desk.database.transaction() as session:
        row = _pending(session, request_id)
        row.state, row.decided_at, row.decided_by = "done", now, by
        row.successor_id = made.id
        _record(session, Tag.CREDENTIAL_REKEY_DECIDED, row, now=now, by=by)
    return made


def reject_rekey(
    desk: Desk, request_id: str, *, reason: str, now: datetime, by: str
) -> RekeyRequest:
    """Turn a request down, saying why."""
    with desk.database.transaction() as session:
        row = _pending(session, request_id)
        row.state, row.decided_at, row.decided_by = "rejected", now, by
        row.decision = reason[:_LONGEST_REASON]
        _record(session, Tag.CREDENTIAL_REKEY_DECIDED, row, now=now, by=by)
        return _request(row)


def _pending(session: Session, request_id: str) -> RekeyRequestRow:
    row = session.get(RekeyRequestRow, request_id, with_for_update=True)
    if row is None:
        raise SignerError("rekey-request-unknown")
    if row.state != "pending":
        raise SignerError("rekey-request-decided", state=row.state)
    return row


def _request(row: RekeyRequestRow) -> RekeyRequest:
    return RekeyRequest(
        id=row.id,
        credential_id=row.credential_id,
        reason=row.reason,
        state=row.state,
        requested_at=row.requested_at,
        requested_by=row.requested_by,
        decision=row.decision,
        successor_id=row.successor_id,
    )


def _record(session: Session, tag: Tag, row: RekeyRequestRow, *, now: datetime, by: str) -> None:
    audit.record(
        session,
        tag=tag,
        by=by,
        subject=f"credential:{row.credential_id}",
        details={"request": row.id, "state": row.state},
        now=now,
    )
