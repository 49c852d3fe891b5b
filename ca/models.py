"""The rows the certificate authority must never lose.

One table per thing that exists in the world: an issuer, a service key, a certificate, the
intention to issue one, a request, a ceremony (CRLs, OCSP answers and time-stamps are in
`ca.status.status_models`). Serial numbers are kept as 32 lower-case hexadecimal digits
(`serial_text`): they are 128 bits long and no database has an integer of that size.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime


class CertificateStatus(StrEnum):
    """RFC 6960 §2.2 *good* and *revoked*, and the hold that RFC 5280 §5.3.1 lets end again."""

    GOOD = "good"
    REVOKED = "revoked"
    HELD = "held"


class IntentionState(StrEnum):
    """Where one issuing stands. `OPEN` after a crash means: nobody may ever have this serial."""

    OPEN = "open"
    ISSUED = "issued"
    VOID = "void"


class RequestState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    ISSUED = "issued"


def serial_text(serial: int) -> str:
    """A serial number as it stands in the tables (fixed width, so that order is numeric)."""
    return f"{serial:032x}"


class IssuerRow(Base):
    """A certificate authority of the hierarchy: the root or an issuing CA.

    `key_id` is the CKA_ID on the service token; the root has none, because nothing in the running
    service can reach its key.
    """

    __tablename__ = "ca_issuers"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    parent: Mapped[str | None] = mapped_column(String(64))
    generation: Mapped[int] = mapped_column(default=1)
    profiles: Mapped[list[str]] = mapped_column(Json)
    certificate: Mapped[bytes] = mapped_column(LargeBinary)
    subject_key: Mapped[bytes] = mapped_column(LargeBinary(20))
    key_id: Mapped[bytes | None] = mapped_column(LargeBinary)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ServiceKeyRow(Base):
    """A key on the service token that is not a CA's: OCSP responder, TSA, audit checkpoint."""

    __tablename__ = "ca_service_keys"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    profile: Mapped[str] = mapped_column(String(32), index=True)
    issuer: Mapped[str] = mapped_column(ForeignKey("ca_issuers.name"))
    certificate: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[bytes] = mapped_column(LargeBinary)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CertificateRow(Base):
    """Every certificate of the hierarchy, the root's own included."""

    __tablename__ = "ca_certificates"
    __table_args__ = (
        Index("ca_certificates_by_status", "issuer", "status"),
        Index("ca_certificates_by_expiry", "not_after"),
    )

    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    issuer: Mapped[str] = mapped_column(ForeignKey("ca_issuers.name"))
    profile: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(Text)
    der: Mapped[bytes] = mapped_column(LargeBinary)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    not_after: Mapped[datetime] = mapped_column(UtcDateTime)
    spki_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    issued_by: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(8), default=CertificateStatus.GOOD.value)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(String(32))
    invalidity_date: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    crl_shard: Mapped[int | None]


class IntentionRow(Base):
    """What was about to be signed, committed before the key signs (DESIGN.md §3 rule 3)."""

    __tablename__ = "ca_intentions"
    __table_args__ = (
        Index("ca_intentions_by_state", "state"),
        Index("ca_intentions_newest", "issuer", "made_at"),
    )

    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    issuer: Mapped[str] = mapped_column(ForeignKey("ca_issuers.name"))
    profile: Mapped[str] = mapped_column(String(32))
    tbs_sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    spki_sha256: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    subject: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(8), default=IntentionState.OPEN.value)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    made_by: Mapped[str] = mapped_column(String(200))
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RequestRow(Base):
    """A request for a certificate, and the approval bound to exactly these bytes."""

    __tablename__ = "ca_requests"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    profile: Mapped[str] = mapped_column(String(32))
    subject: Mapped[dict[str, Any]] = mapped_column(Json)
    spki: Mapped[bytes] = mapped_column(LargeBinary)
    csr: Mapped[bytes | None] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    state: Mapped[str] = mapped_column(String(8), default=RequestState.PENDING.value, index=True)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    requested_by: Mapped[str] = mapped_column(String(200))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[str | None] = mapped_column(Text)
    serial: Mapped[str | None] = mapped_column(String(40))


class CeremonyRow(Base):
    """One key ceremony: the plan as it was read, and the log as it was signed."""

    __tablename__ = "ca_ceremonies"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    plan_name: Mapped[str] = mapped_column(String(200))
    plan: Mapped[str] = mapped_column(Text)
    log: Mapped[str] = mapped_column(Text)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    signed_by: Mapped[str] = mapped_column(String(64))
    held_at: Mapped[datetime] = mapped_column(UtcDateTime)
