"""Registration: slips and identity checks.

Revision ID: 0016
"""

from __future__ import annotations

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    """In the order of their references."""


def downgrade() -> None:
    """Drop them again."""
