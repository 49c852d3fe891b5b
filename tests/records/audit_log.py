"""Writing an audit log, and changing it as somebody would who owns the database."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from records import audit, merkle
from records.database import Database
from records.entry import entry_bytes
from records.models import AuditEntry
from records.tags import Tag


def write(database: Database, now: datetime, count: int, *, what: str = "case") -> None:
    with database.transaction() as session:
        for number in range(count):
            audit.record(
                session,
                tag=Tag.CASE_OPENED,
                by="official:038900000001",
                subject=f"{what}:{number}",
                details={"number": number, "name": "Nguyễn Thị Thử"},
                now=now + timedelta(seconds=number),
            )


def codes(report: audit.AuditReport) -> list[str]:
    return [problem.code for problem in report.problems]


def tamper(database: Database, *statements: str) -> None:
    """Do what somebody does who owns the database: drop the triggers, then write."""
    with database.transaction() as session:
        if database.dialect == "sqlite":
            for name in list(
                session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            ):
                session.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in ("audit_entries", "audit_checkpoints"):
                session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        for statement in statements:
            session.execute(text(statement))


def rewrite(database: Database, now: datetime, *, from_position: int) -> None:
    """The whole log again with another entry in it, every hash and the head made to fit."""
    with database.reading() as session:
        rows = session.query(AuditEntry).order_by(AuditEntry.position).all()
    tree = merkle.Tree()
    for row in rows:
        if row.position == from_position:
            row.subject = "somebody:else"
        content = entry_bytes(
            position=row.position,
            at=row.at,
            by=row.by,
            tag=row.tag,
            subject=row.subject,
            details=row.details,
        )
        row.nodes = b"".join(tree.append(merkle.leaf_hash(content)))

    def change(session: Session) -> None:
        for row in rows:
            session.execute(
                text("UPDATE audit_entries SET subject = :s, nodes = :n WHERE position = :p"),
                {"s": row.subject, "n": row.nodes, "p": row.position},
            )
        session.execute(text("UPDATE audit_head SET edge = :e"), {"e": tree.packed()})

    tamper(database)
    database.perform(change)
