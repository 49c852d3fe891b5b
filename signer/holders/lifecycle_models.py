"""What happened to a credential after it was made: successor, keepers, requests for a new key."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Date, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, UtcDateTime
from records.kept_files import KEEPS_FILE


class SuccessionRow(Base):
    """A credential that took the place of another. `kind`: rekey, transfer."""

    __tablename__ = "signer_successions"

    credential_id: Mapped[str] = mapped_column(
        ForeignKey("signer_credentials.id"), primary_key=True
    )
    former_id: Mapped[str] = mapped_column(ForeignKey("signer_credentials.id"), unique=True)
    kind: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(Text)


class HandoverRow(Base):
    """An agency's key passed from one keeper to the next, by written permission (DOMAIN.md §2)."""

    __tablename__ = "signer_handovers"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("signer_credentials.id"), index=True)
    given_by: Mapped[str] = mapped_column(Text)
    received_by: Mapped[str] = mapped_column(Text)
    permission_number: Mapped[str] = mapped_column(Text)
    permission_date: Mapped[date] = mapped_column(Date)
    permission_signer: Mapped[str] = mapped_column(Text)
    permission_document: Mapped[str] = mapped_column(Text, info=KEEPS_FILE)
    """Digest of the written permission in the blob store."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(Text)


class RekeyRequestRow(Base):
    """A holder who asks for a new key. `state`: pending, done, rejected."""

    __tablename__ = "signer_rekey_requests"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("signer_credentials.id"), index=True)
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    requested_by: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(Text)
    decision: Mapped[str | None] = mapped_column(Text)
    successor_id: Mapped[str | None] = mapped_column(ForeignKey("signer_credentials.id"))
