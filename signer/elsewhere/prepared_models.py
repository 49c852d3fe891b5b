"""Signatures that were prepared here and are to be made with a key elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime


class PreparedRow(Base):
    """One signature that waits for its value. `state`: open, taken, completed, void.

    What the file's reader could learn from (`before`, `after`: the new revision with its picture
    and names) is erased when it ends.
    """

    __tablename__ = "signer_prepared"
    __table_args__ = (Index("ix_signer_prepared_state_expires_at", "state", "expires_at"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    client: Mapped[str] = mapped_column(Text)
    format: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    request: Mapped[Any] = mapped_column(Json)
    """What completion needs to know of how it is to be signed."""
    files: Mapped[Any] = mapped_column(Json)
    """[[name, media type, SHA-256 in hex], …] in order."""
    sources: Mapped[list[str]] = mapped_column(Json)
    certificate: Mapped[bytes | None] = mapped_column(LargeBinary)
    chain: Mapped[list[str]] = mapped_column(Json)
    to_sign: Mapped[bytes | None] = mapped_column(LargeBinary)
    before: Mapped[bytes | None] = mapped_column(LargeBinary)
    after: Mapped[bytes | None] = mapped_column(LargeBinary)
    reserve: Mapped[int | None] = mapped_column(Integer)
    field: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    taken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    result: Mapped[str | None] = mapped_column(Text)
    failure: Mapped[str | None] = mapped_column(Text)
