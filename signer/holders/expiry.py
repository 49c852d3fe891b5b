"""Whose credential ends soon: what notices are about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from sqlalchemy import select

from ca.models import CertificateRow, CertificateStatus
from ca.names import Subject
from signer.keys.closing import LIVING
from signer.models import CredentialRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from records.database import Database

_PAGE = 500


@dataclass(frozen=True)
class Ending:
    """A credential in use whose certificate has not much longer."""

    credential_id: str
    kind: str
    unit: str | None
    name: str
    email: str
    serial: str
    until: datetime


def ending(database: Database, *, now: datetime, within: timedelta) -> Iterator[Ending]:
    """Credentials whose newest certificate ends between now and then, a page at a time.

    Who was renewed or has a successor is not among them: the credential's own row names the
    certificate that counts.
    """
    after = ""
    while True:
        wanted = (
            select(CredentialRow, CertificateRow.not_after)
            .join(CertificateRow, CertificateRow.serial == CredentialRow.serial)
            .where(
                CertificateRow.not_after > now,
                CertificateRow.not_after <= now + within,
                CertificateRow.status != CertificateStatus.REVOKED.value,
                CredentialRow.state.in_(LIVING),
                CredentialRow.id > after,
            )
            .order_by(CredentialRow.id)
            .limit(_PAGE)
        )
        with database.reading() as session:
            rows = session.execute(wanted).all()
        for row, until in rows:
            subject = Subject.from_x509(
                x509.load_der_x509_certificate(row.certificate or b"").subject
            )
            yield Ending(
                credential_id=row.id,
                kind=row.kind,
                unit=row.unit,
                name=subject.common_name,
                email=subject.email,
                serial=row.serial or "",
                until=until,
            )
        if len(rows) < _PAGE:
            return
        after = rows[-1][0].id


def email_of(session: Session, holder_id: str) -> str | None:
    """The address in a holder's newest certificate, if it has one."""
    wanted = (
        select(CredentialRow.certificate)
        .where(CredentialRow.holder_id == holder_id, CredentialRow.certificate.is_not(None))
        .order_by(CredentialRow.created_at.desc())
        .limit(1)
    )
    certificate = session.scalar(wanted)
    if certificate is None:
        return None
    return Subject.from_x509(x509.load_der_x509_certificate(certificate).subject).email or None
