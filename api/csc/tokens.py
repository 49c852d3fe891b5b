"""Access and refresh tokens of the remote-signing service.

Opaque and kept as hashes, unlike the JWTs of the API proper: a token that a person's consent
stands behind must end the moment it is revoked (CSC API §8.4.5, RFC 7009). A token with the scope
`credential` is the SAD itself, so that it opens exactly the hashes the holder agreed to.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from api.auth.clients import Client, load
from api.csc.errors import CscRefusal
from api.csc.models import Token
from records.database import Database
from signer.keys.activation import Authorization, token_hash

SERVICE, CREDENTIAL = "service", "credential"
ACCESS, REFRESH = "access", "refresh"
ACCESS_LIFE = timedelta(minutes=30)
REFRESH_LIFE = timedelta(days=30)
CLIENT_SCOPE = "csc"
EXPLICIT_SCOPE = "csc-explicit"


@dataclass(frozen=True)
class Bearer:
    """Who is calling: a client, for a holder who let it in, or for itself."""

    client: Client
    holder_id: str | None
    scope: str
    credential_id: str | None
    token: str = field(repr=False)

    @property
    def binding(self) -> str:
        return binding(self.client.client_id, self.holder_id)

    @property
    def explicit(self) -> bool:
        """Whether the holders' PINs may pass through this client."""
        return EXPLICIT_SCOPE in self.client.scopes


def binding(client_id: str, holder_id: str | None) -> str:
    """What an authorisation is bound to: client and bearer. No other part of the API uses it."""
    return f"csc:{client_id}:{holder_id or '*'}"


def issue(
    session: Session,
    *,
    kind: str,
    grant_id: str,
    client_id: str,
    holder_id: str | None,
    scope: str,
    now: datetime,
    expires_at: datetime,
    credential_id: str | None = None,
    token: str | None = None,
) -> str:
    """Write a token down; `token` is given when it is a SAD that exists already."""
    value = token or secrets.token_urlsafe(32)
    session.add(
        Token(
            hash=token_hash(value),
            kind=kind,
            grant_id=grant_id,
            client_id=client_id,
            holder_id=holder_id,
            scope=scope,
            credential_id=credential_id,
            created_at=now,
            expires_at=expires_at,
        )
    )
    return value


def bearer_of(database: Database, value: str, *, now: datetime) -> Bearer:
    """Whom a bearer token stands for, at this moment.

    CscRefusal `csc-token-invalid`, `csc-token-expired`.
    """
    with database.reading() as session:
        row = session.get(Token, token_hash(value))
        if row is None or row.kind != ACCESS:
            raise CscRefusal("csc-token-invalid")
        if row.revoked_at is not None or row.expires_at <= now:
            raise CscRefusal("csc-token-expired")
        found = (row.client_id, row.holder_id, row.scope, row.credential_id)
    client_id, holder_id, scope, credential_id = found
    client = load(database, client_id)
    if client is None or CLIENT_SCOPE not in client.scopes:
        raise CscRefusal("csc-token-invalid")
    return Bearer(client, holder_id, scope, credential_id, value)


def follow(session: Session, before: str, after: Authorization, *, now: datetime) -> None:
    """A SAD that was an access token has been replaced: its successor is one too."""
    row = find(session, before)
    if row is None:
        return
    row.revoked_at = row.revoked_at or now
    issue(
        session,
        kind=row.kind,
        grant_id=row.grant_id,
        client_id=row.client_id,
        holder_id=row.holder_id,
        scope=row.scope,
        credential_id=row.credential_id,
        now=now,
        expires_at=after.expires_at,
        token=after.token,
    )


def revoke_grant(session: Session, grant_id: str, *, now: datetime) -> None:
    """Everything that came from one consent ends."""
    session.execute(
        update(Token)
        .where(Token.grant_id == grant_id, Token.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def find(session: Session, value: str) -> Token | None:
    """The row of a token, locked; whoever presents it may be anybody."""
    wanted = select(Token).where(Token.hash == token_hash(value)).with_for_update()
    return session.scalar(wanted)
