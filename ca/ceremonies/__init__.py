"""The key ceremony: plan, witnesses, the root's own process, the signed log."""
