"""Archived validation reports.

Revision ID: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row a report that a client asked to be kept; the report and its PDF are blobs."""
    op.create_table(
        "validation_reports",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("document", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("policy", sa.String(64), nullable=False),
        sa.Column("indication", sa.String(32), nullable=False),
        sa.Column("report", sa.String(64), nullable=False),
        sa.Column("paper", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_validation_reports")),
    )
    op.create_index("ix_validation_reports_client_id", "validation_reports", ["client_id"])
    op.create_index("ix_validation_reports_document", "validation_reports", ["document"])


def downgrade() -> None:
    """Drop them again."""
    op.drop_index("ix_validation_reports_document", "validation_reports")
    op.drop_index("ix_validation_reports_client_id", "validation_reports")
    op.drop_table("validation_reports")
