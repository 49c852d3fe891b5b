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
    json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
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
    op.create_table(
        "certify_bank_orders",
        sa.Column("reference", sa.String(16), nullable=False),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(32), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["certify_cases.id"], name=op.f("fk_certify_bank_orders_case_id")
        ),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_certify_bank_orders")),
    )
    op.create_index("ix_certify_bank_orders_case_id", "certify_bank_orders", ["case_id"])
    op.create_table(
        "certify_bank_notices",
        sa.Column("transaction_id", sa.String(64), nullable=False),
        sa.Column("account", sa.String(32), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reference", sa.String(16), nullable=True),
        sa.Column("outcome", sa.String(48), nullable=False),
        sa.Column("payment_id", sa.String(32), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.String(128), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_certify_bank_notices")),
    )
    op.create_index("ix_certify_bank_notices_outcome", "certify_bank_notices", ["outcome"])
    op.create_table(
        "certify_deliveries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(160), nullable=False),
        sa.Column("way", sa.String(24), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("copy_id", sa.String(32), nullable=True),
        sa.Column("payload", json, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["copy_id"], ["certify_copies.id"], name=op.f("fk_certify_deliveries_copy_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_deliveries")),
        sa.UniqueConstraint("key", name=op.f("uq_certify_deliveries_key")),
    )
    op.create_index(
        "ix_certify_deliveries_delivered_at_due_at",
        "certify_deliveries",
        ["delivered_at", "due_at"],
    )
    op.create_index("ix_certify_deliveries_copy_id", "certify_deliveries", ["copy_id"])
    op.create_table(
        "certify_reuses",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("grant_id", sa.String(32), nullable=False),
        sa.Column("item_id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("dossier_code", sa.String(64), nullable=False),
        sa.Column("unit", sa.String(16), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["certify_grants.id"], name=op.f("fk_certify_reuses_grant_id")
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["certify_items.id"], name=op.f("fk_certify_reuses_item_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_reuses")),
        sa.UniqueConstraint(
            "grant_id", "dossier_code", name=op.f("uq_certify_reuses_grant_id_dossier_code")
        ),
    )
    op.create_index("ix_certify_reuses_unit", "certify_reuses", ["unit"])
    op.create_index("ix_certify_reuses_grant_id", "certify_reuses", ["grant_id"])
    op.create_index("ix_certify_reuses_dossier_code", "certify_reuses", ["dossier_code"])
    op.create_table(
        "certify_stacks",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("list_digest", sa.String(64), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("waiver", sa.Text(), nullable=True),
        sa.Column("person_id", sa.String(64), nullable=True),
        sa.Column("seal_id", sa.String(64), nullable=True),
        sa.Column("authorizations", json, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(128), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certify_stacks")),
    )
    op.create_index("ix_certify_stacks_state", "certify_stacks", ["state"])
    op.create_index("ix_certify_stacks_unit", "certify_stacks", ["unit"])
    op.create_table(
        "certify_stack_lines",
        sa.Column("stack_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("said", json, nullable=False),
        sa.Column("scans", json, nullable=False),
        sa.Column("case_id", sa.String(32), nullable=True),
        sa.Column("entry_id", sa.String(32), nullable=True),
        sa.Column("prepared", json, nullable=True),
        sa.Column("number", sa.String(16), nullable=True),
        sa.Column("code", sa.String(32), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["stack_id"], ["certify_stacks.id"], name=op.f("fk_certify_stack_lines_stack_id")
        ),
        sa.PrimaryKeyConstraint("stack_id", "position", name=op.f("pk_certify_stack_lines")),
    )
    op.create_index(
        "ix_certify_stack_lines_stack_id_state", "certify_stack_lines", ["stack_id", "state"]
    )
    op.create_table(
        "api_webhooks",
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["api_clients.client_id"], name=op.f("fk_api_webhooks_client_id")
        ),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_api_webhooks")),
    )
    op.add_column("certify_payments", sa.Column("receipt", sa.String(24), nullable=True))
    op.add_column("certify_items", sa.Column("unit", sa.String(16), nullable=True))
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
    op.drop_column("certify_items", "unit")
    op.drop_column("certify_payments", "receipt")
    for table in (
        "api_webhooks",
        "certify_stack_lines",
        "certify_stacks",
        "certify_reuses",
        "certify_deliveries",
        "certify_bank_notices",
        "certify_bank_orders",
        "certify_code_keys",
    ):
        op.drop_table(table)
