"""What remote signing remembers: where clients may send holders back to, requests, tokens, codes.

Nothing here signs. A secret (code, token, SAD) is kept as its SHA-256, being 256 random bits; a
one-time code, which could be guessed, as an HMAC under a key that is not in the database.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from records.database import Base, Json, UtcDateTime


class ClientRedirect(Base):
    """An address that a client registered for the way back (RFC 6749 §3.1.2.2)."""

    __tablename__ = "csc_redirects"

    client_id: Mapped[str] = mapped_column(ForeignKey("api_clients.client_id"), primary_key=True)
    uri: Mapped[str] = mapped_column(String(500), primary_key=True)


class ConsentRequest(Base):
    """What a client asks a holder for. `state`: pushed, shown, granted, denied, spent.

    `kind` is `redirect` for the OAuth code flow and `approval` for credentials/authorize out of
    band, whose client waits with a handle.
    """

    __tablename__ = "csc_requests"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    client_id: Mapped[str] = mapped_column(String(64))
    asked: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(16))
    holder_id: Mapped[str | None] = mapped_column(String(64), nullable=True)
    authorization_id: Mapped[str | None] = mapped_column(String(64), nullable=True)
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), nullable=True, unique=True)
    code_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Token(Base):
    """An access or refresh token. `grant_id` joins what came from one consent."""

    __tablename__ = "csc_tokens"

    hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    grant_id: Mapped[str] = mapped_column(String(64), index=True)
    client_id: Mapped[str] = mapped_column(String(64))
    holder_id: Mapped[str | None] = mapped_column(String(64), nullable=True)
    scope: Mapped[str] = mapped_column(String(32))
    credential_id: Mapped[str | None] = mapped_column(String(64), nullable=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime, nullable=True)


class OneTimeCode(Base):
    """The newest code sent for a credential at one client's request."""

    __tablename__ = "csc_one_time_codes"

    credential_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    attempts: Mapped[int] = mapped_column(Integer)
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class Operation(Base):
    """A signature asked for asynchronously. `state`: working, done, failed."""

    __tablename__ = "csc_operations"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    binding: Mapped[str] = mapped_column(String(160))
    client_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    answer: Mapped[Any] = mapped_column(Json, nullable=True)
    failure: Mapped[str | None] = mapped_column(Text, nullable=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
