"""The fee is settled before a number is taken: paid, or waived with a reason.

    pay(office, case_id, method="cash", now=now, by=by)         # the whole fee, at the counter
    settled(session, case_row, on=day)                          # nothing left to pay

A receipt is a row with its own number for ever; a refund is a row with a negative amount, never a
correction of the first.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from certify.counter.cases import case_row
from certify.errors import CertifyError
from certify.models import CaseRow, CaseState, PaymentRow
from certify.money.fees import fee
from certify.office import Office
from certify.register import take_number
from records import audit
from records.tags import Tag
from signer.routing.working_days import local

RECEIPTS = "BL"
METHODS = ("cash", "vietqr", "transfer")
PAYABLE = (CaseState.OPEN, CaseState.CAPTURED, CaseState.COMPARED)


@dataclass(frozen=True)
class Receipt:
    """What the requester takes home."""

    id: str
    case_id: str
    kind: str
    amount: int
    at: datetime
    number: str = ""


def amount_due(row: CaseRow, *, on: date) -> int:
    """The fee of a case under the tariff of that day, in đồng."""
    return fee(pages=int(row.original["pages"]), copies=row.copies, on=on)


def outstanding(session: Session, row: CaseRow, *, on: date) -> int:
    """What is still to be paid; nothing once the fee was waived."""
    if _waived(session, row.id):
        return 0
    paid = session.scalar(
        select(func.coalesce(func.sum(PaymentRow.amount), 0)).where(PaymentRow.case_id == row.id)
    )
    return amount_due(row, on=on) - int(paid or 0)


def require_settled(session: Session, row: CaseRow, *, on: date) -> int:
    """The fee that was charged (0 when waived). Raises `CertifyError`: `fee-not-paid`."""
    left = outstanding(session, row, on=on)
    if left > 0:
        raise CertifyError("fee-not-paid", amount=left)
    return 0 if _waived(session, row.id) else amount_due(row, on=on)


def pay(
    office: Office,
    case_id: str,
    *,
    method: str,
    amount: int | None = None,
    reference: str | None = None,
    now: datetime,
    by: str,
) -> Receipt:
    """Take the fee; `reference` is the bank's, and makes the same notice count once.

    Raises `CertifyError`: `payment-method-unknown`, `fee-nothing-due`, `payment-amount-wrong`,
    `payment-already-recorded`.
    """
    if method not in METHODS:
        raise CertifyError("payment-method-unknown", method=method)
    with office.database.transaction() as session:
        row = open_case_row(session, case_id)
        if reference is not None and _known(session, reference):
            raise CertifyError("payment-already-recorded", reference=reference)
        left = outstanding(session, row, on=local(now).date())
        if left <= 0:
            raise CertifyError("fee-nothing-due")
        if amount is not None and amount != left:
            raise CertifyError("payment-amount-wrong", amount=amount, due=left)
        made = _row(session, row, "payment", method, left, reference, None, now=now, by=by)
        session.add(made)
        _audit(session, Tag.PAYMENT_RECORDED, made, now=now, by=by)
    return _receipt(made)


def take_transfer(
    session: Session, case_id: str, amount: int, reference: str, *, now: datetime, by: str
) -> str:
    """A transfer that came for a case, in the caller's transaction; the payment's identifier.

    Raises `CertifyError`: `case-state-wrong`, `fee-nothing-due`, `payment-amount-wrong`,
    `payment-already-recorded`.
    """
    row = open_case_row(session, case_id)
    if _known(session, reference):
        raise CertifyError("payment-already-recorded", reference=reference)
    left = outstanding(session, row, on=local(now).date())
    if left <= 0:
        raise CertifyError("fee-nothing-due")
    if amount != left:
        raise CertifyError("payment-amount-wrong", amount=amount, due=left)
    made = _row(session, row, "payment", "vietqr", amount, reference, None, now=now, by=by)
    session.add(made)
    _audit(session, Tag.PAYMENT_RECORDED, made, now=now, by=by)
    return made.id


def waive(office: Office, case_id: str, *, reason: str, now: datetime, by: str) -> Receipt:
    """No fee for this case, for a reason that is written down."""
    if not reason.strip():
        raise CertifyError("reason-missing")
    with office.database.transaction() as session:
        row = open_case_row(session, case_id)
        if outstanding(session, row, on=local(now).date()) <= 0:
            raise CertifyError("fee-nothing-due")
        made = _row(session, row, "waiver", "none", 0, None, reason, now=now, by=by)
        session.add(made)
        _audit(session, Tag.FEE_WAIVED, made, now=now, by=by)
    return _receipt(made)


def refund(office: Office, case_id: str, *, reason: str, now: datetime, by: str) -> Receipt:
    """Give back everything paid for a case that ended without a copy."""
    if not reason.strip():
        raise CertifyError("reason-missing")
    with office.database.transaction() as session:
        row = case_row(session, case_id, lock=True)
        if CaseState(row.state) in (CaseState.ISSUED, CaseState.CERTIFYING):
            raise CertifyError("case-state-wrong", state=row.state)
        paid = session.scalar(
            select(func.coalesce(func.sum(PaymentRow.amount), 0)).where(
                PaymentRow.case_id == case_id
            )
        )
        if not paid:
            raise CertifyError("fee-nothing-paid")
        made = _row(session, row, "refund", "cash", -int(paid), None, reason, now=now, by=by)
        session.add(made)
        _audit(session, Tag.FEE_REFUNDED, made, now=now, by=by)
    return _receipt(made)


def receipts(office: Office, case_id: str) -> list[Receipt]:
    """Every receipt of a case: payments, waivers, refunds, in the order of their numbers."""
    query = (
        select(PaymentRow)
        .where(PaymentRow.case_id == case_id)
        .order_by(PaymentRow.at, PaymentRow.receipt)
    )
    with office.database.reading() as session:
        return [_receipt(row) for row in session.scalars(query)]


def open_case_row(session: Session, case_id: str) -> CaseRow:
    """The locked row of a case that may still be paid for. Raises `case-state-wrong`."""
    row = case_row(session, case_id, lock=True)
    if CaseState(row.state) not in PAYABLE:
        raise CertifyError("case-state-wrong", state=row.state)
    return row


def _waived(session: Session, case_id: str) -> bool:
    query = select(PaymentRow.id).where(PaymentRow.case_id == case_id, PaymentRow.kind == "waiver")
    return session.scalar(query.limit(1)) is not None


def _known(session: Session, reference: str) -> bool:
    query = select(PaymentRow.id).where(PaymentRow.reference == reference)
    return session.scalar(query) is not None


def _row(
    session: Session,
    case: CaseRow,
    kind: str,
    method: str,
    amount: int,
    reference: str | None,
    reason: str | None,
    *,
    now: datetime,
    by: str,
) -> PaymentRow:
    # Receipts have a book of their own: gapless per unit and year, like the register.
    number = take_number(session, unit=case.unit, register=RECEIPTS, year=local(now).year)
    return PaymentRow(
        id=uuid.uuid4().hex,
        case_id=case.id,
        kind=kind,
        method=method,
        amount=amount,
        reference=reference,
        reason=reason,
        at=now,
        by=by,
        receipt=f"{number.number:06d}/{number.year}",
    )


def _receipt(row: PaymentRow) -> Receipt:
    return Receipt(row.id, row.case_id, row.kind, row.amount, row.at, row.receipt or "")


def _audit(session: Session, tag: Tag, row: PaymentRow, *, now: datetime, by: str) -> None:
    details = {"amount": row.amount, "method": row.method, "reason": row.reason or ""}
    audit.record(session, tag=tag, by=by, subject=f"case:{row.case_id}", details=details, now=now)
