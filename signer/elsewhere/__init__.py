"""Signatures prepared here and made with a key elsewhere."""
