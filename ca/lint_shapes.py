"""What may differ between two certificates of one shape, and the rules for just that.

Once a certificate has passed every judge, the next of its shape needs the rules for serial,
validity, name, key, key identifier and e-mail address only, provided that all its other octets are
those of the one that passed. Two readers look at it, and neither is what wrote it: `cryptography`'s
parser at the values, the bounded DER reader at the octets. (The kinds of strings in a name are
judged with the shape; after that they are those of the template.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from ca import der
from ca.certificate_encoding import encoded_name
from ca.issuer import Issuer
from ca.key_policy import PublicKey, spki
from ca.names import Subject
from ca.profiles import Profile
from ca.tbs import Unsigned

_SUBJECT_KEY_IDENTIFIER = der.oid("2.5.29.14")
_SUBJECT_ALTERNATIVE_NAME = der.oid("2.5.29.17")
_EXTENSIONS = 0xA3
_VERSION = 0xA0
_RFC822_NAME = 1


@dataclass(frozen=True)
class Fixed:
    """The octets that every certificate of a shape shares."""

    version: bytes
    algorithm_and_issuer: bytes
    before_key_identifier: bytes
    after_key_identifier: bytes


def fixed_parts(tbs: bytes) -> Fixed:
    """What is fixed in a certificate that has passed."""
    top = _top(tbs)
    listed = der.Reader(top.extensions)
    before = after = b""
    seen = False
    while listed.more():
        whole = listed.raw(der.SEQUENCE)
        name = der.Reader(whole).inside(der.SEQUENCE).raw(der.OBJECT_IDENTIFIER)
        if name == _SUBJECT_KEY_IDENTIFIER:
            seen = True
        elif name != _SUBJECT_ALTERNATIVE_NAME:
            before, after = (before, after + whole) if seen else (before + whole, after)
    return Fixed(top.version, top.algorithm_and_issuer, before, after)


def departures(
    unsigned: Unsigned,
    passed: Fixed,
    profile: Profile,
    issuer: Issuer,
    subject: Subject,
    public_key: PublicKey,
) -> Iterator[tuple[str, str]]:
    """Rule and text of everything that is not as the profile and the subject demand."""
    top, certificate = _top(unsigned.tbs), unsigned.parsed()
    if (top.version, top.algorithm_and_issuer) != (passed.version, passed.algorithm_and_issuer):
        yield "RFC 5280 §4.1", "differs from its shape in more than it may"
    serial = certificate.serial_number
    if not 0 < serial < 1 << 159:
        yield "RFC 5280 §4.1.2.2", "serial is not positive or too long"
    if serial >> 64 == 0:
        yield "CA/B BR 7.1", "serial holds less than 64 bits"
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start < end <= profile.not_after(start):
        yield "DOMAIN §2", "validity is empty or too long"
    above = issuer.certificate
    if end > above.not_valid_after_utc:
        yield "RFC 5280 §6.1.3", "outlives its issuer"
    if start < above.not_valid_before_utc:
        yield "RFC 5280 §6.1.3", "begins before its issuer"
    named = [[(one.oid, one.value) for one in rdn] for rdn in certificate.subject.rdns]
    if named != [[pair] for pair in subject.pairs] or top.subject != encoded_name(subject):
        yield "RFC 5280 §4.1.2.6", "subject differs"
    if top.key != spki(public_key):
        yield "RFC 5280 §4.1.2.7", "public key differs"
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key).digest
    wanted = passed.before_key_identifier + _extension_14(identifier) + passed.after_key_identifier
    if subject.email and not profile.is_authority:
        address = der.sequence(der.implicit(_RFC822_NAME, subject.email.encode()))
        wanted += der.extension("2.5.29.17", address)
    if top.extensions != wanted:
        yield "RFC 5280 §4.2", "extensions differ from those of the shape"


def _extension_14(identifier: bytes) -> bytes:
    return der.extension("2.5.29.14", der.octet_string(identifier))


@dataclass(frozen=True)
class _Top:
    """The parts of a TBSCertificate; `extensions` is the body of their SEQUENCE."""

    version: bytes
    algorithm_and_issuer: bytes
    subject: bytes
    key: bytes
    extensions: bytes


def _top(tbs: bytes) -> _Top:
    reader = der.Reader(tbs).inside(der.SEQUENCE)
    version = reader.raw(_VERSION)
    reader.raw(der.INTEGER)  # serial number
    algorithm_and_issuer = reader.raw(der.SEQUENCE) + reader.raw(der.SEQUENCE)
    reader.raw(der.SEQUENCE)  # validity
    subject = reader.raw(der.SEQUENCE)
    key = reader.raw(der.SEQUENCE)
    extensions = der.Reader(reader.read(_EXTENSIONS)).read(der.SEQUENCE)
    reader.end()
    return _Top(version, algorithm_and_issuer, subject, key, extensions)
