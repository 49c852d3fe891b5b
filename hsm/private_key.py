"""Private keys shaped like pyca's whose `sign()` runs in the token.

They go wherever `cryptography` takes a private key: certificate, CSR, CRL and OCSP builders.
Everything that would need the key itself (export, decryption, key agreement) refuses.

    key = token.key(resident.key_id)
    key.sign(data, padding.PKCS1v15(), hashes.SHA256())
"""

from __future__ import annotations

from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
from cryptography.utils import Buffer
from pkcs11 import Mechanism

from hsm.errors import HsmError
from hsm.mechanisms import KeyAlgorithm
from hsm.public_key import PublicKey, load_public_key
from hsm.reference import Reference
from hsm.signature import der_signature, hashed, rsa_request


def _stays(*_: object, **__: object) -> Any:
    raise HsmError("key-not-extractable")


def _signs_only(*_: object, **__: object) -> Any:
    raise HsmError("key-signs-only")


class TokenRsaPrivateKey(rsa.RSAPrivateKey):
    """An RSA key in the token: PKCS#1 v1.5 and PSS signatures (RFC 8017)."""

    __slots__ = ("_public_key", "_reference", "algorithm")

    def __init__(
        self, reference: Reference, algorithm: KeyAlgorithm, public_key: rsa.RSAPublicKey | bytes
    ) -> None:
        """`public_key` may be a SubjectPublicKeyInfo, read only when somebody asks."""
        self._reference = reference
        self._public_key = public_key
        self.algorithm = algorithm

    @property
    def key_size(self) -> int:
        return self.algorithm.bits

    def public_key(self) -> rsa.RSAPublicKey:
        if isinstance(self._public_key, bytes):
            read = load_public_key(self._public_key)
            assert isinstance(read, rsa.RSAPublicKey)
            self._public_key = read
        return self._public_key

    def sign(
        self,
        data: Buffer,
        padding: padding.AsymmetricPadding,
        algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo,
    ) -> bytes:
        """A signature of `data`, or of the digest it is when `algorithm` is Prehashed."""
        request = rsa_request(self.algorithm, data, padding, algorithm)
        return self._reference.connection.sign(self._reference, *request)

    decrypt = _signs_only
    private_numbers = _stays
    private_bytes = _stays
    __reduce__ = _stays

    def __copy__(self) -> TokenRsaPrivateKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TokenRsaPrivateKey:
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.algorithm}>"


class TokenEcPrivateKey(ec.EllipticCurvePrivateKey):
    """An elliptic-curve key in the token: ECDSA signatures, DER-encoded (RFC 3279, 2.2.3)."""

    __slots__ = ("_length", "_public_key", "_reference", "algorithm")

    def __init__(
        self,
        reference: Reference,
        algorithm: KeyAlgorithm,
        public_key: ec.EllipticCurvePublicKey | bytes,
    ) -> None:
        """`public_key` may be a SubjectPublicKeyInfo, read only when somebody asks."""
        self._reference = reference
        self._public_key = public_key
        self.algorithm = algorithm
        self._length = algorithm.signature_length

    @property
    def curve(self) -> ec.EllipticCurve:
        return self.algorithm.curve

    @property
    def key_size(self) -> int:
        return self.algorithm.bits

    def public_key(self) -> ec.EllipticCurvePublicKey:
        if isinstance(self._public_key, bytes):
            read = load_public_key(self._public_key)
            assert isinstance(read, ec.EllipticCurvePublicKey)
            self._public_key = read
        return self._public_key

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """A signature of `data`, or of the digest it is when the algorithm is Prehashed."""
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise UnsupportedAlgorithm("elliptic-curve keys sign with ECDSA only")
        digest = hashed(data, signature_algorithm.algorithm)[1]
        # FIPS 186-5, 6.4: the leftmost bits of a digest longer than the order. Tokens differ in
        # whether they cut; a cut digest suits all of them.
        digest = digest[: self._length // 2]
        reference, length = self._reference, self._length
        return der_signature(
            reference.connection.sign(reference, digest, Mechanism.ECDSA, None, length)
        )

    exchange = _signs_only
    private_numbers = _stays
    private_bytes = _stays
    __reduce__ = _stays

    def __copy__(self) -> TokenEcPrivateKey:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TokenEcPrivateKey:
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.algorithm}>"


PrivateKey: TypeAlias = TokenRsaPrivateKey | TokenEcPrivateKey


def private_key(
    reference: Reference, algorithm: KeyAlgorithm, public_key: PublicKey | bytes
) -> PrivateKey:
    """The pyca-shaped key over an object on the token; its public half may be encoded (SPKI)."""
    if algorithm.is_rsa:
        assert not isinstance(public_key, ec.EllipticCurvePublicKey)
        return TokenRsaPrivateKey(reference, algorithm, public_key)
    assert not isinstance(public_key, rsa.RSAPublicKey)
    return TokenEcPrivateKey(reference, algorithm, public_key)
