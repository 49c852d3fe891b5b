"""The signed closing of a register's year: intended, then made (khóa sổ)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime
from records.kept_files import KEEPS_FILE


class ClosingRow(Base):
    """The page that closes a year. While it is intended the register gives no number.

    `lines_digest` is the SHA-256 of the year's lines as a table, kept for ever beside the page;
    `digest` that of the signed page, once it is made. The totals themselves are then written to
    `certify_register_locks`, which nothing changes any more.
    """

    __tablename__ = "certify_register_closings"

    unit: Mapped[str] = mapped_column(String(16), primary_key=True)
    register: Mapped[str] = mapped_column(String(32), primary_key=True)
    year: Mapped[int] = mapped_column(Integer, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    frozen: Mapped[dict[str, Any]] = mapped_column(Json)
    lines_digest: Mapped[str] = mapped_column(String(64), info=KEEPS_FILE)
    intended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    intended_by: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str | None] = mapped_column(String(64), info=KEEPS_FILE)
    made_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(Json)
