"""Fees by bank transfer: asked for by a QR code, taken when the bank says so, never lost.

    order = ask(office, case.id, now=now, by=by)       # order.payload is the VietQR text
    told = receive(office, notice, now=now)            # told.outcome: "matched", or why not

A transfer that fits becomes the case's payment in the transaction that writes it down. One that
does not fit (amount, reference, closed case) is kept for the reconciliation list until somebody
settles it with a note. The bank's transaction number makes a repeated notice count once.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from certify.codes import ALPHABET
from certify.counter.cases import case_row
from certify.errors import CertifyError, NotFound
from certify.models import CaseRow
from certify.money import payments, vietqr
from certify.money.bank_models import BankNoticeRow, BankOrderRow
from certify.office import Office
from records import audit
from records.tags import Tag
from signer.routing.working_days import local

MATCHED = "matched"
_REFERENCE = re.compile(rf"(?=(DS[{ALPHABET}]{{10}}))")


@dataclass(frozen=True)
class Order:
    """What the payer scans."""

    reference: str
    case_id: str
    amount: int
    account: vietqr.Account
    payload: str


@dataclass(frozen=True)
class Awaited:
    """An order that waits for its money, with what a person recognises it by."""

    reference: str
    case_id: str
    amount: int
    requester_name: str
    document_name: str


@dataclass(frozen=True)
class Notice:
    """A transfer as the bank tells it; `text` is what the payer's bank passed on."""

    transaction_id: str
    account: str
    amount: int
    text: str
    paid_at: datetime


@dataclass(frozen=True)
class Told:
    """What became of a notice; `repeated` when it had been told before."""

    notice: Notice
    outcome: str
    reference: str | None
    payment_id: str | None
    received_at: datetime
    resolution: str | None = None
    repeated: bool = False


def ask(office: Office, case_id: str, *, now: datetime, by: str) -> Order:
    """A QR code for what is still to be paid; the same amount asked again gives the same code.

    Raises `CertifyError`: `fee-nothing-due`, `case-state-wrong`, `bank-account-missing`.
    """
    today = local(now).date()
    with office.database.transaction() as session:
        row = payments.open_case_row(session, case_id)
        left = payments.outstanding(session, row, on=today)
        if left <= 0:
            raise CertifyError("fee-nothing-due")
        account = vietqr.account_of(row.unit, on=today)
        known = session.scalars(
            select(BankOrderRow).where(
                BankOrderRow.case_id == case_id,
                BankOrderRow.amount == left,
                BankOrderRow.account == account.number,
            )
        ).first()
        if known is None:
            reference = "DS" + "".join(secrets.choice(ALPHABET) for _ in range(10))
            text = vietqr.payload(account=account, amount=left, purpose=f"{reference} LE PHI")
            known = BankOrderRow(
                reference=reference,
                case_id=case_id,
                amount=left,
                account=account.number,
                payload=text,
                created_at=now,
                created_by=by,
            )
            session.add(known)
            details = {"reference": reference, "amount": left}
            _audit(session, Tag.TRANSFER_ASKED, f"case:{case_id}", details, now=now, by=by)
        return Order(known.reference, case_id, known.amount, account, known.payload)


def asked(office: Office, case_id: str, *, now: datetime) -> Order | None:
    """The code that was asked for and still has its amount to get, without making one."""
    today = local(now).date()
    with office.database.reading() as session:
        row = case_row(session, case_id)
        left = payments.outstanding(session, row, on=today)
        known = session.scalars(
            select(BankOrderRow)
            .where(BankOrderRow.case_id == case_id, BankOrderRow.amount == left)
            .order_by(BankOrderRow.created_at.desc())
        ).first()
        if known is None or left <= 0:
            return None
        account = vietqr.account_of(row.unit, on=today)
        return Order(known.reference, case_id, known.amount, account, known.payload)


def receive(office: Office, notice: Notice, *, now: datetime, by: str = "bank:callback") -> Told:
    """Write a notice down and, where it fits, take the fee; never refuses a well-formed one."""
    try:
        return _received(office, notice, now=now, by=by)
    except IntegrityError:  # told twice at the same moment: the other one was first
        return _received(office, notice, now=now, by=by)


def _received(office: Office, notice: Notice, *, now: datetime, by: str) -> Told:
    with office.database.transaction() as session:
        before = session.get(BankNoticeRow, notice.transaction_id, with_for_update=True)
        if before is not None:
            return _told(before, repeated=True)
        row = BankNoticeRow(
            transaction_id=notice.transaction_id,
            account=notice.account,
            amount=notice.amount,
            text=notice.text,
            paid_at=notice.paid_at,
            received_at=now,
            reference=_named(session, notice.text),
            outcome=MATCHED,
        )
        try:
            order = _order(session, row)
            row.payment_id = payments.take_transfer(
                session, order.case_id, row.amount, notice.transaction_id, now=now, by=by
            )
        except CertifyError as mismatch:
            row.outcome = mismatch.code
        session.add(row)
        details = {"amount": notice.amount, "outcome": row.outcome}
        subject = f"transfer:{notice.transaction_id}"
        _audit(session, Tag.TRANSFER_TOLD, subject, details, now=now, by=by)
        return _told(row)


def to_reconcile(office: Office, *, unit: str | None = None, limit: int = 500) -> list[Told]:
    """Transfers that became no payment and that nobody has settled, oldest first.

    With `unit`, those that came to the unit's account or name one of its cases.
    """
    query = (
        select(BankNoticeRow, CaseRow.unit)
        .outerjoin(BankOrderRow, BankOrderRow.reference == BankNoticeRow.reference)
        .outerjoin(CaseRow, CaseRow.id == BankOrderRow.case_id)
        .where(BankNoticeRow.outcome != MATCHED, BankNoticeRow.resolved_at.is_(None))
        .order_by(BankNoticeRow.received_at, BankNoticeRow.transaction_id)
        .limit(limit)
    )
    with office.database.reading() as session:
        return [
            _told(row)
            for row, of_unit in session.execute(query)
            if unit is None or of_unit == unit or row.account == _account(unit, row.received_at)
        ]


def reconcile(
    office: Office,
    transaction_id: str,
    *,
    note: str,
    case_id: str | None = None,
    now: datetime,
    by: str,
) -> Told:
    """Settle one by hand: it pays `case_id` after all, or was given back or booked elsewhere.

    Raises `NotFound` `transfer-unknown`; `CertifyError`: `transfer-settled`, `reason-missing`, and
    what `payments.take_transfer` raises.
    """
    if not note.strip():
        raise CertifyError("reason-missing")
    with office.database.transaction() as session:
        row = session.get(BankNoticeRow, transaction_id, with_for_update=True)
        if row is None:
            raise NotFound("transfer-unknown")
        if row.outcome == MATCHED or row.resolved_at is not None:
            raise CertifyError("transfer-settled")
        if case_id is not None:
            row.payment_id = payments.take_transfer(
                session, case_id, row.amount, transaction_id, now=now, by=by
            )
        row.resolved_at, row.resolved_by, row.resolution = now, by, note
        details = {"note": note, "case": case_id or ""}
        subject = f"transfer:{transaction_id}"
        _audit(session, Tag.TRANSFER_RECONCILED, subject, details, now=now, by=by)
        return _told(row)


def open_orders(office: Office, *, unit: str, now: datetime, limit: int = 200) -> list[Awaited]:
    """A unit's orders that nobody has paid, newest first: what a transfer may have been for."""
    query = (
        select(BankOrderRow, CaseRow)
        .join(CaseRow, CaseRow.id == BankOrderRow.case_id)
        .where(CaseRow.unit == unit, CaseRow.state.in_([one.value for one in payments.PAYABLE]))
        .order_by(BankOrderRow.created_at.desc())
        .limit(limit)
    )
    with office.database.reading() as session:
        return [
            Awaited(
                order.reference,
                case.id,
                order.amount,
                str(case.requester["name"]),
                str(case.original["title"]),
            )
            for order, case in session.execute(query)
            if payments.outstanding(session, case, on=local(now).date()) == order.amount
        ]


def unit_of(office: Office, transaction_id: str) -> str | None:
    """Whose account a transfer came to, for those who may see it."""
    with office.database.reading() as session:
        row = session.get(BankNoticeRow, transaction_id)
        if row is None:
            raise NotFound("transfer-unknown")
        order = session.get(BankOrderRow, row.reference) if row.reference else None
        return case_row(session, order.case_id).unit if order is not None else None


def _named(session: Session, text: str) -> str | None:
    """The reference in what the payer's bank passed on. Words before it may end in DS, so every
    place where one could begin is looked at: one that was given out comes first."""
    found = list(dict.fromkeys(_REFERENCE.findall(text.upper().replace(" ", ""))))
    given = select(BankOrderRow.reference).where(BankOrderRow.reference.in_(found))
    known = set(session.scalars(given)) if found else set()
    return next((one for one in found if one in known), found[0] if found else None)


def _order(session: Session, row: BankNoticeRow) -> BankOrderRow:
    order = session.get(BankOrderRow, row.reference) if row.reference else None
    if order is None:
        raise CertifyError("transfer-reference-unknown")
    if order.account != row.account:
        raise CertifyError("transfer-account-wrong")
    if order.amount != row.amount:
        raise CertifyError("payment-amount-wrong", amount=row.amount, due=order.amount)
    return order


def _account(unit: str, at: datetime) -> str | None:
    try:
        return vietqr.account_of(unit, on=local(at).date()).number
    except CertifyError:
        return None


def _told(row: BankNoticeRow, *, repeated: bool = False) -> Told:
    return Told(
        Notice(row.transaction_id, row.account, row.amount, row.text, row.paid_at),
        row.outcome,
        row.reference,
        row.payment_id,
        row.received_at,
        row.resolution,
        repeated,
    )


def _audit(
    session: Session,
    tag: Tag,
    subject: str,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(session, tag=tag, by=by, subject=subject, details=details, now=now)
