"""Certificates as validation uses them: read once, compared by their bytes.

Everything here is pure and cached by content: the same issuing CA and TSA come back in every
document, and reading them anew would cost more than all the cryptography.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from datetime import datetime

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from ca import der as asn1
from signer.verdicts.verdict import Finding, SubIndication, fails


class Certificate:
    """One certificate with what is asked of it again and again. Equal when the bytes are."""

    __slots__ = (
        "der",
        "digest",
        "issuer",
        "not_after",
        "not_before",
        "serial",
        "spki",
        "subject",
        "x509",
    )

    def __init__(self, der: bytes) -> None:
        self.der = der
        self.digest = hashlib.sha256(der).digest()
        self.x509 = x509.load_der_x509_certificate(der)
        self.subject = self.x509.subject.public_bytes()
        self.issuer = self.x509.issuer.public_bytes()
        self.serial = self.x509.serial_number
        self.not_before = self.x509.not_valid_before_utc
        self.not_after = self.x509.not_valid_after_utc
        self.spki = self.x509.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and other.der == self.der

    def __hash__(self) -> int:
        return hash(self.digest)

    def valid_at(self, moment: datetime) -> bool:
        return self.not_before <= moment <= self.not_after

    @property
    def self_signed(self) -> bool:
        return self.subject == self.issuer and issued(self, self)

    @property
    def mask_digest(self) -> str | None:
        """What MGF1 was built on, where the issuer signed by RSASSA-PSS."""
        if self.x509.signature_algorithm_oid != SignatureAlgorithmOID.RSASSA_PSS:
            return None
        parameters = asn1_x509.Certificate.load(self.der)["signature_algorithm"]["parameters"]
        name: str = parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native
        return name

    def common_name(self) -> str:
        """The name a person would use for the holder."""
        names = self.x509.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        found = names[-1].value if names else self.x509.subject.rfc4514_string()
        return found if isinstance(found, str) else found.decode(errors="replace")

    def purposes(self) -> frozenset[str] | None:
        """extendedKeyUsage as dotted OIDs, or None when the extension is absent."""
        try:
            extension = self.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        except x509.ExtensionNotFound:
            return None
        return frozenset(oid.dotted_string for oid in extension.value)

    def key_usage(self) -> x509.KeyUsage | None:
        try:
            return self.x509.extensions.get_extension_for_class(x509.KeyUsage).value
        except x509.ExtensionNotFound:
            return None


# `cryptography` derives the first two from Exception alone.
_UNREADABLE = (
    x509.InvalidVersion,
    x509.DuplicateExtension,
    UnsupportedAlgorithm,
    ValueError,
    TypeError,
)


@functools.lru_cache(maxsize=4096)
def read_certificate(der: bytes) -> Certificate | None:
    """The certificate, or None when these bytes are not one we can use."""
    try:
        certificate = Certificate(der)
        _ = certificate.x509.extensions
    except _UNREADABLE:
        return None
    return certificate if has_whole_signature(der) else None


def has_whole_signature(signed: bytes) -> bool:
    """Whether a SIGNED value (certificate, CRL, BasicOCSPResponse) ends in whole octets.

    How many bits of the signature are unused stands outside what is signed, and verification
    passes over it: with an altered count the value would be another and still verify.
    """
    try:
        parts = asn1.Reader(signed).inside(asn1.SEQUENCE)
        parts.raw(asn1.SEQUENCE)
        parts.raw(asn1.SEQUENCE)
        return parts.read(asn1.BIT_STRING)[:1] == b"\0"
    except asn1.MalformedDer:
        return False


def read_all(ders: Iterable[bytes]) -> list[Certificate]:
    """Those of the values that are certificates, each once, in order."""
    found = (read_certificate(der) for der in ders)
    return list(dict.fromkeys(one for one in found if one is not None))


@functools.lru_cache(maxsize=16384)
def normal_name(encoded: bytes) -> bytes:
    """A name as RFC 5280, 7.1 compares it: without regard to case, spaces and string types."""
    try:
        prepared: str = asn1_x509.Name.load(encoded).hashable
    except (ValueError, TypeError, KeyError, AttributeError):
        return encoded
    return hashlib.sha256(prepared.encode("utf-8", "surrogatepass")).digest()


def is_authority(certificate: Certificate) -> bool:
    """Whether basicConstraints call it a CA."""
    try:
        basic = certificate.x509.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return basic.value.ca


@functools.lru_cache(maxsize=16384)
def issued(child: Certificate, issuer: Certificate) -> bool:
    """Whether `issuer` signed `child` (names and signature; nothing about its right to)."""
    if child.issuer != issuer.subject and normal_name(child.issuer) != normal_name(issuer.subject):
        return False
    try:
        if child.issuer == issuer.subject:
            child.x509.verify_directly_issued_by(issuer.x509)
        else:
            _verify(child.x509, issuer.x509.public_key())
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _verify(child: x509.Certificate, key: object) -> None:
    """The signature alone, where the names are equal without being the same octets."""
    parameters, digest = child.signature_algorithm_parameters, child.signature_hash_algorithm
    signed, signature = child.tbs_certificate_bytes, child.signature
    if isinstance(key, rsa.RSAPublicKey) and isinstance(parameters, padding.PKCS1v15 | padding.PSS):
        if digest is None:
            raise UnsupportedAlgorithm("a signature without a digest")
        key.verify(signature, signed, parameters, digest)
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
        key.verify(signature, signed, parameters)
    else:
        raise UnsupportedAlgorithm("another key than the signature's")


def is_signer(certificate: Certificate, usages: Iterable[str], purposes: frozenset[str]) -> bool:
    """Whether the certificate may sign documents, by keyUsage and extendedKeyUsage."""
    usage = certificate.key_usage()
    if usage is not None and not any(getattr(usage, one) for one in usages):
        return False
    named = certificate.purposes()
    return named is None or bool(named & purposes)


def is_timestamper(certificate: Certificate) -> bool:
    """RFC 3161, 2.3: extendedKeyUsage is timeStamping, alone and critical."""
    try:
        extension = certificate.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return False
    only = list(extension.value) == [ExtendedKeyUsageOID.TIME_STAMPING]
    return only and extension.critical


def spoiled_copies(bag: Iterable[bytes], chain: Iterable[Certificate]) -> list[Finding]:
    """A damaged twin of a chain certificate in the signature's own bag.

    The bag is not signed. Damage there changes no verdict by the mathematics, but nobody
    honest makes it: such a file is not passed.
    """
    known = list(chain)
    for der in bag:
        one = read_certificate(der)
        if one is None:
            return [fails("validation-bag-damaged", SubIndication.SIG_CONSTRAINTS_FAILURE)]
        if one in known:
            continue
        twin = any(one.spki == member.spki or one.subject == member.subject for member in known)
        near = any(one.serial == member.serial or one.issuer == member.issuer for member in known)
        # Below a member of the chain, or above its anchor: not a twin but family. (A damaged
        # copy has the member's key, and so "issued" what the member issued.)
        above = all(one.spki != member.spki for member in known) and issued(known[-1], one)
        vouched = above or any(issued(one, member) for member in known)
        if (twin or near) and not vouched:
            return [fails("validation-bag-damaged", SubIndication.SIG_CONSTRAINTS_FAILURE)]
    return []
