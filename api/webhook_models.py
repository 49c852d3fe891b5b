"""Where client systems want to be told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, UtcDateTime


class WebhookRow(Base):
    """One address per client. Its secret is derived, never stored; `version` makes a new one."""

    __tablename__ = "api_webhooks"

    client_id: Mapped[str] = mapped_column(
        String(64), ForeignKey("api_clients.client_id"), primary_key=True
    )
    url: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)
