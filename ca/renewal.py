"""What follows a certificate: the same key for longer, another key, another name.

renew(authority, serial, now=now, by=by)                          # same key, same name
rekey(authority, serial, public_key=new, now=now, by=by)          # the old one is superseded
transfer(authority, serial, subject=new, public_key=key, …)       # the old one ends with it
expiring(authority, now=now, within=timedelta(days=30))           # who needs one of these
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from ca.authority import Authority, CertificateRecord
from ca.errors import CaError
from ca.issuance import issue
from ca.key_policy import PublicKey, accepted_type
from ca.models import CertificateRow, CertificateStatus, ServiceKeyRow
from ca.names import Subject
from ca.profiles import profile_named
from ca.status.revocation import RevocationReason, of_same_key, revoke_together

_PAGE = 500


def renew(authority: Authority, serial: int, *, now: datetime, by: str) -> x509.Certificate:
    """A new certificate for the same holder and key; the old one runs out by itself."""
    old = _living(authority, serial)
    return issue(
        authority,
        profile=old.profile,
        subject=Subject.from_x509(old.certificate.subject),
        public_key=accepted_type(old.certificate.public_key()),
        renews=serial,
        issuer=old.issuer if old.profile == "ocsp" else None,
        now=now,
        by=by,
    )


def rekey(
    authority: Authority, serial: int, *, public_key: PublicKey, now: datetime, by: str
) -> x509.Certificate:
    """A new key for the same holder; every certificate of the old one is revoked as superseded."""
    old = _living(authority, serial)
    subject = Subject.from_x509(old.certificate.subject)
    certificate = issue(
        authority, profile=old.profile, subject=subject, public_key=public_key, now=now, by=by
    )
    _end_key(authority, serial, RevocationReason.SUPERSEDED, now=now, by=by)
    return certificate


def transfer(
    authority: Authority,
    serial: int,
    *,
    subject: Subject,
    public_key: PublicKey,
    now: datetime,
    by: str,
) -> x509.Certificate:
    """The holder's particulars changed (DOMAIN §2: changed on transfer): new name, new key.

    The person stays the same: the citizen number, or an agency's codes, may not change.
    """
    old = _living(authority, serial)
    before = Subject.from_x509(old.certificate.subject)
    if before.uids != subject.uids:
        raise CaError("transfer-other-holder")
    certificate = issue(
        authority, profile=old.profile, subject=subject, public_key=public_key, now=now, by=by
    )
    _end_key(authority, serial, RevocationReason.AFFILIATION_CHANGED, now=now, by=by)
    return certificate


def renew_service(authority: Authority, name: str, *, now: datetime, by: str) -> x509.Certificate:
    """A responder, time-stamp unit or audit key goes on with the same key for another term.

    The root's OCSP responder is certified in ceremonies (`root-is-offline`).
    """
    service = authority.service(name)
    if authority.issuer(service.issuer).key_id is None:
        raise CaError("root-is-offline")
    certificate = renew(authority, service.certificate.serial_number, now=now, by=by)
    with authority.database.transaction() as session:
        row = session.get_one(ServiceKeyRow, service.name)
        row.certificate = certificate.public_bytes(Encoding.DER)
    authority.refresh()
    return certificate


def expiring(
    authority: Authority, *, now: datetime, within: timedelta, limit: int = _PAGE
) -> list[CertificateRecord]:
    """Certificates in force that end soon and that no newer one of the holder's follows."""
    followed = select(CertificateRow.subject).where(
        CertificateRow.not_after > now + within,
        CertificateRow.status == CertificateStatus.GOOD.value,
    )
    wanted = (
        select(CertificateRow.serial)
        .where(
            CertificateRow.not_after > now,
            CertificateRow.not_after <= now + within,
            CertificateRow.status == CertificateStatus.GOOD.value,
            CertificateRow.subject.not_in(followed),
        )
        .order_by(CertificateRow.not_after)
        .limit(limit)
    )
    with authority.database.reading() as session:
        serials = session.scalars(wanted).all()
    return [authority.certificate(int(serial, 16)) for serial in serials]


def _end_key(
    authority: Authority, serial: int, reason: RevocationReason, *, now: datetime, by: str
) -> None:
    """A certificate that this one renewed may still run: it goes with the key."""
    serials = of_same_key(authority, serial)
    revoke_together(authority, serials, reason=reason, now=now, by=by)


def _living(authority: Authority, serial: int) -> CertificateRecord:
    record = authority.certificate(serial)
    if profile_named(record.profile).is_authority:
        raise CaError("profile-by-ceremony-only", name=record.profile)
    if record.status is not CertificateStatus.GOOD:
        raise CaError("certificate-not-in-force", serial=f"{serial:032x}", status=record.status)
    return record
