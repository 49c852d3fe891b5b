"""What is kept of documents on their way through the steps of signing.

The file of a document is a blob: `file` is what is shown and signed next. Nothing here can be
signed with; keys and authorisations are in `signer.models`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime
from records.kept_files import KEEPS_FILE


class SigningDelegationRow(Base):
    """Who may sign for a unit, above which authority lines, for which kinds, from when to when."""

    __tablename__ = "signer_delegations"
    __table_args__ = (Index("ix_signer_delegations_unit_holder_id", "unit", "holder_id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    unit: Mapped[str] = mapped_column(Text)
    holder_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    authority_lines: Mapped[list[str]] = mapped_column(Json)
    kinds: Mapped[list[str]] = mapped_column(Json)
    """Kinds of documents; empty: every kind."""
    basis: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_to: Mapped[datetime | None] = mapped_column(UtcDateTime)
    given_at: Mapped[datetime] = mapped_column(UtcDateTime)
    given_by: Mapped[str] = mapped_column(Text)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_by: Mapped[str | None] = mapped_column(Text)


class StepRouteRow(Base):
    """A template: which steps, by whom, within how many working days. Documents copy it."""

    __tablename__ = "signer_step_routes"
    __table_args__ = (Index("ix_signer_step_routes_unit", "unit"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    unit: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    steps: Mapped[list[Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Text)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RoutedDocumentRow(Base):
    """One document. `state`: under-way, returned, complete, refused, recalled.

    `claim` says that an act on it is in hand, whose, until when, with which credential.
    """

    __tablename__ = "signer_routed_documents"
    __table_args__ = (
        Index("ix_signer_routed_documents_unit_created_at", "unit", "created_at"),
        Index("ix_signer_routed_documents_client_created_at", "client", "created_at"),
        Index("ix_signer_routed_documents_drafter", "drafter"),
        Index("ix_signer_routed_documents_claimed_until", "claimed_until"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    client: Mapped[str | None] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    symbol: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    drafter: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(Integer)
    original: Mapped[str] = mapped_column(Text, info=KEEPS_FILE)
    file: Mapped[str] = mapped_column(Text, info=KEEPS_FILE)
    size: Mapped[int] = mapped_column(BigInteger)
    pages: Mapped[int] = mapped_column(Integer)
    number: Mapped[int | None] = mapped_column(Integer)
    number_day: Mapped[date | None] = mapped_column(Date)
    claim: Mapped[str | None] = mapped_column(Text)
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claimed_by: Mapped[str | None] = mapped_column(Text)
    claimed_for: Mapped[Any | None] = mapped_column(Json)
    claimed_credential: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Text)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(Text)


class RouteStepRow(Base):
    """A step of one document. `state`: waiting, current, done. `holder_id` empty: a unit's role."""

    __tablename__ = "signer_route_steps"
    __table_args__ = (
        Index("ix_signer_route_steps_state_holder_id", "state", "holder_id"),
        Index("ix_signer_route_steps_state_unit_role", "state", "unit", "role"),
        Index("ix_signer_route_steps_state_due_at", "state", "due_at"),
    )

    document_id: Mapped[str] = mapped_column(
        ForeignKey("signer_routed_documents.id"), primary_key=True
    )
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    holder_id: Mapped[str | None] = mapped_column(Text)
    holder_name: Mapped[str | None] = mapped_column(Text)
    days: Mapped[int] = mapped_column(Integer)
    look: Mapped[Any] = mapped_column(Json)
    state: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    overdue: Mapped[bool] = mapped_column(Boolean)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done_by: Mapped[str | None] = mapped_column(Text)
    done_for: Mapped[str | None] = mapped_column(Text)
    done_name: Mapped[str | None] = mapped_column(Text)
    shown: Mapped[str | None] = mapped_column(Text)
    result: Mapped[str | None] = mapped_column(Text, info=KEEPS_FILE)
    credential_id: Mapped[str | None] = mapped_column(Text)
    field: Mapped[str | None] = mapped_column(Text)
    authority_lines: Mapped[list[str] | None] = mapped_column(Json)


class RoutedEventRow(Base):
    """What happened to a document, for its progress page; `untold` ones are still to be told."""

    __tablename__ = "signer_routed_events"
    __table_args__ = (
        Index("ix_signer_routed_events_document_id", "document_id"),
        Index("ix_signer_routed_events_untold", "untold"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    document_id: Mapped[str] = mapped_column(ForeignKey("signer_routed_documents.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(Text)
    person: Mapped[str | None] = mapped_column(Text)
    act: Mapped[str] = mapped_column(Text)
    position: Mapped[int | None] = mapped_column(Integer)
    digest: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    untold: Mapped[bool] = mapped_column(Boolean)


class OutgoingCounterRow(Base):
    """The last number of a series in a year."""

    __tablename__ = "signer_outgoing_counters"

    unit: Mapped[str] = mapped_column(Text, primary_key=True)
    series: Mapped[str] = mapped_column(Text, primary_key=True)
    year: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(Integer)


class OutgoingNumberRow(Base):
    """A line of the register of outgoing documents. `state`: taken, issued, void."""

    __tablename__ = "signer_outgoing_numbers"
    __table_args__ = (Index("ix_signer_outgoing_numbers_document_id", "document_id"),)

    unit: Mapped[str] = mapped_column(Text, primary_key=True)
    series: Mapped[str] = mapped_column(Text, primary_key=True)
    year: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    symbol: Mapped[str] = mapped_column(Text)
    day: Mapped[date] = mapped_column(Date)
    document_id: Mapped[str] = mapped_column(ForeignKey("signer_routed_documents.id"))
    title: Mapped[str] = mapped_column(Text)
    signer: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    taken_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_by: Mapped[str | None] = mapped_column(Text)
