"""Tables whose rows stay: triggers that refuse every change, on both databases.

def upgrade() -> None:
    op.create_table("audit_entries", ...)
    forbid_changes("audit_entries")
"""

from __future__ import annotations

from alembic import op


def forbid_changes(table: str) -> None:
    """Let rows be added to `table`, never changed or removed."""
    for statement in _STATEMENTS[op.get_bind().dialect.name]:
        op.execute(statement.format(table=table))


_REFUSAL = "rows of {table} are only added"

_STATEMENTS = {
    "sqlite": [
        f"CREATE TRIGGER {{table}}_no_{act} BEFORE {act.upper()} ON {{table}} "
        f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        for act in ("update", "delete")
    ],
    "postgresql": [
        "CREATE FUNCTION {table}_only_added() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$",
        "CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION {table}_only_added()",
        "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_only_added",
    ],
}
