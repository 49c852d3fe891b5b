"""The mathematics of a signature: digests by name, and whether a value was made by a key.

Only what `cryptography` computes is known here; whether it is still believed is the policy's
matter. What is not known is refused as CRYPTO_CONSTRAINTS_FAILURE: it accuses nobody.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum

from asn1crypto import algos
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

from signer.verdicts.verdict import Rejected, SubIndication, fails

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sha3_256": hashes.SHA3_256,
    "sha3_384": hashes.SHA3_384,
    "sha3_512": hashes.SHA3_512,
}
_EdwardsKey = ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


class Method(Enum):
    """How a key signs."""

    RSA_PKCS1 = "rsa-pkcs1"
    RSA_PSS = "rsa-pss"
    ECDSA = "ecdsa"
    EDWARDS = "edwards"


_RSA, _NIST = "1.2.840.113549.1.1.", "2.16.840.1.101.3.4.3."
_METHODS: dict[str, tuple[Method, str | None]] = {
    f"{_RSA}1": (Method.RSA_PKCS1, None),
    f"{_RSA}5": (Method.RSA_PKCS1, "sha1"),
    "1.3.14.3.2.29": (Method.RSA_PKCS1, "sha1"),
    f"{_RSA}14": (Method.RSA_PKCS1, "sha224"),
    f"{_RSA}11": (Method.RSA_PKCS1, "sha256"),
    f"{_RSA}12": (Method.RSA_PKCS1, "sha384"),
    f"{_RSA}13": (Method.RSA_PKCS1, "sha512"),
    f"{_NIST}14": (Method.RSA_PKCS1, "sha3_256"),
    f"{_NIST}15": (Method.RSA_PKCS1, "sha3_384"),
    f"{_NIST}16": (Method.RSA_PKCS1, "sha3_512"),
    f"{_RSA}10": (Method.RSA_PSS, None),
    "1.2.840.10045.4": (Method.ECDSA, None),
    "1.2.840.10045.4.1": (Method.ECDSA, "sha1"),
    "1.2.840.10045.4.3.1": (Method.ECDSA, "sha224"),
    "1.2.840.10045.4.3.2": (Method.ECDSA, "sha256"),
    "1.2.840.10045.4.3.3": (Method.ECDSA, "sha384"),
    "1.2.840.10045.4.3.4": (Method.ECDSA, "sha512"),
    f"{_NIST}10": (Method.ECDSA, "sha3_256"),
    f"{_NIST}11": (Method.ECDSA, "sha3_384"),
    f"{_NIST}12": (Method.ECDSA, "sha3_512"),
    "1.3.101.112": (Method.EDWARDS, None),
    "1.3.101.113": (Method.EDWARDS, None),
}
"""RFC 3370, 5754, 8419 and, for SHA-3, RFC 9688: what a SignerInfo may name, with its digest."""


@dataclass(frozen=True)
class Way:
    """A method with its digest; of RSASSA-PSS also the digest of its mask and the salt's length."""

    method: Method
    digest: str
    mask: str | None = None
    salt: int = 0


def digest(algorithm: str, *parts: bytes | memoryview) -> bytes:
    """The digest of the parts one after another; raises Rejected for an unknown algorithm."""
    if algorithm not in _HASHES:
        raise _unknown(algorithm)
    state = hashlib.new(algorithm, usedforsecurity=False)
    for part in parts:
        state.update(part)
    return state.digest()


def way_of(named: algos.SignedDigestAlgorithm, digest_name: str) -> Way:
    """What a CMS names as its signature algorithm, beside its digest algorithm.

    Raises Rejected for a method that is not computed here (DSA), or one that has another digest
    than the signature's; ValueError for parameters of RSASSA-PSS that do not fit (RFC 4055).
    """
    oid: str = named["algorithm"].dotted
    if oid not in _METHODS:
        raise _unknown(str(named["algorithm"].native).upper())
    method, its_digest = _METHODS[oid]
    if its_digest not in (None, digest_name):
        raise Rejected(fails("validation-signature-wrong", SubIndication.SIG_CRYPTO_FAILURE))
    if method is not Method.RSA_PSS:
        return Way(method, digest_name)
    parameters = named["parameters"]
    generator = parameters["mask_gen_algorithm"]
    if (
        parameters["hash_algorithm"]["algorithm"].native != digest_name
        or generator["algorithm"].native != "mgf1"
        or parameters["trailer_field"].native not in (1, "trailer_field_bc")
    ):
        raise ValueError("PSS parameters")
    mask = generator["parameters"]["algorithm"].native
    return Way(method, digest_name, mask, parameters["salt_length"].native)


def verifies(key: object, way: Way, signature: bytes, octets: bytes) -> bool:
    """Whether `signature` over `octets` was made by the private key of `key`, in this way."""
    algorithm = _HASHES[way.digest]()
    try:
        if way.method is Method.RSA_PKCS1 and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, octets, padding.PKCS1v15(), algorithm)
        elif way.method is Method.RSA_PSS and isinstance(key, rsa.RSAPublicKey):
            mask = padding.MGF1(_HASHES[way.mask or way.digest]())
            key.verify(signature, octets, padding.PSS(mask, way.salt), algorithm)
        elif way.method is Method.ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, octets, ec.ECDSA(algorithm))
        elif way.method is Method.EDWARDS and isinstance(key, _EdwardsKey):
            key.verify(signature, octets)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _unknown(algorithm: str) -> Rejected:
    sub = SubIndication.CRYPTO_CONSTRAINTS_FAILURE
    return Rejected(fails("validation-unknown-algorithm", sub, algorithm=algorithm))
