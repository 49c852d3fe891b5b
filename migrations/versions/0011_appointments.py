"""Visits, appointments, page findings, text layers, refusals and copies of digital documents.

Revision ID: 0011
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLES: tuple[str, ...] = (
    "certify_visits",
    "certify_visit_cases",
    "certify_appointments",
    "certify_page_findings",
    "certify_text_layers",
    "certify_refusals",
    "certify_digital_copies",
)


def moment() -> sa.DateTime:
    """An aware time."""
    return sa.DateTime(timezone=True)


def json() -> sa.JSON[Any]:
    """JSON on SQLite, JSONB on PostgreSQL."""
    return sa.JSON(none_as_null=True).with_variant(
        postgresql.JSONB(none_as_null=True), "postgresql"
    )


def upgrade() -> None:
    """In the order of their references; one seat and one visit have one booked appointment."""
    op.create_table(
        "certify_visits",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=24), nullable=False),
        sa.Column("dossier_code", sa.String(length=64), nullable=True),
        sa.Column("requester_id", sa.String(length=64), nullable=False),
        sa.Column("requester", json(), nullable=False),
        sa.Column("opened_at", moment(), nullable=False),
        sa.Column("opened_by", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_visits")),
        sa.UniqueConstraint("code", name=op.f("uq_certify_visits_code")),
    )
    op.create_index(
        op.f("ix_certify_visits_dossier_code"), "certify_visits", ["dossier_code"], unique=False
    )
    op.create_index(
        op.f("ix_certify_visits_opened_at"), "certify_visits", ["opened_at"], unique=False
    )
    op.create_index(
        op.f("ix_certify_visits_requester_id"), "certify_visits", ["requester_id"], unique=False
    )
    op.create_index(op.f("ix_certify_visits_unit"), "certify_visits", ["unit"], unique=False)
    op.create_table(
        "certify_visit_cases",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("visit_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["visit_id"],
            ["certify_visits.id"],
            name=op.f("fk_certify_visit_cases_visit_id"),
        ),
        sa.ForeignKeyConstraint(
            ["case_id"],
            ["certify_cases.id"],
            name=op.f("fk_certify_visit_cases_case_id"),
        ),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_certify_visit_cases")),
    )
    op.create_index(
        op.f("ix_certify_visit_cases_visit_id"), "certify_visit_cases", ["visit_id"], unique=False
    )
    op.create_table(
        "certify_appointments",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("visit_id", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("starts_at", moment(), nullable=False),
        sa.Column("ends_at", moment(), nullable=False),
        sa.Column("seat", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("booked_at", moment(), nullable=False),
        sa.Column("booked_by", sa.String(length=128), nullable=False),
        sa.Column("ended_at", moment(), nullable=True),
        sa.Column("ended_by", sa.String(length=128), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["visit_id"],
            ["certify_visits.id"],
            name=op.f("fk_certify_appointments_visit_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_appointments")),
    )
    op.create_index(
        op.f("ix_certify_appointments_starts_at"),
        "certify_appointments",
        ["starts_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_certify_appointments_state"), "certify_appointments", ["state"], unique=False
    )
    op.create_index(
        op.f("ix_certify_appointments_visit_id"), "certify_appointments", ["visit_id"], unique=False
    )
    op.create_index(
        "uq_certify_appointments_seat",
        "certify_appointments",
        ["unit", "starts_at", "seat"],
        unique=True,
        sqlite_where=sa.text("state = 'booked'"),
        postgresql_where=sa.text("state = 'booked'"),
    )
    op.create_index(
        "uq_certify_appointments_visit",
        "certify_appointments",
        ["visit_id"],
        unique=True,
        sqlite_where=sa.text("state = 'booked'"),
        postgresql_where=sa.text("state = 'booked'"),
    )
    op.create_table(
        "certify_page_findings",
        sa.Column("capture_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("matches", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("found_at", moment(), nullable=False),
        sa.Column("found_by", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["capture_id"],
            ["certify_captures.id"],
            name=op.f("fk_certify_page_findings_capture_id"),
        ),
        sa.PrimaryKeyConstraint("capture_id", "number", name=op.f("pk_certify_page_findings")),
    )
    op.create_table(
        "certify_text_layers",
        sa.Column("capture_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=False),
        sa.Column("made_at", moment(), nullable=False),
        sa.Column("made_by", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["capture_id"],
            ["certify_captures.id"],
            name=op.f("fk_certify_text_layers_capture_id"),
        ),
        sa.PrimaryKeyConstraint("capture_id", "number", name=op.f("pk_certify_text_layers")),
    )
    op.create_table(
        "certify_refusals",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("frozen", json(), nullable=False),
        sa.Column("intended_at", moment(), nullable=False),
        sa.Column("intended_by", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("item_id", sa.String(length=32), nullable=True),
        sa.Column("made_at", moment(), nullable=True),
        sa.Column("evidence", json(), nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"],
            ["certify_cases.id"],
            name=op.f("fk_certify_refusals_case_id"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id"],
            ["certify_items.id"],
            name=op.f("fk_certify_refusals_item_id"),
        ),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_certify_refusals")),
        sa.UniqueConstraint("code", name=op.f("uq_certify_refusals_code")),
    )
    op.create_index(
        op.f("ix_certify_refusals_owner_id"), "certify_refusals", ["owner_id"], unique=False
    )
    op.create_index(op.f("ix_certify_refusals_unit"), "certify_refusals", ["unit"], unique=False)
    op.create_table(
        "certify_digital_copies",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("form", sa.String(length=16), nullable=False),
        sa.Column("title", sa.String(length=512), nullable=False),
        sa.Column("owner_id", sa.String(length=64), nullable=True),
        sa.Column("source_digest", sa.String(length=64), nullable=False),
        sa.Column("report_digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("frozen", json(), nullable=False),
        sa.Column("intended_at", moment(), nullable=False),
        sa.Column("intended_by", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("item_id", sa.String(length=32), nullable=True),
        sa.Column("ended_at", moment(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("evidence", json(), nullable=True),
        sa.ForeignKeyConstraint(
            ["item_id"],
            ["certify_items.id"],
            name=op.f("fk_certify_digital_copies_item_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_digital_copies")),
    )
    op.create_index(
        op.f("ix_certify_digital_copies_digest"), "certify_digital_copies", ["digest"], unique=False
    )
    op.create_index(
        op.f("ix_certify_digital_copies_owner_id"),
        "certify_digital_copies",
        ["owner_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_certify_digital_copies_source_digest"),
        "certify_digital_copies",
        ["source_digest"],
        unique=False,
    )
    op.create_index(
        op.f("ix_certify_digital_copies_unit"), "certify_digital_copies", ["unit"], unique=False
    )


def downgrade() -> None:
    """Drop them again."""
    for table in reversed(_TABLES):
        op.drop_table(table)
