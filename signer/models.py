"""What the signing room remembers: credentials, images, mandates, authorisations, signatures.

No row holds a key that opens without its holder: `sealed_key` is a wrapped key under a PIN or an
activation code, and the seals of authorisations and mandates open only on the token until they end.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime
from records.kept_files import KEEPS_FILE


class CredentialRow(Base):
    """A holder's key and certificate. `state`: enrolling, active, locked, suspended, revoked."""

    __tablename__ = "signer_credentials"
    __table_args__ = (
        Index("ix_signer_credentials_holder_id", "holder_id"),
        Index("ix_signer_credentials_keeper", "keeper"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    profile: Mapped[str] = mapped_column(Text)
    holder_id: Mapped[str] = mapped_column(Text)
    keeper: Mapped[str | None] = mapped_column(Text)
    """Who keeps an agency's seal (`signer.holders.keepers`)."""
    unit: Mapped[str | None] = mapped_column(Text)
    algorithm: Mapped[str] = mapped_column(Text)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary)
    certificate: Mapped[bytes | None] = mapped_column(LargeBinary)
    chain: Mapped[list[str]] = mapped_column(Json)
    """Base64 of the DER certificates from the issuing CA to the root."""
    serial: Mapped[str | None] = mapped_column(Text, unique=True)
    state: Mapped[str] = mapped_column(Text)
    state_reason: Mapped[str | None] = mapped_column(Text)
    wrong_pins: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Text)


class ImageRow(Base):
    """A handwritten signature or a seal, checked when it came in; the newest approved is used."""

    __tablename__ = "signer_images"
    __table_args__ = (Index("ix_signer_images_credential_id", "credential_id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("signer_credentials.id"))
    kind: Mapped[str] = mapped_column(Text)
    blob: Mapped[str] = mapped_column(Text, info=KEEPS_FILE)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    uploaded_by: Mapped[str] = mapped_column(Text)
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approved_by: Mapped[str | None] = mapped_column(Text)


class MandateRow(Base):
    """The clerk's recorded leave for a system client to activate an agency seal."""

    __tablename__ = "signer_mandates"
    __table_args__ = (Index("ix_signer_mandates_credential_id", "credential_id"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("signer_credentials.id"))
    client: Mapped[str] = mapped_column(Text)
    granted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    granted_by: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sealed_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_by: Mapped[str | None] = mapped_column(Text)


class AuthorizationRow(Base):
    """An opened key: for one client, until it expires. `sealed_key` is erased when it ends."""

    __tablename__ = "signer_authorizations"
    __table_args__ = (
        Index("ix_signer_authorizations_credential_id", "credential_id"),
        Index("ix_signer_authorizations_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("signer_credentials.id"))
    mandate_id: Mapped[str | None] = mapped_column(ForeignKey("signer_mandates.id"))
    client: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sealed_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    ended: Mapped[bool] = mapped_column(Boolean, default=False)


class AuthorizedDigestRow(Base):
    """One digest of an authorisation. `state`: open, reserved, used. Used once, never again."""

    __tablename__ = "signer_authorized_digests"
    __table_args__ = (
        Index("ix_signer_authorized_digests_authorization_id_digest", "authorization_id", "digest"),
    )

    authorization_id: Mapped[str] = mapped_column(
        ForeignKey("signer_authorizations.id"), primary_key=True
    )
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text)


class SignatureRow(Base):
    """An intention to sign and what became of it. `state`: intended, made, void."""

    __tablename__ = "signer_signatures"
    __table_args__ = (
        Index("ix_signer_signatures_state", "state"),
        Index("ix_signer_signatures_document", "document"),
        Index("ix_signer_signatures_result", "result"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    authorization_id: Mapped[str] = mapped_column(ForeignKey("signer_authorizations.id"))
    position: Mapped[int] = mapped_column(Integer)
    credential_id: Mapped[str] = mapped_column(ForeignKey("signer_credentials.id"))
    document: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    details: Mapped[Any] = mapped_column(Json)
    state: Mapped[str] = mapped_column(Text)
    intended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    intended_by: Mapped[str] = mapped_column(Text)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    field: Mapped[str | None] = mapped_column(Text)
    result: Mapped[str | None] = mapped_column(Text)
    failure: Mapped[str | None] = mapped_column(Text)
