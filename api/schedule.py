"""What is done regularly, and how often."""

from __future__ import annotations

from datetime import datetime, timedelta

from api.services import Services
from api.work import Task, republish
from records import audit
from signer import activation


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


TASKS = (
    Task("republish", timedelta(minutes=5), republish),
    Task("expire-authorizations", timedelta(minutes=1), expire_authorizations),
    Task("audit-checkpoint", timedelta(minutes=10), sign_checkpoint),
    Task("purge", timedelta(hours=1), purge),
)
