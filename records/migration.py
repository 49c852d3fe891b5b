"""Bring the tables to the newest revision in `migrations/`.

The whole upgrade is one transaction that first takes a lock (SQLite: the write lock that
`BEGIN IMMEDIATE` takes; PostgreSQL: an advisory lock), so processes that start together do
not collide, and a failed upgrade leaves the tables as they were.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from records.errors import RecordsError

_SCRIPTS = Path(__file__).parent.parent / "migrations"
_ADVISORY_LOCK = 0x44_53_4D_49  # "DSMI"; any number, as long as it is ours alone


def upgrade(engine: Engine) -> None:
    """Run the revisions this database has not seen. Raises `database-newer`."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    with engine.execution_options(dauso_reading=True).connect() as connection:
        if _revision(connection) == head:
            return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        current = _revision(connection)
        known = {None, *(one.revision for one in scripts.walk_revisions())}
        if current not in known:
            raise RecordsError("database-newer", revision=current)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
