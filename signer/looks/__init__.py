"""How a signature looks and where it stands (decree 30/2020, annex I)."""
