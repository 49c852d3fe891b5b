"""Payments by bank, delivery, those who fetched, stacks.

Revision ID: 0012
"""

from __future__ import annotations

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    """In the order of their references."""


def downgrade() -> None:
    """Drop them again."""
