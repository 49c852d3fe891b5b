"""What must reach somebody: written in the transaction that makes it true, carried until taken.

    copy_issued(session, office, copy, …)              # inside the outcome of a certification
    case_refused(session, case, reasons, …)            # inside the finding that ends a case
    status_changed(session, office, copy, event, …)    # inside a cancelling or a replacing
    carry(office, carriers, now=now)                   # what is due; what fails is tried again

Delivery is at least once: `key` goes along for the receiver to tell a repetition by. A carrier
that fails holds up no other. After a week a delivery is given up, which is audited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from certify.counter.cases import Case
from certify.models import AccessRow, CancellationRow, CopyRow, ItemRow
from certify.office import Office
from certify.stores.delivery_models import DeliveryRow
from certify.units import unit as find_unit
from records import audit
from records.tags import Tag

log = structlog.get_logger("dauso.deliveries")

WEBHOOK, MAIL, NATIONAL_STORE, NOTICE = "webhook", "mail", "national-store", "notice"
ISSUED, CANCELLED, REPLACED = "copy.issued", "copy.cancelled", "copy.replaced"
REFUSED = "case.refused"
GIVEN_UP_AFTER = timedelta(days=7)
_LONGEST_WAIT = timedelta(hours=2)
_AWAY = timedelta(minutes=1)
_AT_ONCE = 200


@dataclass(frozen=True)
class Delivery:
    """One message on its way; `key` is the same in every repetition."""

    id: int
    key: str
    way: str
    event: str
    target: str = field(repr=False)
    copy_id: str | None
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Message:
    """What a person is told in their store."""

    event: str
    at: datetime
    copy_id: str | None
    payload: Mapping[str, Any]


class Carrier(Protocol):
    """A way out. Raises any exception when the message was not taken."""

    @property
    def way(self) -> str: ...

    def carry(self, delivery: Delivery, *, now: datetime) -> None: ...


def copy_issued(
    session: Session,
    office: Office,
    copy: CopyRow,
    item_id: str,
    *,
    told_by: str,
    requester: Mapping[str, Any],
    dossier_code: str | None,
    now: datetime,
) -> None:
    """A new copy goes to the national store, to its owner by e-mail, to the client that asked."""
    payload = public_facts(session, office, copy) | {
        "item": item_id,
        "dossier_code": dossier_code,
    }
    if NATIONAL_STORE in office.ways:
        _write(session, NATIONAL_STORE, ISSUED, copy.owner_id, copy, payload, now)
    if MAIL in office.ways and requester.get("email"):
        _write(session, MAIL, ISSUED, str(requester["email"]), copy, payload, now)
    if told_by.startswith("client:"):
        _write(session, WEBHOOK, ISSUED, told_by.removeprefix("client:"), copy, payload, now)


def status_changed(
    session: Session, office: Office, copy: CopyRow, event: str, *, now: datetime
) -> tuple[str, ...]:
    """Tell whoever fetched the copy or asked for it, its owner, the national store.

    Returns who had fetched it.
    """
    payload = public_facts(session, office, copy)
    fetched = set(
        session.scalars(
            select(AccessRow.by)
            .join(ItemRow, ItemRow.id == AccessRow.item_id)
            .where(ItemRow.copy_id == copy.id)
            .distinct()
        )
    )
    asked = session.scalars(
        select(DeliveryRow.target).where(
            DeliveryRow.copy_id == copy.id, DeliveryRow.way == WEBHOOK, DeliveryRow.event == ISSUED
        )
    )
    clients = {f"client:{name}" for name in asked}
    # `client:system/official` is the same receiver as `client:system`.
    everybody = {by.partition("/")[0] for by in fetched | clients | {copy.owner_id}}
    for by in sorted(everybody):
        kind, _, name = by.partition(":")
        if kind == "client":
            _write(session, WEBHOOK, event, name, copy, payload, now)
        elif kind == "link":
            if MAIL in office.ways and "@" in name:
                _write(session, MAIL, event, name, copy, payload, now)
        elif kind != "system":
            _write(session, NOTICE, event, by, copy, payload, now, delivered=True)
    if NATIONAL_STORE in office.ways:
        _write(session, NATIONAL_STORE, event, copy.owner_id, copy, payload, now)
    return tuple(sorted(fetched))


def case_refused(session: Session, case: Case, reasons: Sequence[str], *, now: datetime) -> None:
    """The requester reads on their own page that there will be no copy, and on which grounds."""
    session.add(
        DeliveryRow(
            key=f"{REFUSED}:{case.id}:{NOTICE}",
            way=NOTICE,
            event=REFUSED,
            target=case.requester.owner_id,
            copy_id=None,
            payload={
                "case": case.id,
                "original": case.original.sentence(),
                "unit": case.unit,
                "reasons": list(reasons),
            },
            created_at=now,
            due_at=now,
            attempts=0,
            delivered_at=now,
        )
    )


def public_facts(session: Session, office: Office, copy: CopyRow) -> dict[str, Any]:
    """What a receiver may know of a copy: nothing about the person."""
    cancellation = session.get(CancellationRow, copy.id)
    replacement = session.get(CopyRow, copy.replaced_by) if copy.replaced_by else None
    return {
        "code": copy.code,
        "digest": copy.digest,
        "status": copy.status,
        "status_since": copy.status_at.isoformat(),
        "unit": copy.unit,
        "agency_code": find_unit(copy.unit).agency_code,
        "document_kind": copy.document_kind,
        "issued_on": copy.issued_on.isoformat(),
        "verification_url": office.address(copy.code),
        "decision": cancellation.decision_number if cancellation else None,
        "replaced_by": replacement.code if replacement else None,
    }


def carry(
    office: Office,
    carriers: Sequence[Carrier],
    *,
    now: datetime,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Hand over what is due; returns how many were taken.

    After a failure the receiver gets no more in this turn: the rest waits a minute. So a system
    that is away costs one attempt, and the others are reached.
    """
    ways = {one.way: one for one in carriers}
    query = (
        select(DeliveryRow)
        .where(
            DeliveryRow.delivered_at.is_(None),
            DeliveryRow.given_up_at.is_(None),
            DeliveryRow.due_at <= now,
            DeliveryRow.way.in_(ways),
        )
        .order_by(DeliveryRow.due_at, DeliveryRow.id)
        .limit(_AT_ONCE)
    )
    with office.database.reading() as session:
        due = [_as_delivery(row) for row in session.scalars(query)]
    taken = 0
    away: set[str] = set()
    for one in due:
        if stop():
            break
        receiver = _receiver(one)
        if receiver in away:
            with office.database.transaction() as session:
                row = session.get_one(DeliveryRow, one.id, with_for_update=True)
                row.due_at = now + _AWAY
            continue
        failure = _carried(ways[one.way], one, now)
        taken += failure is None
        with office.database.transaction() as session:
            _settle(session, one, failure, now=now)
        if failure is not None:
            away.add(receiver)
    return taken


def _receiver(one: Delivery) -> str:
    """Who has to answer: each client's own system, the one national store, an address's mailbox."""
    return one.way if one.way == NATIONAL_STORE else f"{one.way}:{one.target}"


def messages(office: Office, *, to: str, limit: int = 50) -> list[Message]:
    """What somebody was told in their store, newest first."""
    query = (
        select(DeliveryRow)
        .where(DeliveryRow.way == NOTICE, DeliveryRow.target == to)
        .order_by(DeliveryRow.id.desc())
        .limit(limit)
    )
    with office.database.reading() as session:
        return [
            Message(row.event, row.created_at, row.copy_id, row.payload)
            for row in session.scalars(query)
        ]


def _settle(session: Session, one: Delivery, failure: str | None, *, now: datetime) -> None:
    row = session.get_one(DeliveryRow, one.id, with_for_update=True)
    row.attempts += 1
    row.failure = failure
    tag = None
    if failure is None:
        row.delivered_at, tag = now, Tag.DELIVERY_MADE
    elif now - row.created_at >= GIVEN_UP_AFTER:
        row.given_up_at, tag = now, Tag.DELIVERY_GIVEN_UP
    else:
        row.due_at = now + min(timedelta(seconds=30) * 2 ** min(row.attempts, 9), _LONGEST_WAIT)
    if tag is not None:
        audit.record(
            session,
            tag=tag,
            by="system:deliveries",
            subject=f"copy:{row.copy_id}",
            details={"way": row.way, "event": row.event, "attempts": row.attempts},
            now=now,
        )


def _carried(carrier: Carrier, one: Delivery, now: datetime) -> str | None:
    """None when it was taken, else why not, in few words and without anybody's name."""
    try:
        carrier.carry(one, now=now)
    except Exception as error:  # whatever a carrier meets, the other deliveries go on
        log.warning("delivery not taken", way=one.way, key=one.key, error=type(error).__name__)
        return type(error).__name__
    return None


def _write(
    session: Session,
    way: str,
    event: str,
    target: str,
    copy: CopyRow,
    payload: Mapping[str, Any],
    now: datetime,
    *,
    delivered: bool = False,
) -> None:
    session.add(
        DeliveryRow(
            key=f"{event}:{copy.id}:{way}:{target}"[:160],
            way=way,
            event=event,
            target=target,
            copy_id=copy.id,
            payload=dict(payload),
            created_at=now,
            due_at=now,
            attempts=0,
            delivered_at=now if delivered else None,
        )
    )


def _as_delivery(row: DeliveryRow) -> Delivery:
    return Delivery(row.id, row.key, row.way, row.event, row.target, row.copy_id, row.payload)
