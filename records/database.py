"""One database, SQLite or PostgreSQL, behind two words: `transaction` and `reading`.

    database = Database("sqlite:///var/dauso.sqlite")
    database.migrate()
    with database.transaction() as session:
        session.add(row)                # committed and on disk when the block ends
    with database.reading() as session:
        session.scalars(select(Row))    # a snapshot; blocks nobody, cannot write

SQLite runs in WAL with `synchronous=FULL`, so an acknowledged commit survives a power cut;
a write transaction takes the write lock at its start (`BEGIN IMMEDIATE`), since a lock
taken half-way cannot be waited for. Failures of the machinery (disk full, server gone, lost
race) come out as `RecordsError`; everything else passes unchanged.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import JSON, DateTime, Dialect, Engine, MetaData, TypeDecorator, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeEngine

from records.errors import DatabaseBusy, RecordsError
from records.failures import translated

T = TypeVar("T")

WAIT_SECONDS = 30
"""How long a writer waits for another one before it gives up with `database-busy`."""

_OPEN_FILES = 20
"""Connections kept per process: a thread pool's worth, far below PostgreSQL's default 100."""


class Base(DeclarativeBase):
    """Every room's tables. Constraints get predictable names so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC. A naive one is refused: nobody could say what it means."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Write UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def as_text(self, value: datetime | None) -> str | None:
        """A time as SQLite keeps it: what SQLAlchemy's own conversion gives, in a third of its
        time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC).isoformat(" ", "microseconds")[:26]

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Read UTC; SQLite keeps no zone, but nothing else was ever written."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """JSON text on SQLite, JSONB on PostgreSQL; `None` is SQL NULL on both."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        kind = JSONB if dialect.name == "postgresql" else JSON
        return dialect.type_descriptor(kind(none_as_null=True))


class Database:
    """The one way to the tables. Safe to share between threads; not across a fork."""

    def __init__(self, url: str) -> None:
        """`sqlite:///path/to/file` or `postgresql://user@host/name`; connects at first use.

        Raises `RecordsError`: `database-url-unsupported`, `database-unreachable`, `disk-full`.
        """
        parsed = _parsed(url)
        self.dialect = parsed.get_backend_name()
        self._writing = threading.local()
        self._turn = threading.Lock()
        if self.dialect == "sqlite":
            _prepare_file(Path(parsed.database or ""))
            self._engine = _sqlite(parsed)
            self._read_engine = self._engine.execution_options(dauso_reading=True)
        else:
            self._engine = _postgresql(parsed)
            self._read_engine = self._engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @property
    def engine(self) -> Engine:
        """For migrations and tests; rooms use `transaction` and `reading`."""
        return self._engine

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """One write transaction: committed when the block ends, undone when it raises.

        Do not open one inside another on the same thread: each would wait for the other.
        Raises `DatabaseBusy` when a lock was not given in time or the race was lost.
        """
        if getattr(self._writing, "now", False):
            raise RuntimeError("a write transaction is already open on this thread")
        with self._my_turn(), translated(), self._session(self._engine) as session:
            self._writing.now = True
            try:
                session.connection()
                yield session
                session.commit()
            finally:
                self._writing.now = False

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A read-only snapshot that neither waits for writers nor holds them up."""
        with translated(), self._session(self._read_engine) as session:
            yield session

    def perform(self, work: Callable[[Session], T], *, attempts: int = 3) -> T:
        """Run `work` in a transaction, again when it lost a race.

        For work that touches nothing but the database, as it may run more than once.
        """
        while True:
            attempts -= 1
            try:
                with self.transaction() as session:
                    return work(session)
            except DatabaseBusy:
                if attempts <= 0:
                    raise

    def migrate(self) -> None:
        """Bring the tables up to date; two processes may do it at once, one waits."""
        from records.migration import upgrade  # slow to import, and only needed here

        with translated():
            upgrade(self._engine)

    def dispose(self) -> None:
        """Close every connection, as a process does before it ends."""
        self._engine.dispose()

    @staticmethod
    def _session(engine: Engine) -> Session:
        """Objects stay readable after the commit: what was read then is what they say."""
        return Session(engine, expire_on_commit=False)

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        """Writers of one process queue here: SQLite's own waiting polls, and starves some."""
        if self.dialect != "sqlite":
            yield
            return
        if not self._turn.acquire(timeout=WAIT_SECONDS):
            raise DatabaseBusy("database-busy")
        try:
            yield
        finally:
            self._turn.release()


def _parsed(url: str) -> URL:
    try:
        parsed = sqlalchemy.make_url(url)
    except ArgumentError:
        raise RecordsError("database-url-unsupported", scheme=url.partition(":")[0]) from None
    if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise RecordsError("database-url-unsupported", scheme=parsed.drivername)


def _prepare_file(path: Path) -> None:
    """Create the file for its owner only; SQLite gives its -wal and -shm the same mode."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise RecordsError("database-unreachable", reason=error.strerror or "") from error


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _sqlite(url: URL) -> Engine:
    engine = sqlalchemy.create_engine(
        url,
        pool_size=_OPEN_FILES,
        max_overflow=_OPEN_FILES,
        pool_timeout=WAIT_SECONDS,
        connect_args={"timeout": WAIT_SECONDS, "cached_statements": 512},
        json_serializer=_dumps,
    )

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would come too late
        for pragma in (
            f"busy_timeout = {WAIT_SECONDS * 1000}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            "cache_size = -16000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("dauso_reading", False)
        connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if reading else 'OFF'}")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL) -> Engine:
    return sqlalchemy.create_engine(
        url,
        pool_size=_OPEN_FILES,
        max_overflow=_OPEN_FILES,
        pool_timeout=WAIT_SECONDS,
        pool_pre_ping=True,
        json_serializer=_dumps,
        connect_args={
            "connect_timeout": 5,
            "application_name": "dauso",
            "keepalives_idle": 30,
            "options": f"-c lock_timeout={WAIT_SECONDS}s -c timezone=UTC",
        },
    )
