"""Certified copies: intake, comparison, statement, register, store, verification."""
