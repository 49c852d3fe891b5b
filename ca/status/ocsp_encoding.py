"""OCSP answers as DER (RFC 6960 §4.2), from a template; requests: `ca.status.ocsp_request`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property, partial
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca import der
from ca.der_forms import Form
from ca.signature_algorithms import hashed
from ca.status.ocsp_request import NONCE, CertId

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


class Refusal(IntEnum):
    """The answers without a signature (RFC 6960 §4.2.1)."""

    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


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
        now, times = self.times(produced_at, next_update)
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

    @property
    def with_nonce(self) -> Form:
        """`with_nonce(now, cert_id, status + times, nonce)` is `tbs` for one issued certificate."""
        return self._forms.alone[True, False]

    @property
    def signed_form(self) -> Form:
        """`signed` without a layer between."""
        return self._forms.signed

    def times(self, produced_at: datetime, next_update: datetime) -> tuple[bytes, bytes]:
        """`producedAt`, and what stands after each status: `thisUpdate` and all that follows.

        The same for all answers of one second: the last ones are kept.
        """
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
            extensions += der.sequence(NONCE, der.octet_string(der.octet_string(nonce)))
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
