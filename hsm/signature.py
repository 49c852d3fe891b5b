"""What is sent to the token to get a signature, and what is made of its answer."""

from __future__ import annotations

import hashlib
from typing import Any, Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
from cryptography.utils import Buffer
from pkcs11 import Mechanism

from hsm.mechanisms import DIGEST_INFO, PSS_MECHANISMS, KeyAlgorithm, require_sha2

_HASHERS: Final = {name: getattr(hashlib, name) for name in DIGEST_INFO}

Request: TypeAlias = tuple[bytes, Mechanism, Any, int]


def rsa_request(
    own: KeyAlgorithm,
    data: Buffer,
    scheme: padding.AsymmetricPadding,
    algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo,
) -> Request:
    """What to send to the token: (bytes, mechanism, parameter, signature length)."""
    length = own.signature_length
    if isinstance(scheme, padding.PKCS1v15):
        if isinstance(algorithm, NoDigestInfo):
            return bytes(data), Mechanism.RSA_PKCS, None, length
        name, digest = hashed(data, algorithm)
        return DIGEST_INFO[name] + digest, Mechanism.RSA_PKCS, None, length
    if isinstance(scheme, padding.PSS) and not isinstance(algorithm, NoDigestInfo):
        name, digest = hashed(data, algorithm)
        mask = PSS_MECHANISMS[require_sha2(scheme.mgf._algorithm)][1]
        salt = _salt_length(scheme, len(digest), length)
        parameter = (PSS_MECHANISMS[name][0], mask, salt)
        return digest, Mechanism.RSA_PKCS_PSS, parameter, length
    raise UnsupportedAlgorithm("RSA keys sign with PKCS#1 v1.5 or PSS")


def _salt_length(scheme: padding.PSS, digest_length: int, modulus_length: int) -> int:
    asked = scheme._salt_length
    if isinstance(asked, int):
        return asked
    if asked is padding.PSS.DIGEST_LENGTH:
        return digest_length
    if asked is padding.PSS.MAX_LENGTH:
        return modulus_length - digest_length - 2  # RFC 8017, 9.1.1: emLen - hLen - 2
    raise ValueError("PSS salt length can be set to MAX_LENGTH or DIGEST_LENGTH when signing")


def hashed(data: Buffer, algorithm: hashes.HashAlgorithm | Prehashed) -> tuple[str, bytes]:
    """(hashlib name, digest) of what is to be signed."""
    if isinstance(algorithm, Prehashed):
        inner = algorithm._algorithm
        if len(data) != inner.digest_size:
            raise ValueError("The provided data must be the same length as the hash digest.")
        return require_sha2(inner), bytes(data)
    name = require_sha2(algorithm)
    return name, _HASHERS[name](data).digest()


def der_signature(raw: bytes) -> bytes:
    """r and s side by side, as PKCS#11 gives them, to ECDSA-Sig-Value (RFC 3279, 2.2.3)."""
    half = len(raw) // 2
    r, s = raw[:half].lstrip(b"\0"), raw[half:].lstrip(b"\0")
    if r[0] & 0x80:
        r = b"\0" + r
    if s[0] & 0x80:
        s = b"\0" + s
    return b"\x30%c\x02%c%b\x02%c%b" % (len(r) + len(s) + 4, len(r), r, len(s), s)
