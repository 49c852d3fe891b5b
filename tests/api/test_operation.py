"""Health, figures, scheduled work, recovery: what keeps the service running."""

from __future__ import annotations

from datetime import timedelta

import pytest

from api import idempotency
from api.errors import ApiError, RateLimited
from api.idempotency import Answer
from api.rates import Rates
from api.schedule import TASKS
from api.transit import safe_name
from api.work import LEASE, Work, hold_lease, release_lease
from hsm.errors import TokenUnavailable
from tests.api.conftest import ONLY_SQLITE, Service


def test_health(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """/readyz asks the token for a signature; a token that is away means 503 with Retry-After."""
    assert service.http.get("/healthz").json() == {"status": "ok"}
    ready = service.http.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)

    def absent(_: object) -> None:
        raise TokenUnavailable("gone", retry_after=7)

    monkeypatch.setattr(service.house.token.__class__, "check", absent)
    service.services.readiness.clear()
    away = service.http.get("/readyz")
    assert away.status_code == 503
    assert away.json()["parts"]["token"] == "token-absent"
    assert "retry-after" in away.headers
    figures = service.http.get("/metrics")
    assert "dauso_http_requests_total" in figures.text


@ONLY_SQLITE
def test_a_token_that_is_away_is_503(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is absent gives one clear message and Retry-After."""

    def absent(*_: object, **__: object) -> None:
        raise TokenUnavailable("gone", retry_after=7)

    monkeypatch.setattr("signer.keys.credentials.of_unit", absent)
    answer = service.http.get("/api/v1/credentials?unit=14797", headers=service.bearer("sign"))
    assert (answer.status_code, answer.json()["code"]) == (503, "token-absent")
    assert answer.headers["retry-after"] == "7"


@ONLY_SQLITE
def test_a_full_disk_is_507(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk gives one clear message, and no document row is left."""
    import errno
    import os

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    headers = service.bearer("sign")
    monkeypatch.setattr(os, "link", full)
    answer = service.http.post(
        "/api/v1/documents", files={"file": ("a.pdf", b"%PDF-1.7")}, headers=headers
    )
    assert (answer.status_code, answer.json()["code"]) == (507, "disk-full")
    assert "document.received" not in service.tags()


def test_one_process_at_a_time(service: Service) -> None:
    """A lease row: the second process waits until the first is done or dead."""
    database, now = service.house.database, service.now
    assert hold_lease(database, "work", "one", now=now)
    assert not hold_lease(database, "work", "two", now=now)
    assert hold_lease(database, "work", "one", now=now)
    assert hold_lease(database, "work", "two", now=now + LEASE + timedelta(seconds=1))
    release_lease(database, "work", "two")
    assert hold_lease(database, "work", "three", now=now)


def test_the_schedule(service: Service) -> None:
    """Every task runs once, then at its time; a checkpoint is signed; one failure stops nothing."""
    work = Work(service.services, TASKS)
    done = work.once(service.now)
    assert done == [task.name for task in TASKS]
    assert "audit-checkpoint.signed" in service.tags()
    # What was started goes on at every turn; nothing else is due before its time.
    soon = timedelta(seconds=20)
    assert work.once(service.now + soon) == [task.name for task in TASKS if task.every <= soon]
    assert "expire-authorizations" in work.once(service.now + timedelta(seconds=61))


def test_purging(service: Service) -> None:
    """What is in transit is gone when its day and the next are over; today's stays."""
    transit, now = service.services.transit, service.now
    old = transit.put(b"old", client_id="a", name="a.pdf", act="uploaded", now=now)
    later = now + timedelta(days=2)
    new = transit.put(b"old", client_id="a", name="a.pdf", act="uploaded", now=later)
    assert transit.purge(now=later) == 1
    with pytest.raises(ApiError, match="no document"):
        transit.find(old.id, client_id="a", now=later)
    assert transit.content(new) == b"old"


def test_idempotency(service: Service) -> None:
    """Done once per key and client; a failure is forgotten; another request is refused."""
    once, now = service.services.idempotency.once, service.now
    calls: list[int] = []

    def act() -> Answer:
        calls.append(1)
        if len(calls) == 1:
            raise ApiError("service-busy")
        return Answer(201, text='{"n": 1}')

    asked = {"client_id": "a", "request": ("x",), "act": act, "now": now}
    with pytest.raises(ApiError):
        once("a-long-key", **asked)
    assert once("a-long-key", **asked).status_code == 201
    replayed = once("a-long-key", **asked)
    assert replayed.headers["idempotency-replayed"] == "true"
    assert replayed.headers["content-type"] == "application/json"
    assert len(calls) == 2
    once("a-long-key", **{**asked, "client_id": "b"})
    assert len(calls) == 3
    with pytest.raises(ApiError) as caught:
        once("a-long-key", **{**asked, "request": ("y",)})
    assert caught.value.code == "idempotency-key-reused"
    with pytest.raises(ApiError):
        once("short", **asked)
    service.services.idempotency.purge(now=now + idempotency.KEPT_FOR + timedelta(minutes=1))
    once("a-long-key", **{**asked, "request": ("y",)})


def test_idempotency_under_way(service: Service) -> None:
    """While the first is under way the second is told to wait; a dead one is taken over."""
    once, now = service.services.idempotency.once, service.now

    def nested() -> Answer:
        with pytest.raises(ApiError) as caught:
            once("a-long-key", client_id="a", request=("x",), act=nested, now=now)
        assert caught.value.code == "idempotency-in-progress"
        return Answer(200, text="{}")

    once("a-long-key", client_id="a", request=("x",), act=nested, now=now)


def test_rates() -> None:
    """The named limits; checking does not count."""
    rates = Rates(per_minute=100)
    for _ in range(10):
        rates.check("token-failure", "a")
        rates.take("token-failure", "a")
    with pytest.raises(RateLimited) as caught:
        rates.check("token-failure", "a")
    assert 1 <= caught.value.retry_after <= 120
    rates.check("token-failure", "b")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\quyết định.pdf", "quyết định.pdf"),
        ('a"\r\nX: y.pdf', "a X y.pdf"),
        ("", "document.pdf"),
        (None, "document.pdf"),
        ("..", "document.pdf"),
    ],
)
def test_names(given: str | None, kept: str) -> None:
    """A name goes into a header and onto disks."""
    assert safe_name(given) == kept
