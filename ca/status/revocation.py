"""Taking a certificate back: for good, for a while, and giving it back.

    revoke(authority, serial, reason=RevocationReason.KEY_COMPROMISE, now=now, by="official:…")

The row, the CRL entry and the audit entry are one transaction; the CRL is published at once after
it. If publishing fails the revocation stands all the same, OCSP says so from that moment, and the
schedule publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

from ca.authority import Authority
from ca.errors import CaError, CertificateUnknown
from ca.models import CertificateRow, CertificateStatus, serial_text
from ca.status import crl, status_changes
from records import audit
from records.tags import Tag


class RevocationReason(StrEnum):
    """RFC 5280 §5.3.1, without certificateHold and removeFromCRL: those are suspend and resume."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"

    @property
    def flag(self) -> x509.ReasonFlags:
        return x509.ReasonFlags(self.value)


def revoke(
    authority: Authority,
    serial: int,
    *,
    reason: RevocationReason,
    now: datetime,
    by: str,
    revoked_at: datetime | None = None,
    invalidity_date: datetime | None = None,
) -> None:
    """End a certificate's life. Final: RFC 5280 knows no way back.

    `revoked_at` may lie in the past when the decision did, never in the future or before the
    certificate; `invalidity_date` says since when the key is doubted (§5.3.2), which is no
    prophecy either. A compromised key takes all its certificates along: what an attacker signs
    verifies under each. A certificate of the root is taken back by a ceremony (`root-is-offline`).
    """
    serials = [serial]
    if reason is RevocationReason.KEY_COMPROMISE:
        serials += [one for one in of_same_key(authority, serial) if one != serial]
    revoke_together(
        authority,
        serials,
        reason=reason,
        now=now,
        by=by,
        revoked_at=revoked_at,
        invalidity_date=invalidity_date,
    )


def revoke_together(
    authority: Authority,
    serials: Sequence[int],
    *,
    reason: RevocationReason,
    now: datetime,
    by: str,
    revoked_at: datetime | None = None,
    invalidity_date: datetime | None = None,
    also: Callable[[Session], object] | None = None,
) -> None:
    """Several at once, all of them or none; `also` is done in the same transaction."""
    at = _second(revoked_at or now)
    since = None if invalidity_date is None else _second(invalidity_date)
    for moment in (at, since):
        if moment is not None and moment > now:
            raise CaError("revocation-in-future", date=moment.isoformat())
    with authority.database.transaction() as session:
        rows = [_row(session, authority, serial) for serial in serials]
        for row in rows:
            # The day that was given is the first one's; another may be younger.
            moment = at if row is rows[0] else max(at, row.not_before)
            _end(session, row, reason, moment, since, now=now)
        if also is not None:
            also(session)
        for row in rows:
            details: dict[str, object] = {"reason": reason.value, "revoked_at": row.revoked_at}
            _record(session, Tag.CERTIFICATE_REVOKED, row, details, now=now, by=by)
    _publish(authority, rows, now=now, by=by)


def _end(
    session: Session,
    row: CertificateRow,
    reason: RevocationReason,
    at: datetime,
    since: datetime | None,
    *,
    now: datetime,
) -> None:
    if row.status == CertificateStatus.REVOKED.value:
        raise CaError("certificate-revoked-already", serial=row.serial)
    if row.status == CertificateStatus.HELD.value and row.revoked_at is not None:
        at = min(at, row.revoked_at)  # §5.3.1: a hold that became final began with the hold
    if at < row.not_before:
        raise CaError("revocation-before-issuance", date=at.isoformat())
    row.status, row.reason = CertificateStatus.REVOKED.value, reason.value
    row.revoked_at, row.invalidity_date, row.status_changed_at = at, since, now
    status_changes.append(
        session,
        issuer=row.issuer,
        serial=int(row.serial, 16),
        shard=row.crl_shard,
        reason=reason.flag,
        revoked_at=at,
        invalidity_date=since,
        now=now,
    )


def of_same_key(authority: Authority, serial: int) -> list[int]:
    """Every certificate of this one's key that is not revoked; renewing makes several."""
    key = select(CertificateRow.spki_sha256).where(CertificateRow.serial == serial_text(serial))
    wanted = select(CertificateRow.serial).where(
        CertificateRow.spki_sha256.in_(key),
        CertificateRow.status != CertificateStatus.REVOKED.value,
    )
    with authority.database.reading() as session:
        return [int(one, 16) for one in session.scalars(wanted.order_by(CertificateRow.not_before))]


def suspend(authority: Authority, serial: int, *, now: datetime, by: str) -> None:
    """Hold a certificate (certificateHold): it counts as revoked until it is resumed."""
    suspend_together(authority, [serial], now=now, by=by)


def suspend_together(
    authority: Authority,
    serials: Sequence[int],
    *,
    now: datetime,
    by: str,
    also: Callable[[Session], object] | None = None,
) -> None:
    """Several at once, all of them or none; `also` is done in the same transaction."""
    _turn(authority, serials, _HOLD, now=now, by=by, also=also)


def resume(authority: Authority, serial: int, *, now: datetime, by: str) -> None:
    """End a hold; what was signed meanwhile stays doubtful, what is signed now is good again."""
    resume_together(authority, [serial], now=now, by=by)


def resume_together(
    authority: Authority,
    serials: Sequence[int],
    *,
    now: datetime,
    by: str,
    also: Callable[[Session], object] | None = None,
) -> None:
    """Several at once, all of them or none; `also` is done in the same transaction."""
    _turn(authority, serials, _RELEASE, now=now, by=by, also=also)


class _Change(NamedTuple):
    """From one status to the other, and how that is told."""

    before: CertificateStatus
    after: CertificateStatus
    refusal: str
    reason: str | None
    flag: x509.ReasonFlags
    tag: Tag


_HOLD = _Change(
    CertificateStatus.GOOD,
    CertificateStatus.HELD,
    "certificate-not-good",
    "certificateHold",
    x509.ReasonFlags.certificate_hold,
    Tag.CERTIFICATE_SUSPENDED,
)
_RELEASE = _Change(
    CertificateStatus.HELD,
    CertificateStatus.GOOD,
    "certificate-not-held",
    None,
    x509.ReasonFlags.remove_from_crl,
    Tag.CERTIFICATE_RESUMED,
)


def _turn(
    authority: Authority,
    serials: Sequence[int],
    change: _Change,
    *,
    now: datetime,
    by: str,
    also: Callable[[Session], object] | None,
) -> None:
    held = change.after is CertificateStatus.HELD
    with authority.database.transaction() as session:
        rows = [_row(session, authority, serial) for serial in serials]
        for row in rows:
            if row.status != change.before.value:
                raise CaError(change.refusal, serial=row.serial, status=row.status)
            row.status, row.reason = change.after.value, change.reason
            row.revoked_at = _second(now) if held else None
            row.status_changed_at = _second(now) if held else now
            _append(session, row, change.flag, now=now)
        if also is not None:
            also(session)
        for row in rows:
            _record(session, change.tag, row, {}, now=now, by=by)
    _publish(authority, rows, now=now, by=by)


def _append(
    session: Session, row: CertificateRow, reason: x509.ReasonFlags, *, now: datetime
) -> None:
    status_changes.append(
        session,
        issuer=row.issuer,
        serial=int(row.serial, 16),
        shard=row.crl_shard,
        reason=reason,
        revoked_at=_second(now),
        now=now,
    )


def _publish(
    authority: Authority, rows: Sequence[CertificateRow], *, now: datetime, by: str
) -> None:
    """Each list that one of them is on, once."""
    for issuer, shard in sorted(
        {(row.issuer, row.crl_shard) for row in rows}, key=lambda pair: (pair[0], pair[1] or 0)
    ):
        crl.publish_after_change(authority, issuer, shard=shard, now=now, by=by)


def _row(session: Session, authority: Authority, serial: int) -> CertificateRow:
    row = session.scalars(
        select(CertificateRow).where(CertificateRow.serial == serial_text(serial)).with_for_update()
    ).one_or_none()
    if row is None:
        raise CertificateUnknown("certificate-unknown", serial=serial_text(serial))
    if authority.issuer(row.issuer).key_id is None:
        raise CaError("root-is-offline")
    return row


def _record(
    session: Session,
    tag: Tag,
    row: CertificateRow,
    details: dict[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(
        session,
        tag=tag,
        by=by,
        subject=f"certificate:{row.serial}",
        details={"issuer": row.issuer, "profile": row.profile, **details},
        now=now,
    )


def _second(moment: datetime) -> datetime:
    """CRLs and OCSP answers know whole seconds of UTC."""
    return moment.astimezone(UTC).replace(microsecond=0)
