"""OAuth2 client credentials (RFC 6749 §4.4) and JWT access tokens (RFC 9068)."""
