"""Which algorithms our keys use and what each one is called in PKCS#11."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import MGF, KeyType, Mechanism
from pkcs11.util.ec import encode_named_curve_parameters


class KeyAlgorithm(StrEnum):
    """The key kinds this house makes; which one a certificate gets is policy of its profile."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    P_256 = "p-256"
    P_384 = "p-384"

    @property
    def is_rsa(self) -> bool:
        return self.value.startswith("rsa-")

    @property
    def bits(self) -> int:
        """Modulus length, or the size of the curve's field."""
        return int(self.value.partition("-")[2])

    @property
    def key_type(self) -> KeyType:
        return KeyType.RSA if self.is_rsa else KeyType.EC

    @property
    def signature_length(self) -> int:
        """Bytes of the raw PKCS#11 signature: the modulus, or r and s side by side."""
        return self.bits // 8 if self.is_rsa else self.bits // 4

    @property
    def curve(self) -> ec.EllipticCurve:
        if self.is_rsa:
            raise ValueError(f"{self.value} has no curve")
        return ec.SECP256R1() if self is KeyAlgorithm.P_256 else ec.SECP384R1()

    @classmethod
    def of_rsa(cls, bits: int) -> KeyAlgorithm:
        """The member for a modulus length; ValueError for one this house does not make."""
        return cls(f"rsa-{bits}")

    @classmethod
    def of_curve(cls, parameters: bytes) -> KeyAlgorithm:
        """The member for CKA_EC_PARAMS; ValueError for a curve this house does not use."""
        for algorithm, known in CURVE_PARAMETERS.items():
            if parameters == known:
                return algorithm
        raise ValueError("not a curve this house uses")


CURVE_PARAMETERS: Final[dict[KeyAlgorithm, bytes]] = {
    KeyAlgorithm.P_256: encode_named_curve_parameters("secp256r1"),
    KeyAlgorithm.P_384: encode_named_curve_parameters("secp384r1"),
}

# SubjectPublicKeyInfo up to the uncompressed point (RFC 5480, section 2): constant per curve, so
# a population of keys needs no ASN.1 library per key.
SPKI_PREFIX: Final[dict[KeyAlgorithm, bytes]] = {
    KeyAlgorithm.P_256: bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
    KeyAlgorithm.P_384: bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"),
}

# DigestInfo up to the digest (RFC 8017, section 9.2, note 1). SHA-1 is left out on purpose.
DIGEST_INFO: Final[dict[str, bytes]] = {
    "sha224": bytes.fromhex("302d300d06096086480165030402040500041c"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}

PSS_MECHANISMS: Final[dict[str, tuple[Mechanism, MGF]]] = {
    "sha224": (Mechanism.SHA224, MGF.SHA224),
    "sha256": (Mechanism.SHA256, MGF.SHA256),
    "sha384": (Mechanism.SHA384, MGF.SHA384),
    "sha512": (Mechanism.SHA512, MGF.SHA512),
}


def require_sha2(algorithm: hashes.HashAlgorithm) -> str:
    """The hashlib name of a digest we sign with; UnsupportedAlgorithm for SHA-1 and the rest."""
    if algorithm.name not in DIGEST_INFO:
        raise UnsupportedAlgorithm(f"{algorithm.name} is not signed with; use SHA-256 or longer")
    return algorithm.name


# RFC 5649 key wrap with padding has two names: the standard's KWP, and what SoftHSM and older
# tokens offer as AES_KEY_WRAP_PAD. The first the token has is used, and the blob remembers which.
WRAP_MECHANISMS: Final[tuple[tuple[int, Mechanism], ...]] = (
    (2, Mechanism.AES_KEY_WRAP_KWP),
    (1, Mechanism.AES_KEY_WRAP_PAD),
)
