"""Archived validation reports.

Revision ID: 0013
"""

from __future__ import annotations

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    """In the order of their references."""


def downgrade() -> None:
    """Drop them again."""
