"""Documents on their way through the steps of signing.

Revision ID: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TABLES: tuple[str, ...] = (
    "signer_outgoing_numbers",
    "signer_outgoing_counters",
    "signer_routed_events",
    "signer_route_steps",
    "signer_routed_documents",
    "signer_step_routes",
    "signer_delegations",
)


def upgrade() -> None:
    """In the order of their references."""
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "signer_delegations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("holder_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("authority_lines", json, nullable=False),
        sa.Column("kinds", json, nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_delegations")),
    )
    op.create_index(
        "ix_signer_delegations_unit_holder_id", "signer_delegations", ["unit", "holder_id"]
    )
    op.create_table(
        "signer_step_routes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("steps", json, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_step_routes")),
    )
    op.create_index("ix_signer_step_routes_unit", "signer_step_routes", ["unit"])
    op.create_table(
        "signer_routed_documents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("drafter", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("original", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("number_day", sa.Date(), nullable=True),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_for", json, nullable=True),
        sa.Column("claimed_credential", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_routed_documents")),
    )
    op.create_index(
        "ix_signer_routed_documents_claimed_until", "signer_routed_documents", ["claimed_until"]
    )
    op.create_index(
        "ix_signer_routed_documents_client_created_at",
        "signer_routed_documents",
        ["client", "created_at"],
    )
    op.create_index("ix_signer_routed_documents_drafter", "signer_routed_documents", ["drafter"])
    op.create_index(
        "ix_signer_routed_documents_unit_created_at",
        "signer_routed_documents",
        ["unit", "created_at"],
    )
    op.create_table(
        "signer_route_steps",
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("holder_id", sa.Text(), nullable=True),
        sa.Column("holder_name", sa.Text(), nullable=True),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("look", json, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("done_for", sa.Text(), nullable=True),
        sa.Column("done_name", sa.Text(), nullable=True),
        sa.Column("shown", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("credential_id", sa.Text(), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("authority_lines", json, nullable=True),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["signer_routed_documents.id"],
            name=op.f("fk_signer_route_steps_document_id"),
        ),
        sa.PrimaryKeyConstraint("document_id", "position", name=op.f("pk_signer_route_steps")),
    )
    op.create_index("ix_signer_route_steps_state_due_at", "signer_route_steps", ["state", "due_at"])
    op.create_index(
        "ix_signer_route_steps_state_holder_id", "signer_route_steps", ["state", "holder_id"]
    )
    op.create_index(
        "ix_signer_route_steps_state_unit_role", "signer_route_steps", ["state", "unit", "role"]
    )
    op.create_table(
        "signer_routed_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("untold", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["signer_routed_documents.id"],
            name=op.f("fk_signer_routed_events_document_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_routed_events")),
    )
    op.create_index("ix_signer_routed_events_document_id", "signer_routed_events", ["document_id"])
    op.create_index("ix_signer_routed_events_untold", "signer_routed_events", ["untold"])
    op.create_table(
        "signer_outgoing_counters",
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "series", "year", name=op.f("pk_signer_outgoing_counters")),
    )
    op.create_table(
        "signer_outgoing_numbers",
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["signer_routed_documents.id"],
            name=op.f("fk_signer_outgoing_numbers_document_id"),
        ),
        sa.PrimaryKeyConstraint(
            "unit", "series", "year", "number", name=op.f("pk_signer_outgoing_numbers")
        ),
    )
    op.create_index(
        "ix_signer_outgoing_numbers_document_id", "signer_outgoing_numbers", ["document_id"]
    )


def downgrade() -> None:
    """Drop them again."""
    for table in _TABLES:
        op.drop_table(table)
