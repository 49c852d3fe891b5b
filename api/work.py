"""The scheduled work of a running service: lists republished, answers pre-signed, things erased.

    work = Work(services); work.start(); …; work.stop()

Every process has the thread; a lease row says which of them acts, so that several processes on
one database do each thing once. A task that fails is told and tried again at its next turn; the
others go on.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from cryptography import x509
from sqlalchemy import delete

from api.models import Lease
from api.services import Services
from records.database import Database
from records.errors import DatabaseBusy

log = structlog.get_logger("dauso.work")

LEASE = timedelta(seconds=90)
TICK = 20.0  # seconds between looks; well under the lease


@dataclass(frozen=True)
class Task:
    """One thing to do regularly."""

    name: str
    every: timedelta
    act: Callable[[Services, datetime], object]


def hold_lease(database: Database, name: str, holder: str, *, now: datetime) -> bool:
    """Take or renew the lease; False while another holder's is running."""
    try:
        with database.transaction() as session:
            row = session.get(Lease, name, with_for_update=True)
            if row is None:
                session.add(Lease(name=name, holder=holder, until=now + LEASE))
                return True
            if row.holder != holder and row.until > now:
                return False
            row.holder, row.until = holder, now + LEASE
            return True
    except DatabaseBusy:
        return False


def release_lease(database: Database, name: str, holder: str) -> None:
    """Give it back at once, so that nobody waits for it to run out."""
    with database.transaction() as session:
        session.execute(delete(Lease).where(Lease.name == name, Lease.holder == holder))


def republish(services: Services, now: datetime) -> None:
    """CRLs that have lived half their life are made anew; the gauge says until when they hold."""
    from ca.status import crl  # the schedule thread's own

    authority = services.house.authority
    crl.publish_due(authority, now=now, by="system:crl")
    for issuer in authority.issuers():
        der = crl.current(authority, issuer.name)
        if der is not None:
            due = x509.load_der_x509_crl(der).next_update_utc
            if due is not None:
                gauge = services.metrics.crl_next_update.labels(issuer.name)
                gauge.set(due.timestamp())


class Work:
    """The thread; one per serving process."""

    def __init__(self, services: Services, tasks: tuple[Task, ...]) -> None:
        self._services = services
        self._tasks = tasks
        self._last: dict[str, datetime] = {}
        self._stopping = threading.Event()
        # Random, not only host and process: containers repeat both.
        self._holder = f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._thread = threading.Thread(target=self._run, name="dauso-work", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the task at hand finish, then hand the lease on."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def once(self, now: datetime) -> list[str]:
        """One look: what is due is done; the names of what was done."""
        if not hold_lease(self._services.house.database, "work", self._holder, now=now):
            return []
        done = []
        for task in self._tasks:
            last = self._last.get(task.name)
            if last is not None and now - last < task.every:
                continue
            self._last[task.name] = now
            outcome = "done"
            try:
                task.act(self._services, now)
                done.append(task.name)
            except Exception as error:  # one task must not stop the others
                outcome = "failed"
                log.error("scheduled work failed", task=task.name, exc_info=error)
            self._services.metrics.work_runs.labels(task.name, outcome).inc()
        return done

    def _run(self) -> None:
        database = self._services.house.database
        while not self._stopping.is_set():
            try:
                self.once(self._services.clock())
            except Exception as error:  # the database may be away for a while
                log.error("schedule could not look", exc_info=error)
            self._stopping.wait(TICK)
        try:
            release_lease(database, "work", self._holder)
        except Exception as error:  # it runs out by itself
            log.warning("lease not released", exc_info=error)
