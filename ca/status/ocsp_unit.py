"""Who answers for an issuer: the delegated responder's key and certificate, ready to sign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509

from ca import signature_algorithms as algorithms
from ca.errors import CaError
from ca.issuer import Issuer
from ca.status import crl_encoding
from ca.status.ocsp_encoding import GOOD, UNKNOWN, AnswerTemplate, IssuerNames, Single, revoked
from ca.status.status_lint import refuse_ocsp_shape, throw_away_key

if TYPE_CHECKING:
    from ca.authority import Authority

LOOK_AGAIN = timedelta(minutes=10)
"""How long a unit is used before its rows are read again."""


@dataclass(frozen=True)
class OcspUnit:
    """All it takes to answer for one issuer, as of `looked_up`."""

    issuer: Issuer
    names: IssuerNames
    template: AnswerTemplate
    key: algorithms.SigningKey
    digest: algorithms.Digest
    certificate: x509.Certificate
    not_after: datetime
    looked_up: datetime


def look_up(authority: Authority, name: str, *, by_name: bool, now: datetime) -> OcspUnit:
    """The unit of the issuer called `name`, the shapes of its answers linted once per process.

    Raises CaError `issuer-unknown`, `service-key-missing`, `ocsp-responder-expired`,
    `status-shape-refused`.
    """
    issuer = authority.issuer(name)
    service = authority.service(f"ocsp-{name}")
    certificate = service.certificate
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise CaError("ocsp-responder-expired", issuer=name)
    digest = algorithms.digest_for(certificate.public_key())
    template = AnswerTemplate.of(
        certificate,
        algorithms.identifier(certificate.public_key(), digest),
        by_name=by_name,
        issuer_since=issuer.certificate.not_valid_before_utc,
    )
    _check_shapes(template, issuer.certificate, certificate)
    return OcspUnit(
        issuer=issuer,
        names=IssuerNames(issuer.certificate),
        template=template,
        key=service.key,
        digest=digest,
        certificate=certificate,
        not_after=certificate.not_valid_after_utc,
        looked_up=now,
    )


@lru_cache(maxsize=64)
def _check_shapes(
    template: AnswerTemplate, issuer: x509.Certificate, responder: x509.Certificate
) -> None:
    """One answer with every status and the nonce, signed by a key nobody keeps, is linted."""
    now = responder.not_valid_before_utc + timedelta(days=1)
    cert_id = IssuerNames(issuer).cert_id(2**120).encoded
    public_key = responder.public_key()
    key = throw_away_key(rsa_family=algorithms.is_rsa(public_key))
    moment = crl_encoding.read_entry(
        crl_encoding.entry(1, revoked_at=now, reason=x509.ReasonFlags.superseded)
    )
    samples = [
        [Single(cert_id, GOOD)],
        [Single(cert_id, revoked(*moment)), Single.never_issued(cert_id)],
        [Single(cert_id, UNKNOWN)],
    ]
    for answers in samples:
        tbs = template.tbs(
            answers, produced_at=now, next_update=now + timedelta(hours=1), nonce=bytes(32)
        )
        signature = algorithms.sign(key, tbs, algorithms.digest_for(public_key))
        refuse_ocsp_shape(template.signed(tbs, signature), responder.subject.rfc4514_string())
