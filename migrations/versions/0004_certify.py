"""Cases, captures, findings, the register, copies, payments, stores and grants.

Revision ID: 0004
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.append_only import forbid_changes

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def moment() -> sa.DateTime:
    """An aware time."""
    return sa.DateTime(timezone=True)


def json() -> sa.JSON[Any]:
    """JSON on SQLite, JSONB on PostgreSQL."""
    return sa.JSON(none_as_null=True).with_variant(
        postgresql.JSONB(none_as_null=True), "postgresql"
    )


def upgrade() -> None:
    """Create the tables; what was seen, cancelled and closed is never changed afterwards."""
    op.create_table(
        "certify_cases",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=24), nullable=False),
        sa.Column("dossier_code", sa.String(length=64), nullable=True),
        sa.Column("requester_id", sa.String(length=64), nullable=False),
        sa.Column("requester", json(), nullable=False),
        sa.Column("document_kind", sa.String(length=64), nullable=False),
        sa.Column("original", json(), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("presented", json(), nullable=True),
        sa.Column("assigned_to", sa.String(length=128), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("received_at", moment(), nullable=False),
        sa.Column("due_at", moment(), nullable=False),
        sa.Column("slip", sa.Boolean(), nullable=False),
        sa.Column("closed_at", moment(), nullable=True),
        sa.Column("closing_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_cases")),
    )
    op.create_index(
        op.f("ix_certify_cases_dossier_code"), "certify_cases", ["dossier_code"], unique=False
    )
    op.create_index(
        op.f("ix_certify_cases_requester_id"), "certify_cases", ["requester_id"], unique=False
    )
    op.create_index(op.f("ix_certify_cases_state"), "certify_cases", ["state"], unique=False)
    op.create_index(op.f("ix_certify_cases_unit"), "certify_cases", ["unit"], unique=False)
    op.create_table(
        "certify_counters",
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("register", sa.String(length=32), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("volume", sa.Integer(), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "register", "year", name=op.f("pk_certify_counters")),
    )
    op.create_table(
        "certify_delegations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("holder_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("title", sa.String(length=128), nullable=False),
        sa.Column("authority_lines", json(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("valid_from", moment(), nullable=False),
        sa.Column("valid_to", moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_delegations")),
    )
    op.create_index(
        op.f("ix_certify_delegations_holder_id"), "certify_delegations", ["holder_id"], unique=False
    )
    op.create_index(
        op.f("ix_certify_delegations_unit"), "certify_delegations", ["unit"], unique=False
    )
    op.create_table(
        "certify_register_locks",
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("register", sa.String(length=32), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("void", sa.Integer(), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("fees", sa.Integer(), nullable=False),
        sa.Column("locked_at", moment(), nullable=False),
        sa.Column("locked_by", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("unit", "register", "year", name=op.f("pk_certify_register_locks")),
    )
    op.create_table(
        "certify_captures",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("page_count", sa.Integer(), nullable=False),
        sa.Column("taken_at", moment(), nullable=False),
        sa.Column("taken_by", sa.String(length=128), nullable=False),
        sa.Column("superseded", sa.Boolean(), nullable=False),
        sa.Column("purged_at", moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"], ["certify_cases.id"], name=op.f("fk_certify_captures_case_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_captures")),
    )
    op.create_index(
        op.f("ix_certify_captures_case_id"), "certify_captures", ["case_id"], unique=False
    )
    op.create_table(
        "certify_entries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("register", sa.String(length=32), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("volume", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("requester_name", sa.String(length=256), nullable=False),
        sa.Column("document_name", sa.String(length=512), nullable=False),
        sa.Column("certifier_name", sa.String(length=128), nullable=False),
        sa.Column("certifier_title", sa.String(length=128), nullable=False),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("fee", sa.Integer(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("frozen", json(), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=True),
        sa.Column("claimed_until", moment(), nullable=True),
        sa.Column("taken_at", moment(), nullable=False),
        sa.Column("taken_by", sa.String(length=128), nullable=False),
        sa.Column("ended_at", moment(), nullable=True),
        sa.CheckConstraint("number > 0", name=op.f("ck_certify_entries_number_positive")),
        sa.ForeignKeyConstraint(
            ["case_id"], ["certify_cases.id"], name=op.f("fk_certify_entries_case_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_entries")),
        sa.UniqueConstraint(
            "unit",
            "register",
            "year",
            "number",
            name=op.f("uq_certify_entries_unit_register_year_number"),
        ),
    )
    op.create_index(
        op.f("ix_certify_entries_case_id"), "certify_entries", ["case_id"], unique=False
    )
    op.create_index(op.f("ix_certify_entries_state"), "certify_entries", ["state"], unique=False)
    op.create_index(
        "uq_certify_entries_live_case",
        "certify_entries",
        ["case_id"],
        unique=True,
        sqlite_where=sa.text("state <> 'void'"),
        postgresql_where=sa.text("state <> 'void'"),
    )
    op.create_table(
        "certify_payments",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", moment(), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["certify_cases.id"], name=op.f("fk_certify_payments_case_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_payments")),
        sa.UniqueConstraint("reference", name=op.f("uq_certify_payments_reference")),
    )
    op.create_index(
        op.f("ix_certify_payments_case_id"), "certify_payments", ["case_id"], unique=False
    )
    op.create_table(
        "certify_capture_pages",
        sa.Column("capture_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("facts", json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["capture_id"],
            ["certify_captures.id"],
            name=op.f("fk_certify_capture_pages_capture_id"),
        ),
        sa.PrimaryKeyConstraint("capture_id", "number", name=op.f("pk_certify_capture_pages")),
    )
    op.create_index(
        op.f("ix_certify_capture_pages_digest"), "certify_capture_pages", ["digest"], unique=False
    )
    op.create_table(
        "certify_comparisons",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("capture_id", sa.String(length=32), nullable=False),
        sa.Column("pages", json(), nullable=False),
        sa.Column("checklist", json(), nullable=False),
        sa.Column("security_elements", json(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("found_at", moment(), nullable=False),
        sa.Column("found_by", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["capture_id"], ["certify_captures.id"], name=op.f("fk_certify_comparisons_capture_id")
        ),
        sa.ForeignKeyConstraint(
            ["case_id"], ["certify_cases.id"], name=op.f("fk_certify_comparisons_case_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_comparisons")),
    )
    op.create_index(
        op.f("ix_certify_comparisons_case_id"), "certify_comparisons", ["case_id"], unique=False
    )
    op.create_table(
        "certify_copies",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("entry_id", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("document_kind", sa.String(length=64), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("issued_at", moment(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_at", moment(), nullable=False),
        sa.Column("replaced_by", sa.String(length=32), nullable=True),
        sa.Column("evidence", json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["certify_entries.id"], name=op.f("fk_certify_copies_entry_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_copies")),
        sa.UniqueConstraint("code", name=op.f("uq_certify_copies_code")),
        sa.UniqueConstraint("digest", name=op.f("uq_certify_copies_digest")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_certify_copies_entry_id")),
    )
    op.create_index(
        op.f("ix_certify_copies_owner_id"), "certify_copies", ["owner_id"], unique=False
    )
    op.create_index(op.f("ix_certify_copies_unit"), "certify_copies", ["unit"], unique=False)
    op.create_table(
        "certify_cancellations",
        sa.Column("copy_id", sa.String(length=32), nullable=False),
        sa.Column("decision_number", sa.String(length=64), nullable=False),
        sa.Column("decided_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("signer", sa.String(length=128), nullable=False),
        sa.Column("decision_digest", sa.String(length=64), nullable=False),
        sa.Column("published_at", moment(), nullable=False),
        sa.Column("published_by", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["copy_id"], ["certify_copies.id"], name=op.f("fk_certify_cancellations_copy_id")
        ),
        sa.PrimaryKeyConstraint("copy_id", name=op.f("pk_certify_cancellations")),
    )
    op.create_table(
        "certify_items",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("title", sa.String(length=512), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("copy_id", sa.String(length=32), nullable=True),
        sa.Column("added_at", moment(), nullable=False),
        sa.Column("purged_at", moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["copy_id"], ["certify_copies.id"], name=op.f("fk_certify_items_copy_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_items")),
    )
    op.create_index(op.f("ix_certify_items_digest"), "certify_items", ["digest"], unique=False)
    op.create_index(op.f("ix_certify_items_owner_id"), "certify_items", ["owner_id"], unique=False)
    op.create_table(
        "certify_grants",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("recipient_kind", sa.String(length=16), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False),
        sa.Column("recipient_name", sa.String(length=256), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("code_digest", sa.String(length=64), nullable=False),
        sa.Column("given_at", moment(), nullable=False),
        sa.Column("expires_at", moment(), nullable=False),
        sa.Column("revoked_at", moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["item_id"], ["certify_items.id"], name=op.f("fk_certify_grants_item_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_grants")),
        sa.UniqueConstraint("code_digest", name=op.f("uq_certify_grants_code_digest")),
    )
    op.create_index(op.f("ix_certify_grants_item_id"), "certify_grants", ["item_id"], unique=False)
    op.create_index(
        op.f("ix_certify_grants_recipient"), "certify_grants", ["recipient"], unique=False
    )
    op.create_table(
        "certify_accesses",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("grant_id", sa.String(length=32), nullable=True),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("dossier_code", sa.String(length=64), nullable=True),
        sa.Column("at", moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["certify_grants.id"], name=op.f("fk_certify_accesses_grant_id")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["certify_items.id"], name=op.f("fk_certify_accesses_item_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_accesses")),
    )
    op.create_index(
        op.f("ix_certify_accesses_item_id"), "certify_accesses", ["item_id"], unique=False
    )
    for table in (
        "certify_accesses",
        "certify_cancellations",
        "certify_capture_pages",
        "certify_comparisons",
        "certify_payments",
        "certify_register_locks",
    ):
        forbid_changes(table)
