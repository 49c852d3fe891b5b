"""Batches: many documents under one authorisation, each with its own outcome.

Revision ID: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The jobs, then their documents."""
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "signer_batches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("request", json, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("authorization_id", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_batches_credential_id"),
        ),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["signer_authorizations.id"],
            name=op.f("fk_signer_batches_authorization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_batches")),
    )
    op.create_index("ix_signer_batches_state", "signer_batches", ["state"])
    op.create_index("ix_signer_batches_client", "signer_batches", ["client"])
    op.create_table(
        "signer_batch_items",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("pack_offset", sa.BigInteger(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("authorized", sa.Integer(), nullable=True),
        sa.Column("signature_id", sa.Text(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("result_pack", sa.Text(), nullable=True),
        sa.Column("result_offset", sa.BigInteger(), nullable=True),
        sa.Column("result_size", sa.BigInteger(), nullable=True),
        sa.Column("failure", json, nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["signer_batches.id"], name=op.f("fk_signer_batch_items_batch_id")
        ),
        sa.PrimaryKeyConstraint("batch_id", "position", name=op.f("pk_signer_batch_items")),
        sa.UniqueConstraint(
            "batch_id", "digest", name=op.f("uq_signer_batch_items_batch_id_digest")
        ),
    )
    op.create_index(
        "ix_signer_batch_items_batch_id_state", "signer_batch_items", ["batch_id", "state"]
    )
    op.create_index(
        "ix_signer_batch_items_state_lease_until", "signer_batch_items", ["state", "lease_until"]
    )


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("signer_batch_items")
    op.drop_table("signer_batches")
