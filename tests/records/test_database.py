"""The database: what is committed stays, what fails leaves nothing, on both kinds."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from records import database as module
from records.database import Database, UtcDateTime
from records.errors import DatabaseBusy, RecordsError


def _table(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("CREATE TABLE notes (body TEXT UNIQUE)"))


def _bodies(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(text("SELECT body FROM notes ORDER BY body")))


def test_a_block_that_ends_is_kept_and_one_that_raises_is_not(database: Database) -> None:
    _table(database)
    with database.transaction() as session:
        session.execute(text("INSERT INTO notes VALUES ('kept')"))

    def change_of_mind() -> None:
        with database.transaction() as session:
            session.execute(text("INSERT INTO notes VALUES ('dropped')"))
            raise KeyError

    with pytest.raises(KeyError):
        change_of_mind()
    assert _bodies(database) == ["kept"]


def test_a_reader_sees_its_snapshot_and_waits_for_nobody(database: Database) -> None:
    """A reader in the middle of a write sees what was there before, at once."""
    _table(database)
    with database.transaction() as writer:
        writer.execute(text("INSERT INTO notes VALUES ('new')"))
        assert _bodies(database) == []
    assert _bodies(database) == ["new"]
    with database.reading() as reader:
        count = text("SELECT count(*) FROM notes")
        assert reader.scalar(count) == 1
        with database.transaction() as writer:
            writer.execute(text("INSERT INTO notes VALUES ('newer')"))
        assert reader.scalar(count) == 1


def test_a_reader_cannot_write(database: Database) -> None:
    _table(database)
    with pytest.raises((DBAPIError, RecordsError)), database.reading() as session:
        session.execute(text("INSERT INTO notes VALUES ('never')"))
    assert _bodies(database) == []


def test_a_broken_constraint_is_the_callers_affair(database: Database) -> None:
    _table(database)
    with pytest.raises(DBAPIError), database.transaction() as session:
        session.execute(text("INSERT INTO notes VALUES ('twice'), ('twice')"))


def test_a_transaction_inside_a_transaction_is_refused_at_once(database: Database) -> None:
    """It would wait for itself."""
    with (
        database.transaction(),
        pytest.raises(RuntimeError, match="already open"),
        database.transaction(),
    ):
        pass
    with database.transaction():
        pass


def test_writers_of_many_threads_all_get_their_turn(database: Database) -> None:
    """Read, then write, from eight threads: no update is lost and nobody is told `busy`."""
    with database.transaction() as session:
        session.execute(text("CREATE TABLE counter (value INTEGER)"))
        session.execute(text("INSERT INTO counter VALUES (0)"))
    failures: list[Exception] = []

    def count() -> None:
        try:
            for _ in range(10):
                with database.transaction() as session:
                    lock = " FOR UPDATE" if database.dialect == "postgresql" else ""
                    value = session.scalar(text(f"SELECT value FROM counter{lock}"))
                    session.execute(text("UPDATE counter SET value = :v"), {"v": value + 1})
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.reading() as session:
        assert session.scalar(text("SELECT value FROM counter")) == 80


def test_two_processes_writers_wait_for_each_other(tmp_path: Path) -> None:
    """Two `Database` objects on one file stand for two processes: SQLite's lock decides."""
    address = f"sqlite:///{tmp_path}/one.sqlite"
    one, two = Database(address), Database(address)
    _table(one)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with one.transaction() as session:
            session.execute(text("INSERT INTO notes VALUES ('first')"))
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    threading.Timer(0.2, release.set).start()
    with two.transaction() as session:
        session.execute(text("INSERT INTO notes VALUES ('second')"))
    thread.join()
    assert _bodies(two) == ["first", "second"]
    one.dispose()
    two.dispose()


def test_a_lock_not_given_in_time_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.1)
    database = Database(f"sqlite:///{tmp_path}/one.sqlite")
    _table(database)
    other = sqlite3.connect(tmp_path / "one.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    attempts = []

    def work(_session: object) -> None:
        attempts.append(1)

    with pytest.raises(DatabaseBusy) as caught:
        database.perform(work)
    assert caught.value.code == "database-busy"
    other.execute("ROLLBACK")
    database.perform(work)
    assert attempts == [1]
    other.close()
    database.dispose()


def test_deadlock_is_done_again(database: Database) -> None:
    """PostgreSQL ends one of two transactions that wait for each other; `perform` repeats it."""
    if database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: nothing can wait in a circle")
    with database.transaction() as session:
        session.execute(text("CREATE TABLE pairs (id INTEGER PRIMARY KEY, value INTEGER)"))
        session.execute(text("INSERT INTO pairs VALUES (1, 0), (2, 0)"))
    both = threading.Barrier(2)
    runs: list[int] = []

    def swap(first: int, second: int) -> None:
        def work(session: Session) -> None:
            runs.append(first)
            bump = text("UPDATE pairs SET value = value + 1 WHERE id = :id")
            session.execute(bump, {"id": first})
            if len(runs) <= 2:
                both.wait(10)
            session.execute(bump, {"id": second})

        database.perform(work)

    threads = [threading.Thread(target=swap, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 3
    with database.reading() as session:
        assert list(session.scalars(text("SELECT value FROM pairs"))) == [2, 2]


def test_a_full_disk_is_said_and_nothing_is_kept(tmp_path: Path) -> None:
    """SQLite answers SQLITE_FULL when its pages run out, as it does on a full disk."""
    database = Database(f"sqlite:///{tmp_path}/small.sqlite")
    _table(database)

    def fill(session: Session) -> None:
        pages = session.scalar(text("PRAGMA page_count"))
        session.execute(text(f"PRAGMA max_page_count = {pages + 2}"))
        session.execute(text("INSERT INTO notes VALUES (:body)"), {"body": "x" * 100_000})

    with pytest.raises(RecordsError) as caught:
        database.perform(fill)
    assert caught.value.code == "disk-full"
    assert _bodies(database) == []
    database.dispose()


@pytest.mark.parametrize(
    "address",
    ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////proc/no-such-place/file.sqlite"],
)
def test_a_database_out_of_reach_is_said(address: str) -> None:
    with pytest.raises(RecordsError) as caught:
        Database(address).migrate()
    assert caught.value.code == "database-unreachable"


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "letter.sqlite").write_bytes(b"Dear all, " * 1000)
    with pytest.raises(RecordsError) as caught:
        Database(f"sqlite:///{tmp_path}/letter.sqlite").migrate()
    assert caught.value.code == "database-damaged"


@pytest.mark.parametrize("address", ["mysql://host/name", "no address", "sqlite://", ""])
def test_an_address_we_do_not_speak_is_refused(address: str) -> None:
    with pytest.raises(RecordsError) as caught:
        Database(address)
    assert caught.value.code == "database-url-unsupported"


def test_sqlite_is_durable_and_its_owners_only(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        database = Database(f"sqlite:///{tmp_path}/new/one.sqlite")
        _table(database)
    finally:
        os.umask(old)
    with database.reading() as session:
        asked = ("journal_mode", "synchronous", "foreign_keys")
        settings = {name: session.scalar(text(f"PRAGMA {name}")) for name in asked}
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    files = [tmp_path / "new", *(tmp_path / "new").iterdir()]
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) & 0o077 for file in files} == {0}
    database.dispose()


def test_times_are_utc_and_naive_ones_refused(database: Database) -> None:
    hanoi = timezone(timedelta(hours=7))
    kind = UtcDateTime()
    at = datetime(2026, 3, 3, 9, 0, 0, 123456, tzinfo=hanoi)
    dialect = database.engine.dialect
    written = kind.process_bind_param(at, dialect)
    assert written == at
    assert written.tzinfo is UTC
    assert kind.process_result_value(datetime(2026, 3, 3, 2), dialect).tzinfo is UTC
    with pytest.raises(ValueError, match="zone"):
        kind.process_bind_param(datetime(2026, 3, 3), dialect)


def test_a_server_that_went_away_is_said_and_found_again(database: Database) -> None:
    """A restart of PostgreSQL costs the transactions it cut, and no more."""
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no server to lose")
    _table(database)
    end = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def cut(session: Session) -> None:
        session.execute(text("INSERT INTO notes VALUES ('cut')"))
        with database.reading() as other:
            other.execute(end)
        session.execute(text("INSERT INTO notes VALUES ('never')"))

    with pytest.raises(RecordsError) as caught:
        database.perform(cut)
    assert caught.value.code == "database-unreachable"
    assert _bodies(database) == []


@pytest.mark.parametrize("value", ["a\0b", "x" * 40, 2**70])
def test_a_value_no_column_holds_is_refused_not_a_crash(database: Database, value: object) -> None:
    """Hostile input: a clear refusal, and nothing half done. SQLite keeps what it is given."""
    if database.dialect == "sqlite":
        pytest.skip("SQLite's columns have no such limits")
    with database.transaction() as session:
        session.execute(text("CREATE TABLE notes (body VARCHAR(32), count INTEGER)"))
    column = "count" if isinstance(value, int) else "body"

    def write(session: Session) -> None:
        session.execute(text("INSERT INTO notes (body) VALUES ('before')"))
        session.execute(text(f"INSERT INTO notes ({column}) VALUES (:value)"), {"value": value})

    with pytest.raises(RecordsError) as caught:
        database.perform(write)
    assert caught.value.code == "value-not-storable"
    assert _bodies(database) == []
