"""Every way to change the audit log is refused, and found where it is."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from records import audit
from records.checkpoints import SigningKey
from records.database import Database
from records.errors import RecordsError
from tests.records.audit_log import codes, tamper, write


@pytest.mark.parametrize("table", ["audit_entries", "audit_checkpoints"])
@pytest.mark.parametrize("act", ["UPDATE {} SET at = at", "DELETE FROM {}"])
def test_the_database_itself_refuses_changes(
    database: Database, now: datetime, quick_key: SigningKey, table: str, act: str
) -> None:
    write(database, now, 2)
    audit.checkpoint(database, quick_key, now=now)
    with pytest.raises(DBAPIError, match="only added"):
        database.perform(lambda session: session.execute(text(act.format(table))))
    assert audit.verify(database).ok


def test_postgresql_refuses_truncation(database: Database, now: datetime) -> None:
    if database.dialect == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    write(database, now, 2)
    with pytest.raises(DBAPIError, match="only added"):
        database.perform(lambda session: session.execute(text("TRUNCATE audit_entries")))


COPY_TO = (
    'INSERT INTO audit_entries SELECT {}, at, "by", tag, subject, details, nodes '
    "FROM audit_entries WHERE position = 3"
)


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (["UPDATE audit_entries SET subject = 'x' WHERE position = 4"], ["entry-altered"]),
        (["UPDATE audit_entries SET \"by\" = 'x' WHERE position = 4"], ["entry-altered"]),
        (["UPDATE audit_entries SET tag = 'x' WHERE position = 4"], ["entry-altered"]),
        (["UPDATE audit_entries SET details = '{{' WHERE position = 4"], ["entry-altered"]),
        (["UPDATE audit_entries SET at = '2020-01-01' WHERE position = 4"], ["entry-altered"]),
        (["DELETE FROM audit_entries WHERE position = 4"], ["entries-missing"]),
        (["DELETE FROM audit_entries WHERE position >= 15"], ["entries-missing"]),
        (["DELETE FROM audit_entries"], ["entries-missing"]),
        (["DELETE FROM audit_entries WHERE position BETWEEN 3 AND 13"], ["entries-missing"]),
        ([COPY_TO.format(20)], ["entry-inserted"]),
        ([COPY_TO.format(10**12)], ["entry-inserted"]),
        ([COPY_TO.format(-1)], ["entry-inserted"]),
        (["UPDATE audit_head SET size = 19"], ["entry-inserted", "head-contradicted"]),
        (["DELETE FROM audit_head"], ["head-contradicted"]),
    ],
)
def test_a_change_is_found_where_it_is(
    database: Database, now: datetime, statements: list[str], found: list[str]
) -> None:
    write(database, now, 20)
    tamper(database, *statements)
    assert codes(audit.verify(database)) == [f"audit-{code}" for code in found]


def test_two_entries_that_changed_places_are_found(database: Database, now: datetime) -> None:
    write(database, now, 20)
    tamper(
        database,
        "UPDATE audit_entries SET position = 1000 WHERE position = 4",
        "UPDATE audit_entries SET position = 4 WHERE position = 9",
        "UPDATE audit_entries SET position = 9 WHERE position = 1000",
    )
    problems = audit.verify(database).problems
    altered = [one.params["position"] for one in problems if one.code == "audit-entry-altered"]
    assert altered == [4, 9]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET details = CAST(X'ff00' AS TEXT) WHERE position = 4",
        "UPDATE audit_entries SET details = X'ff00' WHERE position = 4",
        "UPDATE audit_entries SET at = 'yesterday' WHERE position = 4",
        "UPDATE audit_entries SET at = 17 WHERE position = 4",
        "UPDATE audit_entries SET nodes = 'text' WHERE position = 4",
    ],
)
def test_rubbish_in_a_row_is_a_finding_not_a_failure(
    database: Database, now: datetime, statement: str
) -> None:
    if database.dialect == "postgresql":
        pytest.skip("PostgreSQL's types keep rubbish out")
    write(database, now, 20)
    tamper(database, statement)
    assert codes(audit.verify(database)) == ["audit-entry-altered"]


def test_findings_are_told_in_both_languages(database: Database, now: datetime) -> None:
    write(database, now, 3)
    tamper(database, "UPDATE audit_entries SET subject = 'x' WHERE position = 1")
    (problem,) = audit.verify(database).problems
    assert problem.message("en") == "Entry 1 of the audit log was altered after it was written."
    assert problem.message("vi") == "Bản ghi 1 của nhật ký đã bị sửa sau khi ghi."


def test_a_flood_of_findings_is_cut(database: Database, now: datetime) -> None:
    write(database, now, 150)
    tamper(database, "UPDATE audit_entries SET subject = 'x'")
    assert len(audit.verify(database).problems) == 100


@pytest.mark.parametrize("statement", ["DELETE FROM audit_head", "UPDATE audit_head SET size = 2"])
def test_nothing_is_added_to_a_log_without_its_head(
    database: Database, now: datetime, statement: str
) -> None:
    """An act that cannot be recorded is not done."""
    write(database, now, 3)
    tamper(database, statement)
    with pytest.raises(RecordsError) as caught:
        write(database, now, 1)
    assert caught.value.code == "audit-head-contradicted"
