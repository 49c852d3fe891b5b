"""Passkeys that open signing keys, and every use that was asked of them.

`sealed_key` is a second copy of the wrapped key, under a secret that only the authenticator can
make (the PRF extension): as with the PIN, nothing in the database opens it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, UtcDateTime


class SigningPasskeyRow(Base):
    """A passkey of a credential. `ended_at` with an erased seal when it is taken away."""

    __tablename__ = "signer_passkeys"
    __table_args__ = (UniqueConstraint("credential_id", "passkey"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("signer_credentials.id"))
    passkey: Mapped[bytes] = mapped_column(LargeBinary)
    """The WebAuthn credential id."""
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    """What the authenticator's PRF is asked with."""
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Text)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PasskeyUseRow(Base):
    """One question to a passkey and its answer. `state`: asked, authorized, refused.

    What is kept of an answer proves to anybody who has the public key that these digests, and no
    others, were authorised by the person who holds the authenticator.
    """

    __tablename__ = "signer_passkey_uses"
    __table_args__ = (Index("ix_signer_passkey_uses_expires_at", "expires_at"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    credential_id: Mapped[str] = mapped_column(ForeignKey("signer_credentials.id"))
    passkey_id: Mapped[str | None] = mapped_column(ForeignKey("signer_passkeys.id"))
    client: Mapped[str] = mapped_column(Text)
    nonce: Mapped[bytes] = mapped_column(LargeBinary)
    digests: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 over the digests that were shown, in their order."""
    documents: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    authorization_id: Mapped[str | None] = mapped_column(Text)
    client_data: Mapped[bytes | None] = mapped_column(LargeBinary)
    authenticator_data: Mapped[bytes | None] = mapped_column(LargeBinary)
    signature: Mapped[bytes | None] = mapped_column(LargeBinary)
