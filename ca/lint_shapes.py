"""What may differ between two certificates of one shape, and the rules for just that.

Once a certificate has passed every judge, the next of its shape needs the rules for serial,
validity, name, key, key identifier and e-mail address only, provided that all its other octets are
those of the one that passed. Two readers look at it, and neither is what wrote it: `cryptography`'s
parser at the structure, serial and validity, the bounded DER reader at name, key and octets. (The
kinds of strings in a name are judged with the shape; after that they are those of the template.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ca import der
from ca.certificate_encoding import encoded_name
from ca.issuer import Issuer
from ca.key_policy import PublicKey, spki
from ca.names import ATTRIBUTES, Subject
from ca.profiles import Profile
from ca.tbs import Unsigned

_SUBJECT_KEY_IDENTIFIER = der.oid("2.5.29.14")
_SUBJECT_ALTERNATIVE_NAME = der.oid("2.5.29.17")
_TAGS = [0xA0, der.INTEGER, *[der.SEQUENCE] * 5, 0xA3]
"""Version, serial number, algorithm, issuer, validity, subject, key, extensions."""
_TYPES = {oid: der.oid(oid.dotted_string) for _, oid, _ in ATTRIBUTES}
_RFC822_NAME = 1
_LONG_FORM = 0x80


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
    named = [(_TYPES[oid], value) for oid, value in subject.pairs]
    if _named(top.subject) != named or top.subject != encoded_name(subject):
        yield "RFC 5280 §4.1.2.6", "subject differs"
    if top.key != spki(public_key):
        yield "RFC 5280 §4.1.2.7", "public key differs"
    wanted = (
        passed.before_key_identifier
        + der.extension("2.5.29.14", der.octet_string(_key_identifier(top.key)))
        + passed.after_key_identifier
    )
    if subject.email and not profile.is_authority:
        address = der.sequence(der.implicit(_RFC822_NAME, subject.email.encode()))
        wanted += der.extension("2.5.29.17", address)
    if top.extensions != wanted:
        yield "RFC 5280 §4.2", "extensions differ from those of the shape"


def _named(name: bytes) -> list[tuple[bytes, str]]:
    """Type (its OID, encoded) and value of the one attribute of each RDN."""
    found = []
    (_, _, content, end), *more = der.spans(name, 0, len(name))
    for tag, _, begin, stop in der.spans(name, content, end):
        size, start = name[begin + 1], begin + 2
        if size >= _LONG_FORM or start + size != stop:
            (_, _, start, stop), *others = der.spans(name, begin, stop)
            more += others
        parts = der.spans(name, start, stop)
        if (tag, name[begin], len(parts)) != (der.SET, der.SEQUENCE, 2) or more:
            raise der.MalformedDer("a name that is not one attribute per RDN")
        (_, first, _, last), (_, _, value, _) = parts
        found.append((name[first:last], name[value:stop].decode(errors="replace")))
    return found


def _key_identifier(key: bytes) -> bytes:
    """SHA-1 of what is in the BIT STRING, after its octet of unused bits (RFC 5280 §4.2.1.2 (1)).

    That this is what `cryptography` calls the identifier of the key was judged with the shape.
    """
    (_, _, content, end), *_ = der.spans(key, 0, len(key))
    _, (_, _, bits, _) = der.spans(key, content, end)
    return hashlib.sha1(key[bits + 1 : end], usedforsecurity=False).digest()


class _Top(NamedTuple):
    """The parts of a TBSCertificate; `extensions` is the body of their SEQUENCE."""

    version: bytes
    algorithm_and_issuer: bytes
    subject: bytes
    key: bytes
    extensions: bytes


def _top(tbs: bytes) -> _Top:
    whole = der.spans(tbs, 0, len(tbs))
    parts = der.spans(tbs, whole[0][2], whole[0][3])
    if len(whole) != 1 or [one[0] for one in parts] != _TAGS:
        raise der.MalformedDer("a TBSCertificate of other parts than ours")
    version, _serial, algorithm, issuer, _validity, subject, key, extensions = parts
    listed = der.spans(tbs, extensions[2], extensions[3])
    if len(listed) != 1 or listed[0][0] != der.SEQUENCE:
        raise der.MalformedDer("a TBSCertificate of other parts than ours")
    return _Top(
        version=tbs[version[1] : version[3]],
        algorithm_and_issuer=tbs[algorithm[1] : issuer[3]],
        subject=tbs[subject[1] : subject[3]],
        key=tbs[key[1] : key[3]],
        extensions=tbs[listed[0][2] : listed[0][3]],
    )
