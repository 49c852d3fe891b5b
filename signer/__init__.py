"""Signatures on documents: credentials, activation, PDF signing, validation."""
