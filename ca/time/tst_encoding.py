"""Time-stamps as DER (RFC 3161, RFC 5816, EN 319 422): read a request, write a token.

A token is CMS SignedData over TSTInfo. All that is constant for one time-stamp certificate is
encoded once; per token there are the TSTInfo, its digest, one signature and three lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import cached_property, partial
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ca import der
from ca import signature_algorithms as algorithms
from ca.der_forms import Form

MAX_REQUEST = 8_192

DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
_DIGEST_NAMES = {der.oid(algorithms.DIGESTS[name]): name for name in DIGEST_SIZES}
_IMPRINT_ALGORITHMS = {
    # RFC 3161 §2.4.1 leaves parameters open; they are echoed as the requester wrote them, and
    # written absent for our own requests (RFC 5754 §2).
    name: der.sequence(der.oid(algorithms.DIGESTS[name]))
    for name in DIGEST_SIZES
}
_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_TST_INFO = der.oid("1.2.840.113549.1.9.16.1.4")
_CONTENT_TYPE = der.oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE_V2 = der.oid("1.2.840.113549.1.9.16.2.47")
_ALGORITHM_PROTECTION = der.oid("1.2.840.113549.1.9.52")
_GRANTED = der.sequence(der.integer(0))
_VERSION_1 = der.integer(1)


class Failure(IntEnum):
    """`PKIFailureInfo`, the numbers of the bits (RFC 3161 §2.4.2)."""

    BAD_ALG = 0
    BAD_REQUEST = 2
    BAD_DATA_FORMAT = 5
    TIME_NOT_AVAILABLE = 14
    UNACCEPTED_POLICY = 15
    UNACCEPTED_EXTENSION = 16
    SYSTEM_FAILURE = 25


class RequestRefused(Exception):
    """A request that gets a rejection instead of a token."""

    def __init__(self, failure: Failure, why: str) -> None:
        super().__init__(why)
        self.failure = failure
        self.why = why


class Imprint(NamedTuple):
    """The digest to be stamped; `algorithm` is the identifier as the requester wrote it."""

    name: str
    digest: bytes
    algorithm: bytes

    @classmethod
    def of(cls, name: str, digest: bytes) -> Imprint:
        return cls(name, digest, _IMPRINT_ALGORITHMS[name])


class StampRequest(NamedTuple):
    imprint: Imprint
    policy: bytes | None = None
    nonce: int | None = None
    certificates_wanted: bool = False


def read_request(data: bytes) -> StampRequest:
    """Raises `RequestRefused` with the failure RFC 3161 §2.4.2 has for it."""
    try:
        return _read(data)
    except der.MalformedDer as error:
        raise RequestRefused(Failure.BAD_DATA_FORMAT, str(error.params["found"])) from error


def _read(data: bytes) -> StampRequest:
    if len(data) > MAX_REQUEST:
        raise der.MalformedDer("a request longer than anybody needs")
    whole = der.Reader(data)
    fields = whole.inside(der.SEQUENCE)
    whole.end()
    if fields.integer() != 1:
        raise RequestRefused(Failure.BAD_REQUEST, "only version 1 is known")
    imprint = fields.inside(der.SEQUENCE)
    algorithm = imprint.raw(der.SEQUENCE)
    digest = imprint.read(der.OCTET_STRING)
    imprint.end()
    policy = fields.raw(der.OBJECT_IDENTIFIER) if fields.next_is(der.OBJECT_IDENTIFIER) else None
    nonce = fields.integer() if fields.next_is(der.INTEGER) else None
    wanted = fields.boolean() if fields.next_is(der.BOOLEAN) else False
    extensions = fields.optional(0xA0)
    fields.end()
    parts = der.Reader(algorithm).inside(der.SEQUENCE)
    name = _DIGEST_NAMES.get(parts.raw(der.OBJECT_IDENTIFIER))
    parts.optional(der.NULL_TAG)
    parts.end()
    if name is None:
        raise RequestRefused(Failure.BAD_ALG, "digests are SHA-256, SHA-384 or SHA-512")
    if len(digest) != DIGEST_SIZES[name]:
        raise RequestRefused(Failure.BAD_DATA_FORMAT, "the digest has a wrong length")
    if extensions is not None:
        # §2.4.1: "If an extension, whether it is marked critical or not critical, is used by a
        # requester but is not recognized by a time-stamping server, the server SHALL NOT issue a
        # token and SHALL return a failure (unacceptedExtension)."
        raise RequestRefused(Failure.UNACCEPTED_EXTENSION, "no extension is known here")
    return StampRequest(Imprint(name, digest, algorithm), policy, nonce, wanted)


@dataclass(frozen=True)
class TokenTemplate:
    """What is the same in all tokens of one time-stamp certificate, as DER."""

    digest: algorithms.Digest
    policy: bytes
    accuracy: bytes
    certificates: bytes
    digest_algorithms: bytes
    attributes_header: bytes
    attributes_before: bytes
    attributes_after: bytes
    signer_before: bytes
    signer_after: bytes

    @classmethod
    def of(
        cls,
        certificate: x509.Certificate,
        chain: Sequence[x509.Certificate],
        *,
        policy: str,
        accuracy: timedelta,
    ) -> TokenTemplate:
        """`chain` goes into tokens whose requester wants certificates, without the root."""
        digest = algorithms.digest_for(certificate.public_key())
        digest_algorithm = algorithms.digest_identifier(digest)
        signature_algorithm = algorithms.identifier(certificate.public_key(), digest)
        encoded = certificate.public_bytes(Encoding.DER)
        issuer = certificate.issuer.public_bytes()
        serial = der.integer(certificate.serial_number)
        before, after = _attributes(
            digest.digest_size,
            _ess_cert_id_v2(encoded, issuer, serial),
            digest_algorithm + der.tlv(0xA1, der.Reader(signature_algorithm).read(der.SEQUENCE)),
        )
        carried = [encoded] + [
            each.public_bytes(Encoding.DER) for each in chain if each.issuer != each.subject
        ]
        return cls(
            digest=digest,
            policy=der.oid(policy),
            accuracy=_accuracy(accuracy),
            certificates=der.explicit(0, b"".join(sorted(carried))),
            digest_algorithms=der.set_of(digest_algorithm),
            attributes_header=der.header(der.SET, len(before) + digest.digest_size + len(after)),
            attributes_before=before,
            attributes_after=after,
            signer_before=_VERSION_1 + der.sequence(issuer, serial) + digest_algorithm,
            signer_after=signature_algorithm,
        )

    def tst_info(
        self, imprint: Imprint, *, serial: int, gen_time: datetime, nonce: int | None
    ) -> bytes:
        """`ordering` is left at its DEFAULT FALSE: two processes stamp without agreeing on an
        order, so the times of two tokens say which came first only beyond their accuracy."""
        parts = (
            imprint.algorithm,
            imprint.digest,
            der.integer(serial),
            der.generalized_time_fraction(gen_time),
        )
        if nonce is None:
            return self._forms.info(*parts)
        return self._forms.info_with_nonce(*parts, der.integer(nonce))

    def signed_attributes(self, info: bytes) -> bytes:
        """The body of the attributes."""
        return self.attributes_before + algorithms.hashed(self.digest, info) + self.attributes_after

    def to_be_signed(self, attributes: bytes) -> bytes:
        """They are signed as a SET (RFC 5652 §5.4), whose length is the same for all tokens."""
        return self.attributes_header + attributes

    def token(
        self, info: bytes, attributes: bytes, signature: bytes, *, with_certificates: bool
    ) -> bytes:
        return self._forms.tokens[with_certificates](info, attributes, signature)

    @cached_property
    def _forms(self) -> _Forms:
        tokens = {wanted: Form(partial(self._write_token, wanted)) for wanted in (False, True)}
        return _Forms(Form(self._write_info), Form(self._write_info), tokens)

    def _write_info(
        self, algorithm: bytes, digest: bytes, serial: bytes, time: bytes, nonce: bytes = b""
    ) -> bytes:
        return der.sequence(
            _VERSION_1,
            self.policy,
            der.sequence(algorithm, der.octet_string(digest)),
            serial,
            time,
            self.accuracy,
            nonce,
        )

    def _write_token(
        self, with_certificates: bool, info: bytes, attributes: bytes, signature: bytes
    ) -> bytes:
        signer = der.sequence(
            self.signer_before,
            der.tlv(0xA0, attributes),
            self.signer_after,
            der.octet_string(signature),
        )
        signed_data = der.sequence(
            der.integer(3),
            self.digest_algorithms,
            der.sequence(_TST_INFO, der.explicit(0, der.octet_string(info))),
            # §2.4.1: "If the certReq field is missing or ... false then the certificates field
            # ... MUST NOT be present in the response."
            self.certificates if with_certificates else b"",
            der.tlv(der.SET, signer),
        )
        return der.sequence(_SIGNED_DATA, der.explicit(0, signed_data))


@dataclass(frozen=True)
class _Forms:
    """`tokens` by whether the certificates are in them."""

    info: Form
    info_with_nonce: Form
    tokens: dict[bool, Form]


def granted(token: bytes) -> bytes:
    """TimeStampResp with a token."""
    return der.sequence(_GRANTED, token)


def rejected(failure: Failure, why: str) -> bytes:
    """TimeStampResp without one: status rejection, a text for people, and the failure's bit."""
    bits = bytearray(failure // 8 + 1)
    bits[failure // 8] |= 0x80 >> failure % 8
    info = der.tlv(der.BIT_STRING, bytes([7 - failure % 8]) + bits)
    text = der.sequence(der.tlv(0x0C, why.encode()))
    return der.sequence(der.sequence(der.integer(2), text, info))


def _attributes(digest_size: int, cert_id: bytes, protection: bytes) -> tuple[bytes, bytes]:
    """The attributes in DER order, cut where the message digest goes.

    Their order is that of their encodings, which differ before the digest begins.
    """
    hole = bytes(digest_size)
    message_digest = der.sequence(_MESSAGE_DIGEST, der.tlv(der.SET, der.octet_string(hole)))
    encoded = b"".join(
        sorted(
            (
                der.sequence(_CONTENT_TYPE, der.tlv(der.SET, _TST_INFO)),
                message_digest,
                der.sequence(
                    _SIGNING_CERTIFICATE_V2,
                    der.tlv(der.SET, der.sequence(der.sequence(cert_id))),
                ),
                # RFC 6211: nobody can swap the algorithms beside the signature.
                der.sequence(_ALGORITHM_PROTECTION, der.tlv(der.SET, der.sequence(protection))),
            )
        )
    )
    start = encoded.index(message_digest) + len(message_digest) - digest_size
    return encoded[:start], encoded[start + digest_size :]


def _ess_cert_id_v2(certificate: bytes, issuer: bytes, serial: bytes) -> bytes:
    """RFC 5816 §2.2.1; SHA-256 is the DEFAULT of ESSCertIDv2 and so not written (RFC 5035 §4)."""
    issuer_serial = der.sequence(der.sequence(der.explicit(4, issuer)), serial)
    digest = algorithms.hashed(hashes.SHA256(), certificate)
    return der.sequence(der.octet_string(digest), issuer_serial)


def _accuracy(accuracy: timedelta) -> bytes:
    seconds, rest = divmod(accuracy, timedelta(seconds=1))
    millis, micros = divmod(rest.microseconds, 1000)
    return der.sequence(
        der.integer(seconds) if seconds else b"",
        der.implicit(0, bytes(_unsigned(millis))) if millis else b"",
        der.implicit(1, bytes(_unsigned(micros))) if micros else b"",
    )


def _unsigned(value: int) -> bytes:
    return der.Reader(der.integer(value)).read(der.INTEGER)
