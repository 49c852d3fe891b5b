"""Sole control: a wrapped key sealed under what only its holder knows.

    sealed = seal_with_pin(wrapped.blob, pin, context=credential_id.encode())
    blob = unseal_with_pin(sealed, pin, context=credential_id.encode())      # PinWrong

Nothing here knows PKCS#11. A seal is a header (what it is, at what cost, salt, nonce) and
AES-256-GCM; the header and the caller's context are authenticated with it, so a seal cannot be
moved to another credential. `hsm.activation` holds the seal that is made on the token.
"""

from __future__ import annotations

import os
import struct
import threading
import unicodedata
from dataclasses import dataclass
from typing import Final

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hsm.activation import ActivationSeal
from hsm.errors import HsmError, PinWrong, SealDamaged

__all__ = [
    "ActivationSeal",
    "PinCost",
    "is_under_code",
    "seal_with_code",
    "seal_with_pin",
    "seal_with_secret",
    "unseal_with_code",
    "unseal_with_pin",
    "unseal_with_secret",
]

_MAGIC: Final = b"DS"
_VERSION: Final = 1
_UNDER_PIN: Final = 1
_UNDER_CODE: Final = 2
_UNDER_SECRET: Final = 3
_SECRET_BYTES: Final = 32
_HEADER: Final = struct.Struct(">2sBBIHB16s12s")
_TAG: Final = 16
_CODE_BITS: Final = 80
_LIMIT_KIB: Final = 1 << 20
_LIMIT_ITERATIONS: Final = 64
# Each derivation holds its memory (64 MiB) while it runs: many people at once take turns.
_AT_ONCE: Final = threading.BoundedSemaphore(4)


@dataclass(frozen=True)
class PinCost:
    """argon2id parameters; RFC 9106, section 4: the second recommended option (64 MiB, t=3, p=4).

    About 0.1 s: fine for a person, much for somebody who tries every PIN.
    """

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        lowest = 8 * self.lanes  # RFC 9106, section 3.1
        if not (
            1 <= self.lanes <= 64
            and lowest <= self.memory_kib <= _LIMIT_KIB
            and 1 <= self.iterations <= _LIMIT_ITERATIONS
        ):
            raise ValueError("argon2id cost out of range")


def seal_with_pin(blob: bytes, pin: str, *, context: bytes, cost: PinCost | None = None) -> bytes:
    """`blob` under a person's PIN; `context` names what it belongs to and is checked again."""
    return _seal(blob, pin, _UNDER_PIN, cost or PinCost(), context)


def unseal_with_pin(sealed: bytes, pin: str, *, context: bytes) -> bytes:
    """The blob again. PinWrong (also for a changed seal or context), SealDamaged."""
    return _unseal(sealed, pin, _UNDER_PIN, context)


def seal_with_code(blob: bytes, code: str, *, context: bytes) -> bytes:
    """`blob` under a random one-time activation code, for bulk enrolment.

    The code's own randomness carries the strength (HKDF, RFC 5869, makes no guess dearer), so a
    code too short for 80 bits is refused: `code-too-short`.
    """
    if len(_normal_code(code)) * 5 < _CODE_BITS:  # five bits to a base32 character
        raise HsmError("code-too-short", bits=_CODE_BITS)
    return _seal(blob, code, _UNDER_CODE, None, context)


def unseal_with_code(sealed: bytes, code: str, *, context: bytes) -> bytes:
    """The blob again; spaces, dashes and case of the code do not matter. As unseal_with_pin."""
    return _unseal(sealed, code, _UNDER_CODE, context)


def is_under_code(sealed: bytes) -> bool:
    """Whether this waits for its one-time activation code; says nothing about its content."""
    return len(sealed) > _HEADER.size and sealed[:4] == _MAGIC + bytes((_VERSION, _UNDER_CODE))


def seal_with_secret(blob: bytes, secret: bytes, *, context: bytes) -> bytes:
    """`blob` under 256 random bits that only a device of the holder's can make again.

    Raises HsmError `secret-malformed` for anything that is not 32 bytes.
    """
    _require_secret(secret)
    return _seal(blob, secret, _UNDER_SECRET, None, context)


def unseal_with_secret(sealed: bytes, secret: bytes, *, context: bytes) -> bytes:
    """The blob again. As unseal_with_pin."""
    _require_secret(secret)
    return _unseal(sealed, secret, _UNDER_SECRET, context)


def _require_secret(secret: bytes) -> None:
    if len(secret) != _SECRET_BYTES:
        raise HsmError("secret-malformed", length=_SECRET_BYTES)


def _seal(
    blob: bytes, secret: str | bytes, kind: int, cost: PinCost | None, context: bytes
) -> bytes:
    salt, nonce = os.urandom(16), os.urandom(12)
    numbers = (cost.memory_kib, cost.iterations, cost.lanes) if cost else (0, 0, 0)
    header = _HEADER.pack(_MAGIC, _VERSION, kind, *numbers, salt, nonce)
    key = _derive(secret, salt, cost)
    return header + AESGCM(key).encrypt(nonce, blob, header + context)


def _unseal(sealed: bytes, secret: str | bytes, kind: int, context: bytes) -> bytes:
    if len(sealed) < _HEADER.size + _TAG:
        raise SealDamaged("short")
    header, body = sealed[: _HEADER.size], sealed[_HEADER.size :]
    magic, version, found, memory, iterations, lanes, salt, nonce = _HEADER.unpack(header)
    if magic != _MAGIC or version != _VERSION:
        raise SealDamaged("format")
    if found != kind:
        raise SealDamaged("kind")
    try:
        cost = PinCost(memory, iterations, lanes) if kind == _UNDER_PIN else None
    except ValueError as error:
        raise SealDamaged("cost") from error
    try:
        return AESGCM(_derive(secret, salt, cost)).decrypt(nonce, body, header + context)
    except InvalidTag:
        raise PinWrong from None


def _derive(secret: str | bytes, salt: bytes, cost: PinCost | None) -> bytes:
    if isinstance(secret, bytes):
        return HKDF(hashes.SHA256(), 32, salt, b"dauso passkey seal v1").derive(secret)
    if cost is None:
        hkdf = HKDF(hashes.SHA256(), 32, salt, b"dauso activation code v1")
        return hkdf.derive(_normal_code(secret).encode())
    # Not cryptography's Argon2id: with lanes > 1 OpenSSL's thread pool deadlocks for ever when two
    # threads derive at once. argon2-cffi gives the same bytes and brings its own threads.
    with _AT_ONCE:
        return hash_secret_raw(
            unicodedata.normalize("NFKC", secret).encode(),
            salt,
            time_cost=cost.iterations,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=32,
            type=Type.ID,
        )


def _normal_code(code: str) -> str:
    return "".join(code.split()).replace("-", "").upper()
