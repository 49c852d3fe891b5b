"""Who keeps an agency's seal.

Revision ID: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_NEWEST_HANDOVER = """
UPDATE signer_credentials SET keeper = (
    SELECT received_by FROM signer_handovers
    WHERE signer_handovers.credential_id = signer_credentials.id
    ORDER BY signer_handovers.at DESC, signer_handovers.id DESC LIMIT 1
) WHERE kind = 'agency'
"""


def upgrade() -> None:
    """Seals that were handed over are with whoever received them last; of others nobody knows."""
    op.add_column("signer_credentials", sa.Column("keeper", sa.Text(), nullable=True))
    op.create_index("ix_signer_credentials_keeper", "signer_credentials", ["keeper"])
    op.add_column("signer_enrolment_lines", sa.Column("keeper", sa.Text(), nullable=True))
    op.execute(_NEWEST_HANDOVER)


def downgrade() -> None:
    """Drop them again."""
    op.drop_column("signer_enrolment_lines", "keeper")
    op.drop_index("ix_signer_credentials_keeper", "signer_credentials")
    op.drop_column("signer_credentials", "keeper")
