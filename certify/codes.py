"""Verification codes: what stands under the QR and can be read out over the telephone.

    code = new()                 # "K7QF-2M9X-H4TB-0DVW-C6RE"
    read("k7qf 2m9x h4tb odvw c6re") == code

100 random bits (issue: ≥ 80, so that guessing is hopeless even over years) in Crockford's base 32:
no I, L, O or U, and what a person misreads is put right.
"""

from __future__ import annotations

import secrets

from certify.errors import CertifyError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 20
_MISREAD = str.maketrans("OIL", "011", " -–—.")


def new() -> str:
    """A fresh code, written in groups of four."""
    return grouped("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))


def grouped(compact: str) -> str:
    """Groups of four with a hyphen: how a code is shown, printed and stored."""
    return "-".join(compact[i : i + 4] for i in range(0, len(compact), 4))


def read(text: str) -> str:
    """What the person meant, in the stored form. Raises `CertifyError`: `code-malformed`."""
    compact = text.strip().upper().translate(_MISREAD)
    if len(compact) != LENGTH or any(c not in ALPHABET for c in compact):
        raise CertifyError("code-malformed")
    return grouped(compact)
