"""The root token's PIN, locked under the passphrases of two witnesses.

The PIN is random and nobody knows it. It lies beside the root token, sealed with AES-256-GCM under
a key that takes both passphrases: argon2id of each, joined by HKDF. One witness alone learns
nothing, not even whether the other's passphrase would be right. Losing a passphrase loses the
root; that is what a root re-key in good time and a copy kept by each witness are for.
"""

from __future__ import annotations

import json
import os
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ca.errors import CaError

SEALED_FILE = "root.sealed"
SHORTEST_PASSPHRASE = 12
_CONTEXT = b"dauso root token secret v1"
# RFC 9106 §4, second recommended option: 64 MiB, three passes.
_PASSES, _KIBIBYTES, _LANES = 3, 64 * 1024, 4


@dataclass(frozen=True)
class Witness:
    """A person who is present, with the passphrase only they know."""

    name: str
    passphrase: str = field(repr=False)


@dataclass(frozen=True)
class RootSecret:
    """The two PINs of the root token."""

    pin: str = field(repr=False)
    so_pin: str = field(repr=False)


def check_witnesses(witnesses: Sequence[Witness], expected: Sequence[str]) -> None:
    """Exactly the two people of the plan, each with a passphrase of some length of their own."""
    if sorted(witness.name for witness in witnesses) != sorted(expected):
        raise CaError("witnesses-other", expected=", ".join(expected))
    if any(len(witness.passphrase) < SHORTEST_PASSPHRASE for witness in witnesses):
        raise CaError("passphrase-short", least=SHORTEST_PASSPHRASE)
    if len({witness.passphrase for witness in witnesses}) < 2:
        raise CaError("passphrases-equal")


def create_secret(directory: Path, witnesses: Sequence[Witness]) -> RootSecret:
    """Make the PINs and seal them; the file is written once and never overwritten."""
    secret = RootSecret(pin=secrets.token_hex(24), so_pin=secrets.token_hex(24))
    salt, nonce = os.urandom(16), os.urandom(12)
    plain = json.dumps({"pin": secret.pin, "so_pin": secret.so_pin}).encode()
    sealed = AESGCM(_key(witnesses, salt)).encrypt(nonce, plain, _CONTEXT)
    content = {"version": 1, "salt": salt.hex(), "nonce": nonce.hex(), "sealed": sealed.hex()}
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = directory / f".{SEALED_FILE}.{os.getpid()}"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, directory / SEALED_FILE)
    except FileExistsError:
        raise CaError("root-secret-exists") from None
    finally:
        temporary.unlink()
    return secret


def open_secret(directory: Path, witnesses: Sequence[Witness]) -> RootSecret:
    """Unseal the PINs; `witnesses-refused` when the two passphrases are not both right."""
    try:
        content = json.loads((directory / SEALED_FILE).read_text("utf-8"))
        salt, nonce, sealed = (bytes.fromhex(content[key]) for key in ("salt", "nonce", "sealed"))
    except (OSError, ValueError, KeyError) as error:
        raise CaError("root-secret-unreadable") from error
    try:
        plain = AESGCM(_key(witnesses, salt)).decrypt(nonce, sealed, _CONTEXT)
    except InvalidTag:
        raise CaError("witnesses-refused") from None
    values = json.loads(plain)
    return RootSecret(pin=values["pin"], so_pin=values["so_pin"])


def _key(witnesses: Sequence[Witness], salt: bytes) -> bytes:
    """Both halves in the order of the names, so that it does not matter who types first."""
    halves = [
        hash_secret_raw(
            unicodedata.normalize("NFC", witness.passphrase).encode(),
            salt + witness.name.encode(),
            time_cost=_PASSES,
            memory_cost=_KIBIBYTES,
            parallelism=_LANES,
            hash_len=32,
            type=Type.ID,
        )
        for witness in sorted(witnesses, key=lambda witness: witness.name)
    ]
    return HKDF(hashes.SHA256(), 32, salt, _CONTEXT).derive(b"".join(halves))
