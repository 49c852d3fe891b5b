"""The same request, asked again: a client that was told to come back later sends it unchanged.

    asked = ask(authority, profile="api-client", csr=csr, now=now, by="client:procedure-system")
    asked.certificate            # None while a second person has not approved

RFC 7030 §4.2.3: "the client … MUST repeat the request". The request is known by its digest
(profile, name, key) and by who asked; what was issued for it is given again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlalchemy import select

from ca import enrolment
from ca.authority import Authority
from ca.enrolment import CertificateRequest
from ca.errors import CaError
from ca.models import CertificateRow, CertificateStatus, RequestRow, RequestState
from ca.names import Subject
from ca.profiles import PROFILES
from hsm.mechanisms import KeyAlgorithm

BY_REQUEST = tuple(name for name, profile in PROFILES.items() if profile.second_person)
"""What may be asked for from outside: only what a second person looks at before it is issued."""


@dataclass(frozen=True)
class Asked:
    """Where a request stands; `certificate` once it is issued."""

    request: CertificateRequest
    certificate: x509.Certificate | None


def ask(authority: Authority, *, profile: str, csr: bytes, now: datetime, by: str) -> Asked:
    """Submit a PKCS#10 request, or find the one made before; complete it once it is approved.

    Raises `CaError`: `profile-not-by-request`, `request-rejected`, and what `submit_csr` raises.
    """
    if profile not in BY_REQUEST:
        raise CaError("profile-not-by-request", name=profile, known=", ".join(BY_REQUEST))
    parsed, public_key = enrolment.read_csr(csr)
    subject = Subject.from_x509(parsed.subject)
    if profile == "api-client" and by != f"client:{subject.common_name}":
        # Approval is about who may have a certificate; whose name it bears is not left to it.
        raise CaError("request-for-another", name=subject.common_name)
    digest = enrolment.request_digest(profile, subject, public_key)
    found = known(authority, digest, by)
    if found is None or _over(authority, found, now):
        found = enrolment.submit_csr(authority, profile=profile, csr=csr, now=now, by=by)
    return as_it_stands(authority, found, now)


def look(authority: Authority, request_id: str, *, now: datetime, by: str) -> Asked:
    """Where one's own request stands; `request-unknown` for anybody else's."""
    request = enrolment.find(authority, request_id)
    if request.requested_by != by:
        raise CaError("request-unknown")
    return as_it_stands(authority, request, now)


def newest_of(authority: Authority, subject: Subject, *, now: datetime) -> int | None:
    """The serial of the API client's certificate in force under this name."""
    wanted = (
        select(CertificateRow.serial)
        .where(
            CertificateRow.subject == subject.display(),
            CertificateRow.profile == "api-client",
            CertificateRow.status == CertificateStatus.GOOD.value,
            CertificateRow.not_after > now,
        )
        .order_by(CertificateRow.not_before.desc())
        .limit(1)
    )
    with authority.database.reading() as session:
        serial = session.scalars(wanted).one_or_none()
    return None if serial is None else int(serial, 16)


def algorithms_of(profile: str) -> tuple[KeyAlgorithm, ...]:
    return PROFILES[profile].algorithms


def known(authority: Authority, digest: bytes, by: str) -> CertificateRequest | None:
    """The newest request for exactly this, by exactly this requester."""
    wanted = (
        select(RequestRow.id)
        .where(RequestRow.digest == digest, RequestRow.requested_by == by)
        .order_by(RequestRow.requested_at.desc())
        .limit(1)
    )
    with authority.database.reading() as session:
        found = session.scalars(wanted).one_or_none()
    return None if found is None else enrolment.find(authority, found)


def _over(authority: Authority, request: CertificateRequest, now: datetime) -> bool:
    """What was issued for it serves no more: to ask again is a new request, looked at anew."""
    if request.serial is None:
        return False
    record = authority.certificate(request.serial)
    ended = record.certificate.not_valid_after_utc < now
    return ended or record.status is CertificateStatus.REVOKED


def as_it_stands(authority: Authority, request: CertificateRequest, now: datetime) -> Asked:
    """Complete it if it may be. Raises `CaError` `request-rejected`."""
    if request.state is RequestState.REJECTED:
        raise CaError("request-rejected", reason=request.reason or "")
    if request.state is RequestState.PENDING:
        return Asked(request, None)
    certificate = enrolment.complete(authority, request.id, now=now, by="system:enrolment")
    return Asked(enrolment.find(authority, request.id), certificate)
