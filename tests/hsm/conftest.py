"""The token these tests work on; the rest is made per test."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from hsm.custody import Custody
from hsm.mechanisms import KeyAlgorithm
from hsm.private_key import PrivateKey
from hsm.token import Token
from tests.tokens import test_token


@pytest.fixture
def token() -> Token:
    """The process's test token."""
    return test_token()


@pytest.fixture
def custody(token: Token) -> Custody:
    return Custody(token)


@cache
def _resident(algorithm: KeyAlgorithm) -> bytes:
    """One resident key per algorithm and process: RSA takes its time."""
    return test_token().generate(algorithm, label=f"hsm tests {algorithm}").key_id


@pytest.fixture
def resident(token: Token) -> Callable[[KeyAlgorithm], PrivateKey]:
    """A resident key of an algorithm."""
    return lambda algorithm: token.key(_resident(algorithm))
