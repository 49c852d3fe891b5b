"""Payments by bank transfer: what was asked for, and everything the bank has told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, UtcDateTime


class BankOrderRow(Base):
    """A request to pay one case's fee; `reference` stands in the QR code and comes back."""

    __tablename__ = "certify_bank_orders"

    reference: Mapped[str] = mapped_column(String(16), primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("certify_cases.id"), index=True)
    amount: Mapped[int] = mapped_column(Integer)
    account: Mapped[str] = mapped_column(String(32))
    payload: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(128))


class BankNoticeRow(Base):
    """One transfer as the bank told it: it became a payment, or it waits to be reconciled."""

    __tablename__ = "certify_bank_notices"

    transaction_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    account: Mapped[str] = mapped_column(String(32))
    amount: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text)
    paid_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reference: Mapped[str | None] = mapped_column(String(16))
    outcome: Mapped[str] = mapped_column(String(48), index=True)
    payment_id: Mapped[str | None] = mapped_column(String(32))
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolved_by: Mapped[str | None] = mapped_column(String(128))
    resolution: Mapped[str | None] = mapped_column(Text)
