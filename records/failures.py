"""What a failure of the database means to the person who waits for the answer.

Only failures of the machinery are translated, and values that no table can hold (they come from
outside: they are refused, and nothing is half done). A broken constraint is the caller's affair and
passes unchanged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import DataError as PostgresDataError
from psycopg import Error as PostgresError
from psycopg import OperationalError as PostgresOperationalError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from records.errors import DatabaseBusy, RecordsError

_LOST_RACE = {"40001", "40P01", "55P03", "57014"}
"""serialization_failure, deadlock_detected, lock_not_available, query_canceled."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn failures of the database's machinery into `RecordsError`."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseBusy("database-busy") from error
    except DBAPIError as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: DBAPIError) -> RecordsError | None:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause)
    if isinstance(cause, PostgresError):
        return _of_postgresql(cause)
    return None


def _of_sqlite(cause: sqlite3.Error) -> RecordsError | None:
    primary = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if primary == sqlite3.SQLITE_FULL:
        return RecordsError("disk-full", place="SQLite")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return DatabaseBusy("database-busy")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return RecordsError("database-damaged", reason=str(cause))
    if primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM):
        return RecordsError("database-unreachable", reason=str(cause))
    return None


def _of_postgresql(cause: PostgresError) -> RecordsError | None:
    state = cause.sqlstate
    if state in ("53100", "53200"):  # disk_full, out_of_memory
        return RecordsError("disk-full", place="PostgreSQL")
    if state in _LOST_RACE:
        return DatabaseBusy("database-busy")
    if state in ("XX001", "XX002"):  # data_corrupted, index_corrupted
        return RecordsError("database-damaged", reason=_first_line(cause))
    if isinstance(cause, PostgresDataError):  # NUL in a text, longer than its column, out of range
        return RecordsError("value-not-storable")
    gone = state is not None and (state[:2] in ("08", "28", "3D") or state[:4] in ("57P0", "5330"))
    if gone or (state is None and isinstance(cause, PostgresOperationalError)):
        return RecordsError("database-unreachable", reason=_first_line(cause))
    return None


def _first_line(cause: PostgresError) -> str:
    return str(cause).strip().partition("\n")[0]
