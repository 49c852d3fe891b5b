"""A document's way through the steps of signing: initials, signature, number and date, seal."""
