"""Algorithms by OID, hashes in Base64: how the specification writes them (CSC API §7.5)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from asn1crypto.algos import RSASSAPSSParams
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api.csc.errors import CscRefusal
from signer.cms import Scheme
from signer.keys.credentials import Credential

RSA = "1.2.840.113549.1.1.1"
RSA_PSS = "1.2.840.113549.1.1.10"
HASHES: dict[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
_FIXED: dict[str, tuple[Scheme, str]] = {
    "1.2.840.113549.1.1.11": (Scheme.RSA_PKCS1, "sha256"),
    "1.2.840.113549.1.1.12": (Scheme.RSA_PKCS1, "sha384"),
    "1.2.840.113549.1.1.13": (Scheme.RSA_PKCS1, "sha512"),
    "1.2.840.10045.4.3.2": (Scheme.ECDSA, "sha256"),
    "1.2.840.10045.4.3.3": (Scheme.ECDSA, "sha384"),
    "1.2.840.10045.4.3.4": (Scheme.ECDSA, "sha512"),
}
RSA_ALGORITHMS = (RSA, *(one for one in _FIXED if one.startswith("1.2.840.113549")), RSA_PSS)
EC_ALGORITHMS = tuple(one for one in _FIXED if one.startswith("1.2.840.10045"))
CURVES = {"secp256r1": "1.2.840.10045.3.1.7", "secp384r1": "1.3.132.0.34"}
_BY_NAME = {one.name: one for one in HASHES.values()}


@dataclass(frozen=True)
class Algorithm:
    """How to sign, once everything a request says about it has been put together."""

    scheme: Scheme
    digest: hashes.HashAlgorithm
    salt: int | None = None


def of_key(credential: Credential) -> tuple[str, ...]:
    """`key/algo`: what the credential's key can do."""
    public_key = credential.certificate.public_key()
    return RSA_ALGORITHMS if isinstance(public_key, rsa.RSAPublicKey) else EC_ALGORITHMS


def curve_of(credential: Credential) -> str | None:
    """`key/curve`, for elliptic-curve keys."""
    public_key = credential.certificate.public_key()
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return CURVES[public_key.curve.name]
    return None


def hash_algorithm(oid: str, *, name: str) -> hashes.HashAlgorithm:
    """SHA-256 or stronger (§7.5); `name` is the parameter's in this version."""
    if oid not in HASHES:
        raise CscRefusal("csc-parameter-invalid", name=name)
    return HASHES[oid]


def read_algorithm(
    sign: str, parameters: str | None, hashed: str | None, *, hash_name: str
) -> Algorithm:
    """`signAlgo`, `signAlgoParams` and the hash algorithm's OID, which must agree (§11.10)."""
    if sign in _FIXED:
        scheme, own = _FIXED[sign]
        if hashed is not None and hash_algorithm(hashed, name=hash_name).name != own:
            raise CscRefusal("csc-algorithm-contradiction")
        return Algorithm(scheme, _BY_NAME[own])
    if sign == RSA:
        if hashed is None:
            raise CscRefusal("csc-parameter-missing", kind="string", name=hash_name)
        return Algorithm(Scheme.RSA_PKCS1, hash_algorithm(hashed, name=hash_name))
    if sign == RSA_PSS:
        if parameters is None:
            raise CscRefusal("csc-parameter-missing", kind="string", name="signAlgoParams")
        return _pss(parameters, hashed, hash_name)
    raise CscRefusal("csc-parameter-invalid", name="signAlgo")


def read_base64(text: str, *, name: str) -> bytes:
    """Strict Base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CscRefusal("csc-base64-invalid", name=name) from None


def read_hash(text: str, *, name: str = "hash") -> bytes:
    """A hash in either Base64 alphabet, padded or not: in URLs it is `base64url` (§8.4.2)."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    value = read_base64(plain + "=" * (-len(plain) % 4), name=name)
    if len(value) not in {one.digest_size for one in HASHES.values()}:
        raise CscRefusal("csc-hash-length")
    return value


def require_length(values: list[bytes], algorithm: hashes.HashAlgorithm) -> None:
    """Every hash has the length of its algorithm."""
    if any(len(one) != algorithm.digest_size for one in values):
        raise CscRefusal("csc-hash-length")


def _pss(parameters: str, hashed: str | None, hash_name: str) -> Algorithm:
    """RSASSA-PSS-params (RFC 4055 §3.1): the mask's hash is the message's (RFC 8017 §8.1)."""
    encoded = read_base64(parameters, name="signAlgoParams")
    try:
        read = RSASSAPSSParams.load(encoded, strict=True)
        digest = read["hash_algorithm"]["algorithm"].dotted
        generator = read["mask_gen_algorithm"]
        mask = generator["parameters"]["algorithm"].dotted
        salt = int(read["salt_length"].native)
        sound = generator["algorithm"].native == "mgf1" and int(read["trailer_field"]) == 1
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CscRefusal("csc-parameter-invalid", name="signAlgoParams") from None
    if not sound or digest != mask or digest not in HASHES:
        raise CscRefusal("csc-parameter-invalid", name="signAlgoParams")
    if hashed is not None and hashed != digest:
        raise CscRefusal("csc-algorithm-contradiction")
    del hash_name
    return Algorithm(Scheme.RSA_PSS, HASHES[digest], salt)
