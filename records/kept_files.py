"""Which rows keep a stored file: all of them are asked before one is deleted.

    digest: Mapped[str] = mapped_column(String(64), info=KEEPS_FILE)    # in any room's table
    scans: Mapped[list[str | None]] = mapped_column(Json, info=KEEPS_FILES)    # several in one
    is_kept(session, digest)                                            # by whichever row

A file is stored once, whoever brought it (`records.blobs`). So one who may delete what is theirs
must not take it from others: an agency's signed decision is also in the store of the citizen who
got it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, Text, cast, literal, select
from sqlalchemy.orm import Session

from records.database import Base

KEEPS_FILE = {"keeps": "file"}
"""On a column with a file's SHA-256 in hex, which its row needs for as long as it is there."""


KEEPS_FILES = {"keeps": "files"}
"""The same on a JSON column that lists such digests."""


def keeping_columns() -> list[Column[Any]]:
    """Every column of every room that says so."""
    tables = Base.metadata.sorted_tables
    return [one for table in tables for one in table.columns if "keeps" in one.info]


def is_kept(session: Session, digest: str) -> bool:
    """Whether any row needs this file."""
    return any(
        session.scalar(select(literal(1)).where(_holds(column, digest)).limit(1))
        for column in keeping_columns()
    )


def _holds(column: Column[Any], digest: str) -> ColumnElement[bool]:
    if column.info == KEEPS_FILES:
        return cast(column, Text).contains(f'"{digest}"', autoescape=True)
    return column == digest
