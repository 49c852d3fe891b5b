"""Whom a verdict believes: anchors, paths, revocation, trusted lists, what may be fetched."""
