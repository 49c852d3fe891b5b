"""NIST's own vectors for AES key wrap with padding, through the token (SP 800-38F; CAVS 21.4).

`cryptography_vectors`, keywrap/kwtestvectors: 500 authenticated encryptions and 500 decryptions
(a fifth of them damaged) for each key size. Every tenth is taken here, with all lengths: the
token's way through PKCS#11 is what is tested, not AES. Wycheproof's KW and KWP files are not on
any package registry; their kinds of damage are made anew in `test_key_wrap_vectors`.
"""

from __future__ import annotations

import re
from pathlib import Path

import cryptography_vectors
import pytest

from hsm.token import Token
from tests.hsm.test_key_wrap_vectors import _as_the_token_takes_it, _unwrap, _wrap

VECTORS = Path(cryptography_vectors.__file__).parent / "keywrap" / "kwtestvectors"
_ENTRY = re.compile(r"COUNT = \d+\nK = (\w+)\n[PC] = (\w+)\n(?:[PC] = (\w+)|(FAIL))")
EVERY = 10


def vectors(name: str) -> list[tuple[bytes, bytes, bytes | None]]:
    """Key, input and output; None where the input must be refused."""
    text = (VECTORS / name).read_text("ascii").replace("\r\n", "\n")
    found = _ENTRY.findall(text)
    assert len(found) == 500
    return [
        (bytes.fromhex(key), bytes.fromhex(given), bytes.fromhex(made) if made else None)
        for key, given, made, _ in found[::EVERY]
    ]


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_unwrapping(token: Token, bits: int) -> None:
    """SP 800-38F, algorithm 6 (KWP-AD): the value, or FAIL."""
    refused = 0
    for kek, wrapped, value in vectors(f"KWP_AD_{bits}.txt"):
        assert _unwrap(token, kek, wrapped) == value
        refused += value is None
    assert refused


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_wrapping(token: Token, bits: int) -> None:
    """SP 800-38F, algorithm 5 (KWP-AE)."""
    exact = 0
    for kek, value, wrapped in vectors(f"KWP_AE_{bits}.txt"):
        made = _wrap(token, kek, value)
        if _as_the_token_takes_it(token, value) == value:
            assert made == wrapped
            exact += 1
        else:
            assert wrapped is not None
            assert len(made) == len(wrapped)
    assert exact
