"""Remote signing (CSC): redirect addresses, consent requests, tokens, one-time codes, operations.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from records.database import Json, UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The tables of api/csc/models.py."""
    op.create_table(
        "csc_redirects",
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("uri", sa.String(500), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["api_clients.client_id"], name=op.f("fk_csc_redirects_client_id")
        ),
        sa.PrimaryKeyConstraint("client_id", "uri", name=op.f("pk_csc_redirects")),
    )
    op.create_table(
        "csc_requests",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("asked", Json(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("holder_id", sa.String(64), nullable=True),
        sa.Column("authorization_id", sa.String(64), nullable=True),
        sa.Column("code_hash", sa.LargeBinary(32), nullable=True),
        sa.Column("code_expires_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_csc_requests")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_csc_requests_code_hash")),
    )
    op.create_index("ix_csc_requests_expires_at", "csc_requests", ["expires_at"])
    op.create_table(
        "csc_tokens",
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("grant_id", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("holder_id", sa.String(64), nullable=True),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("credential_id", sa.String(64), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_csc_tokens")),
    )
    op.create_index("ix_csc_tokens_grant_id", "csc_tokens", ["grant_id"])
    op.create_index("ix_csc_tokens_expires_at", "csc_tokens", ["expires_at"])
    op.create_table(
        "csc_one_time_codes",
        sa.Column("credential_id", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("credential_id", "client_id", name=op.f("pk_csc_one_time_codes")),
    )
    op.create_index("ix_csc_one_time_codes_expires_at", "csc_one_time_codes", ["expires_at"])
    op.create_table(
        "csc_operations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("binding", sa.String(160), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answer", Json(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_csc_operations")),
    )
    op.create_index("ix_csc_operations_expires_at", "csc_operations", ["expires_at"])


def downgrade() -> None:
    """Drop them again."""
    for table in (
        "csc_operations",
        "csc_one_time_codes",
        "csc_tokens",
        "csc_requests",
        "csc_redirects",
    ):
        op.drop_table(table)
