"""Keys that never leave the token: the only room that knows PKCS#11."""
