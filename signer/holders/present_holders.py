"""Who has a credential already: nobody gets two of one kind."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from signer.models import CredentialRow

_LIVING = ("active", "locked", "suspended", "enrolling")


def holders_with_credentials(session: Session, profile: str, holders: Sequence[str]) -> set[str]:
    """Which of these hold a credential of this profile that is not ended."""
    found: set[str] = set()
    for start_at in range(0, len(holders), 500):
        part = holders[start_at : start_at + 500]
        wanted = select(CredentialRow.holder_id).where(
            CredentialRow.holder_id.in_(part),
            CredentialRow.profile == profile,
            CredentialRow.state.in_(_LIVING),
        )
        found.update(session.scalars(wanted))
    return found
