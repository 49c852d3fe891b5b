"""The token's key wrap against published vectors and a second implementation.

A known key-encryption key is made as a session object, which only a test does. Vectors: RFC 5649,
section 6, as printed there; the rest is compared with pyca's `keywrap` (OpenSSL), tampering in
the manner of Wycheproof's kwp tests.
"""

from __future__ import annotations

import os
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives import keywrap
from pkcs11 import DEFAULT, Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from hsm.kek import wrap_mechanism
from hsm.mechanisms import WRAP_MECHANISMS
from hsm.token import Token

READABLE = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True, Attribute.PRIVATE: False}


def _secret(session: pkcs11.Session, key_type: KeyType, value: bytes, **usage: bool) -> Any:
    return session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: key_type,
            Attribute.TOKEN: False,
            Attribute.VALUE: value,
            **{Attribute[name]: value for name, value in usage.items()},
            **READABLE,
        }
    )


def _mechanism(session: pkcs11.Session) -> Mechanism:
    return dict(WRAP_MECHANISMS)[wrap_mechanism(session)]


def _wrap(token: Token, kek: bytes, value: bytes) -> bytes:
    def work(session: pkcs11.Session) -> bytes:
        wrapping = _secret(session, KeyType.AES, kek, WRAP=True)
        key = _secret(session, KeyType.GENERIC_SECRET, value)
        try:
            wrapped: bytes = wrapping.wrap_key(key, mechanism=_mechanism(session))
            return wrapped
        finally:
            key.destroy()
            wrapping.destroy()

    return token.run(work)


def _unwrap(token: Token, kek: bytes, wrapped: bytes) -> bytes | None:
    def work(session: pkcs11.Session) -> bytes | None:
        wrapping = _secret(session, KeyType.AES, kek, UNWRAP=True)
        try:
            key = wrapping.unwrap_key(
                ObjectClass.SECRET_KEY,
                KeyType.GENERIC_SECRET,
                wrapped,
                mechanism=_mechanism(session),
                capabilities=MechanismFlag.SIGN,
                template={**READABLE, Attribute.LABEL: DEFAULT},
            )
        except pkcs11.PKCS11Error:
            return None
        finally:
            wrapping.destroy()
        value: bytes = key[Attribute.VALUE]
        key.destroy()
        return value

    return token.run(work)


def _as_the_token_takes_it(token: Token, value: bytes) -> bytes:
    """SoftHSM 2.6 fills the value up with zeros before it wraps, and so states the longer length
    (RFC 5649 would remember the true one). Harmless for keys: PKCS #8 is DER and ends itself."""
    if "SoftHSM" in token.run(lambda session: session.token.manufacturer_id):
        return value + bytes(-len(value) % 8)
    return value


RFC_5649_KEK = bytes.fromhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")


@pytest.mark.parametrize(
    ("key", "wrapped"),
    [
        (
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
    ],
    ids=["20 octets", "7 octets"],
)
def test_rfc_5649_vectors(token: Token, key: str, wrapped: str) -> None:
    """RFC 5649, section 6: "Padded Key Wrap Examples"."""
    value = bytes.fromhex(key)
    assert _unwrap(token, RFC_5649_KEK, bytes.fromhex(wrapped)) == value
    own = _wrap(token, RFC_5649_KEK, value)
    if _as_the_token_takes_it(token, value) == value:
        assert own == bytes.fromhex(wrapped)
    assert len(own) == len(bytes.fromhex(wrapped))


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 31, 32, 33, 48, 138, 1217])
def test_every_length_as_openssl_does_it(token: Token, length: int) -> None:
    """RFC 5649, 4.1 and 4.2: wrapping and unwrapping, with and without padding."""
    kek, value = os.urandom(32), os.urandom(length)
    taken = _as_the_token_takes_it(token, value)
    assert _wrap(token, kek, value) == keywrap.aes_key_wrap_with_padding(kek, taken)
    assert _unwrap(token, kek, keywrap.aes_key_wrap_with_padding(kek, value)) == value


@pytest.mark.parametrize("length", [5, 16, 138])
def test_no_changed_wrapping_opens(token: Token, length: int) -> None:
    """RFC 5649, 3: MSB(32,A), the length indicator and the zero padding are all checked."""
    kek = os.urandom(32)
    wrapped = keywrap.aes_key_wrap_with_padding(kek, os.urandom(length))
    for place in range(0, len(wrapped), 5):
        changed = bytearray(wrapped)
        changed[place] ^= 0x80
        assert _unwrap(token, kek, bytes(changed)) is None
    for cut in (0, 8, 15, len(wrapped) - 8, len(wrapped) - 1):
        assert _unwrap(token, kek, wrapped[:cut]) is None
    assert _unwrap(token, os.urandom(32), wrapped) is None


def _forged(kek: bytes, integrity: bytes, padded: bytes) -> bytes:
    """W (RFC 3394, 2.2.1) over any integrity value and any padding, right or wrong."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    block = Cipher(algorithms.AES(kek), modes.ECB()).encryptor()
    if len(padded) == 8:
        return block.update(integrity + padded)
    parts = [padded[i : i + 8] for i in range(0, len(padded), 8)]
    a = integrity
    for j in range(6):
        for i, part in enumerate(parts):
            mixed = block.update(a + part)
            counter = len(parts) * j + i + 1
            a = (int.from_bytes(mixed[:8], "big") ^ counter).to_bytes(8, "big")
            parts[i] = mixed[8:]
    return a + b"".join(parts)


@pytest.mark.parametrize(
    ("integrity", "padded"),
    [
        ("a65959a600000014", "00" * 20 + "00000001"),
        ("a65959a600000020", "11" * 24),
        ("a65959a600000010", "11" * 24),
        ("a65959a700000014", "11" * 20 + "00" * 4),
        ("a6a6a6a6a6a6a6a6", "11" * 24),
        ("a65959a600000000", "00" * 8),
        ("a65959a6ffffffff", "11" * 24),
    ],
    ids=["padding not zero", "length too long", "length too short", "wrong constant",
         "RFC 3394 value", "empty", "length wraps around"],
)  # fmt: skip
def test_wrong_integrity_values_are_refused(token: Token, integrity: str, padded: str) -> None:
    """Wycheproof kwp, "ModifiedPadding", "WrongIV", "InvalidLength"; RFC 5649, section 3."""
    kek = os.urandom(32)
    right = _forged(kek, bytes.fromhex("a65959a600000014"), b"\x11" * 20 + bytes(4))
    assert _unwrap(token, kek, right) == b"\x11" * 20
    forged = _forged(kek, bytes.fromhex(integrity), bytes.fromhex(padded))
    assert _unwrap(token, kek, forged) is None
