"""Private keys shaped like pyca's whose `sign()` runs in the token.

They go wherever `cryptography` takes a private key: certificate, CSR, CRL and OCSP builders.
Everything that would need the key itself (export, decryption, key agreement) refuses.

    key = token.key(resident.key_id)
    key.sign(data, padding.PKCS1v15(), hashes.SHA256())
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias

import pkcs11
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
from cryptography.utils import Buffer
from pkcs11 import Attribute, Mechanism, ObjectClass

from hsm.errors import HsmError
from hsm.mechanisms import DIGEST_INFO, PSS_MECHANISMS, KeyAlgorithm, require_sha2
from hsm.public_key import PublicKey

if TYPE_CHECKING:
    from hsm.token import Token


class Reference(Protocol):
    """Where the key object is now. `live` is called on the PKCS#11 thread only."""

    token: Token

    def live(self, session: pkcs11.Session) -> Any: ...


class ResidentReference:
    """A session copy of a resident key, made anew, and proved, after each recovery."""

    def __init__(self, token: Token, key_id: bytes, public_key: PublicKey) -> None:
        self.token = token
        self._key_id = key_id
        self._public_key = public_key
        self._copy: Any = None
        self._generation = 0

    def live(self, session: pkcs11.Session) -> Any:
        if self._generation != self.token.generation:
            self._copy = self._find(session)
            self._generation = self.token.generation
        return self._copy

    def _find(self, session: pkcs11.Session) -> Any:
        found: list[Any] = list(
            session.get_objects(
                {
                    Attribute.CLASS: ObjectClass.PRIVATE_KEY,
                    Attribute.ID: self._key_id,
                    Attribute.TOKEN: True,
                }
            )
        )
        if len(found) != 1:
            code = "key-ambiguous" if found else "key-missing"
            raise HsmError(code, key_id=self._key_id.hex())
        copy = found[0].copy({Attribute.TOKEN: False})
        prove(copy, self._public_key, self._key_id)
        return copy


class SessionReference:
    """An unwrapped key: gone when destroyed, and with the session it lives in."""

    def __init__(self, token: Token, handle: Any) -> None:
        self.token = token
        self._handle = handle
        self._generation = token.generation

    @property
    def gone(self) -> bool:
        return self._handle is None or self._generation != self.token.generation

    def live(self, session: pkcs11.Session) -> Any:
        if self.gone:
            raise HsmError("key-closed")
        return self._handle

    def destroy(self) -> None:
        """On the PKCS#11 thread; a second time does nothing."""
        handle, gone, self._handle = self._handle, self.gone, None
        if not gone:
            handle.destroy()


def prove(handle: Any, public_key: PublicKey, key_id: bytes) -> None:
    """Sign and verify: the object found by CKA_ID is the key we think it is."""
    digest = hashlib.sha256(b"dauso key proof").digest()
    try:
        if isinstance(public_key, rsa.RSAPublicKey):
            signature = handle.sign(DIGEST_INFO["sha256"] + digest, mechanism=Mechanism.RSA_PKCS)
            public_key.verify(signature, digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
        else:
            signature = handle.sign(digest, mechanism=Mechanism.ECDSA)
            public_key.verify(
                der_signature(signature), digest, ec.ECDSA(Prehashed(hashes.SHA256()))
            )
    except InvalidSignature as error:
        raise HsmError("key-mismatch", key_id=key_id.hex()) from error


def _hashed(data: Buffer, algorithm: hashes.HashAlgorithm | Prehashed) -> tuple[str, bytes]:
    """(hashlib name, digest) of what is to be signed."""
    if isinstance(algorithm, Prehashed):
        inner = algorithm._algorithm
        if len(data) != inner.digest_size:
            raise ValueError("The provided data must be the same length as the hash digest.")
        return require_sha2(inner), bytes(data)
    name = require_sha2(algorithm)
    return name, hashlib.new(name, data).digest()


def _stays(*_: object) -> NoReturn:
    raise HsmError("key-not-extractable")


class TokenRsaPrivateKey(rsa.RSAPrivateKey):
    """An RSA key in the token: PKCS#1 v1.5 and PSS signatures (RFC 8017)."""

    __slots__ = ("_public_key", "_reference", "algorithm")

    def __init__(
        self, reference: Reference, algorithm: KeyAlgorithm, public_key: rsa.RSAPublicKey
    ) -> None:
        self._reference = reference
        self._public_key = public_key
        self.algorithm = algorithm

    @property
    def key_size(self) -> int:
        return self.algorithm.bits

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public_key

    def sign(
        self,
        data: Buffer,
        padding: padding.AsymmetricPadding,
        algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo,
    ) -> bytes:
        """A signature of `data`, or of the digest it is when `algorithm` is Prehashed."""
        return _sign(self._reference, *_rsa_request(self.algorithm, data, padding, algorithm))

    def decrypt(self, ciphertext: bytes, padding: padding.AsymmetricPadding) -> bytes:
        raise HsmError("key-signs-only")

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
        self, reference: Reference, algorithm: KeyAlgorithm, public_key: ec.EllipticCurvePublicKey
    ) -> None:
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
        return self._public_key

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """A signature of `data`, or of the digest it is when the algorithm is Prehashed."""
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise UnsupportedAlgorithm("elliptic-curve keys sign with ECDSA only")
        digest = _hashed(data, signature_algorithm.algorithm)[1]
        # FIPS 186-5, 6.4: the leftmost bits of a digest longer than the order. Tokens differ in
        # whether they cut; a cut digest suits all of them.
        digest = digest[: self._length // 2]
        return der_signature(_sign(self._reference, digest, Mechanism.ECDSA, None, self._length))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        raise HsmError("key-signs-only")

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


def private_key(reference: Reference, algorithm: KeyAlgorithm, public_key: PublicKey) -> PrivateKey:
    """The pyca-shaped key over an object on the token."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return TokenRsaPrivateKey(reference, algorithm, public_key)
    return TokenEcPrivateKey(reference, algorithm, public_key)


def der_signature(raw: bytes) -> bytes:
    """r and s side by side, as PKCS#11 gives them, to ECDSA-Sig-Value (RFC 3279, 2.2.3)."""
    half = len(raw) // 2
    r, s = raw[:half].lstrip(b"\0"), raw[half:].lstrip(b"\0")
    if r[0] & 0x80:
        r = b"\0" + r
    if s[0] & 0x80:
        s = b"\0" + s
    return b"\x30%c\x02%c%b\x02%c%b" % (len(r) + len(s) + 4, len(r), r, len(s), s)


_Request: TypeAlias = tuple[bytes, Mechanism, Any, int]


def _rsa_request(
    own: KeyAlgorithm,
    data: Buffer,
    scheme: padding.AsymmetricPadding,
    algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo,
) -> _Request:
    """What to send to the token: (bytes, mechanism, parameter, signature length)."""
    length = own.signature_length
    if isinstance(scheme, padding.PKCS1v15):
        if isinstance(algorithm, NoDigestInfo):
            return bytes(data), Mechanism.RSA_PKCS, None, length
        name, digest = _hashed(data, algorithm)
        return DIGEST_INFO[name] + digest, Mechanism.RSA_PKCS, None, length
    if isinstance(scheme, padding.PSS) and not isinstance(algorithm, NoDigestInfo):
        name, digest = _hashed(data, algorithm)
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


def _sign(
    reference: Reference, payload: bytes, mechanism: Mechanism, parameter: Any, length: int
) -> bytes:
    def work(session: pkcs11.Session) -> bytes:
        signature: bytes = reference.live(session).sign(
            payload, mechanism=mechanism, mechanism_param=parameter, buffer_size=length
        )
        return signature

    return reference.token.run(work)
