"""Sessions: rows on the server, a random token in a cookie that no script can read.

The token is 256 random bits and is made anew at each sign-in, so that nothing planted before can
live on; only its digest is kept. A session ends half an hour after the last page, ten hours after
it began, at sign-out, when its account is disabled, and when the person signs out everywhere.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, cast

from sqlalchemy import delete, select, update
from starlette.responses import Response

from api.auth.people import Person, Role
from api.people_models import AccountRow, SessionRow
from records import audit
from records.tags import Tag

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from api.settings import Settings
    from records.database import Database

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=10)
_NOTE_EVERY = timedelta(minutes=1)
_AGENT = 200


@dataclass(frozen=True)
class OpenSession:
    """One of a person's sessions, as their page lists it."""

    how: str
    agent: str
    created_at: datetime
    seen_at: datetime
    current: bool


def token_digest(token: str) -> bytes:
    """What is kept of a token."""
    return sha256(token.encode()).digest()


def cookie_name(settings: Settings) -> str:
    """Over https the name itself forbids other hosts and paths (RFC 6265bis §4.1.3.2)."""
    return "__Host-dauso" if settings.base_url.startswith("https://") else "dauso-session"


def open_in(session: Session, account: AccountRow, *, how: str, agent: str, now: datetime) -> str:
    """A session for an account that has just proved itself; its token, shown once."""
    token = secrets.token_urlsafe(32)
    session.add(
        SessionRow(
            token_hash=token_digest(token),
            account_id=account.id,
            how=how,
            agent=agent[:_AGENT],
            created_at=now,
            seen_at=now,
            expires_at=now + LONGEST,
        )
    )
    # What has run out goes when somebody comes.
    session.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
    session.flush()
    audit.record(
        session,
        tag=Tag.SESSION_OPENED,
        by=person(account).by,
        subject=f"account:{account.id}",
        details={"how": how},
        now=now,
    )
    return token


def set_cookie(response: Response, settings: Settings, token: str) -> None:
    """Not for scripts, not for other sites' requests, only over https where there is https."""
    response.set_cookie(
        cookie_name(settings),
        token,
        max_age=int(LONGEST.total_seconds()),
        path="/",
        secure=settings.base_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response, settings: Settings) -> None:
    """The browser forgets the session."""
    secure = settings.base_url.startswith("https://")
    response.delete_cookie(
        cookie_name(settings), path="/", secure=secure, httponly=True, samesite="lax"
    )


def person_of(database: Database, token: str, *, now: datetime) -> Person | None:
    """Whose session this is, if it is still good; notes that they were here."""
    digest = token_digest(token)
    with database.reading() as session:
        row = session.get(SessionRow, digest)
        account = session.get(AccountRow, row.account_id) if row is not None else None
    if row is None or account is None or account.disabled_at is not None:
        return None
    if row.expires_at <= now or row.seen_at + IDLE <= now:
        return None
    if now - row.seen_at >= _NOTE_EVERY:
        with database.transaction() as session:
            session.execute(
                update(SessionRow).where(SessionRow.token_hash == digest).values(seen_at=now)
            )
    return person(account)


def end(database: Database, token: str, *, now: datetime) -> None:
    """Sign out here."""
    with database.transaction() as session:
        row = session.get(SessionRow, token_digest(token))
        if row is None:
            return
        account = session.get_one(AccountRow, row.account_id)
        session.delete(row)
        session.flush()
        _record_end(session, account, 1, now=now, by=person(account).by)


def end_all(database: Database, account_id: str, *, now: datetime, by: str) -> int:
    """Sign out everywhere; how many sessions there were."""
    with database.transaction() as session:
        return end_all_in(session, account_id, now=now, by=by)


def end_all_in(session: Session, account_id: str, *, now: datetime, by: str) -> int:
    """The same inside a transaction: an account that is disabled leaves nobody signed in."""
    account = session.get_one(AccountRow, account_id)
    wanted = select(SessionRow).where(SessionRow.account_id == account_id)
    rows = session.scalars(wanted).all()
    for row in rows:
        session.delete(row)
    session.flush()
    if rows:
        _record_end(session, account, len(rows), now=now, by=by)
    return len(rows)


def of_account(
    database: Database, account_id: str, *, token: str | None, now: datetime
) -> list[OpenSession]:
    """A person's sessions that are still good, the newest first."""
    wanted = (
        select(SessionRow)
        .where(
            SessionRow.account_id == account_id,
            SessionRow.expires_at > now,
            SessionRow.seen_at > now - IDLE,
        )
        .order_by(SessionRow.seen_at.desc())
    )
    here = token_digest(token) if token else b""
    with database.reading() as session:
        return [
            OpenSession(
                row.how, row.agent, row.created_at, row.seen_at, bytes(row.token_hash) == here
            )
            for row in session.scalars(wanted)
        ]


def person(row: AccountRow) -> Person:
    """An account as the rest of the house sees it."""
    return Person(
        account_id=row.id,
        kind=cast("Literal['official', 'citizen']", row.kind),
        holder_id=row.holder_id,
        name=row.name,
        unit=row.unit,
        roles=frozenset(Role(one) for one in row.roles),
        language=row.language,
    )


def _record_end(
    session: Session, account: AccountRow, count: int, *, now: datetime, by: str
) -> None:
    audit.record(
        session,
        tag=Tag.SESSION_ENDED,
        by=by,
        subject=f"account:{account.id}",
        details={"sessions": count},
        now=now,
    )
