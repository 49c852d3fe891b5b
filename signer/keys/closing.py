"""What was opened under a credential ends with it: mandates and authorisations, and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from records import audit
from records.tags import Tag
from signer.keys import activation
from signer.models import AuthorizationRow, MandateRow

if TYPE_CHECKING:
    from signer.desk import Desk

LIVING = ("active", "locked", "suspended")
"""States of a credential that is not ended."""


def close_all(desk: Desk, ids: Sequence[str], *, now: datetime, by: str) -> None:
    """In a transaction of its own, and forgotten by this process."""
    with desk.database.transaction() as session:
        opened = close_in(session, ids, now=now, by=by)
    for one in opened:
        activation.forget(desk, one)


def close_in(session: Session, ids: Sequence[str], *, now: datetime, by: str) -> list[str]:
    """End the mandates and open authorisations of credentials, erasing their sealed keys.

    Returns the authorisations, for this process to forget after the commit.
    """
    mandates = session.scalars(
        select(MandateRow).where(MandateRow.credential_id.in_(ids), MandateRow.ended_at.is_(None))
    ).all()
    for mandate in mandates:
        mandate.sealed_key, mandate.ended_at, mandate.ended_by = None, now, by
        audit.record(
            session,
            tag=Tag.MANDATE_ENDED,
            by=by,
            subject=f"credential:{mandate.credential_id}",
            details={"mandate": mandate.id},
            now=now,
        )
    open_ = (AuthorizationRow.credential_id.in_(ids), AuthorizationRow.ended.is_(False))
    opened = list(session.scalars(select(AuthorizationRow.id).where(*open_)))
    session.execute(update(AuthorizationRow).where(*open_).values(ended=True, sealed_key=None))
    for one in opened:
        audit.record(
            session,
            tag=Tag.AUTHORIZATION_ENDED,
            by=by,
            subject=f"authorization:{one}",
            details={"how": "credential stopped"},
            now=now,
        )
    return opened
