"""Migrations: what they build is what the models say, and they may start twice at once."""

from __future__ import annotations

import importlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from records.database import Base, Database
from records.errors import RecordsError

ROOT = Path(__file__).parents[2]
ROOMS = ("records", "ca", "signer", "certify", "api")


def test_the_migrated_tables_are_the_models(database: Database) -> None:
    """Every table, column, type, index and constraint, on both databases."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*models.py")):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    with database.reading() as session:
        context = MigrationContext.configure(
            session.connection(), opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    database.migrate()
    with database.reading() as session:
        revisions = list(session.scalars(text("SELECT version_num FROM alembic_version")))
    assert len(revisions) == 1


def test_processes_that_start_together_share_one_upgrade(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/one.sqlite"
    program = "import sys; from records.database import Database as D; D(sys.argv[1]).migrate()"

    def start(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, address],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(start, range(3)))
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 3


def test_threads_that_start_together_share_one_upgrade(database: Database) -> None:
    """PostgreSQL: the second waits for the advisory lock, then finds nothing to do."""
    if database.dialect == "sqlite":
        pytest.skip("processes on SQLite have their own test")
    with database.transaction() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    with ThreadPoolExecutor() as pool:
        for one in [pool.submit(database.migrate) for _ in range(2)]:
            one.result()
    with database.reading() as session:
        assert session.scalar(text("SELECT size FROM audit_head")) == 0


def test_a_database_from_the_future_is_refused(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RecordsError) as caught:
        database.migrate()
    assert caught.value.code == "database-newer"
