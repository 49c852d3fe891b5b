"""Payments by bank, delivery, those who fetched, stacks, the keys of QR codes.

Revision ID: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """In the order of their references; then the services' CA may certify keys of QR codes."""
    op.create_table(
        "certify_code_keys",
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("serial", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_certify_code_keys")),
    )
    op.create_index("ix_certify_code_keys_unit", "certify_code_keys", ["unit"])
    _let_services_certify_codes()


def _let_services_certify_codes() -> None:
    """A hierarchy made before this profile existed: whoever certifies services may do this too."""
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    issuers = sa.table("ca_issuers", sa.column("name", sa.Text()), sa.column("profiles", json))
    connection = op.get_bind()
    for name, profiles in connection.execute(sa.select(issuers.c.name, issuers.c.profiles)).all():
        if "audit" in profiles and "copy-code" not in profiles:
            connection.execute(
                sa.update(issuers)
                .where(issuers.c.name == name)
                .values(profiles=[*profiles, "copy-code"])
            )


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("certify_code_keys")
