"""Lists of holders to enrol, and what became of each line.

No line holds anything that opens a key: `sealed_code` opens only with the hand-out secret that is
in no table, and is erased when the holder activates, when the hand-out is closed, or with time.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime


class ListState(StrEnum):
    """`READING` after a crash means that the list never came in whole."""

    READING = "reading"
    PREVIEWED = "previewed"
    APPROVED = "approved"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class LineState(StrEnum):
    """`REFUSED`: not as it should be; `PRESENT`: has a credential; `FAILED`: refused on the way."""

    REFUSED = "refused"
    PRESENT = "present"
    WAITING = "waiting"
    ENROLLED = "enrolled"
    FAILED = "failed"


class EnrolmentListRow(Base):
    """One list. `run` names the run that may write: a later one fences an earlier one off."""

    __tablename__ = "signer_enrolment_lists"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    profile: Mapped[str] = mapped_column(Text)
    algorithm: Mapped[str] = mapped_column(Text)
    file_name: Mapped[str] = mapped_column(Text)
    file_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What an approval is bound to: profile, algorithm and every line that would be enrolled."""
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Text)
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approved_by: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    started_by: Mapped[str | None] = mapped_column(Text)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    run: Mapped[str | None] = mapped_column(Text)
    handout_public: Mapped[bytes | None] = mapped_column(LargeBinary)
    handout_private: Mapped[bytes | None] = mapped_column(LargeBinary)
    handout_closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class EnrolmentLineRow(Base):
    """One line. `claim` is unique over all lists that run: nobody is in two of them at once."""

    __tablename__ = "signer_enrolment_lines"
    __table_args__ = (
        Index("ix_signer_enrolment_lines_list_id_state_number", "list_id", "state", "number"),
    )

    list_id: Mapped[str] = mapped_column(
        Text, ForeignKey("signer_enrolment_lists.id"), primary_key=True
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    holder_id: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text)
    subject: Mapped[dict[str, Any] | None] = mapped_column(Json)
    born: Mapped[str | None] = mapped_column(Text)
    keeper: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    problems: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    identity: Mapped[str | None] = mapped_column(Text)
    """What the population registry said (`ca.identity.Outcome`), when it was asked."""
    claim: Mapped[str | None] = mapped_column(Text, unique=True)
    credential_id: Mapped[str | None] = mapped_column(Text, unique=True)
    sealed_code: Mapped[bytes | None] = mapped_column(LargeBinary)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
