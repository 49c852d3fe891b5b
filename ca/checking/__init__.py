"""A second look at everything issued, by code that does not trust the issuer."""
