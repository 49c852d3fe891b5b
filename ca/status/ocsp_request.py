"""An OCSP request as a stranger sends it (RFC 6960 §4.1, RFC 9654).

`cryptography` reads requests for one certificate only; the protocol allows several.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ca import der

MAX_REQUEST = 16_384
MAX_CERTIFICATES = 64
NONCE = der.oid("1.3.6.1.5.5.7.48.1.2")

_KNOWN = {
    NONCE,
    der.oid("1.3.6.1.5.5.7.48.1.4"),  # acceptable responses: basic is the only kind there is
    der.oid("1.3.6.1.5.5.7.48.1.7"),  # service locator: we are the service
    der.oid("1.3.6.1.5.5.7.48.1.8"),  # preferred algorithms: the key has one
}
USUAL_NONCE = 32
"""What RFC 9654 §2.1 asks of new clients."""
_BEFORE_USUAL_NONCE = der.sequence(
    der.sequence(NONCE, der.octet_string(der.octet_string(bytes(USUAL_NONCE))))
)[:-USUAL_NONCE]


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


def before_usual_nonce(data: bytes) -> bytes | None:
    """What a request says up to a nonce of the usual length that is the end of it, or None.

    Whatever 32 octets follow, the rest of the request says the same: every length is in here.
    """
    beginning = data[:-USUAL_NONCE]
    return beginning if beginning.endswith(_BEFORE_USUAL_NONCE) else None


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
    found = _extensions(explicit)
    if found is None or NONCE not in found.values:
        return None
    reader = der.Reader(found.values[NONCE])
    nonce = reader.read(der.OCTET_STRING)
    reader.end()
    # RFC 9654 §2.1: "Servers MUST reject any OCSP request that has a nonce ... with length of
    # either 0 octets or more than 128 octets with the malformedRequest OCSPResponseStatus."
    if not 1 <= len(nonce) <= 128:
        raise der.MalformedDer("a nonce of a forbidden length")
    return nonce
