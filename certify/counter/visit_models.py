"""What a visit leaves behind: the documents brought together, the hour agreed, what was refused.

A visit is one requester coming once with one or more originals; each original is a case of its own
with its own number, term and outcome.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime
from records.kept_files import KEEPS_FILE


class AppointmentState(StrEnum):
    """Where an appointment stands; only `BOOKED` holds a seat."""

    BOOKED = "booked"
    KEPT = "kept"
    CANCELLED = "cancelled"
    MISSED = "missed"


class ActState(StrEnum):
    """A signed act that is no register line: intended, made, or given up with its reason."""

    INTENDED = "intended"
    MADE = "made"
    VOID = "void"


class VisitRow(Base):
    """One requester, one unit, one coming; `code` opens the public page of the slip."""

    __tablename__ = "certify_visits"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    unit: Mapped[str] = mapped_column(String(16), index=True)
    channel: Mapped[str] = mapped_column(String(24))
    dossier_code: Mapped[str | None] = mapped_column(String(64), index=True)
    requester_id: Mapped[str] = mapped_column(String(64), index=True)
    requester: Mapped[dict[str, Any]] = mapped_column(Json)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    opened_by: Mapped[str] = mapped_column(String(128))


class VisitCaseRow(Base):
    """Which cases belong to a visit, in the order in which they were named."""

    __tablename__ = "certify_visit_cases"

    case_id: Mapped[str] = mapped_column(ForeignKey("certify_cases.id"), primary_key=True)
    visit_id: Mapped[str] = mapped_column(ForeignKey("certify_visits.id"), index=True)
    position: Mapped[int] = mapped_column(Integer)


class AppointmentRow(Base):
    """A seat at the counter at an hour; the indexes make double booking impossible."""

    __tablename__ = "certify_appointments"
    __table_args__ = (
        Index(
            "uq_certify_appointments_seat",
            "unit",
            "starts_at",
            "seat",
            unique=True,
            sqlite_where=text("state = 'booked'"),
            postgresql_where=text("state = 'booked'"),
        ),
        Index(
            "uq_certify_appointments_visit",
            "visit_id",
            unique=True,
            sqlite_where=text("state = 'booked'"),
            postgresql_where=text("state = 'booked'"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    visit_id: Mapped[str] = mapped_column(ForeignKey("certify_visits.id"), index=True)
    unit: Mapped[str] = mapped_column(String(16))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seat: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16), index=True)
    booked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    booked_by: Mapped[str] = mapped_column(String(128))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_by: Mapped[str | None] = mapped_column(String(128))
    reason: Mapped[str | None] = mapped_column(Text)


class PageFindingRow(Base):
    """The finding on one page while the comparison goes on; the comparison takes them over."""

    __tablename__ = "certify_page_findings"

    capture_id: Mapped[str] = mapped_column(ForeignKey("certify_captures.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    matches: Mapped[bool] = mapped_column(Boolean)
    note: Mapped[str] = mapped_column(Text)
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)
    found_by: Mapped[str] = mapped_column(String(128))


class TextLayerRow(Base):
    """The recognised text of one captured page: a PDF page of invisible text, kept as a blob."""

    __tablename__ = "certify_text_layers"

    capture_id: Mapped[str] = mapped_column(ForeignKey("certify_captures.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    engine: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    made_by: Mapped[str] = mapped_column(String(128))


class RefusalRow(Base):
    """The written refusal of a case: its words frozen before it is signed, then the signed file."""

    __tablename__ = "certify_refusals"

    case_id: Mapped[str] = mapped_column(ForeignKey("certify_cases.id"), primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    unit: Mapped[str] = mapped_column(String(16), index=True)
    owner_id: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(16))
    frozen: Mapped[dict[str, Any]] = mapped_column(Json)
    intended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    intended_by: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str | None] = mapped_column(String(64), info=KEEPS_FILE)
    item_id: Mapped[str | None] = mapped_column(ForeignKey("certify_items.id"))
    made_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(Json)


class DigitalCopyRow(Base):
    """An agency's copy of a digital document (SAO Y, SAO LỤC, TRÍCH SAO): no register number."""

    __tablename__ = "certify_digital_copies"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    unit: Mapped[str] = mapped_column(String(16), index=True)
    form: Mapped[str] = mapped_column(String(16))
    title: Mapped[str] = mapped_column(String(512))
    owner_id: Mapped[str | None] = mapped_column(String(64), index=True)
    source_digest: Mapped[str] = mapped_column(String(64), index=True, info=KEEPS_FILE)
    report_digest: Mapped[str] = mapped_column(String(64), info=KEEPS_FILE)
    state: Mapped[str] = mapped_column(String(16))
    frozen: Mapped[dict[str, Any]] = mapped_column(Json)
    intended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    intended_by: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str | None] = mapped_column(String(64), index=True, info=KEEPS_FILE)
    item_id: Mapped[str | None] = mapped_column(ForeignKey("certify_items.id"))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(Text)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(Json)
