"""The certificate authority: issuers, service keys, certificates, intentions, requests, ceremonies.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.append_only import forbid_changes
from records.database import Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables of `ca.models`; a ceremony's record is never changed afterwards."""
    op.create_table(
        "ca_ceremonies",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("plan_name", sa.String(length=200), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("signed_by", sa.String(length=64), nullable=False),
        sa.Column("held_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ca_ceremonies")),
    )
    op.create_table(
        "ca_issuers",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("parent", sa.String(length=64), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("profiles", Json(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("subject_key", sa.LargeBinary(length=20), nullable=False),
        sa.Column("key_id", sa.LargeBinary(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ca_issuers")),
    )
    op.create_table(
        "ca_requests",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("profile", sa.String(length=32), nullable=False),
        sa.Column("subject", Json(), nullable=False),
        sa.Column("spki", sa.LargeBinary(), nullable=False),
        sa.Column("csr", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("requested_at", _TIME, nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("decided_at", _TIME, nullable=True),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("serial", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ca_requests")),
    )
    op.create_index(op.f("ix_ca_requests_state"), "ca_requests", ["state"], unique=False)
    op.create_table(
        "ca_certificates",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("not_before", _TIME, nullable=False),
        sa.Column("not_after", _TIME, nullable=False),
        sa.Column("spki_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("issued_at", _TIME, nullable=False),
        sa.Column("issued_by", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("invalidity_date", _TIME, nullable=True),
        sa.Column("status_changed_at", _TIME, nullable=True),
        sa.Column("crl_shard", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["issuer"], ["ca_issuers.name"], name=op.f("fk_ca_certificates_issuer")
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_ca_certificates")),
    )
    op.create_index("ca_certificates_by_expiry", "ca_certificates", ["not_after"], unique=False)
    op.create_index(
        "ca_certificates_by_status", "ca_certificates", ["issuer", "status"], unique=False
    )
    op.create_index(
        op.f("ix_ca_certificates_spki_sha256"), "ca_certificates", ["spki_sha256"], unique=False
    )
    op.create_table(
        "ca_intentions",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.String(length=32), nullable=False),
        sa.Column("tbs_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("spki_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("made_by", sa.String(length=200), nullable=False),
        sa.Column("resolved_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["issuer"], ["ca_issuers.name"], name=op.f("fk_ca_intentions_issuer")
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_ca_intentions")),
    )
    op.create_index("ca_intentions_by_state", "ca_intentions", ["state"], unique=False)
    op.create_index("ca_intentions_newest", "ca_intentions", ["issuer", "made_at"], unique=False)
    op.create_index(
        op.f("ix_ca_intentions_spki_sha256"), "ca_intentions", ["spki_sha256"], unique=False
    )
    op.create_table(
        "ca_service_keys",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.String(length=32), nullable=False),
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer"], ["ca_issuers.name"], name=op.f("fk_ca_service_keys_issuer")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ca_service_keys")),
    )
    op.create_index(
        op.f("ix_ca_service_keys_profile"), "ca_service_keys", ["profile"], unique=False
    )
    _status_tables()
    forbid_changes("ca_ceremonies")
    forbid_changes("ca_status_changes")


def _status_tables() -> None:
    """Create the tables of `status_models`; a status change is never changed afterwards."""
    op.create_table(
        "ca_crl_shards",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", name=op.f("pk_ca_crl_shards")),
    )
    op.create_table(
        "ca_crls",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("base", sa.BigInteger(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("this_update", _TIME, nullable=False),
        sa.Column("next_update", _TIME, nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("tbs_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("issuer", "number", "scope", name=op.f("pk_ca_crls")),
    )
    op.create_index(
        "ca_crls_newest", "ca_crls", ["issuer", "scope", "state", "number"], unique=False
    )
    op.create_table(
        "ca_ocsp_answers",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("cert_id", sa.LargeBinary(length=256), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("this_update", _TIME, nullable=False),
        sa.Column("next_update", _TIME, nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "cert_id", name=op.f("pk_ca_ocsp_answers")),
    )
    op.create_index(
        "ca_ocsp_answers_by_serial", "ca_ocsp_answers", ["issuer", "serial"], unique=False
    )
    op.create_index(
        op.f("ix_ca_ocsp_answers_next_update"), "ca_ocsp_answers", ["next_update"], unique=False
    )
    op.create_table(
        "ca_status_changes",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "sequence", name=op.f("pk_ca_status_changes")),
    )
    op.create_index(
        "ca_status_changes_by_serial", "ca_status_changes", ["issuer", "serial"], unique=False
    )
    op.create_table(
        "ca_status_counters",
        sa.Column("issuer", sa.String(length=64), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_crl_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issuer", name=op.f("pk_ca_status_counters")),
    )
    op.create_table(
        "ca_time_stamps",
        sa.Column("tsa", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("algorithm", sa.String(length=8), nullable=False),
        sa.Column("imprint", sa.LargeBinary(length=64), nullable=False),
        sa.Column("gen_time", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("tsa", "serial", name=op.f("pk_ca_time_stamps")),
    )
    op.create_index("ca_time_stamps_by_imprint", "ca_time_stamps", ["imprint"], unique=False)
