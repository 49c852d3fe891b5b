"""Alembic runs this for every upgrade; the connection and its transaction are the caller's."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
