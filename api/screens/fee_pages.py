"""A case's fee at the screen: cash, waiver, the VietQR code for the payer, receipts, a refund.

docs/flows/pay.md. Each paper is a receipt with its own number; what a bank tells pays by itself.
"""

from __future__ import annotations

import io
from typing import Annotated

import segno
from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.auth.people import Role, SignedIn, csrf_checked
from api.routes.visits import pdf_answer
from api.screens.case_pages import CaseId, Reason, done
from api.screens.counter_pages import viewer_of_staff
from certify.counter import case_lookup
from certify.counter.viewers import Viewer
from certify.errors import NotFound
from certify.money import bank_payments, payments
from certify.money.receipts import receipt_pdf

router = APIRouter(
    prefix="/desk/cases", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
PaymentId = Annotated[str, Path(max_length=32)]


@router.post("/{case_id}/payment")
def pay(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    waiver: Reason = "",
) -> Response:
    """Cash at the counter, or a waiver with its reason."""
    office = wired.house.office

    def act(viewer: Viewer) -> object:
        case_lookup.find_case(office, case_id, viewer=viewer)
        if waiver.strip():
            return payments.waive(office, case_id, reason=waiver.strip(), now=now, by=person.by)
        return payments.pay(office, case_id, method="cash", now=now, by=person.by)

    return done(request, wired, person, case_id, act, now=now)


@router.post("/{case_id}/transfer")
def ask(case_id: CaseId, request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The code the payer scans; from then on the page shows it until the money has come."""
    office = wired.house.office

    def act(viewer: Viewer) -> object:
        case_lookup.find_case(office, case_id, viewer=viewer)
        return bank_payments.ask(office, case_id, now=now, by=person.by)

    return done(request, wired, person, case_id, act, now=now)


@router.get("/{case_id}/transfer.png")
def picture(case_id: CaseId, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The code that was asked for, while its amount is still to be paid."""
    office = wired.house.office
    case_lookup.find_case(office, case_id, viewer=viewer_of_staff(person))
    order = bank_payments.asked(office, case_id, now=now)
    if order is None:
        raise NotFound("transfer-unknown")
    out = io.BytesIO()
    segno.make(order.payload, error="m", micro=False).save(out, kind="png", scale=6, border=4)
    headers = {"Cache-Control": "private, no-store"}
    return Response(out.getvalue(), media_type="image/png", headers=headers)


@router.get("/{case_id}/receipts/{payment_id}.pdf")
def receipt(
    case_id: CaseId, payment_id: PaymentId, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """For the requester to take home."""
    office = wired.house.office
    case_lookup.find_case(office, case_id, viewer=viewer_of_staff(person))
    data = receipt_pdf(office, payment_id, case_id=case_id, now=now)
    return pdf_answer(data, f"bien-lai-{payment_id[:8]}.pdf")


@router.post("/{case_id}/refund")
def refund(
    case_id: CaseId,
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    reason: Reason = "",
) -> Response:
    """For a case that ended without a copy: everything paid is given back."""
    office = wired.house.office

    def act(viewer: Viewer) -> object:
        case_lookup.find_case(office, case_id, viewer=viewer)
        return payments.refund(office, case_id, reason=reason, now=now, by=person.by)

    roles = (Role.INTAKE, Role.COMPARER, Role.CLERK)
    return done(request, wired, person, case_id, act, roles=roles, now=now)
