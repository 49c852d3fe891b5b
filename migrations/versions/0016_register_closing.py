"""The signed page that closes a register's year.

Revision ID: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row for each unit, register and year."""
    json = sa.JSON(none_as_null=True).with_variant(
        postgresql.JSONB(none_as_null=True), "postgresql"
    )
    op.create_table(
        "certify_register_closings",
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("register", sa.String(length=32), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("frozen", json, nullable=False),
        sa.Column("lines_digest", sa.String(length=64), nullable=False),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("intended_by", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("evidence", json, nullable=True),
        sa.PrimaryKeyConstraint(
            "unit", "register", "year", name=op.f("pk_certify_register_closings")
        ),
    )


def downgrade() -> None:
    """Drop it again."""
    op.drop_table("certify_register_closings")
