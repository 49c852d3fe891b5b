"""Signatures prepared here and completed elsewhere.

Revision ID: 0015
"""

from __future__ import annotations

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    """In the order of their references."""


def downgrade() -> None:
    """Drop them again."""
