"""Was this certificate revoked at that moment? Answered from CRLs and OCSP responses in hand.

EN 319 102-1, clause 5.2.5 (revocation freshness) and 5.2.6; RFC 6960 and RFC 5280. Nothing is
fetched. A statement counts for a moment when it was issued at or after it, or was still fresh
then (its nextUpdate not passed); a missing or stale one is an open question, never "good".
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from ca import der as asn1
from ca.der import Reader
from signer.trust.certificates import (
    Certificate,
    has_whole_signature,
    is_authority,
    issued,
    read_certificate,
)
from signer.trust.crl_statements import (
    ALL_REASONS,
    Signers,
    Statement,
    crl_signed_by,
    read_crl,
    statements,
)
from signer.verdicts.policy import Policy
from signer.verdicts.verdict import Finding, SubIndication, fails

_HOLD = x509.ReasonFlags.certificate_hold


def _nobody_else(name: bytes, der: bytes) -> None:
    """Only the issuer's own key signs lists."""


@dataclass(frozen=True)
class Status:
    """The answer for one certificate: nothing against it, or the finding; and its sources."""

    finding: Finding | None
    revoked_at: datetime | None
    sources: tuple[bytes, ...]


def status_at(
    certificate: Certificate,
    issuer: Certificate,
    moment: datetime,
    *,
    evidence: Mapping[bytes, datetime],
    at: datetime,
    policy: Policy,
    issuer_revoked: datetime | None = None,
    signers: Signers = _nobody_else,
) -> Status:
    """The status of `certificate` at `moment`.

    `evidence` maps each CRL or OCSP response to the moment it is proven to have existed;
    `at` is the validation time. What an issuer says after its own revocation is not heard.
    `signers` finds who else signed a list under its name (RFC 5280, 6.3.3 (f)).
    """
    usable = [
        one
        for one in _statements(certificate, issuer, tuple(evidence), signers)
        if _usable(one, issuer, evidence, at, policy)
        and not (issuer_revoked and issuer_revoked <= evidence[one.source])
    ]
    usable.sort(key=lambda one: one.this_update)
    final = [one.revoked_at for one in usable if one.revoked_at and not one.held]
    revoked_at = min(final) if final else None
    is_ca = is_authority(certificate)
    if revoked_at is not None and revoked_at <= moment:
        sub = SubIndication.REVOKED_CA_NO_POE if is_ca else SubIndication.REVOKED_NO_POE
        finding = fails(
            "validation-revoked", sub, holder=certificate.common_name(), time=revoked_at.isoformat()
        )
        return Status(finding, revoked_at, tuple(one.source for one in usable))
    newest = next((one for one in reversed(usable) if _HOLD in one.reasons), None)
    if newest and newest.held and newest.revoked_at and newest.revoked_at <= moment:
        finding = fails(
            "validation-suspended", SubIndication.TRY_LATER, holder=certificate.common_name()
        )
        return Status(finding, newest.revoked_at, (newest.source,))
    answers = [one for one in usable if _speaks_for(one, moment, certificate)]
    covered = frozenset[x509.ReasonFlags]().union(*(one.reasons for one in answers))
    if covered >= ALL_REASONS:
        return Status(None, revoked_at, tuple(one.source for one in answers))
    code = (
        "validation-revocation-stale" if usable and not answers else "validation-revocation-missing"
    )
    finding = fails(code, SubIndication.TRY_LATER, holder=certificate.common_name())
    return Status(finding, revoked_at, ())


def _speaks_for(one: Statement, moment: datetime, certificate: Certificate) -> bool:
    if one.this_update >= moment:
        # After expiry a certificate may have been dropped from the lists.
        return one.this_update <= certificate.not_after or one.revoked_at is not None
    return one.next_update is not None and moment <= one.next_update


def _usable(
    one: Statement,
    issuer: Certificate,
    evidence: Mapping[bytes, datetime],
    at: datetime,
    policy: Policy,
) -> bool:
    existed = evidence[one.source]
    if one.base is not None and not _usable(one.base, issuer, evidence, at, policy):
        return False
    return (
        one.this_update <= min(existed, at) + policy.clock_skew
        and one.responder.valid_at(existed)
        and issuer.valid_at(existed)
        and policy.digest_good(one.digest, existed)
        and policy.key_good(one.responder.x509.public_key(), existed)
    )


def _statements(
    certificate: Certificate, issuer: Certificate, sources: Sequence[bytes], signers: Signers
) -> Iterator[Statement]:
    lists = []
    for der in sources:
        if read_ocsp(der) is None:
            lists.append(der)
            continue
        found = _ocsp_statement(der, certificate, issuer)
        if found is not None:
            yield found
    yield from statements(certificate, issuer, lists, signers)


@functools.lru_cache(maxsize=32768)
def _ocsp_statement(der: bytes, certificate: Certificate, issuer: Certificate) -> Statement | None:
    response = read_ocsp(der)
    return _from_ocsp(response, der, certificate, issuer) if response is not None else None


@functools.lru_cache(maxsize=4096)
def read_ocsp(der: bytes) -> ocsp.OCSPResponse | None:
    """A successful OCSP response, or None."""
    try:
        response = ocsp.load_der_ocsp_response(der)
        successful = response.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return response if successful and has_whole_signature(_basic(der)) else None


def _basic(response: bytes) -> bytes:
    """The BasicOCSPResponse inside (RFC 6960, 4.2.1); empty when there is none."""
    try:
        outer = Reader(response).inside(asn1.SEQUENCE)
        outer.raw(asn1.ENUMERATED)
        held = outer.inside(0xA0).inside(asn1.SEQUENCE)
        held.raw(asn1.OBJECT_IDENTIFIER)
        return held.read(asn1.OCTET_STRING)
    except asn1.MalformedDer:
        return b""


def is_answered(certificate: Certificate, issuer: Certificate, sources: Sequence[bytes]) -> bool:
    """Whether any source speaks of this certificate at all, however old: what LT asks for."""
    return any(_statements(certificate, issuer, sources, _nobody_else))


def vouched(der: bytes, known: Sequence[Certificate]) -> bool:
    """Whether a CRL or OCSP response is truly signed by one of these authorities.

    What an OCSP response carries beside its signed part (RFC 6960, 4.2.1: `certs`) must be whole
    too: each certificate there issued by a known one or by another of them.
    """
    response = read_ocsp(der)
    if response is None:
        return read_crl(der) is not None and any(crl_signed_by(der, issuer) for issuer in known)
    try:
        beside = [one.public_bytes(serialization.Encoding.DER) for one in response.certificates]
        signed = any(_responder(response, issuer) is not None for issuer in known)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    read = [read_certificate(one) for one in beside]
    carried = [one for one in read if one is not None]
    if not signed or len(carried) < len(beside):
        return False
    issuers = [*known, *carried]
    return all(one in known or any(issued(one, each) for each in issuers) for one in carried)


def _from_ocsp(
    response: ocsp.OCSPResponse, der: bytes, certificate: Certificate, issuer: Certificate
) -> Statement | None:
    try:
        single = next(one for one in response.responses if _is_about(one, certificate, issuer))
        responder = _responder(response, issuer)
        digest = response.signature_hash_algorithm
        if responder is None or digest is None:
            return None
    except (StopIteration, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    state = single.certificate_status
    if state is ocsp.OCSPCertStatus.UNKNOWN:
        return None
    revoked = single.revocation_time_utc if state is ocsp.OCSPCertStatus.REVOKED else None
    return Statement(
        this_update=single.this_update_utc,
        next_update=single.next_update_utc,
        revoked_at=revoked,
        held=revoked is not None and single.revocation_reason is _HOLD,
        responder=responder,
        digest=_name(digest),
        source=der,
    )


def _is_about(
    single: ocsp.OCSPSingleResponse, certificate: Certificate, issuer: Certificate
) -> bool:
    if single.serial_number != certificate.serial:
        return False
    name, key = _issuer_hashes(issuer, _name(single.hash_algorithm))
    return single.issuer_name_hash == name and single.issuer_key_hash == key


@functools.lru_cache(maxsize=1024)
def _issuer_hashes(issuer: Certificate, algorithm: str) -> tuple[bytes, bytes]:
    key = issuer.x509.public_key()
    encoding, shape = serialization.Encoding, serialization.PublicFormat
    if isinstance(key, rsa.RSAPublicKey):
        bits = key.public_bytes(encoding.DER, shape.PKCS1)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        bits = key.public_bytes(encoding.X962, shape.UncompressedPoint)
    else:
        raise TypeError("key")

    def hashed(value: bytes) -> bytes:
        return hashlib.new(algorithm, value, usedforsecurity=False).digest()

    return hashed(issuer.subject), hashed(bits)


def _responder(response: ocsp.OCSPResponse, issuer: Certificate) -> Certificate | None:
    """Who signed: the issuer itself, or its delegate (RFC 6960, 4.2.2.2) without own status."""
    candidates = [issuer]
    for one in response.certificates:
        delegate = read_certificate(one.public_bytes(serialization.Encoding.DER))
        if delegate is not None and _is_delegate(delegate, issuer):
            candidates.append(delegate)
    for candidate in candidates:
        if _signed_by(response, candidate):
            return candidate
    return None


def _is_delegate(delegate: Certificate, issuer: Certificate) -> bool:
    purposes = delegate.purposes()
    if purposes is None or ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string not in purposes:
        return False
    try:
        delegate.x509.extensions.get_extension_for_class(x509.OCSPNoCheck)
    except x509.ExtensionNotFound:
        return False
    return issued(delegate, issuer)


def _signed_by(response: ocsp.OCSPResponse, who: Certificate) -> bool:
    key, digest = who.x509.public_key(), response.signature_hash_algorithm
    assert digest is not None
    try:
        if isinstance(key, rsa.RSAPublicKey):
            scheme = padding.PKCS1v15()
            key.verify(response.signature, response.tbs_response_bytes, scheme, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _name(algorithm: hashes.HashAlgorithm) -> str:
    return algorithm.name.replace("-", "_")
