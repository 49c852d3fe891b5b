"""People at the screens: accounts, passkeys, sessions.

Revision ID: 0010
"""

from __future__ import annotations

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    """In the order of their references."""


def downgrade() -> None:
    """Drop them again."""
