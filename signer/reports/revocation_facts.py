"""What is read off a CRL or OCSP response for a report: who said it, when, until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signer.reports.naming import token_id
from signer.trust.certificates import Certificate, read_certificate
from signer.trust.crl_statements import crl_signed_by, read_crl
from signer.trust.revocation_status import read_ocsp


@dataclass(frozen=True)
class RevocationFacts:
    """`signer` is None when nobody at hand signed it; `kind` is CRL or OCSP."""

    der: bytes
    kind: str
    produced: datetime
    this_update: datetime
    next_update: datetime | None
    digest: str
    signer: Certificate | None
    number: int | None = None

    @property
    def id(self) -> str:
        return token_id("R", self.der)


def revocation_facts(der: bytes, known: Sequence[Certificate]) -> RevocationFacts | None:
    """The facts, or None for what is neither."""
    response = read_ocsp(der)
    try:
        if response is not None:
            return _of_response(der, response, known)
        found = read_crl(der)
        if found is None or found.signature_hash_algorithm is None:
            return None
        signer = next((one for one in known if crl_signed_by(der, one)), None)
        return RevocationFacts(
            der,
            "CRL",
            found.last_update_utc,
            found.last_update_utc,
            found.next_update_utc,
            _name(found.signature_hash_algorithm.name),
            signer,
            _number(found),
        )
    except (ValueError, StopIteration):
        return None


def _of_response(
    der: bytes, response: x509.ocsp.OCSPResponse, known: Sequence[Certificate]
) -> RevocationFacts | None:
    single = next(iter(response.responses))
    digest = response.signature_hash_algorithm
    if digest is None:
        return None
    inside = (read_certificate(one.public_bytes(Encoding.DER)) for one in response.certificates)
    candidates = [one for one in inside if one is not None] + list(known)
    return RevocationFacts(
        der,
        "OCSP",
        response.produced_at_utc,
        single.this_update_utc,
        single.next_update_utc,
        _name(digest.name),
        next((one for one in candidates if _names(response, one)), None),
    )


def _names(response: x509.ocsp.OCSPResponse, one: Certificate) -> bool:
    """Whether the responder id is this certificate's name or key (RFC 6960, 4.2.1)."""
    if response.responder_name is not None:
        return response.responder_name == one.x509.subject
    identifier = x509.SubjectKeyIdentifier.from_public_key(one.x509.public_key())
    return response.responder_key_hash == identifier.digest


def _number(found: x509.CertificateRevocationList) -> int | None:
    try:
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return None


def _name(digest: str) -> str:
    return digest.replace("-", "_")
