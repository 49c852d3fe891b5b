"""A stack: many originals in one job, with one list and one authorisation."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime
from records.kept_files import KEEPS_FILE, KEEPS_FILES


class StackRow(Base):
    """The job; `authorizations` are those the person and the seal's keeper gave for it."""

    __tablename__ = "certify_stacks"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    unit: Mapped[str] = mapped_column(String(16), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    list_digest: Mapped[str] = mapped_column(String(64), info=KEEPS_FILE)
    place: Mapped[str] = mapped_column(Text)
    waiver: Mapped[str | None] = mapped_column(Text)
    person_id: Mapped[str | None] = mapped_column(String(64))
    seal_id: Mapped[str | None] = mapped_column(String(64))
    authorizations: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(128))
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure: Mapped[str | None] = mapped_column(Text)


class StackLineRow(Base):
    """One line of the list: an original, its scans, its case, and what became of it."""

    __tablename__ = "certify_stack_lines"
    __table_args__ = (Index("ix_certify_stack_lines_stack_id_state", "stack_id", "state"),)

    stack_id: Mapped[str] = mapped_column(ForeignKey("certify_stacks.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(16))
    said: Mapped[dict[str, Any]] = mapped_column(Json)
    scans: Mapped[list[str | None]] = mapped_column(Json, info=KEEPS_FILES)
    case_id: Mapped[str | None] = mapped_column(String(32))
    entry_id: Mapped[str | None] = mapped_column(String(32))
    prepared: Mapped[dict[str, Any] | None] = mapped_column(Json)
    number: Mapped[str | None] = mapped_column(String(16))
    code: Mapped[str | None] = mapped_column(String(32))
    failure: Mapped[str | None] = mapped_column(Text)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
