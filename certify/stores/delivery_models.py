"""What is on its way out, and what was used again somewhere else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime


class DeliveryRow(Base):
    """One message to one receiver, written in the transaction that made it true."""

    __tablename__ = "certify_deliveries"
    __table_args__ = (Index("ix_certify_deliveries_delivered_at_due_at", "delivered_at", "due_at"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(160), unique=True)
    way: Mapped[str] = mapped_column(String(24))
    event: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(Text)
    copy_id: Mapped[str | None] = mapped_column(ForeignKey("certify_copies.id"), index=True)
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Integer)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    given_up_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(Text)


class ReuseRow(Base):
    """A stored document used in a dossier instead of a new upload (REUSED_DIGITIZED_DATA)."""

    __tablename__ = "certify_reuses"
    __table_args__ = (UniqueConstraint("grant_id", "dossier_code"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    grant_id: Mapped[str] = mapped_column(ForeignKey("certify_grants.id"), index=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("certify_items.id"))
    digest: Mapped[str] = mapped_column(String(64))
    dossier_code: Mapped[str] = mapped_column(String(64), index=True)
    unit: Mapped[str | None] = mapped_column(String(16), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(128))
