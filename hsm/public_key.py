"""The public half of a key on the token, as pyca sees it."""

from __future__ import annotations

from typing import Any

import pkcs11
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import Attribute, KeyType, ObjectClass

from hsm.errors import HsmError
from hsm.mechanisms import SPKI_PREFIX, KeyAlgorithm

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def public_key_of(session: pkcs11.Session, key_id: bytes) -> tuple[KeyAlgorithm, PublicKey]:
    """Algorithm and public key of the resident pair with this CKA_ID; HsmError `key-missing`."""
    for kind in (ObjectClass.PUBLIC_KEY, ObjectClass.PRIVATE_KEY):
        found: list[Any] = list(
            session.get_objects(
                {Attribute.CLASS: kind, Attribute.ID: key_id, Attribute.TOKEN: True}
            )
        )
        if len(found) == 1:
            algorithm, der = describe(found[0])
            return algorithm, load_public_key(der)
        if len(found) > 1:
            raise HsmError("key-ambiguous", key_id=key_id.hex())
    raise HsmError("key-missing", key_id=key_id.hex())


def describe(public_object: Any) -> tuple[KeyAlgorithm, bytes]:
    """Algorithm and SubjectPublicKeyInfo (DER) of a public key object."""
    if public_object.key_type is KeyType.RSA:
        values = public_object.get_attributes([Attribute.MODULUS, Attribute.PUBLIC_EXPONENT])
        modulus = int.from_bytes(values[Attribute.MODULUS], "big")
        exponent = int.from_bytes(values[Attribute.PUBLIC_EXPONENT], "big")
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        return KeyAlgorithm.of_rsa(key.key_size), spki(key)
    values = public_object.get_attributes([Attribute.EC_PARAMS, Attribute.EC_POINT])
    algorithm = KeyAlgorithm.of_curve(values[Attribute.EC_PARAMS])
    return algorithm, SPKI_PREFIX[algorithm] + _point(values[Attribute.EC_POINT], algorithm)


def spki(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def load_public_key(der: bytes) -> PublicKey:
    """The key in a SubjectPublicKeyInfo; TypeError for another kind than ours."""
    key = serialization.load_der_public_key(der)
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise TypeError("neither an RSA nor an elliptic-curve key")
    return key


def _point(value: bytes, algorithm: KeyAlgorithm) -> bytes:
    """CKA_EC_POINT is an OCTET STRING around the point; some tokens give the bare point."""
    length = algorithm.bits // 4 + 1
    point = value[-length:]
    if len(value) not in (length, length + 2) or point[0] != 4:
        raise HsmError("token-refused", reason="EC_POINT is not an uncompressed point")
    return point
