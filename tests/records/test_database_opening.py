"""A connection that is opened just when another process closes its own, or recovers (SQLite)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from records import database as module
from records.database import Database
from records.errors import DatabaseBusy


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another program that has the file to itself, as the last one to close it has for a moment."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("CREATE TABLE IF NOT EXISTS held (x)")
    other.execute("COMMIT")
    try:
        yield
    finally:
        other.close()


@pytest.mark.parametrize("way", ["reading", "transaction"])
def test_a_new_connection_that_finds_the_file_held_is_told_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """sqlite.org/wal.html §"Sometimes Queries Return SQLITE_BUSY": when another connection closes
    or recovers. What the driver raises while a connection is set up is not SQLAlchemy's error."""
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    path = tmp_path / "dauso.sqlite"
    database = Database(f"sqlite:///{path}")
    try:
        with held(path):
            opened = getattr(database, way)()
            with pytest.raises(DatabaseBusy), opened as session:
                session.execute(text("SELECT 1"))
        with getattr(database, way)() as session:
            assert session.execute(text("SELECT 1")).scalar() == 1
            assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    finally:
        database.dispose()
