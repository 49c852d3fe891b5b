"""Who may sign: credentials, and how a key opens by PIN, passkey or mandate."""
