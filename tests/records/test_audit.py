"""The audit log: one order, kept with the act or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from records import audit, merkle
from records.database import Database
from records.entry import canonical
from records.models import AuditEntry
from records.tags import Tag
from tests.records.audit_log import codes, write

ROOT = Path(__file__).parents[2]


def test_entries_are_counted_from_zero_and_verify(database: Database, now: datetime) -> None:
    write(database, now, 5)
    report = audit.verify(database)
    assert report.ok, report.problems
    assert report.size == 5
    with database.reading() as session:
        entries = session.query(AuditEntry).order_by(AuditEntry.position).all()
    assert [entry.position for entry in entries] == [0, 1, 2, 3, 4]
    assert entries[1].at == now + timedelta(seconds=1)
    assert json.loads(entries[1].details) == {"number": 1, "name": "Nguyễn Thị Thử"}


def test_an_empty_log_verifies(database: Database) -> None:
    report = audit.verify(database)
    assert report.ok
    assert report.root == merkle.EMPTY_ROOT


def test_an_entry_is_gone_with_its_transaction(database: Database, now: datetime) -> None:
    """The entry and the act it tells of are kept together or not at all."""
    write(database, now, 3)

    def fail() -> None:
        with database.transaction() as session:
            audit.record(
                session, tag=Tag.CASE_OPENED, by="system:x", subject="x", details={}, now=now
            )
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    write(database, now, 1)
    report = audit.verify(database)
    assert (report.ok, report.size) == (True, 4)


def test_many_writers_make_one_order(database: Database, now: datetime) -> None:
    threads = [
        threading.Thread(target=lambda: [write(database, now, 2) for _ in range(5)])
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = audit.verify(database)
    assert (codes(report), report.size) == ([], 60)


def test_no_input_keeps_an_act_from_being_recorded(database: Database, now: datetime) -> None:
    """NUL and lone surrogates reach us in file names; PostgreSQL can store neither."""
    with database.transaction() as session:
        audit.record(
            session,
            tag=Tag.SIGNATURE_REFUSED,
            by="client:\0\udc80",
            subject="file:\ud83d\0",
            details={"na\0me": ["\udfff", b"\x01\xff", now, Tag.CASE_OPENED, 2**160, None]},
            now=now,
        )
    assert audit.verify(database).ok


def test_canonical_json_has_one_form() -> None:
    """RFC 8785 §3.2: no whitespace, sorted keys, non-ASCII letters as they are."""
    assert (
        canonical({"b": 1, "a": {"d": None, "c": "ấ€\n"}}) == '{"a":{"c":"ấ€\\n","d":null},"b":1}'
    )
    with pytest.raises(TypeError, match="float"):
        canonical({"a": 0.1})


def test_a_batch_is_the_same_as_its_entries_one_by_one(database: Database, now: datetime) -> None:
    """One lock for many entries, and the same log."""
    acts = [(f"case:{number}", {"number": number}) for number in range(5)]

    def batch(session: Session) -> int:
        return audit.record_all(session, tag=Tag.CASE_OPENED, by="system:x", acts=acts, now=now)

    write(database, now, 3)
    assert database.perform(batch) == 3
    acts = []
    assert database.perform(batch) == 8
    report = audit.verify(database)
    assert (codes(report), report.size) == ([], 8)


def test_no_acknowledged_entry_is_lost_to_a_kill(tmp_path: Path, now: datetime) -> None:
    """SQLite WAL with synchronous=FULL: what was committed before `kill -9` is there after."""
    address = f"sqlite:///{tmp_path}/killed.sqlite"
    database = Database(address)
    database.migrate()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITES_FOREVER, address], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert writer.stdout is not None
    acknowledged = -1
    while acknowledged < 40:
        acknowledged = int(writer.stdout.readline())
    writer.kill()
    whole_lines = writer.stdout.read().split(b"\n")[:-1]
    acknowledged = int(whole_lines[-1]) if whole_lines else acknowledged
    writer.wait()
    report = audit.verify(database)
    assert codes(report) == []
    assert report.size > acknowledged
    write(database, now, 1)
    assert audit.verify(database).ok
    database.dispose()


WRITES_FOREVER = """
import sys
from datetime import UTC, datetime
from records import audit
from records.database import Database
from records.tags import Tag

database, now = Database(sys.argv[1]), datetime.now(UTC)
while True:
    with database.transaction() as session:
        position = audit.record(
            session, tag=Tag.CASE_OPENED, by="system:x", subject="x", details={}, now=now
        )
    print(position, flush=True)
"""
