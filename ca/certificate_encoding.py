"""The bytes of a holder's or a service's certificate, from a template (PERFORMANCE.md).

Everything constant for a profile under an issuer is encoded once, by `cryptography`; per
certificate only serial, validity, name, key, key identifier and e-mail address are written. Tests
hold the outcome against `cryptography`'s own builder for every profile, octet by octet; `ca.lint`
reads every certificate with a parser that knows nothing of this module.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509

from ca import der, extensions
from ca.issuer import Issuer
from ca.key_policy import PublicKey, spki
from ca.names import ATTRIBUTES, REPEATED, Subject

if TYPE_CHECKING:
    from ca.profiles import Profile

_VERSION_3 = der.explicit(0, der.integer(2))
_IA5_STRING, _PRINTABLE_STRING, _UTF8_STRING = 0x16, 0x13, 0x0C
# What RFC 5280 appendix A.1 fixes; every other attribute is a DirectoryString, in UTF-8.
_STRINGS = {
    "country": _PRINTABLE_STRING,
    "serial_number": _PRINTABLE_STRING,
    "email": _IA5_STRING,
}
_BEFORE_IDENTIFIER = der.extension("2.5.29.14", der.octet_string(bytes(20)))[:-20]
"""The subject key identifier's extension up to the 20 octets themselves."""
_SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
_NAMED = tuple(
    (field, der.oid(oid.dotted_string), _STRINGS.get(field, _UTF8_STRING), field in REPEATED)
    for field, oid, _ in ATTRIBUTES
)
_RFC822_NAME = 1
_LONG_FORM = 0x80
_ENCODED = "_encoded_name"


@dataclass(frozen=True)
class _Constant:
    """What all certificates of one profile under one issuer share."""

    before_validity: bytes
    before_key_identifier: bytes
    after_key_identifier: bytes


_KEPT = 256
_constants: dict[tuple[object, ...], _Constant] = {}


def to_be_signed(
    *,
    profile: Profile,
    issuer: Issuer,
    subject: Subject,
    public_key: PublicKey,
    serial: int,
    not_before: datetime,
    not_after: datetime,
) -> bytes:
    """A TBSCertificate (RFC 5280 §4.1) under an issuer of ours, DER."""
    constant = _constant(profile, issuer)
    key = spki(public_key)
    parts = [
        constant.before_key_identifier,
        _BEFORE_IDENTIFIER,
        key_identifier(key),
        constant.after_key_identifier,
    ]
    if subject.email and not profile.is_authority:
        address = der.implicit(_RFC822_NAME, subject.email.encode("ascii"))
        parts.append(der.extension(_SUBJECT_ALTERNATIVE_NAME, der.sequence(address)))
    return der.sequence(
        _VERSION_3,
        der.integer(serial),
        constant.before_validity,
        der.sequence(der.time(not_before), der.time(not_after)),
        encoded_name(subject),
        key,
        der.explicit(3, der.sequence(*parts)),
    )


def encoded_name(subject: Subject) -> bytes:
    """The distinguished name, one attribute per RDN, as `Subject.to_x509` orders them."""
    known: bytes | None = subject.__dict__.get(_ENCODED)
    if known is None:
        # A frozen value may remember what follows from it, as its cached properties do.
        known = subject.__dict__[_ENCODED] = _encoded_name(subject)
    return known


def _encoded_name(subject: Subject) -> bytes:
    names = []
    for field, oid, tag, repeated in _NAMED:
        value = getattr(subject, field)
        if not value:
            continue
        for item in value if repeated else (value,):
            pair = oid + der.tlv(tag, item.encode())
            size = len(pair)
            # SET { SEQUENCE { … } }, both short enough for a length of one octet but rarely.
            short = size < _LONG_FORM - 2
            names.append(
                b"\x31%c\x30%c%b" % (size + 2, size, pair)
                if short
                else der.tlv(der.SET, der.sequence(pair))
            )
    return der.sequence(*names)


def key_identifier(encoded_key: bytes) -> bytes:
    """SHA-1 of the key's bits without tag, length and unused bits (RFC 5280 §4.2.1.2 (1))."""
    reader = der.Reader(encoded_key).inside(der.SEQUENCE)
    reader.raw(der.SEQUENCE)
    return hashlib.sha1(reader.read(der.BIT_STRING)[1:], usedforsecurity=False).digest()


def _constant(profile: Profile, issuer: Issuer) -> _Constant:
    identity = (
        profile,
        issuer.name,
        issuer.base_url,
        issuer.crl_url,
        issuer.subject_key,  # the key is the SHA-1 of the issuer's: it decides the algorithm too
        issuer.subject_bytes,
    )
    known = _constants.get(identity)
    if known is None:
        if len(_constants) >= _KEPT:
            _constants.clear()
        known = _constants[identity] = _made(profile, issuer)
    return known


def _made(profile: Profile, issuer: Issuer) -> _Constant:
    shared = extensions.constant(profile, issuer.name, issuer.base_url, issuer.crl_url)
    authority = x509.AuthorityKeyIdentifier(issuer.subject_key, None, None)
    return _Constant(
        issuer.signature_algorithm + issuer.subject_bytes,
        _extension(authority, critical=False),
        b"".join(_extension(one, critical=critical) for one, critical in shared),
    )


def _extension(one: x509.ExtensionType, *, critical: bool) -> bytes:
    return der.extension(one.oid.dotted_string, one.public_bytes(), critical=critical)
