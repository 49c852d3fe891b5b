"""The tables of the audit log. Triggers (migration 0001) forbid changing or removing rows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, UtcDateTime

_Position = BigInteger().with_variant(Integer(), "sqlite")


class AuditEntry(Base):
    """One thing that happened. `position` counts from 0 without a gap."""

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_subject", "subject", "position"),
        Index("ix_audit_entries_tag", "tag", "position"),
    )

    position: Mapped[int] = mapped_column(_Position, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(Text)
    tag: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    details: Mapped[str] = mapped_column(Text)
    """Canonical JSON, as it was hashed."""
    nodes: Mapped[bytes] = mapped_column(LargeBinary)
    """Hashes of the subtrees this entry completed, 32 bytes each, its own leaf first."""


class AuditHead(Base):
    """The one row an append locks: how many entries there are, and the tree's right edge."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    edge: Mapped[bytes] = mapped_column(LargeBinary)
    """Roots of the perfect subtrees that make up the log, 32 bytes each, largest first."""


class AuditCheckpoint(Base):
    """A signed tree head: from then on, nobody can rewrite what came before it."""

    __tablename__ = "audit_checkpoints"

    size: Mapped[int] = mapped_column(_Position, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    root: Mapped[bytes] = mapped_column(LargeBinary)
    note: Mapped[str] = mapped_column(Text)
