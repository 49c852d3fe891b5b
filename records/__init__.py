"""What must not be lost: the database session, the blob store, the audit log."""
