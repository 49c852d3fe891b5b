"""Bulk enrolment, identity checks, life cycle, notices.

Revision ID: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from records.database import Json, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = (
    "api_notices",
    "signer_rekey_requests",
    "signer_handovers",
    "signer_successions",
    "signer_enrolment_lines",
    "signer_enrolment_lists",
    "ca_identity_checks",
)


def upgrade() -> None:
    """In the order of their references."""
    _identity()
    _lists()
    _life_cycle()
    _notices()


def downgrade() -> None:
    """Drop them again."""
    for table in _TABLES:
        op.drop_table(table)


def _identity() -> None:
    op.create_table(
        "ca_identity_checks",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("asked", sa.String(100), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("differs", Json(), nullable=False),
        sa.Column("reference", sa.String(100), nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=False),
        sa.Column("checked_by", sa.String(200), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"], ["ca_requests.id"], name=op.f("fk_ca_identity_checks_request_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ca_identity_checks")),
    )
    op.create_index("ix_ca_identity_checks_request_id", "ca_identity_checks", ["request_id"])


def _lists() -> None:
    op.create_table(
        "signer_enrolment_lists",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("started_by", sa.Text(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("handout_public", sa.LargeBinary(), nullable=True),
        sa.Column("handout_private", sa.LargeBinary(), nullable=True),
        sa.Column("handout_closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_enrolment_lists")),
    )
    op.create_table(
        "signer_enrolment_lines",
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder_id", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("subject", Json(), nullable=True),
        sa.Column("born", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("problems", Json(), nullable=True),
        sa.Column("identity", sa.Text(), nullable=True),
        sa.Column("claim", sa.Text(), nullable=True),
        sa.Column("credential_id", sa.Text(), nullable=True),
        sa.Column("sealed_code", sa.LargeBinary(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["list_id"],
            ["signer_enrolment_lists.id"],
            name=op.f("fk_signer_enrolment_lines_list_id"),
        ),
        sa.PrimaryKeyConstraint("list_id", "number", name=op.f("pk_signer_enrolment_lines")),
        sa.UniqueConstraint("claim", name=op.f("uq_signer_enrolment_lines_claim")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_signer_enrolment_lines_credential_id")),
    )
    op.create_index(
        "ix_signer_enrolment_lines_list_id_state_number",
        "signer_enrolment_lines",
        ["list_id", "state", "number"],
    )


def _life_cycle() -> None:
    op.create_table(
        "signer_successions",
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("former_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_successions_credential_id"),
        ),
        sa.ForeignKeyConstraint(
            ["former_id"], ["signer_credentials.id"], name=op.f("fk_signer_successions_former_id")
        ),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_signer_successions")),
        sa.UniqueConstraint("former_id", name=op.f("uq_signer_successions_former_id")),
    )
    op.create_table(
        "signer_handovers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("received_by", sa.Text(), nullable=False),
        sa.Column("permission_number", sa.Text(), nullable=False),
        sa.Column("permission_date", sa.Date(), nullable=False),
        sa.Column("permission_signer", sa.Text(), nullable=False),
        sa.Column("permission_document", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_handovers_credential_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_handovers")),
    )
    op.create_index("ix_signer_handovers_credential_id", "signer_handovers", ["credential_id"])
    op.create_table(
        "signer_rekey_requests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("successor_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_rekey_requests_credential_id"),
        ),
        sa.ForeignKeyConstraint(
            ["successor_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_rekey_requests_successor_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_rekey_requests")),
    )
    op.create_index(
        "ix_signer_rekey_requests_credential_id", "signer_rekey_requests", ["credential_id"]
    )


def _notices() -> None:
    op.create_table(
        "api_notices",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", Json(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_notices")),
        sa.UniqueConstraint("key", name=op.f("uq_api_notices_key")),
    )
    op.create_index("ix_api_notices_delivered_at_due_at", "api_notices", ["delivered_at", "due_at"])
