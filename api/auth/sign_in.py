"""The ways in: a link that works once, a passkey, the province's sign-in service.

Each ends in `_opened`: a new session with a new token, whatever cookie the browser had before.
Refusals are audited and told in the same words whatever the reason: who guesses learns nothing.
docs/flows/sign-in.md has the same numbered steps.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from api.auth import sessions
from api.auth.sessions import token_digest
from api.errors import ApiError
from api.people_models import AccountRow, SignInAttemptRow, SignInLinkRow
from records import audit
from records.tags import Tag

if TYPE_CHECKING:
    from api.auth.people import Person
    from records.database import Database

ATTEMPT_LIFE = timedelta(minutes=10)


@dataclass(frozen=True)
class Opened:
    """Somebody has signed in; `token` goes into the cookie."""

    person: Person
    token: str = field(repr=False)


@dataclass(frozen=True)
class Attempt:
    """What was written down when a dialogue began."""

    account_id: str | None
    facts: dict[str, Any]


def by_link(database: Database, link: str, *, agent: str, now: datetime) -> Opened:
    """The link's person, once. Raises ApiError `sign-in-refused`."""
    with database.transaction() as session:
        row = session.get(SignInLinkRow, token_digest(link), with_for_update=True)
        account = session.get(AccountRow, row.account_id) if row is not None else None
        good = row is not None and row.used_at is None and row.expires_at > now
        if row is not None and account is not None and good and account.disabled_at is None:
            row.used_at = now
            token = sessions.open_in(session, account, how="link", agent=agent, now=now)
            return Opened(sessions.person(account), token)
        account_id = account.id if account is not None else None
    raise refusal(database, "link", account_id, now=now)


def waiting_link(database: Database, link: str, *, now: datetime) -> str | None:
    """The name of the person a link would sign in, without using it; None when it is over."""
    with database.reading() as session:
        row = session.get(SignInLinkRow, token_digest(link))
        if row is None or row.used_at is not None or row.expires_at <= now:
            return None
        account = session.get_one(AccountRow, row.account_id)
        return account.name if account.disabled_at is None else None


def by_account(
    database: Database, account_id: str, *, how: str, agent: str, now: datetime
) -> Opened:
    """A person who has proved themselves by passkey or provider. Raises ApiError."""
    with database.transaction() as session:
        account = session.get(AccountRow, account_id)
        if account is not None and account.disabled_at is None:
            token = sessions.open_in(session, account, how=how, agent=agent, now=now)
            return Opened(sessions.person(account), token)
    raise refusal(database, how, account_id, now=now)


def begin(
    database: Database,
    kind: str,
    facts: dict[str, Any],
    *,
    account_id: str | None = None,
    now: datetime,
) -> str:
    """Write a dialogue down; the token that its answer must come with, once."""
    token = secrets.token_urlsafe(32)
    with database.transaction() as session:
        session.execute(delete(SignInAttemptRow).where(SignInAttemptRow.expires_at <= now))
        session.add(
            SignInAttemptRow(
                token_hash=token_digest(token),
                kind=kind,
                account_id=account_id,
                facts=facts,
                expires_at=now + ATTEMPT_LIFE,
            )
        )
    return token


def take(database: Database, kind: str, token: str, *, now: datetime) -> Attempt:
    """The dialogue behind a token, which is thereby over. Raises ApiError `sign-in-stale`."""
    with database.transaction() as session:
        wanted = select(SignInAttemptRow).where(
            SignInAttemptRow.token_hash == token_digest(token), SignInAttemptRow.kind == kind
        )
        row = session.scalars(wanted.with_for_update()).one_or_none()
        if row is None:
            raise ApiError("sign-in-stale")
        late, found = row.expires_at <= now, Attempt(row.account_id, dict(row.facts))
        session.delete(row)
    if late:
        raise ApiError("sign-in-stale")
    return found


def refusal(
    database: Database, how: str, account_id: str | None, *, now: datetime, reason: str = ""
) -> ApiError:
    """Audit that somebody was not let in; what to raise."""
    with database.transaction() as session:
        audit.record(
            session,
            tag=Tag.SIGN_IN_REFUSED,
            by="public:sign-in",
            subject=f"account:{account_id}" if account_id else "account:unknown",
            details={"how": how, "reason": reason},
            now=now,
        )
    return ApiError("sign-in-refused")
