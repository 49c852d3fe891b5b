"""One place that decides how a service key signs: the digest, the padding, the identifier.

RSA signs with PKCS #1 v1.5 (RFC 8017 §8.2), which every deployed validator reads; elliptic curves
with the digest of their own strength (RFC 5480 §4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from ca import der

Digest = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PUBLIC_KEYS = (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)
_RSA = {
    "sha256": "1.2.840.113549.1.1.11",
    "sha384": "1.2.840.113549.1.1.12",
    "sha512": "1.2.840.113549.1.1.13",
}
_ECDSA = {
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
DIGESTS = {
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_HASHERS: dict[str, Any] = {name: getattr(hashlib, name) for name in ("sha1", *DIGESTS)}
_PKCS1 = padding.PKCS1v15()
_PREHASHED = {
    digest.name: (utils.Prehashed(digest), ec.ECDSA(utils.Prehashed(digest)))
    for digest in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
}


def digest_for(public_key: object) -> Digest:
    """The digest of a key's own strength (ETSI TS 119 312 §6): SHA-384 for P-384 and RSA-4096."""
    if getattr(public_key, "key_size", 0) in (384, 4096):
        return hashes.SHA384()
    return hashes.SHA256()


def is_rsa(public_key: object) -> bool:
    return isinstance(public_key, rsa.RSAPublicKey)


def identifier(public_key: object, digest: Digest) -> bytes:
    """The AlgorithmIdentifier: NULL parameters for RSA (RFC 4055 §5), none for ECDSA (RFC 5758)."""
    if is_rsa(public_key):
        return der.sequence(der.oid(_RSA[digest.name]), der.NULL)
    return der.sequence(der.oid(_ECDSA[digest.name]))


def digest_identifier(digest: Digest) -> bytes:
    """Parameters absent, as RFC 5754 §2 asks of those who write."""
    return der.sequence(der.oid(DIGESTS[digest.name]))


def hashed(digest: hashes.HashAlgorithm, data: bytes) -> bytes:
    """In one shot (PERFORMANCE.md): no context object to make and throw away."""
    done: bytes = _HASHERS[digest.name](data, usedforsecurity=False).digest()
    return done


def sign(key: SigningKey, data: bytes, digest: Digest) -> bytes:
    """The token signs the digest, never the data: 2.5 MB of CRL stay on this side of it."""
    prehashed, ecdsa = _PREHASHED[digest.name]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(hashed(digest, data), _PKCS1, prehashed)
    return key.sign(hashed(digest, data), ecdsa)


def signer(key: SigningKey, digest: Digest) -> Callable[[bytes], bytes]:
    """`sign` for a key that signs thousands of times a second: decided once, what can be."""
    prehashed, ecdsa = _PREHASHED[digest.name]
    hasher = _HASHERS[digest.name]
    if isinstance(key, rsa.RSAPrivateKey):
        by_rsa = key.sign
        return lambda data: by_rsa(hasher(data, usedforsecurity=False).digest(), _PKCS1, prehashed)
    by_ec = key.sign
    return lambda data: by_ec(hasher(data, usedforsecurity=False).digest(), ecdsa)


def verify(public_key: object, signature: bytes, data: bytes, digest: hashes.HashAlgorithm) -> None:
    """Raises `InvalidSignature`; done after every act that ends up stored."""
    if isinstance(public_key, rsa.RSAPublicKey):
        public_key.verify(signature, data, padding.PKCS1v15(), digest)
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        public_key.verify(signature, data, ec.ECDSA(digest))
    else:
        raise TypeError("only RSA and elliptic-curve keys sign here")
