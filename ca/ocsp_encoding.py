"""OCSP as DER (RFC 6960 §4): read a stranger's request, write an answer from a template.

`cryptography` reads requests for one certificate only; the protocol allows several.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property, lru_cache, partial
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca import der
from ca.der_forms import Form
from ca.signature_algorithms import hashed

MAX_REQUEST = 16_384
MAX_CERTIFICATES = 64

_NONCE = der.oid("1.3.6.1.5.5.7.48.1.2")
_KNOWN = {
    _NONCE,
    der.oid("1.3.6.1.5.5.7.48.1.4"),  # acceptable responses: basic is the only kind there is
    der.oid("1.3.6.1.5.5.7.48.1.7"),  # service locator: we are the service
    der.oid("1.3.6.1.5.5.7.48.1.8"),  # preferred algorithms: the key has one
}
_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    der.oid("1.3.14.3.2.26"): hashes.SHA1(),  # noqa: S303 – a name for a lookup, RFC 5019 §2.1.1
    der.oid("2.16.840.1.101.3.4.2.1"): hashes.SHA256(),
    der.oid("2.16.840.1.101.3.4.2.2"): hashes.SHA384(),
    der.oid("2.16.840.1.101.3.4.2.3"): hashes.SHA512(),
}
GOOD = der.implicit(0, b"")
UNKNOWN = der.implicit(2, b"")
_NEVER_ISSUED = der.explicit(
    1, der.tlv(der.GENERALIZED_TIME, b"19700101000000Z") + der.explicit(0, der.enumerated(6))
)
_EXTENDED_REVOKE = der.extension("1.3.6.1.5.5.7.48.1.9", der.NULL)
_BASIC = der.oid("1.3.6.1.5.5.7.48.1.1")


def _nonce_alone(length: int) -> bytes:
    """Extensions that hold a nonce of this length and nothing else, up to the nonce."""
    nonce = der.octet_string(der.octet_string(bytes(length)))
    return der.sequence(der.sequence(_NONCE, nonce))[:-length]


_NONCE_ALONE = {_nonce_alone(length): length for length in range(1, 65)}
"""What nearly every request with extensions carries, recognised at a glance."""
_BEFORE_NONCE = len(_nonce_alone(32))
_USUAL_NONCE = 32
"""What RFC 9654 §2.1 asks of new clients."""
_BEFORE_USUAL_NONCE = _nonce_alone(_USUAL_NONCE)


class Refusal(IntEnum):
    """The answers without a signature (RFC 6960 §4.2.1)."""

    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


@dataclass(frozen=True, slots=True)
class CertId:
    """Which certificate is asked about; `encoded` is repeated in the answer as it came."""

    encoded: bytes
    hash_algorithm: bytes
    name_hash: bytes
    key_hash: bytes
    serial: int


class Request(NamedTuple):
    certificates: tuple[CertId, ...]
    nonce: bytes | None


def read_request(data: bytes) -> Request:
    """Raises `MalformedDer` for whatever RFC 6960 §4.1 and RFC 9654 do not allow.

    A signature on the request is neither asked for nor looked at: answers are public.
    """
    if len(data) > MAX_REQUEST:
        raise der.MalformedDer("a request longer than anybody needs")
    if data[-_USUAL_NONCE - _BEFORE_NONCE : -_USUAL_NONCE] == _BEFORE_USUAL_NONCE:
        # Up to the nonce a client asks the same each time. What follows changes nothing: every
        # length is in what comes before.
        certificates = _before_nonce(data[:-_USUAL_NONCE])
        if certificates is not None:
            return Request(certificates, data[-_USUAL_NONCE:])
    return _read(data)


@lru_cache(maxsize=8192)
def _before_nonce(data: bytes) -> tuple[CertId, ...] | None:
    """What is asked about, when a nonce of the usual length is the end of the request."""
    nonce = secrets.token_bytes(_USUAL_NONCE)
    found = _read(data + nonce)
    return found.certificates if found.nonce == nonce else None


def _read(data: bytes) -> Request:
    whole = der.Reader(data)
    outer = whole.inside(der.SEQUENCE)
    whole.end()
    tbs = outer.inside(der.SEQUENCE)
    outer.optional(0xA0)
    outer.end()
    if (version := tbs.optional(0xA0)) is not None and version != b"\x02\x01\x00":
        raise der.MalformedDer("a version other than v1")
    tbs.optional(0xA1)
    requests = tbs.inside(der.SEQUENCE)
    nonce = _nonce(tbs.optional(0xA2))
    tbs.end()
    certificates: list[CertId] = []
    while requests.more():
        if len(certificates) == MAX_CERTIFICATES:
            raise der.MalformedDer("more certificates than one answer holds")
        one = requests.inside(der.SEQUENCE)
        certificates.append(cert_id_of_encoded(one.raw(der.SEQUENCE)))
        _extensions(one.optional(0xA0))
        one.end()
    if not certificates:
        raise der.MalformedDer("no certificate asked about")
    return Request(tuple(certificates), nonce)


@lru_cache(maxsize=8192)
def cert_id_of_encoded(encoded: bytes) -> CertId:
    fields = der.Reader(encoded).inside(der.SEQUENCE)
    algorithm = fields.inside(der.SEQUENCE)
    name = algorithm.raw(der.OBJECT_IDENTIFIER)
    algorithm.optional(der.NULL_TAG)
    algorithm.end()
    found = CertId(
        encoded,
        name,
        fields.read(der.OCTET_STRING),
        fields.read(der.OCTET_STRING),
        fields.integer(),
    )
    fields.end()
    return found


def _extensions(explicit: bytes | None) -> der.Extensions | None:
    if explicit is None:
        return None
    reader = der.Reader(explicit)
    found = der.Extensions(reader.read(der.SEQUENCE))
    reader.end()
    if not found.critical <= _KNOWN:
        # §4.4 lets a requester mark an extension critical; one we do not know cannot be honoured.
        raise der.MalformedDer("an unknown critical extension")
    return found


def _nonce(explicit: bytes | None) -> bytes | None:
    if explicit is None:
        return None
    length = _NONCE_ALONE.get(explicit[:_BEFORE_NONCE])
    if length is not None and len(explicit) == _BEFORE_NONCE + length:
        return explicit[_BEFORE_NONCE:]
    found = _extensions(explicit)
    if found is None or _NONCE not in found.values:
        return None
    reader = der.Reader(found.values[_NONCE])
    nonce = reader.read(der.OCTET_STRING)
    reader.end()
    # RFC 9654 §2.1: "Servers MUST reject any OCSP request that has a nonce ... with length of
    # either 0 octets or more than 128 octets with the malformedRequest OCSPResponseStatus."
    if not 1 <= len(nonce) <= 128:
        raise der.MalformedDer("a nonce of a forbidden length")
    return nonce


class IssuerNames:
    """How requesters may name one issuer: hash of its name and of its key, per algorithm."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self._name = certificate.subject.public_bytes()
        self._key = public_key_bits(certificate)
        self._hashes = {
            oid: (hashed(algorithm, self._name), hashed(algorithm, self._key))
            for oid, algorithm in _HASHES.items()
        }

    def named_by(self, asked: CertId) -> bool:
        return self._hashes.get(asked.hash_algorithm) == (asked.name_hash, asked.key_hash)

    def cert_id(self, serial: int) -> CertId:
        """The usual SHA-1 form, which RFC 5019 §2.1.1 makes every client understand."""
        oid = next(iter(_HASHES))
        name_hash, key_hash = self._hashes[oid]
        encoded = der.sequence(
            der.sequence(oid, der.NULL),
            der.octet_string(name_hash),
            der.octet_string(key_hash),
            der.integer(serial),
        )
        return CertId(encoded, oid, name_hash, key_hash, serial)


def public_key_bits(certificate: x509.Certificate) -> bytes:
    """The BIT STRING of the public key without tag, length and unused bits (§4.1.1)."""
    info = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fields = der.Reader(info).inside(der.SEQUENCE)
    fields.read(der.SEQUENCE)
    return fields.read(der.BIT_STRING)[1:]


def revoked(revocation_time: bytes, reason: int | None) -> bytes:
    """`revocation_time` is an encoded GeneralizedTime."""
    code = der.explicit(0, der.enumerated(reason)) if reason is not None else b""
    return der.explicit(1, revocation_time + code)


class Single(NamedTuple):
    """The answer about one certificate. `NEVER_ISSUED` sets `extended`, see `Template.tbs`."""

    cert_id: bytes
    status: bytes
    extended: bool = False

    @classmethod
    def never_issued(cls, cert_id: bytes) -> Single:
        return cls(cert_id, _NEVER_ISSUED, extended=True)


@dataclass(frozen=True)
class AnswerTemplate:
    """What is constant in all answers of one responder, as DER.

    `archive_cutoff` says from when on revoked certificates stay known after they expire (§4.4.4,
    EN 319 411-2 CSS-6.3.10): since the issuer began.
    """

    responder_id: bytes
    algorithm: bytes
    certificates: bytes
    archive_cutoff: bytes

    @classmethod
    def of(
        cls,
        responder: x509.Certificate,
        algorithm: bytes,
        *,
        by_name: bool,
        issuer_since: datetime,
    ) -> AnswerTemplate:
        if by_name:
            identity = der.explicit(1, responder.subject.public_bytes())
        else:
            # §4.2.1: KeyHash is "SHA-1 hash of responder's public key".
            key_hash = hashed(hashes.SHA1(), public_key_bits(responder))  # noqa: S303 – an identifier
            identity = der.explicit(2, der.octet_string(key_hash))
        return cls(
            responder_id=identity,
            algorithm=algorithm,
            certificates=der.explicit(0, der.sequence(responder.public_bytes(Encoding.DER))),
            archive_cutoff=der.explicit(
                1,
                der.sequence(
                    der.extension("1.3.6.1.5.5.7.48.1.6", der.generalized_time(issuer_since))
                ),
            ),
        )

    def tbs(
        self,
        answers: Sequence[Single],
        *,
        produced_at: datetime,
        next_update: datetime,
        nonce: bytes | None = None,
    ) -> bytes:
        """All answers hold from `produced_at` on: each status is read just before signing."""
        now, times = self._times(produced_at, next_update)
        if len(answers) == 1:
            cert_id, status, extended = answers[0]
            form = self._forms.alone[nonce is not None, extended]
            parts = (now, cert_id, status + times)
            return form(*parts) if nonce is None else form(*parts, nonce)
        listed = [der.sequence(one.cert_id, one.status, times) for one in answers]
        extended = any(one.extended for one in answers)
        return self._write(extended, now, b"".join(listed), nonce or b"")

    def signed(self, tbs: bytes, signature: bytes) -> bytes:
        return self._forms.signed(tbs, signature)

    def _times(self, produced_at: datetime, next_update: datetime) -> tuple[bytes, bytes]:
        """The same for all answers of one second: the last ones are kept."""
        known: tuple[datetime, datetime, bytes, bytes] | None = self.__dict__.get("_last")
        if known is None or known[0] != produced_at or known[1] != next_update:
            now = der.generalized_time(produced_at)
            until = der.explicit(0, der.generalized_time(next_update))
            known = (produced_at, next_update, now, now + until + self.archive_cutoff)
            self.__dict__["_last"] = known
        return known[2], known[3]

    @cached_property
    def _forms(self) -> _Forms:
        alone = {
            (with_nonce, extended): Form(partial(self._write_alone, extended))
            for with_nonce in (False, True)
            for extended in (False, True)
        }
        return _Forms(alone, Form(self._write_signed))

    def _write_alone(
        self, extended: bool, now: bytes, cert_id: bytes, status: bytes, nonce: bytes = b""
    ) -> bytes:
        return self._write(extended, now, der.sequence(cert_id, status), nonce)

    def _write(self, extended: bool, now: bytes, listed: bytes, nonce: bytes) -> bytes:
        extensions = b""
        if nonce:
            extensions += der.sequence(_NONCE, der.octet_string(der.octet_string(nonce)))
        if extended:
            # §4.4.8: "MUST be included in the OCSP response when that response contains a
            # revoked status for a non-issued certificate".
            extensions += _EXTENDED_REVOKE
        return der.sequence(
            self.responder_id,
            now,
            der.sequence(listed),
            der.explicit(1, der.sequence(extensions)) if extensions else b"",
        )

    def _write_signed(self, tbs: bytes, signature: bytes) -> bytes:
        basic = der.sequence(tbs, self.algorithm, der.bit_string(signature), self.certificates)
        return der.sequence(
            der.enumerated(0), der.explicit(0, der.sequence(_BASIC, der.octet_string(basic)))
        )


@dataclass(frozen=True)
class _Forms:
    """`alone` for one certificate, by whether there is a nonce and whether it was never issued."""

    alone: dict[tuple[bool, bool], Form]
    signed: Form


def refusal(status: Refusal) -> bytes:
    return der.sequence(der.enumerated(status))
