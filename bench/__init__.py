"""Benchmarks: what the service does per second, beside its limits and its peers, in one run."""
