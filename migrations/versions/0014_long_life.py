"""Archive renewals, evidence records, trusted lists.

Revision ID: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from records.database import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TABLES: tuple[str, ...] = ("signer_archived_documents", "signer_archive_trees")


def upgrade() -> None:
    """In the order of their references."""
    op.create_table(
        "signer_archive_trees",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("leaves", sa.Text(), nullable=False),
        sa.Column("companion", sa.Text(), nullable=True),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("stamped_at", UtcDateTime(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("renewed_by", sa.Text(), nullable=True),
        sa.Column("renewed_at", sa.Integer(), nullable=True),
        sa.Column("superseded_by", sa.Text(), nullable=True),
        sa.Column("closing_token", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["renewed_by"],
            ["signer_archive_trees.id"],
            name=op.f("fk_signer_archive_trees_renewed_by"),
        ),
        sa.ForeignKeyConstraint(
            ["superseded_by"],
            ["signer_archive_trees.id"],
            name=op.f("fk_signer_archive_trees_superseded_by"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_archive_trees")),
    )
    op.create_index("ix_signer_archive_trees_kind", "signer_archive_trees", ["kind"])
    op.create_table(
        "signer_archived_documents",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tree_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tree_id"],
            ["signer_archive_trees.id"],
            name=op.f("fk_signer_archived_documents_tree_id"),
        ),
        sa.PrimaryKeyConstraint("digest", "generation", name=op.f("pk_signer_archived_documents")),
    )
    op.create_index(
        "ix_signer_archived_documents_tree_id", "signer_archived_documents", ["tree_id"]
    )


def downgrade() -> None:
    """Drop them again."""
    for table in _TABLES:
        op.drop_table(table)
