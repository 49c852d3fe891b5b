"""What becomes of a credential: renewed, held, resumed, ended.

    renew(desk, credential_id, now=, by=)                   # same key, new certificate
    suspend(desk, credential_id, reason=…, now=, by=)       # until `resume`
    end(desk, credential_id, reason=…, now=, by=)           # for good

A new key in its place: `signer.holders.successors`. Whoever leaves: `signer.holders.leaving`.

A credential and its certificates end in one transaction, with its mandates and whatever was opened
under it: there is no moment at which one half still works. docs/flows/life-cycle.md has the steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select
from sqlalchemy.orm import Session

from ca import renewal
from ca.models import CertificateRow, CertificateStatus, serial_text
from ca.status import revocation
from ca.status.revocation import RevocationReason
from records import audit
from records.tags import Tag
from signer.errors import CredentialUnusable
from signer.keys import activation, closing, credentials, passkey_seals
from signer.models import CredentialRow

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential


def renew(desk: Desk, credential_id: str, *, now: datetime, by: str) -> Credential:
    """A new certificate for the same key; the old one runs out by itself, or ends with the key."""
    credential = require_living(desk, credential_id)
    certificate = renewal.renew(
        desk.authority, credential.certificate.serial_number, now=now, by=by
    )
    chain = desk.authority.chain(certificate)
    with desk.database.transaction() as session:
        row = session.get_one(CredentialRow, credential_id, with_for_update=True)
        row.certificate = certificate.public_bytes(Encoding.DER)
        row.chain = [credentials.base64_of(one) for one in chain]
        row.serial = serial_text(certificate.serial_number)
        _record(session, Tag.CREDENTIAL_RENEWED, row.id, {"serial": row.serial}, now=now, by=by)
    return credentials.find(desk, credential_id)


def suspend(desk: Desk, credential_id: str, *, reason: str, now: datetime, by: str) -> None:
    """Out of use until `resume`: the credential and every certificate of its key, in one act.

    A renewed credential has several (certificateHold, RFC 5280 §5.3.1): what is signed with the
    key verifies under each of them.
    """
    credential = credentials.find(desk, credential_id)
    serials = serials_of_key(desk, [credential.public_key], CertificateStatus.GOOD)
    opened: list[str] = []

    def stop(session: Session) -> None:
        credentials.suspend_in(session, credential_id, reason=reason, now=now, by=by)
        opened.extend(closing.close_in(session, [credential_id], now=now, by=by))

    revocation.suspend_together(desk.authority, _numbers(serials), now=now, by=by, also=stop)
    for one in opened:
        activation.forget(desk, one)


def resume(desk: Desk, credential_id: str, *, now: datetime, by: str) -> None:
    """Into use again: the credential and the certificates that are held, in one act."""
    credential = credentials.find(desk, credential_id)
    serials = serials_of_key(desk, [credential.public_key], CertificateStatus.HELD)

    def go_on(session: Session) -> None:
        credentials.resume_in(session, credential_id, now=now, by=by)

    revocation.resume_together(desk.authority, _numbers(serials), now=now, by=by, also=go_on)


def end(
    desk: Desk,
    credential_id: str,
    *,
    reason: RevocationReason,
    now: datetime,
    by: str,
    invalidity_date: datetime | None = None,
) -> None:
    """For good: the sealed key is erased, every certificate of the key is revoked."""
    credential = require_living(desk, credential_id)
    serials = serials_of_key(desk, [credential.public_key])
    end_together(desk, [credential_id], serials, reason, invalidity_date, now=now, by=by)


def end_together(
    desk: Desk,
    ids: Sequence[str],
    serials: Sequence[str],
    reason: RevocationReason,
    invalidity_date: datetime | None,
    *,
    now: datetime,
    by: str,
    also: Callable[[Session], object] | None = None,
    stopped: Sequence[str] | None = None,
) -> None:
    """Several credentials and the certificates of their keys, and whatever `also` ends, at once.

    What was opened under the credentials in `stopped`, or these, is closed. Raises
    CredentialUnusable when somebody was quicker.
    """
    opened: list[str] = []

    def stop(session: Session) -> None:
        for credential_id in ids:
            row = session.get_one(CredentialRow, credential_id, with_for_update=True)
            if row.state not in closing.LIVING:  # somebody was quicker
                raise CredentialUnusable(f"credential-{row.state}", credential=credential_id)
            row.state, row.state_reason, row.sealed_key = "revoked", reason.value, b""
            _record(session, Tag.CREDENTIAL_STATE_CHANGED, credential_id,
                    {"state": row.state, "reason": reason.value}, now=now, by=by)  # fmt: skip
        opened.extend(closing.close_in(session, stopped or ids, now=now, by=by))
        passkey_seals.erase_in(session, ids, now=now)
        if also is not None:
            also(session)

    revocation.revoke_together(
        desk.authority,
        _numbers(serials),
        reason=reason,
        invalidity_date=invalidity_date,
        now=now,
        by=by,
        also=stop,
    )
    for one in opened:
        activation.forget(desk, one)


def serials_of_key(
    desk: Desk, keys: Sequence[bytes], status: CertificateStatus | None = None
) -> list[str]:
    """Every certificate of these keys in this state, or not revoked: a renewed one has several."""
    digests = [hashlib.sha256(key).digest() for key in keys]
    wanted = select(CertificateRow.serial).where(
        CertificateRow.spki_sha256.in_(digests),
        CertificateRow.status != CertificateStatus.REVOKED.value
        if status is None
        else CertificateRow.status == status.value,
    )
    with desk.database.reading() as session:
        return list(session.scalars(wanted))


def _numbers(serials: Sequence[str]) -> list[int]:
    return [int(one, 16) for one in serials]


def require_living(desk: Desk, credential_id: str) -> Credential:
    """Active, locked or suspended. Raises CredentialUnusable for one that is ended."""
    credential = credentials.find(desk, credential_id)
    if credential.state not in closing.LIVING:
        raise CredentialUnusable(f"credential-{credential.state}", credential=credential_id)
    return credential


def _record(
    session: Session,
    tag: Tag,
    credential_id: str,
    details: dict[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(
        session, tag=tag, by=by, subject=f"credential:{credential_id}", details=details, now=now
    )
