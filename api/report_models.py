"""The table of validation reports that clients asked to be kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, UtcDateTime
from records.kept_files import KEEPS_FILE


class ValidationReportRow(Base):
    """One kept report. `document`, `report` (JSON) and `paper` (sealed PDF) are SHA-256 in hex."""

    __tablename__ = "validation_reports"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(64), index=True)
    document: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(200))
    policy: Mapped[str] = mapped_column(String(64))
    indication: Mapped[str] = mapped_column(String(32))
    report: Mapped[str] = mapped_column(String(64), info=KEEPS_FILE)
    paper: Mapped[str] = mapped_column(String(64), info=KEEPS_FILE)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
