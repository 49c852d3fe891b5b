"""Fees over HTTP: the VietQR code, receipts, refunds, the bank's notices, what does not fit.

The bank's notices carry no access token: each is signed with the shared secret
(`secrets/bank-webhook.secret`), as Standard Webhooks 1.0 says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
from datetime import datetime, timedelta
from typing import Annotated

import segno
from fastapi import APIRouter, Header, Path, Query, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.certification_shapes import ReceiptShape
from api.routes.shapes import Shape, problems
from api.services import Services
from api.settings import read_secret
from certify.counter.case_lookup import find_case
from certify.counter.cases import Case
from certify.errors import NotFound
from certify.money import bank_payments, payments
from certify.money.bank_payments import Notice, Order, Told
from certify.money.receipts import receipt_pdf

router = APIRouter(prefix="/api/v1", tags=["certified copies"])
Certifier = Annotated[Client, Security(caller, scopes=["certify"])]
CaseId = Annotated[str, Path(max_length=32, examples=["5f0c0e2d9b8f4f0e8a4a9d3f4b6c7d8e"])]
_CASES = "/certified-copies/cases/{case_id}"
_TOLERANCE = timedelta(minutes=5)
_PDF = {"content": {"application/pdf": {}}, "description": "PDF/A-2b"}
_SIGNED = APIKeyHeader(
    name="webhook-signature",
    scheme_name="Standard Webhooks",
    description="v1, and the HMAC-SHA256 over id, time-stamp and body",
    auto_error=False,
)
_PNG = {"content": {"image/png": {}}, "description": "The QR code"}


class OrderShape(BaseModel):
    """What the payer scans; `payload` is the QR code's text."""

    reference: str = Field(examples=["DS7K2M9XQ4BR"])
    amount: int = Field(description="In đồng", examples=[4000])
    bank: str
    account: str
    holder: str
    payload: str
    qr_url: str

    @classmethod
    def of(cls, order: Order) -> OrderShape:
        return cls(
            reference=order.reference,
            amount=order.amount,
            bank=order.account.bank,
            account=order.account.number,
            holder=order.account.holder,
            payload=order.payload,
            qr_url=f"/api/v1/certified-copies/cases/{order.case_id}/transfer/qr",
        )


class RefundOrder(Shape):
    """Why everything paid is given back."""

    reason: str = Field(min_length=1, max_length=300)


class NoticeShape(Shape):
    """A transfer as the bank tells it."""

    transaction_id: str = Field(min_length=1, max_length=64)
    account: str = Field(max_length=32)
    amount: int = Field(gt=0, lt=10**9, description="In đồng")
    text: str = Field(max_length=500, description="What the payer's bank passed on")
    paid_at: datetime


class TransferShape(BaseModel):
    """A transfer, and what became of it."""

    transaction_id: str
    amount: int
    text: str
    reference: str | None
    outcome: str = Field(examples=["matched", "payment-amount-wrong"])
    received_at: datetime
    resolution: str | None

    @classmethod
    def of(cls, told: Told) -> TransferShape:
        return cls(
            transaction_id=told.notice.transaction_id,
            amount=told.notice.amount,
            text=told.notice.text,
            reference=told.reference,
            outcome=told.outcome,
            received_at=told.received_at,
            resolution=told.resolution,
        )


class TransferList(BaseModel):
    """Oldest first."""

    transfers: list[TransferShape]


class ReconciliationOrder(Shape):
    """How a transfer was settled by hand; with a case it pays that case's fee."""

    note: str = Field(min_length=1, max_length=500)
    case_id: str | None = Field(None, max_length=32)


@router.post(
    f"{_CASES}/transfer",
    summary="Ask for the fee by VietQR",
    response_model=OrderShape,
    responses=problems(404, 409),
)
def ask(case_id: CaseId, wired: Wired, now: Now, client: Certifier) -> OrderShape:
    """Made here, for exactly what is still to be paid; asking again gives the same code."""
    _case(wired, client, case_id)
    return OrderShape.of(bank_payments.ask(wired.house.office, case_id, now=now, by=client.by))


@router.get(
    f"{_CASES}/transfer/qr",
    summary="The VietQR code as a picture",
    response_class=Response,
    responses={200: _PNG, **problems(404, 409)},
)
def picture(case_id: CaseId, wired: Wired, now: Now, client: Certifier) -> Response:
    """PNG, for a screen or for paper."""
    _case(wired, client, case_id)
    order = bank_payments.ask(wired.house.office, case_id, now=now, by=client.by)
    out = io.BytesIO()
    segno.make(order.payload, error="m", micro=False).save(out, kind="png", scale=8, border=4)
    headers = {"Cache-Control": "private, no-store"}
    return Response(out.getvalue(), media_type="image/png", headers=headers)


@router.get(
    f"{_CASES}/receipts/{{payment_id}}",
    summary="A receipt",
    response_class=Response,
    responses={200: _PDF, **problems(404)},
)
def receipt(
    case_id: CaseId,
    payment_id: Annotated[str, Path(max_length=32)],
    wired: Wired,
    now: Now,
    client: Certifier,
) -> Response:
    """Of a payment, a waiver or a refund."""
    _case(wired, client, case_id)
    data = receipt_pdf(wired.house.office, payment_id, case_id=case_id, now=now)
    headers = {"Cache-Control": "private, no-store"}
    return Response(data, media_type="application/pdf", headers=headers)


@router.post(
    f"{_CASES}/refund",
    summary="Give back what was paid",
    response_model=ReceiptShape,
    responses=problems(404, 409),
)
def refund(
    case_id: CaseId, order: RefundOrder, wired: Wired, now: Now, client: Certifier
) -> ReceiptShape:
    """For a case that ended without a copy."""
    _case(wired, client, case_id)
    office = wired.house.office
    return ReceiptShape.of(
        payments.refund(office, case_id, reason=order.reason, now=now, by=client.by)
    )


@router.post(
    "/bank-notices",
    summary="A bank tells of a transfer",
    response_model=TransferShape,
    responses=problems(401),
    dependencies=[Security(_SIGNED)],
)
async def notice(
    request: Request,
    wired: Wired,
    now: Now,
    webhook_id: Annotated[str, Header(max_length=128)] = "",
    webhook_timestamp: Annotated[str, Header(max_length=20)] = "",
    webhook_signature: Annotated[str, Header(max_length=1000)] = "",
) -> TransferShape:
    """Signed, and counted once however often it is told. What fits no case waits for a person."""
    from starlette.concurrency import run_in_threadpool

    body = await request.body()
    _require_signed(wired, webhook_id, webhook_timestamp, webhook_signature, body, now)
    try:
        told = NoticeShape.model_validate_json(body)
    except ValidationError:
        raise ApiError("bank-notice-malformed") from None
    if told.paid_at.tzinfo is None:
        raise ApiError("bank-notice-malformed")
    facts = Notice(told.transaction_id, told.account, told.amount, told.text, told.paid_at)
    return TransferShape.of(
        await run_in_threadpool(bank_payments.receive, wired.house.office, facts, now=now)
    )


@router.get(
    "/bank-transfers",
    summary="Transfers to be reconciled",
    response_model=TransferList,
    responses=problems(),
)
def to_reconcile(
    wired: Wired,
    client: Certifier,
    unit: Annotated[str, Query(max_length=16, examples=["14797"])],
) -> TransferList:
    """Money that came and paid nothing: wrong amount, unknown reference, paid twice."""
    _allowed(client, unit)
    found = bank_payments.to_reconcile(wired.house.office, unit=unit)
    return TransferList(transfers=[TransferShape.of(one) for one in found])


@router.post(
    "/bank-transfers/{transaction_id}/reconciliation",
    summary="Settle a transfer by hand",
    response_model=TransferShape,
    responses=problems(404, 409),
)
def reconcile(
    transaction_id: Annotated[str, Path(max_length=64)],
    order: ReconciliationOrder,
    wired: Wired,
    now: Now,
    client: Certifier,
    unit: Annotated[str, Query(max_length=16, examples=["14797"])],
) -> TransferShape:
    """Only what is on this unit's list."""
    _allowed(client, unit)
    office = wired.house.office
    listed = bank_payments.to_reconcile(office, unit=unit)
    if transaction_id not in {one.notice.transaction_id for one in listed}:
        raise NotFound("transfer-unknown")
    if order.case_id is not None:
        _case(wired, client, order.case_id)
    return TransferShape.of(
        bank_payments.reconcile(
            office, transaction_id, note=order.note, case_id=order.case_id, now=now, by=client.by
        )
    )


def _require_signed(
    wired: Services, webhook_id: str, sent: str, signatures: str, body: bytes, now: datetime
) -> None:
    """Standard Webhooks 1.0: HMAC-SHA256 over id, time and body; old ones are refused."""
    path = wired.house.settings.secrets / "bank-webhook.secret"
    if not path.exists():
        raise ApiError("bank-signature-wrong")
    key = base64.b64decode(read_secret(path).removeprefix("whsec_"))
    signed = f"{webhook_id}.{sent}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    fresh = (
        sent.isascii() and sent.isdigit() and abs(now.timestamp() - int(sent)) <= _TOLERANCE.seconds
    )
    given = [one.removeprefix("v1,") for one in signatures.split() if one.startswith("v1,")]
    if not fresh or not any(hmac.compare_digest(one.encode(), expected.encode()) for one in given):
        raise ApiError("bank-signature-wrong")


def _allowed(client: Client, unit: str) -> None:
    if not client.may_touch(unit):
        raise ApiError("unit-not-allowed", unit=unit)


def _case(wired: Services, client: Client, case_id: str) -> Case:
    case = find_case(wired.house.office, case_id)
    if not client.may_touch(case.unit):
        raise NotFound("case-unknown")
    return case
