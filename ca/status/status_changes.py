"""Writing a change of status down: once, in order, with its CRL entry already encoded.

Revocation, suspension and resumption call `append` inside the transaction in which they change
the certificate's row, and `ca.status.crl.publish_after_change` once it is committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlalchemy import delete, insert, text
from sqlalchemy.orm import Session

from ca.errors import CaError
from ca.models import serial_text
from ca.status import crl_encoding
from ca.status.status_models import OcspAnswerRow, StatusChangeRow

_TAKE = text(
    "INSERT INTO ca_status_counters (issuer, last_sequence, last_crl_number)"
    " VALUES (:issuer, :count, 0) ON CONFLICT (issuer)"
    " DO UPDATE SET last_sequence = ca_status_counters.last_sequence + :count"
    " RETURNING last_sequence"
)


@dataclass(frozen=True)
class StatusChange:
    """What happened to one certificate. `remove_from_crl` ends a hold (RFC 5280 §5.3.1)."""

    serial: int
    reason: x509.ReasonFlags
    revoked_at: datetime
    invalidity_date: datetime | None = None
    shard: int | None = None


def append(
    session: Session,
    *,
    issuer: str,
    serial: int,
    reason: x509.ReasonFlags | None,
    revoked_at: datetime,
    now: datetime,
    invalidity_date: datetime | None = None,
    shard: int | None = None,
) -> int:
    """The number of the change. Locks the issuer's counter until the transaction ends."""
    change = StatusChange(
        serial, reason or x509.ReasonFlags.unspecified, revoked_at, invalidity_date, shard
    )
    return append_all(session, issuer=issuer, changes=[change], now=now)


def append_all(
    session: Session, *, issuer: str, changes: Iterable[StatusChange], now: datetime
) -> int:
    """Many at once: an office that closes, an agency that moves. Returns the last number."""
    changes = list(changes)
    if not changes:
        raise ValueError("no change to write down")
    for change in changes:
        if change.revoked_at > now:
            raise CaError("revocation-date-in-future", date=change.revoked_at.isoformat())
    last: int = session.execute(_TAKE, {"issuer": issuer, "count": len(changes)}).scalar_one()
    rows = [
        {
            "issuer": issuer,
            "sequence": sequence,
            "serial": serial_text(change.serial),
            "shard": change.shard,
            "reason": change.reason.value,
            "entry": crl_encoding.entry(
                change.serial,
                revoked_at=change.revoked_at,
                reason=change.reason,
                invalidity_date=change.invalidity_date,
            ),
            "changed_at": now,
        }
        for sequence, change in enumerate(changes, start=last - len(changes) + 1)
    ]
    session.execute(insert(StatusChangeRow), rows)
    for start in range(0, len(rows), 500):
        serials = [row["serial"] for row in rows[start : start + 500]]
        session.execute(
            delete(OcspAnswerRow).where(
                OcspAnswerRow.issuer == issuer, OcspAnswerRow.serial.in_(serials)
            )
        )
    return last
