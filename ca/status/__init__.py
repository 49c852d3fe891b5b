"""Which certificates still count: revocation, CRLs, OCSP, static files."""
