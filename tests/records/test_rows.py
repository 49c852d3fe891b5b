"""Many rows at once are stored as one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select, text

from ca.status.status_models import TimeStampRow
from records.database import Database
from records.rows import insert_all

HANOI = timezone(timedelta(hours=7))


def row(number: int, at: datetime) -> dict[str, object]:
    return {
        "tsa": "tsa",
        "serial": f"{number:032x}",
        "algorithm": "sha256",
        "imprint": bytes([number % 256]) * 32,
        "gen_time": at,
    }


def test_the_same_as_one_by_one(database: Database, now: datetime) -> None:
    """The stored octets do not tell which way they came: both are read, compared and ordered."""
    moments = [
        now,
        now.replace(microsecond=0),
        now.replace(microsecond=120_000).astimezone(HANOI),
        datetime(987, 1, 2, 3, 4, 5, 6, UTC),
    ]
    with database.transaction() as session:
        insert_all(session, TimeStampRow, [row(n, at) for n, at in enumerate(moments)])
        for n, at in enumerate(moments, start=100):
            session.execute(insert(TimeStampRow), [row(n, at)])
    with database.reading() as session:
        raw = session.execute(
            text("SELECT gen_time, imprint FROM ca_time_stamps ORDER BY serial")
        ).all()
        read = session.scalars(select(TimeStampRow.gen_time).order_by(TimeStampRow.serial)).all()
    half = len(moments)
    assert [one.gen_time for one in raw[:half]] == [one.gen_time for one in raw[half:]]
    assert [bytes(one.imprint) for one in raw[:half]] == [bytes([n]) * 32 for n in range(half)]
    assert list(read) == moments * 2


def test_more_than_one_statement_holds(database: Database, now: datetime) -> None:
    with database.transaction() as session:
        insert_all(session, TimeStampRow, [])
        insert_all(session, TimeStampRow, [row(number, now) for number in range(1_003)])
    with database.reading() as session:
        serials = session.scalars(select(TimeStampRow.serial).order_by(TimeStampRow.serial)).all()
    assert [int(one, 16) for one in serials] == list(range(1_003))


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    """Nobody could say what it means; SQLAlchemy tells it its own way on PostgreSQL."""
    with (
        pytest.raises(Exception, match="without a zone"),
        database.transaction() as session,
    ):
        insert_all(session, TimeStampRow, [row(1, datetime(2026, 3, 3))])
    with database.reading() as session:
        assert session.scalars(select(TimeStampRow)).all() == []
