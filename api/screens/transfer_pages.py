"""Money that came and paid nothing: matched to an order at the screen, or marked to be given back.

The list is the unit's own: what came to its account, or names one of its orders. docs/flows/pay.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, record_refusal
from api.pages import language_for, render, words
from api.screens.register_pages import unit_of
from api.services import Services
from certify.errors import CertifyError, NotFound
from certify.money import bank_payments
from records.errors import DomainError
from records.errors import text as catalogue_text

router = APIRouter(
    prefix="/desk/bank-transfers", include_in_schema=False, dependencies=[Depends(csrf_checked)]
)
TransactionId = Annotated[str, Form(max_length=64)]
Note = Annotated[str, Form(max_length=500)]
STAFF = (Role.CLERK, Role.ADMIN)


@router.api_route("", methods=["GET", "HEAD"])
def listed(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """Oldest first; beside each the orders that wait for just this amount."""
    return _page(request, wired, person, now=now)


@router.post("/match")
def match(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    transaction_id: TransactionId = "",
    reference: Annotated[str, Form(max_length=16)] = "",
    note: Note = "",
) -> Response:
    """It pays this order after all."""
    try:
        unit = _listed(wired, person, transaction_id)
        orders = bank_payments.open_orders(wired.house.office, unit=unit, now=now)
        wanted = [one for one in orders if one.reference == reference]
        if not wanted:
            raise CertifyError("transfer-reference-unknown")
        bank_payments.reconcile(
            wired.house.office,
            transaction_id,
            note=f"{reference}: {note.strip()}" if note.strip() else reference,
            case_id=wanted[0].case_id,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, now=now, problem=error, status=status)
    return RedirectResponse("/desk/bank-transfers", status_code=303)


@router.post("/refund")
def refund(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    transaction_id: TransactionId = "",
    note: Note = "",
) -> Response:
    """It is to be given back, and why; nothing is paid by it."""
    try:
        _listed(wired, person, transaction_id)
        if not note.strip():
            raise CertifyError("reason-missing")
        bank_payments.reconcile(
            wired.house.office,
            transaction_id,
            note=f"Hoàn trả: {note.strip()}",
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _page(request, wired, person, now=now, problem=error, status=status)
    return RedirectResponse("/desk/bank-transfers", status_code=303)


def _listed(wired: Services, person: Person, transaction_id: str) -> str:
    """The unit whose list it is on. Raises `NotFound` `transfer-unknown`."""
    unit = unit_of(person, *STAFF)
    found = bank_payments.to_reconcile(wired.house.office, unit=unit)
    if transaction_id not in {one.notice.transaction_id for one in found}:
        raise NotFound("transfer-unknown")
    return unit


def _why(outcome: str, language: str) -> str:
    """Why it paid nothing, in words for somebody who sees the amounts beside it."""
    said = words(language).get(f"transfers.why.{outcome}")
    return said or catalogue_text(outcome, {}, language)


def _page(
    request: Request,
    wired: Services,
    person: Person,
    *,
    now: datetime,
    problem: DomainError | None = None,
    status: int = 200,
) -> Response:
    unit, office = unit_of(person, *STAFF), wired.house.office
    language = language_for(request)
    orders = bank_payments.open_orders(office, unit=unit, now=now)
    return render(
        request,
        "bank-transfers.html",
        status=status,
        transfers=[
            (
                one,
                _why(one.outcome, language),
                [order for order in orders if order.amount == one.notice.amount],
            )
            for one in bank_payments.to_reconcile(office, unit=unit)
        ],
        problem=problem,
    )
