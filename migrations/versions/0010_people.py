"""People at the screens: accounts, passkeys, sessions.

Revision ID: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from records.database import Json, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TABLES = (
    "signer_passkey_uses",
    "signer_passkeys",
    "api_sign_in_attempts",
    "api_passkeys",
    "api_sign_in_links",
    "api_sessions",
    "api_accounts",
)


def upgrade() -> None:
    """In the order of their references."""
    _accounts()
    _sign_in()
    _signing()


def downgrade() -> None:
    """Drop them again."""
    for table in _TABLES:
        op.drop_table(table)


def _accounts() -> None:
    op.create_table(
        "api_accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("holder_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("roles", Json(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("disabled_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_accounts")),
        sa.UniqueConstraint("holder_id", "kind", name=op.f("uq_api_accounts_holder_id_kind")),
    )
    op.create_table(
        "api_sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["api_accounts.id"], name=op.f("fk_api_sessions_account_id")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_api_sessions")),
    )
    op.create_index("ix_api_sessions_account_id", "api_sessions", ["account_id"])
    op.create_index("ix_api_sessions_expires_at", "api_sessions", ["expires_at"])


def _sign_in() -> None:
    op.create_table(
        "api_sign_in_links",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["api_accounts.id"], name=op.f("fk_api_sign_in_links_account_id")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_api_sign_in_links")),
    )
    op.create_index("ix_api_sign_in_links_account_id", "api_sign_in_links", ["account_id"])
    op.create_table(
        "api_passkeys",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prf", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["api_accounts.id"], name=op.f("fk_api_passkeys_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_passkeys")),
    )
    op.create_index("ix_api_passkeys_account_id", "api_passkeys", ["account_id"])
    op.create_table(
        "api_sign_in_attempts",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("facts", Json(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["api_accounts.id"], name=op.f("fk_api_sign_in_attempts_account_id")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_api_sign_in_attempts")),
    )
    op.create_index("ix_api_sign_in_attempts_expires_at", "api_sign_in_attempts", ["expires_at"])


def _signing() -> None:
    op.create_table(
        "signer_passkeys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("passkey", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_passkeys_credential_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_passkeys")),
        sa.UniqueConstraint(
            "credential_id", "passkey", name=op.f("uq_signer_passkeys_credential_id_passkey")
        ),
    )
    op.create_table(
        "signer_passkey_uses",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("passkey_id", sa.Text(), nullable=True),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("authorization_id", sa.Text(), nullable=True),
        sa.Column("client_data", sa.LargeBinary(), nullable=True),
        sa.Column("authenticator_data", sa.LargeBinary(), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["signer_credentials.id"],
            name=op.f("fk_signer_passkey_uses_credential_id"),
        ),
        sa.ForeignKeyConstraint(
            ["passkey_id"], ["signer_passkeys.id"], name=op.f("fk_signer_passkey_uses_passkey_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signer_passkey_uses")),
    )
    op.create_index("ix_signer_passkey_uses_expires_at", "signer_passkey_uses", ["expires_at"])
