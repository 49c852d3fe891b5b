"""What is done regularly, and how often."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy import select

from api import long_life, notices, step_notices
from api.adapters.delivery_ways import carriers_of
from api.adapters.notice_channels import channels_of
from api.adapters.population_registry import registry_of
from api.batch_work import shelves_of
from api.csc import upkeep
from api.services import Services
from api.work import Task, republish
from ca import renewal
from ca.models import ServiceKeyRow
from certify import recovery
from certify.stacks import stack_ending, stack_work
from certify.stores import deliveries, store
from records import audit
from records.errors import DomainError
from signer.batches import batch_upkeep
from signer.elsewhere import prepared_rows
from signer.holders import bulk_enrolment, enrolment_reading, enrolment_results
from signer.keys import activation
from signer.routing import step_changes, steps


def expire_authorizations(services: Services, now: datetime) -> int:
    """The keys of authorisations whose time is over are erased (DESIGN.md §4)."""
    prepared_rows.expire(services.house.desk, now=now)
    return activation.expire(services.house.desk, now=now)


def sign_checkpoint(services: Services, now: datetime) -> None:
    """A signed tree head: from then on nobody can rewrite what came before it."""
    house = services.house
    audit.checkpoint(house.database, house.authority.service("audit").key, now=now)


def purge(services: Services, now: datetime) -> None:
    """Documents in transit and remembered answers past their time."""
    services.transit.purge(now=now)
    services.idempotency.purge(now=now)
    batch_upkeep.purge(services.house.desk, shelves_of(services.house.settings), now=now)
    upkeep.purge(services, now)


def flush_time_stamps(services: Services, now: datetime) -> int:
    """The log of issued time-stamps goes to the table in groups."""
    return services.house.tsa.flush(now=now)


def refresh_answers(services: Services, now: datetime) -> int:
    """Stored OCSP answers whose life is half over are signed anew."""
    return services.house.responder.refresh(now=now)


def renew_services(services: Services, now: datetime) -> None:
    """Responders, the time-stamp unit and the audit key go on before their certificates end.

    The root's responder is renewed in a ceremony (ca.renewal).
    """
    house = services.house
    with house.database.reading() as session:
        rows = session.scalars(select(ServiceKeyRow).where(ServiceKeyRow.active)).all()
    for row in rows:
        ends = x509.load_der_x509_certificate(row.certificate).not_valid_after_utc
        ceremonial = house.authority.issuer(row.issuer).key_id is None
        before = UNIT_RENEWED_BEFORE if row.profile == "tsa" else RENEWED_BEFORE
        if not ceremonial and now < ends <= now + before:
            renewal.renew_service(house.authority, row.name, now=now, by="system:renewal")


def enrol_lists(services: Services, now: datetime) -> None:
    """Lists that were started go on for a while; what is left goes on at the next turn.

    A token or a registry that is away is not waited for here: the next turn asks again, and the
    lists that need none of it go on.
    """
    desk = services.house.desk
    until = now + ENROLLED_AT_ONCE
    stopped: DomainError | None = None
    for list_id in enrolment_reading.running(desk):
        if services.clock() >= until:
            break
        try:
            bulk_enrolment.work(
                desk,
                list_id,
                clock=services.clock,
                by="system:enrolment",
                registry=registry_of(services.house.settings),
                patience=0,
                stop=lambda: services.clock() >= until,
            )
        except DomainError as error:
            stopped = stopped or error
    if stopped is not None:
        raise stopped


def announce_endings(services: Services, now: datetime) -> int:
    """Who must think of a renewal is told, once for each milestone."""
    house = services.house
    return notices.announce(house.database, channels_of(house.settings), now=now)


def deliver_notices(services: Services, now: datetime) -> int:
    """What was written down goes out; what was not taken is tried again."""
    house = services.house
    return notices.deliver(house.database, channels_of(house.settings), now=now)


def move_steps(services: Services, now: datetime) -> None:
    """Acts left in hand are settled, the late are told, and what happened is written out."""
    house = services.house
    steps.recover(house.desk, now=now)
    step_changes.mark_overdue(house.desk, now=now)
    step_notices.announce(house.database, channels_of(house.settings), now=now)


def recover(services: Services, now: datetime) -> None:
    """What a process on this database left open when it died, once it is too old to be in hand."""
    services.house.recover(now=now)


def carry_deliveries(services: Services, now: datetime) -> int:
    """New copies and changed statuses reach their receivers; a status within the minute."""
    house = services.house
    until = services.clock() + CARRIED_AT_ONCE
    return deliveries.carry(
        house.office, carriers_of(house), now=now, stop=lambda: services.clock() >= until
    )


def work_stacks(services: Services, now: datetime) -> int:
    """Stacks go on for a while; what is left goes on at the next turn, here or elsewhere."""
    until = now + STACKED_AT_ONCE
    return stack_work.work(
        services.house.office,
        clock=services.clock,
        by="system:stacks",
        stop=lambda: services.clock() >= until,
    )


def recover_register(services: Services, now: datetime) -> None:
    """Numbers of earlier days that nobody took up are voided, with their reason."""
    recovery.recover(services.house.office, now=now, by="system:recovery")


def forget(services: Services, now: datetime) -> None:
    """Notices delivered long ago, codes that were never fetched, scans whose term is over."""
    kept = timedelta(days=services.house.settings.images_days)
    store.purge_images(services.house.office, older_than=kept, now=now, by="system:forget")
    stack_ending.forget_scans(services.house.office, older_than=kept, now=now)
    notices.purge(services.house.database, now=now)
    enrolment_results.close_old(services.house.desk, now=now, by="system:enrolment")


def keep_proofs(services: Services, now: datetime) -> None:
    """Delivered documents get their evidence record; proofs that end soon are renewed."""
    long_life.keep(services.house, now=now, by="system:renewal")


CARRIED_AT_ONCE = timedelta(seconds=30)
STACKED_AT_ONCE = timedelta(seconds=12)
ENROLLED_AT_ONCE = timedelta(seconds=12)
RENEWED_BEFORE = timedelta(days=30)
# A time-stamp is worth its unit's certificate: none is made that would end within the year.
UNIT_RENEWED_BEFORE = timedelta(days=400)

TASKS = (
    Task("republish", timedelta(minutes=5), republish),
    Task("flush-time-stamps", timedelta(seconds=30), flush_time_stamps),
    Task("refresh-ocsp", timedelta(minutes=15), refresh_answers),
    Task("renew-services", timedelta(hours=12), renew_services),
    Task("keep-proofs", timedelta(hours=6), keep_proofs),
    Task("expire-authorizations", timedelta(minutes=1), expire_authorizations),
    Task("audit-checkpoint", timedelta(minutes=10), sign_checkpoint),
    Task("recover", timedelta(minutes=10), recover),
    Task("purge", timedelta(hours=1), purge),
    Task("enrol-lists", timedelta(0), enrol_lists),
    Task("announce-endings", timedelta(hours=6), announce_endings),
    Task("move-steps", timedelta(minutes=1), move_steps),
    Task("deliver-notices", timedelta(minutes=2), deliver_notices),
    Task("carry-deliveries", timedelta(0), carry_deliveries),
    Task("work-stacks", timedelta(0), work_stacks),
    Task("recover-register", timedelta(hours=1), recover_register),
    Task("forget", timedelta(hours=12), forget),
)
