"""An enrolment that got stuck between its intention and its outcome is given up, once and for all.

    abandon(desk, now=now, by="system:recovery")     # at start, and from time to time

Nobody was told of it: the key is erased, and a certificate that was issued meanwhile is revoked.
Several processes may look at one database at once, and a process that was thought dead may come
back; each decides under the credential's lock, so exactly one of them has its way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

from ca.errors import CaError
from ca.models import CertificateRow, CertificateStatus
from ca.status import revocation
from ca.status.revocation import RevocationReason
from records import audit
from records.tags import Tag
from signer.errors import CredentialUnusable
from signer.models import CredentialRow

if TYPE_CHECKING:
    from signer.desk import Desk

ENROLLING, ABANDONED = "enrolling", "abandoned"


def abandon(
    desk: Desk, *, now: datetime, by: str, older_than: timedelta = timedelta(minutes=10)
) -> int:
    """End the enrolments that got no certificate in time. Returns how many."""
    wanted = select(CredentialRow.id, CredentialRow.public_key).where(
        CredentialRow.state == ENROLLING, CredentialRow.created_at <= now - older_than
    )
    with desk.database.reading() as session:
        left = session.execute(wanted).all()
    return sum(give_up(desk, row.id, row.public_key, now=now, by=by) for row in left)


@contextmanager
def kept(
    desk: Desk, credential_id: str, certificate: x509.Certificate, *, now: datetime, by: str
) -> Iterator[Session]:
    """The transaction that ends an enrolment well, unless it was given up in the meantime.

    Raises CredentialUnusable `credential-abandoned`; the certificate is then revoked.
    """
    with desk.database.transaction() as session:
        row = session.get_one(CredentialRow, credential_id, with_for_update=True)
        given_up = row.state != ENROLLING
        if not given_up:
            yield session
    if given_up:
        _revoke(desk, certificate.serial_number, now=now, by=by)
        raise CredentialUnusable("credential-abandoned", credential=credential_id)


def give_up(desk: Desk, credential_id: str, public_key: bytes, *, now: datetime, by: str) -> bool:
    """End one; False when it went on after all, or somebody was quicker."""
    issued = select(CertificateRow.serial).where(
        CertificateRow.spki_sha256 == hashlib.sha256(public_key).digest(),
        CertificateRow.status != CertificateStatus.REVOKED.value,
    )
    with desk.database.transaction() as session:
        row = session.get_one(CredentialRow, credential_id, with_for_update=True)
        if row.state != ENROLLING:
            return False
        row.state, row.state_reason, row.sealed_key = ABANDONED, "enrolment interrupted", b""
        serials = list(session.scalars(issued))
        audit.record(
            session,
            tag=Tag.CREDENTIAL_STATE_CHANGED,
            by=by,
            subject=f"credential:{credential_id}",
            details={"state": row.state, "reason": row.state_reason},
            now=now,
        )
    for serial in serials:
        _revoke(desk, int(serial, 16), now=now, by=by)
    return True


def _revoke(desk: Desk, serial: int, *, now: datetime, by: str) -> None:
    """Nobody has the key any more, so nothing was ever signed with it.

    A process that comes back late may know a time that the lists have passed: the schedule makes
    the next one.
    """
    try:
        revocation.revoke(
            desk.authority, serial, reason=RevocationReason.CESSATION_OF_OPERATION, now=now, by=by
        )
    except CaError as error:
        if error.code not in ("certificate-revoked-already", "clock-stepped-back"):
            raise
