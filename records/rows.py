"""Many rows of one table, written by few statements.

    insert_all(session, CertificateRow, [{"serial": …, …}, …])

Issuing, time-stamps and the audit log write hundreds of rows at a time while another thread signs.
An `executemany` of SQLite's driver hands the interpreter over and takes it back at every row, and
SQLAlchemy's own conversion of a row costs more than SQLite's storing it. So on SQLite a statement
carries as many rows as it may, and a time that stands in all of them is converted once. On
PostgreSQL the driver's own way with many rows is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Dialect, LargeBinary, Table, insert
from sqlalchemy.orm import Session

from records.database import Base, UtcDateTime

_MOST_VALUES = 30_000
"""SQLite takes 32,766 in one statement."""
_MOST_ROWS = 250

Row = Mapping[str, Any]


def insert_all(session: Session, model: type[Base], rows: Sequence[Row]) -> None:
    """Append to the session's transaction. All rows must have the same columns.

    What a column's type does to a value is done; what a mapped class would add is not: a column
    left out gets the table's own default, which is NULL.
    """
    if not rows:
        return
    table = cast("Table", model.__table__)
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        connection.execute(insert(table), list(rows))
        return
    columns = tuple(rows[0])
    at_once = min(_MOST_ROWS, _MOST_VALUES // len(columns))
    converters = _converters(table, columns, connection.dialect)
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        values = [_values(part, column, converters.get(column)) for column in columns]
        flat = [value for row in zip(*values, strict=True) for value in row]
        connection.exec_driver_sql(_statement(table.name, columns, len(part)), tuple(flat))


def _values(rows: Sequence[Row], column: str, convert: Callable[[Any], Any] | None) -> list[Any]:
    """One column of all rows as the driver takes it; equal neighbours are converted once."""
    found = [row[column] for row in rows]
    if convert is None:
        return found
    converted, last, said = [], None, None
    for value in found:
        if value is not last:
            last, said = value, convert(value)
        converted.append(said)
    return converted


def _converters(
    table: Table, columns: Sequence[str], dialect: Dialect
) -> dict[str, Callable[[Any], Any]]:
    found: dict[str, Callable[[Any], Any]] = {}
    for column in columns:
        kind = table.c[column].type
        # The driver takes octets as they are.
        convert = None if isinstance(kind, LargeBinary) else kind.bind_processor(dialect)
        if isinstance(kind, UtcDateTime):
            convert = kind.as_text
        if convert is not None:
            found[column] = convert
    return found


@lru_cache(maxsize=512)
def _statement(table: str, columns: tuple[str, ...], count: int) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    row = f"({', '.join('?' * len(columns))})"
    return f'INSERT INTO "{table}" ({names}) VALUES {", ".join([row] * count)}'  # noqa: S608 – names of our own tables
