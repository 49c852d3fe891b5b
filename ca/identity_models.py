"""What the population registry answered, kept with the request it was asked for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime


class IdentityCheckRow(Base):
    """One question and its answer. The newest one of a request counts."""

    __tablename__ = "ca_identity_checks"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("ca_requests.id"), index=True)
    asked: Mapped[str] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(String(16))
    differs: Mapped[list[str]] = mapped_column(Json)
    reference: Mapped[str] = mapped_column(String(100))
    checked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    checked_by: Mapped[str] = mapped_column(String(200))
