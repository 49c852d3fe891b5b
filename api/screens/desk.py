"""The desk: what waits for this person, first thing after signing in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.auth.guard import Now, Wired
from api.auth.keys import keys_of
from api.auth.people import Person, SignedIn, csrf_checked
from api.house import House
from api.pages import render
from api.pages.own_certificates import SOON
from api.screens.image_pages import units_of
from api.screens.step_pages import actor_of
from certify.counter import case_lookup, visit_lookup
from certify.money import bank_payments
from hsm.sealing import is_under_code
from signer.batches import batch_review
from signer.holders import holder_images
from signer.routing import routed_documents
from signer.routing.working_days import local

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])


@dataclass(frozen=True)
class Task:
    """Something that may wait for a person: where it is done, its words, how many there are.

    `count` is asked for each look at the desk: one indexed query, no more.
    """

    path: str
    words: str
    count: Callable[[House, Person, datetime], int]
    kinds: tuple[str, ...] = ("official",)
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """A task with its number, as the page shows it."""

    path: str
    words: str
    count: int


def batches_to_sign(house: House, person: Person, now: datetime) -> int:
    """Batches that ask for a key of this person."""
    del now
    return batch_review.waiting(house.desk, [one.id for one in keys_of(house.desk, person)])


def keys_to_activate(house: House, person: Person, now: datetime) -> int:
    """Keys that wait for their one-time code."""
    del now
    found = keys_of(house.desk, person)
    return sum(one.state == "active" and is_under_code(one.sealed_key) for one in found)


def certificates_ending(house: House, person: Person, now: datetime) -> int:
    """Certificates in use that end soon."""
    soon: timedelta = SOON
    return sum(
        one.state == "active" and now < one.certificate.not_valid_after_utc <= now + soon
        for one in keys_of(house.desk, person)
    )


def images_to_approve(house: House, person: Person, now: datetime) -> int:
    """Pictures of signatures and seals that wait for an administrator."""
    del now
    return holder_images.waiting_count(house.desk, units=units_of(person))


def documents_under_way(house: House, person: Person, now: datetime) -> int:
    """Documents whose step is this person's."""
    del now
    return routed_documents.waiting(house.desk, actor=actor_of(person))


def appointments_today(house: House, person: Person, now: datetime) -> int:
    """Who is expected at the unit's counter today."""
    if person.unit is None:
        return 0
    since = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    until = since + timedelta(days=1)
    return visit_lookup.expected_count(house.office, person.unit, since=since, until=until)


def cases_in_hand(house: House, person: Person, now: datetime) -> int:
    """Cases of the unit that wait for a finding or a signature."""
    del now
    return 0 if person.unit is None else case_lookup.count_in_hand(house.office, person.unit)


def transfers_to_reconcile(house: House, person: Person, now: datetime) -> int:
    """Money that came to the unit and paid nothing."""
    del now
    if person.unit is None:
        return 0
    return len(bank_payments.to_reconcile(house.office, unit=person.unit))


WAITING: tuple[Task, ...] = (
    Task("/desk/counter", "waiting.expected", appointments_today, roles=("intake", "comparer")),
    Task("/desk/counter", "waiting.cases", cases_in_hand, roles=("comparer", "signer")),
    Task("/desk/documents", "waiting.documents", documents_under_way),
    Task("/desk/batches", "waiting.batches", batches_to_sign, roles=("signer", "clerk")),
    Task(
        "/desk/bank-transfers",
        "waiting.transfers",
        transfers_to_reconcile,
        roles=("clerk", "admin"),
    ),
    Task("/desk/images", "waiting.images", images_to_approve, roles=("admin",)),
    Task("/desk/certificates", "waiting.activation", keys_to_activate, ("official", "citizen")),
    Task("/desk/certificates", "waiting.ending", certificates_ending, ("official", "citizen")),
)


@router.api_route("/desk", methods=["GET", "HEAD"])
def home(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """What waits; what does not wait is not shown."""
    found = [
        Waiting(one.path, one.words, one.count(wired.house, person, now))
        for one in WAITING
        if person.kind in one.kinds and (not one.roles or person.roles.intersection(one.roles))
    ]
    return render(request, "desk-home.html", waiting=[one for one in found if one.count])
