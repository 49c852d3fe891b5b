"""What is done regularly, and how often."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy import select

from api.batch_work import shelves_of
from api.csc import upkeep
from api.services import Services
from api.work import Task, republish
from ca import renewal
from ca.models import ServiceKeyRow
from records import audit
from signer import activation, batch


def expire_authorizations(services: Services, now: datetime) -> int:
    """The keys of authorisations whose time is over are erased (DESIGN.md §4)."""
    return activation.expire(services.house.desk, now=now)


def sign_checkpoint(services: Services, now: datetime) -> None:
    """A signed tree head: from then on nobody can rewrite what came before it."""
    house = services.house
    audit.checkpoint(house.database, house.authority.service("audit").key, now=now)


def purge(services: Services, now: datetime) -> None:
    """Documents in transit and remembered answers past their time."""
    services.transit.purge(now=now)
    services.idempotency.purge(now=now)
    batch.purge(services.house.desk, shelves_of(services.house.settings), now=now)
    upkeep.purge(services, now)


def flush_time_stamps(services: Services, now: datetime) -> int:
    """The log of issued time-stamps goes to the table in groups."""
    return services.house.tsa.flush(now=now)


def refresh_answers(services: Services, now: datetime) -> int:
    """Stored OCSP answers whose life is half over are signed anew."""
    return services.house.responder.refresh(now=now)


def renew_services(services: Services, now: datetime) -> None:
    """Responders, the time-stamp unit and the audit key go on before their certificates end."""
    authority = services.house.authority
    for record in renewal.expiring(authority, now=now, within=RENEWED_BEFORE):
        name = _service_named(services, record.serial)
        if name is not None:
            renewal.renew_service(authority, name, now=now, by="system:renewal")


def _service_named(services: Services, serial: int) -> str | None:
    """The service key that has this certificate; None for a holder's, or the root's responder."""
    house = services.house
    with house.database.reading() as session:
        rows = session.scalars(select(ServiceKeyRow).where(ServiceKeyRow.active)).all()
    for row in rows:
        certificate = x509.load_der_x509_certificate(row.certificate)
        ceremonial = house.authority.issuer(row.issuer).key_id is None
        if certificate.serial_number == serial and not ceremonial:
            return row.name
    return None


RENEWED_BEFORE = timedelta(days=30)

TASKS = (
    Task("republish", timedelta(minutes=5), republish),
    Task("flush-time-stamps", timedelta(seconds=30), flush_time_stamps),
    Task("refresh-ocsp", timedelta(minutes=15), refresh_answers),
    Task("renew-services", timedelta(hours=12), renew_services),
    Task("expire-authorizations", timedelta(minutes=1), expire_authorizations),
    Task("audit-checkpoint", timedelta(minutes=10), sign_checkpoint),
    Task("purge", timedelta(hours=1), purge),
)
