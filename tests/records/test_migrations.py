"""Migrations: what they build is what the models say, and they may start twice at once."""

from __future__ import annotations

import importlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

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


def test_seals_handed_over_before_keepers_were_written_down(database: Database) -> None:
    """Revision 0017: a seal is kept by whoever received it last; of the others nobody is named."""
    keys = ("a", "b", "c")
    with database.transaction() as session:
        _back_to(session.connection(), "0016")
        for key in keys:
            session.execute(
                text(
                    "INSERT INTO signer_credentials (id, kind, profile, holder_id, algorithm,"
                    " public_key, sealed_key, chain, state, wrong_pins, created_at, created_by)"
                    " VALUES (:key, 'agency', 'agency-seal', 'MST:1', 'p-256', :none, :none,"
                    " '[]', 'active', 0, '2026-01-01', 'x')"
                ),
                {"key": key, "none": b""},
            )
        for number, (key, receiver, day) in enumerate(
            (
                ("a", "CCCD:2", "2026-01-03"),
                ("a", "CCCD:1", "2026-01-02"),
                ("b", "CCCD:3", "2026-01-02"),
            )
        ):
            session.execute(
                text(
                    "INSERT INTO signer_handovers VALUES (:id, :key, 'CCCD:0', :receiver, '1',"
                    " '2026-01-01', 'x', '00', :day, 'x')"
                ),
                {"id": str(number), "key": key, "receiver": receiver, "day": day},
            )
    database.migrate()
    with database.reading() as session:
        found = session.execute(text("SELECT id, keeper FROM signer_credentials ORDER BY id"))
        assert [tuple(one) for one in found] == [("a", "CCCD:2"), ("b", "CCCD:3"), ("c", None)]


def _back_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.downgrade(config, revision)
