"""The seals under passkeys end with what they open: a credential's end, a key's next keeper."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from signer.keys.passkey_models import SigningPasskeyRow


def erase_in(session: Session, credential_ids: Sequence[str], *, now: datetime) -> None:
    """No passkey opens these credentials' keys any more; the rows stay, to check old answers."""
    session.execute(
        update(SigningPasskeyRow)
        .where(
            SigningPasskeyRow.credential_id.in_(credential_ids),
            SigningPasskeyRow.ended_at.is_(None),
        )
        .values(sealed_key=b"", ended_at=now)
    )
