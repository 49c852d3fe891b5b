"""What certifying must remember: cases, captures, findings, the register, copies and the store.

A case is one original brought by one person. The register entry is the legal fact: it is written
as an intention with its number and frozen inputs before anything is signed, and ends as `issued`
or `void`, never gone. The copy is what came out; the store is where its owner keeps it.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime
from records.kept_files import KEEPS_FILE


class CaseState(StrEnum):
    """Where a case stands; `REFUSED`, `FROZEN` and `WITHDRAWN` never get a number."""

    OPEN = "open"
    CAPTURED = "captured"
    COMPARED = "compared"
    CERTIFYING = "certifying"
    ISSUED = "issued"
    REFUSED = "refused"
    FROZEN = "frozen"
    WITHDRAWN = "withdrawn"


class EntryState(StrEnum):
    """Where a register number stands."""

    OPEN = "open"
    ISSUED = "issued"
    VOID = "void"


class CopyStatus(StrEnum):
    """What a receiver needs to know of a copy whose signatures are good."""

    IN_FORCE = "in-force"
    CANCELLED = "cancelled"
    REPLACED = "replaced"


class CaseRow(Base):
    """One original brought by one person; `requester` and `original` as they were declared."""

    __tablename__ = "certify_cases"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    unit: Mapped[str] = mapped_column(String(16), index=True)
    channel: Mapped[str] = mapped_column(String(24))
    dossier_code: Mapped[str | None] = mapped_column(String(64), index=True)
    requester_id: Mapped[str] = mapped_column(String(64), index=True)
    requester: Mapped[dict[str, Any]] = mapped_column(Json)
    document_kind: Mapped[str] = mapped_column(String(64))
    original: Mapped[dict[str, Any]] = mapped_column(Json)
    copies: Mapped[int] = mapped_column(Integer)
    presented: Mapped[dict[str, Any] | None] = mapped_column(Json)
    assigned_to: Mapped[str | None] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16), index=True)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    slip: Mapped[bool] = mapped_column(Boolean)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closing_reason: Mapped[str | None] = mapped_column(Text)


class CaptureRow(Base):
    """One capture of the whole original; a new one supersedes the old, which stays on record."""

    __tablename__ = "certify_captures"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("certify_cases.id"), index=True)
    page_count: Mapped[int] = mapped_column(Integer)
    taken_at: Mapped[datetime] = mapped_column(UtcDateTime)
    taken_by: Mapped[str] = mapped_column(String(128))
    superseded: Mapped[bool] = mapped_column(Boolean, default=False)
    purged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class CapturePageRow(Base):
    """One captured page: the image's digest, and what was measured on it."""

    __tablename__ = "certify_capture_pages"

    capture_id: Mapped[str] = mapped_column(ForeignKey("certify_captures.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), index=True)
    facts: Mapped[dict[str, Any]] = mapped_column(Json)


class ComparisonRow(Base):
    """The comparing official's finding on one capture: per page, and the refusal checklist."""

    __tablename__ = "certify_comparisons"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("certify_cases.id"), index=True)
    capture_id: Mapped[str] = mapped_column(ForeignKey("certify_captures.id"))
    pages: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    checklist: Mapped[dict[str, Any]] = mapped_column(Json)
    security_elements: Mapped[list[str]] = mapped_column(Json)
    passed: Mapped[bool] = mapped_column(Boolean)
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)
    found_by: Mapped[str] = mapped_column(String(128))


class DelegationRow(Base):
    """Who may certify for a unit, under which title, from when to when."""

    __tablename__ = "certify_delegations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    unit: Mapped[str] = mapped_column(String(16), index=True)
    holder_id: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(128))
    title: Mapped[str] = mapped_column(String(128))
    authority_lines: Mapped[list[str]] = mapped_column(Json)
    basis: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[datetime] = mapped_column(UtcDateTime)
    valid_to: Mapped[datetime | None] = mapped_column(UtcDateTime)


class CounterRow(Base):
    """The last number of a register in a year: a row, so that a rollback gives numbers back."""

    __tablename__ = "certify_counters"

    unit: Mapped[str] = mapped_column(String(16), primary_key=True)
    register: Mapped[str] = mapped_column(String(32), primary_key=True)
    year: Mapped[int] = mapped_column(Integer, primary_key=True)
    last: Mapped[int] = mapped_column(Integer)
    volume: Mapped[int] = mapped_column(Integer)
    locked: Mapped[bool] = mapped_column(Boolean)


class EntryRow(Base):
    """A register line: the eight columns of DOMAIN.md §4, and what was frozen under the number."""

    __tablename__ = "certify_entries"
    __table_args__ = (
        UniqueConstraint("unit", "register", "year", "number"),
        CheckConstraint("number > 0", name="number_positive"),
        # One document has one number: a case may have voided lines, and one that counts.
        Index(
            "uq_certify_entries_live_case",
            "case_id",
            unique=True,
            sqlite_where=text("state <> 'void'"),
            postgresql_where=text("state <> 'void'"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    unit: Mapped[str] = mapped_column(String(16))
    register: Mapped[str] = mapped_column(String(32))
    year: Mapped[int] = mapped_column(Integer)
    number: Mapped[int] = mapped_column(Integer)
    volume: Mapped[int] = mapped_column(Integer)
    case_id: Mapped[str] = mapped_column(ForeignKey("certify_cases.id"), index=True)
    state: Mapped[str] = mapped_column(String(8), index=True)
    day: Mapped[date] = mapped_column(Date)
    requester_name: Mapped[str] = mapped_column(String(256))
    document_name: Mapped[str] = mapped_column(String(512))
    certifier_name: Mapped[str] = mapped_column(String(128))
    certifier_title: Mapped[str] = mapped_column(String(128))
    copies: Mapped[int] = mapped_column(Integer)
    fee: Mapped[int] = mapped_column(Integer)
    notes: Mapped[str] = mapped_column(Text, default="")
    frozen: Mapped[dict[str, Any]] = mapped_column(Json)
    claim: Mapped[str | None] = mapped_column(String(32))
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    taken_at: Mapped[datetime] = mapped_column(UtcDateTime)
    taken_by: Mapped[str] = mapped_column(String(128))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RegisterLockRow(Base):
    """The yearly closing of a register: its totals and who closed it."""

    __tablename__ = "certify_register_locks"

    unit: Mapped[str] = mapped_column(String(16), primary_key=True)
    register: Mapped[str] = mapped_column(String(32), primary_key=True)
    year: Mapped[int] = mapped_column(Integer, primary_key=True)
    last_number: Mapped[int] = mapped_column(Integer)
    issued: Mapped[int] = mapped_column(Integer)
    void: Mapped[int] = mapped_column(Integer)
    copies: Mapped[int] = mapped_column(Integer)
    fees: Mapped[int] = mapped_column(Integer)
    locked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    locked_by: Mapped[str] = mapped_column(String(128))


class CopyRow(Base):
    """A certified copy: what is kept for ever (digest, evidence, status); its bytes are a blob."""

    __tablename__ = "certify_copies"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    entry_id: Mapped[str] = mapped_column(ForeignKey("certify_entries.id"), unique=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    size: Mapped[int] = mapped_column(Integer)
    unit: Mapped[str] = mapped_column(String(16), index=True)
    document_kind: Mapped[str] = mapped_column(String(64))
    owner_id: Mapped[str] = mapped_column(String(64), index=True)
    issued_on: Mapped[date] = mapped_column(Date)
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(16))
    status_at: Mapped[datetime] = mapped_column(UtcDateTime)
    replaced_by: Mapped[str | None] = mapped_column(String(32))
    evidence: Mapped[dict[str, Any]] = mapped_column(Json)


class CancellationRow(Base):
    """The formal decision that a copy no longer counts (DOMAIN.md §4 *Cancelling*)."""

    __tablename__ = "certify_cancellations"

    copy_id: Mapped[str] = mapped_column(ForeignKey("certify_copies.id"), primary_key=True)
    decision_number: Mapped[str] = mapped_column(String(64))
    decided_on: Mapped[date] = mapped_column(Date)
    reason: Mapped[str] = mapped_column(Text)
    signer: Mapped[str] = mapped_column(String(128))
    decision_digest: Mapped[str] = mapped_column(String(64), info=KEEPS_FILE)
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)
    published_by: Mapped[str] = mapped_column(String(128))


class PaymentRow(Base):
    """Money in, money out, or a waiver with its reason; `amount` in đồng, refunds negative."""

    __tablename__ = "certify_payments"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("certify_cases.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    method: Mapped[str] = mapped_column(String(16))
    amount: Mapped[int] = mapped_column(Integer)
    reference: Mapped[str | None] = mapped_column(String(64), unique=True)
    reason: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(128))
    receipt: Mapped[str | None] = mapped_column(String(24))


class ItemRow(Base):
    """A document in a person's store; only a certified copy may call itself certified."""

    __tablename__ = "certify_items"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner_id: Mapped[str] = mapped_column(String(64), index=True)
    kind: Mapped[str] = mapped_column(String(24))
    title: Mapped[str] = mapped_column(String(512))
    digest: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(Integer)
    copy_id: Mapped[str | None] = mapped_column(ForeignKey("certify_copies.id"))
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
    purged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    unit: Mapped[str | None] = mapped_column(String(16))


class GrantRow(Base):
    """The owner lets a named recipient see one item, for a purpose, until a moment."""

    __tablename__ = "certify_grants"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("certify_items.id"), index=True)
    recipient_kind: Mapped[str] = mapped_column(String(16))
    recipient: Mapped[str] = mapped_column(String(128), index=True)
    recipient_name: Mapped[str] = mapped_column(String(256))
    purpose: Mapped[str] = mapped_column(Text)
    code_digest: Mapped[str] = mapped_column(String(64), unique=True)
    given_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AccessRow(Base):
    """Who looked at a person's document, why and when: shown to that person (DOMAIN.md §6)."""

    __tablename__ = "certify_accesses"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("certify_items.id"), index=True)
    grant_id: Mapped[str | None] = mapped_column(ForeignKey("certify_grants.id"))
    by: Mapped[str] = mapped_column(String(128))
    purpose: Mapped[str] = mapped_column(Text)
    dossier_code: Mapped[str | None] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
