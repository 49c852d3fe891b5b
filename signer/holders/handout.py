"""Activation codes on their way to their holders: readable only by who has the hand-out secret.

A bulk enrolment may be interrupted and resumed by a process that nobody gives a secret to, and the
codes must not lie about in clear meanwhile. So each list has a key pair: codes are encrypted to
its public half as they are made; the private half is sealed under a random secret that whoever
starts the list is told once. Database, token and administrator together open no code.

The construction is ECIES: X25519 (RFC 7748), HKDF-SHA-256 (RFC 5869), AES-256-GCM, one ephemeral
key per `Sealer`, a random nonce per code, bound to list and line.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hsm.errors import PinWrong, SealDamaged
from hsm.sealing import seal_with_code, unseal_with_code
from signer.errors import SignerError

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
"""Base32 (RFC 4648): no 0 and no 1, so what looks like one on paper is a letter."""
_CODE_LENGTH: Final = 20
_SECRET_LENGTH: Final = 28
_KEY, _NONCE = 32, 12


def new_code() -> str:
    """A one-time activation code of 100 random bits in groups of five."""
    return _random(_CODE_LENGTH, 5)


def new_secret() -> str:
    """The secret of one list's hand-out, 140 random bits in groups of four."""
    return _random(_SECRET_LENGTH, 4)


def _random(length: int, group: int) -> str:
    bits = secrets.randbits(5 * length)
    text = "".join([_LETTERS[bits >> shift & 31] for shift in range(0, 5 * length, 5)])
    return "-".join([text[start : start + group] for start in range(0, length, group)])


@dataclass(frozen=True)
class HandoutKey:
    """What a list's row keeps."""

    public: bytes
    sealed_private: bytes = field(repr=False)


def create(list_id: str, secret: str) -> HandoutKey:
    """The key pair of a list; its private half opens with `secret` only."""
    private = X25519PrivateKey.generate()
    sealed = seal_with_code(private.private_bytes_raw(), secret, context=_context(list_id))
    return HandoutKey(private.public_key().public_bytes_raw(), sealed)


class Sealer:
    """Encrypts codes to a list's public key; one per run."""

    def __init__(self, public: bytes) -> None:
        ephemeral = X25519PrivateKey.generate()
        self._sent = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
        self._cipher = AESGCM(_derive(shared, self._sent + public))

    def seal(self, code: str, *, line: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return self._sent + nonce + self._cipher.encrypt(nonce, code.encode(), line.encode())


class Opener:
    """Decrypts the codes of a list for who has its secret; SignerError `handout-secret-wrong`."""

    def __init__(self, key: HandoutKey, list_id: str, secret: str) -> None:
        try:
            raw = unseal_with_code(key.sealed_private, secret, context=_context(list_id))
        except PinWrong:
            raise SignerError("handout-secret-wrong") from None
        self._private = X25519PrivateKey.from_private_bytes(raw)
        self._public = key.public
        self._ciphers: dict[bytes, AESGCM] = {}

    def open(self, sealed: bytes, *, line: str) -> str:
        sent, nonce, body = sealed[:_KEY], sealed[_KEY : _KEY + _NONCE], sealed[_KEY + _NONCE :]
        cipher = self._ciphers.get(sent)
        if cipher is None:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(sent))
            cipher = self._ciphers[sent] = AESGCM(_derive(shared, sent + self._public))
        try:
            return cipher.decrypt(nonce, body, line.encode()).decode()
        except InvalidTag:
            raise SealDamaged("code") from None


def line_name(list_id: str, number: int) -> str:
    """What a line's code is bound to."""
    return f"enrolment-list:{list_id}/{number}"


def _derive(shared: bytes, keys: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, keys, b"dauso hand-out v1").derive(shared)


def _context(list_id: str) -> bytes:
    return b"dauso hand-out " + list_id.encode()
