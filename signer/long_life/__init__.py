"""Proofs that outlive certificates: augmentation, evidence records, looking ahead."""
