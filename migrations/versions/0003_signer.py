"""Credentials and their images, mandates, authorisations and their digests, signatures.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The signing room's tables, in the order of their references."""
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "signer_credentials",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("holder_id", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=True),
        sa.Column("chain", json, nullable=False),
        sa.Column("serial", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("wrong_pins", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_credentials")),
        sa.UniqueConstraint("serial", name=op.f("uq_signer_credentials_serial")),
    )
    op.create_index("ix_signer_credentials_holder_id", "signer_credentials", ["holder_id"])
    op.create_table(
        "signer_images",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uploaded_by", sa.Text(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_images_credential_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_images")),
    )
    op.create_index("ix_signer_images_credential_id", "signer_images", ["credential_id"])
    op.create_table(
        "signer_mandates",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_mandates_credential_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_mandates")),
    )
    op.create_index("ix_signer_mandates_credential_id", "signer_mandates", ["credential_id"])
    op.create_table(
        "signer_authorizations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("mandate_id", sa.Text(), nullable=True),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_authorizations_credential_id"),
        ),
        sa.ForeignKeyConstraint(
            ["mandate_id"], ["signer_mandates.id"], name=op.f("fk_signer_authorizations_mandate_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_authorizations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_signer_authorizations_token_hash")),
    )
    op.create_index(
        "ix_signer_authorizations_credential_id", "signer_authorizations", ["credential_id"]
    )
    op.create_index("ix_signer_authorizations_expires_at", "signer_authorizations", ["expires_at"])
    op.create_table(
        "signer_authorized_digests",
        sa.Column("authorization_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["signer_authorizations.id"],
            name=op.f("fk_signer_authorized_digests_authorization_id"),
        ),
        sa.PrimaryKeyConstraint(
            "authorization_id", "position", name=op.f("pk_signer_authorized_digests")
        ),
    )
    op.create_index(
        "ix_signer_authorized_digests_authorization_id_digest",
        "signer_authorized_digests",
        ["authorization_id", "digest"],
    )
    op.create_table(
        "signer_signatures",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("authorization_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("details", json, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("intended_by", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["signer_authorizations.id"],
            name=op.f("fk_signer_signatures_authorization_id"),
        ),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_signatures_credential_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_signatures")),
    )
    op.create_index("ix_signer_signatures_document", "signer_signatures", ["document"])
    op.create_index("ix_signer_signatures_result", "signer_signatures", ["result"])
    op.create_index("ix_signer_signatures_state", "signer_signatures", ["state"])
