"""The rows of issuing: the intention before, the outcome after, the reasons in between.

What `ca.issuance` does to the database is here, each function inside the caller's transaction or
in one of its own; in which order, `ca.issuance` says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ca import lint, tbs
from ca.authority import Authority
from ca.errors import CaError
from ca.issuer import Issuer
from ca.models import (
    CertificateRow,
    CertificateStatus,
    IntentionRow,
    IntentionState,
    IssuerRow,
    serial_text,
)
from ca.names import Subject, display_name
from ca.profiles import Profile
from records import audit
from records.errors import DomainError
from records.rows import insert_all
from records.tags import Tag

CLOCK_TOLERANCE = timedelta(seconds=5)
"""How far the clocks of two machines of one service may lie apart."""

_NEVER_AGAIN = ("keyCompromise", "cACompromise", "aACompromise")


@dataclass(frozen=True)
class Prepared:
    """One certificate between intention and outcome."""

    serial: int
    profile: Profile
    issuer: Issuer
    subject: Subject
    unsigned: tbs.Unsigned
    spki_sha256: bytes
    renews: int | None


def intend(session: Session, prepared: Sequence[Prepared], *, now: datetime, by: str) -> None:
    """The serials are taken, unless the clock went back or a key is already somebody else's."""
    names = sorted({one.issuer.name for one in prepared})
    # One issuing at a time per issuer decides about clock and keys (a lock on PostgreSQL).
    session.execute(select(IssuerRow.name).where(IssuerRow.name.in_(names)).with_for_update())
    last = session.execute(
        select(func.max(IntentionRow.made_at)).where(IntentionRow.issuer.in_(names))
    ).scalar()
    if last is not None and now < last - CLOCK_TOLERANCE:
        raise CaError("clock-stepped-back", last=last.isoformat(), now=now.isoformat())
    _refuse_reuse(session, prepared)
    rows = [
        {
            "serial": serial_text(one.serial),
            "issuer": one.issuer.name,
            "profile": one.profile.name,
            "tbs_sha256": hashlib.sha256(one.unsigned.tbs).digest(),
            "spki_sha256": one.spki_sha256,
            "subject": one.subject.display(),
            "state": IntentionState.OPEN.value,
            "made_at": now,
            "made_by": by,
        }
        for one in prepared
    ]
    insert_all(session, IntentionRow, rows)
    audit.record(
        session,
        tag=Tag.CERTIFICATE_INTENDED,
        by=by,
        subject=f"certificate:{rows[0]['serial']}",
        details={"serials": [row["serial"] for row in rows]},
        now=now,
    )


def _refuse_reuse(session: Session, prepared: Sequence[Prepared]) -> None:
    """A key belongs to one holder; one known to be compromised belongs to nobody (BR 6.1.1.3)."""
    wanted = {one.spki_sha256: one for one in prepared}
    if len(wanted) < len(prepared):
        raise CaError("key-reused")
    digests = list(wanted)
    for start in range(0, len(digests), 500):
        part = digests[start : start + 500]
        used = select(CertificateRow).where(CertificateRow.spki_sha256.in_(part))
        for row in session.scalars(used):
            one = wanted[row.spki_sha256]
            same_holder = one.renews is not None and (
                row.profile == one.profile.name and row.subject == one.subject.display()
            )
            if not same_holder or row.reason in _NEVER_AGAIN:
                raise CaError("key-reused")
        pending = select(IntentionRow.serial).where(
            IntentionRow.spki_sha256.in_(part), IntentionRow.state == IntentionState.OPEN.value
        )
        if session.execute(pending.limit(1)).first() is not None:
            raise CaError("issuance-under-way")


def conclude(
    session: Session,
    prepared: Sequence[Prepared],
    certificates: Sequence[x509.Certificate],
    *,
    now: datetime,
    by: str,
) -> None:
    """The certificates exist, unless somebody voided their intentions meanwhile."""
    rows = [
        {
            **_values(certificate, one.issuer.name, one.profile.name, now, by),
            # The very octets that were checked, without another encoder between.
            "der": one.unsigned.with_signature(certificate.signature),
            "subject": one.subject.display(),
            "spki_sha256": one.spki_sha256,
            "crl_shard": one.issuer.shard,
        }
        for one, certificate in zip(prepared, certificates, strict=True)
    ]
    resolved = session.execute(
        update(IntentionRow)
        .where(
            IntentionRow.serial.in_([row["serial"] for row in rows]),
            IntentionRow.state == IntentionState.OPEN.value,
        )
        .values(state=IntentionState.ISSUED.value, resolved_at=now)
    )
    if resolved.rowcount != len(rows):  # type: ignore[attr-defined]  # an UPDATE has a row count
        raise CaError("intention-voided", serial=rows[0]["serial"])
    insert_all(session, CertificateRow, rows)
    record_issued(session, rows, now=now, by=by)


def certificate_values(
    certificate: x509.Certificate, *, issuer: str, profile: str, now: datetime, by: str
) -> dict[str, Any]:
    """The row of a certificate that a ceremony brought."""
    return {
        **_values(certificate, issuer, profile, now, by),
        "der": certificate.public_bytes(Encoding.DER),
        "subject": display_name(certificate.subject),
        "spki_sha256": hashlib.sha256(lint.spki_of(certificate)).digest(),
    }


def _values(
    certificate: x509.Certificate, issuer: str, profile: str, now: datetime, by: str
) -> dict[str, Any]:
    return {
        "serial": serial_text(certificate.serial_number),
        "issuer": issuer,
        "profile": profile,
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
        "issued_at": now,
        "issued_by": by,
        "status": CertificateStatus.GOOD.value,
    }


def record_issued(
    session: Session, rows: Sequence[Mapping[str, Any]], *, now: datetime, by: str
) -> None:
    """The audit entry of each certificate: what it is, never whom it names."""
    acts = [
        (
            f"certificate:{row['serial']}",
            {
                "issuer": row["issuer"],
                "profile": row["profile"],
                "sha256": hashlib.sha256(row["der"]).digest(),
            },
        )
        for row in rows
    ]
    audit.record_all(session, tag=Tag.CERTIFICATE_ISSUED, by=by, acts=acts, now=now)


def void(
    authority: Authority,
    prepared: Sequence[Prepared],
    failure: Exception,
    *,
    now: datetime,
    by: str,
) -> None:
    """What was signed, if anything was, is discarded; the serials stay taken."""
    code = failure.code if isinstance(failure, DomainError) else "signature-invalid"
    serials = [serial_text(one.serial) for one in prepared]
    with authority.database.transaction() as session:
        session.execute(
            update(IntentionRow)
            .where(IntentionRow.serial.in_(serials))
            .values(state=IntentionState.VOID.value, resolved_at=now)
        )
        acts = [(f"certificate:{serial}", {"code": code}) for serial in serials]
        audit.record_all(session, tag=Tag.CERTIFICATE_VOIDED, by=by, acts=acts, now=now)


def record_refusal(
    authority: Authority, profile: str, refusal: CaError, *, now: datetime, by: str
) -> None:
    """Every refusal leaves an entry, and says which rule it was."""
    with authority.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.CERTIFICATE_REFUSED,
            by=by,
            subject=f"profile:{profile}",
            details={"code": refusal.code},
            now=now,
        )
