"""Who may sit at the screens: accounts, their passkeys, links, sessions and attempts under way.

Nothing here opens a signing key: an account without its holder's PIN or passkey signs nothing.
Tokens are kept as SHA-256 only; each has 256 random bits, so the digest cannot be guessed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime


class AccountRow(Base):
    """A person in one capacity: official (made by an administrator) or citizen."""

    __tablename__ = "api_accounts"
    __table_args__ = (UniqueConstraint("holder_id", "kind"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    holder_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    unit: Mapped[str | None] = mapped_column(Text)
    roles: Mapped[list[str]] = mapped_column(Json)
    language: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Text)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SessionRow(Base):
    """Somebody at a browser. `how`: link, passkey, oidc."""

    __tablename__ = "api_sessions"
    __table_args__ = (
        Index("ix_api_sessions_account_id", "account_id"),
        Index("ix_api_sessions_expires_at", "expires_at"),
    )

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("api_accounts.id"))
    how: Mapped[str] = mapped_column(Text)
    agent: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SignInLinkRow(Base):
    """A link that signs in once; the first thing a new person gets."""

    __tablename__ = "api_sign_in_links"
    __table_args__ = (Index("ix_api_sign_in_links_account_id", "account_id"),)

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("api_accounts.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PasskeyRow(Base):
    """A WebAuthn credential that signs an account in (W3C WebAuthn Level 3 §7)."""

    __tablename__ = "api_passkeys"
    __table_args__ = (Index("ix_api_passkeys_account_id", "account_id"),)

    id: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("api_accounts.id"))
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(Text)
    prf: Mapped[bool] = mapped_column(Boolean)
    """Whether the authenticator offers the PRF extension: only then it can open a signing key."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SignInAttemptRow(Base):
    """A dialogue under way: a challenge to an authenticator, or a journey to the provider."""

    __tablename__ = "api_sign_in_attempts"
    __table_args__ = (Index("ix_api_sign_in_attempts_expires_at", "expires_at"),)

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("api_accounts.id"))
    facts: Mapped[Any] = mapped_column(Json)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
