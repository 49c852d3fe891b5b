"""CRLs and OCSP answers are judged before a real key signs their kind (DESIGN.md §3 rule 4).

What varies between two lists of one shape is numbers, times and how many entries; what can be
wrong is the shape. So a sample of each shape, with every kind of entry in it, is signed with a
throw-away key and linted by pkilint (RFC 5280, RFC 6960) once per process.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache, lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ca.errors import CaError
from ca.signature_algorithms import SigningKey, sign
from ca.status import crl_encoding
from ca.status.crl_encoding import CrlTemplate
from ca.status.crl_scope import DELTA, Scope


class ShapeRefused(CaError):
    """The linter found an error, so nothing of this shape is signed."""


@lru_cache(maxsize=256)
def check_crl_shape(template: CrlTemplate, scope: Scope, *, address: str) -> None:
    """Raises `ShapeRefused` when a list of this scope breaks RFC 5280."""
    now = template.expired_since + timedelta(days=1)
    reasons = [
        reason
        for reason in crl_encoding.REASON_CODES
        if scope == DELTA or reason.value != "removeFromCRL"
    ]
    entries = [
        crl_encoding.entry(2**120 + n, revoked_at=now, reason=reason, invalidity_date=now)
        for n, reason in enumerate(reasons)
    ]
    for some in ([], entries):
        tbs = template.tbs(
            some,
            number=2,
            this_update=now,
            next_update=now + timedelta(days=1),
            base=1 if scope == DELTA else None,
            partition=address if scope.shard is not None else None,
            freshest=None if scope == DELTA or scope.shard is not None else address,
        )
        key = throw_away_key(rsa_family=_is_rsa(template.algorithm))
        _refuse(lint_crl(template.signed(tbs, sign(key, tbs, hashes.SHA256()))), scope.name)


def lint_crl(der: bytes) -> list[str]:
    """What pkilint finds in a CRL at level WARNING or above: `CODE at path`."""
    from ca.status.pkilint_findings import of_crl  # a third of a second: when it is needed

    return of_crl(der)


def lint_ocsp(der: bytes) -> list[str]:
    """The same for an OCSP response."""
    from ca.status.pkilint_findings import of_ocsp

    return of_ocsp(der)


def refuse_ocsp_shape(der: bytes, responder: str) -> None:
    """Raises `ShapeRefused` when a sample answer breaks RFC 6960."""
    _refuse(lint_ocsp(der), responder)


@cache
def throw_away_key(*, rsa_family: bool) -> SigningKey:
    if rsa_family:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _refuse(findings: list[str], shape: str) -> None:
    if findings:
        raise ShapeRefused("status-shape-refused", shape=shape, findings="; ".join(findings))


def _is_rsa(algorithm: bytes) -> bool:
    return b"\x2a\x86\x48\x86\xf7\x0d\x01\x01" in algorithm
