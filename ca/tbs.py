"""The part of a certificate that gets signed, made before any real key signs it.

Its exact bytes are linted and their digest is committed as the intention; the real signature is
then made over these very bytes, so what was linted and what is signed cannot differ. Holders' and
services' certificates come from a template (`ca.certificate_encoding`). A root's and an issuing
CA's come from `cryptography`, which builds and signs in one step: it is given a key that signs
nothing, and the bytes are captured.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ca import certificate_encoding, der, extensions, signature_algorithms
from ca.issuer import Issuer
from ca.key_policy import PublicKey
from ca.names import Subject
from ca.profiles import Profile
from ca.signature_algorithms import Digest

_NOTHING = b"\x00"


@dataclass(frozen=True)
class Unsigned:
    """A certificate that lacks only its signature."""

    tbs: bytes
    signature_algorithm: bytes
    digest: Digest

    def sign(self, key: Any) -> bytes:
        """Sign with a pyca-shaped key and return the whole certificate, DER."""
        return self.with_signature(signature_algorithms.sign(key, self.tbs, self.digest))

    def with_signature(self, signature: bytes) -> bytes:
        return der.sequence(self.tbs, self.signature_algorithm, der.bit_string(signature))

    def parsed(self) -> x509.Certificate:
        """The certificate without a signature, to be looked at only."""
        return x509.load_der_x509_certificate(self.with_signature(_NOTHING))


def unsigned_certificate(
    *,
    profile: Profile,
    issuer: Issuer | None,
    subject: Subject,
    public_key: PublicKey,
    serial: int,
    not_before: datetime,
    not_after: datetime,
) -> Unsigned:
    """The bytes a certificate of this profile consists of; shared with the ceremony."""
    if issuer is not None and not profile.is_authority:
        encoded = certificate_encoding.to_be_signed(
            profile=profile,
            issuer=issuer,
            subject=subject,
            public_key=public_key,
            serial=serial,
            not_before=not_before,
            not_after=not_after,
        )
        return Unsigned(encoded, issuer.signature_algorithm, issuer.digest)
    return built_certificate(
        profile=profile,
        issuer=issuer,
        subject=subject,
        public_key=public_key,
        serial=serial,
        not_before=not_before,
        not_after=not_after,
    )


def built_certificate(
    *,
    profile: Profile,
    issuer: Issuer | None,
    subject: Subject,
    public_key: PublicKey,
    serial: int,
    not_before: datetime,
    not_after: datetime,
) -> Unsigned:
    """The same by `cryptography`'s builder; the template is held against it."""
    name = subject.to_x509()
    builder = (
        x509.CertificateBuilder()
        .serial_number(serial)
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.certificate.subject)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .public_key(public_key)
    )
    for extension, critical in extensions.build(profile, subject, public_key, issuer):
        builder = builder.add_extension(extension, critical)
    return capture(builder, public_key if issuer is None else issuer.public_key)


def capture(builder: x509.CertificateBuilder, issuer_key: PublicKey) -> Unsigned:
    """What `builder` would have a key of the issuer's kind sign."""
    digest = signature_algorithms.digest_for(issuer_key)
    silent: Any
    if isinstance(issuer_key, rsa.RSAPublicKey):
        silent = _SilentRsaKey(issuer_key)
    else:
        silent = _SilentEcKey(issuer_key)
    tbs = builder.sign(silent, digest).tbs_certificate_bytes
    return Unsigned(tbs, signature_algorithms.identifier(issuer_key, digest), digest)


class _Silent:
    """What the two keys below share: they have a public half and no private one."""

    def __init__(self, public: Any) -> None:
        self._public = public

    def public_key(self) -> Any:
        return self._public

    @property
    def key_size(self) -> int:
        size: int = self._public.key_size
        return size

    def sign(self, *_: object, **__: object) -> bytes:
        return _NOTHING

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: object) -> Any:
        return self

    def _none(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this key has no private half")

    decrypt = exchange = private_numbers = private_bytes = _none


class _SilentRsaKey(_Silent, rsa.RSAPrivateKey):
    pass


class _SilentEcKey(_Silent, ec.EllipticCurvePrivateKey):
    @property
    def curve(self) -> ec.EllipticCurve:
        curve: ec.EllipticCurve = self._public.curve
        return curve
