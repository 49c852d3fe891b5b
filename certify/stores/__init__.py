"""A person's documents: kept, shared, delivered, and every look written down."""
