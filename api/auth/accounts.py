"""Accounts: made by an administrator, opened the first time by a link that works once.

    made = add(database, kind="official", holder_id="CCCD:0388…", name="Lê Văn Thử",
               unit="14797", roles=["signer"], now=now, by="operator:…")
    token = make_link(database, made.account_id, now=now, by=…)      # /sign-in/link/{token}

An account is bound to a person (citizen number) and a unit. It opens pages, never a signing key.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from api.auth import sessions
from api.auth.people import Person, Role, origins
from api.errors import ApiError
from api.people_models import AccountRow, PasskeyRow, SignInLinkRow
from records import audit
from records.tags import Tag

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from records.database import Database

LINK_LIFE = timedelta(hours=72)
_CITIZEN_NUMBER = re.compile(r"(?:CCCD:)?([0-9]{12})")
_LONGEST_NAME = 200
_LONGEST_UNIT = 35


@dataclass(frozen=True)
class Account:
    """An account as the administrator's page shows it."""

    person: Person
    created_at: datetime
    disabled_at: datetime | None
    passkeys: int


def add(
    database: Database,
    *,
    kind: str,
    holder_id: str,
    name: str,
    unit: str | None,
    roles: Iterable[str],
    language: str = "vi",
    now: datetime,
    by: str,
) -> Person:
    """A new account.

    Raises ApiError `account-exists`, `account-number-malformed`, `account-name-malformed`,
    `account-kind-unknown`, `role-unknown`, `account-roles-not-for-citizens`.
    """
    tidy_name = " ".join(name.split())
    if not 0 < len(tidy_name) <= _LONGEST_NAME or not tidy_name.isprintable():
        raise ApiError("account-name-malformed")
    if kind not in {"official", "citizen"}:
        raise ApiError("account-kind-unknown", kind=kind[:40])
    given = roles_of(roles)
    if given and kind == "citizen":
        raise ApiError("account-roles-not-for-citizens")
    holder = holder_of(holder_id)
    row = AccountRow(
        id=f"acc_{secrets.token_hex(16)}",
        kind=kind,
        holder_id=holder,
        name=tidy_name,
        unit=_unit(unit),
        roles=given,
        language=language if language in {"vi", "en"} else "vi",
        created_at=now,
        created_by=by,
    )
    with database.transaction() as session:
        if _by_holder(session, holder, kind) is not None:
            raise ApiError("account-exists")
        session.add(row)
        session.flush()
        details = {"kind": kind, "unit": row.unit or "", "roles": given}
        _record(session, Tag.ACCOUNT_ADDED, row.id, details, now=now, by=by)
        return sessions.person(row)


def change(
    database: Database,
    account_id: str,
    *,
    unit: str | None,
    roles: Iterable[str],
    now: datetime,
    by: str,
) -> Person:
    """Another unit, other roles; who is signed in has them at the next page."""
    given = roles_of(roles)
    with database.transaction() as session:
        row = _mine(session, account_id)
        if given and row.kind == "citizen":
            raise ApiError("account-roles-not-for-citizens")
        row.unit, row.roles = _unit(unit), given
        details = {"unit": row.unit or "", "roles": given}
        _record(session, Tag.ACCOUNT_CHANGED, row.id, details, now=now, by=by)
        return sessions.person(row)


def disable(database: Database, account_id: str, *, now: datetime, by: str) -> None:
    """No sign-in from now on, and every session ends. Raises ApiError `account-own`."""
    with database.transaction() as session:
        row = _mine(session, account_id)
        if sessions.person(row).by == by:
            raise ApiError("account-own")
        _disable(session, row, now=now, by=by)


def close_in(session: Session, holder_id: str, *, now: datetime, by: str) -> bool:
    """The official's account of somebody who leaves; whether there was one that was open."""
    row = _by_holder(session, holder_id, "official")
    return row is not None and _disable(session, row, now=now, by=by)


def _disable(session: Session, row: AccountRow, *, now: datetime, by: str) -> bool:
    if row.disabled_at is not None:
        return False
    row.disabled_at = now
    sessions.end_all_in(session, row.id, now=now, by=by)
    _record(session, Tag.ACCOUNT_DISABLED, row.id, {}, now=now, by=by)
    return True


def enable(database: Database, account_id: str, *, now: datetime, by: str) -> None:
    """The account may sign in again."""
    with database.transaction() as session:
        row = _mine(session, account_id)
        if row.disabled_at is not None:
            row.disabled_at = None
            _record(session, Tag.ACCOUNT_ENABLED, row.id, {}, now=now, by=by)


def set_language(database: Database, account_id: str, language: str) -> None:
    """The language of the pages for this person."""
    if language in {"vi", "en"}:
        with database.transaction() as session:
            _mine(session, account_id).language = language


def make_link(
    database: Database,
    account_id: str,
    *,
    now: datetime,
    by: str,
    life: timedelta = LINK_LIFE,
) -> str:
    """A token that signs this person in once, to be handed over; links made before are void."""
    token = secrets.token_urlsafe(32)
    with database.transaction() as session:
        row = _mine(session, account_id)
        if row.disabled_at is not None:
            raise ApiError("account-disabled")
        before = select(SignInLinkRow).where(
            SignInLinkRow.account_id == account_id, SignInLinkRow.used_at.is_(None)
        )
        for one in session.scalars(before):
            one.used_at = now
        session.add(
            SignInLinkRow(
                token_hash=sessions.token_digest(token),
                account_id=account_id,
                created_at=now,
                created_by=by,
                expires_at=now + life,
            )
        )
        session.flush()
        details = {"expires_at": now + life}
        _record(session, Tag.SIGN_IN_LINK_MADE, account_id, details, now=now, by=by)
    return token


def sign_in_address(base_url: str, token: str) -> str:
    """Where the link leads. On a machine of one's own by name: passkeys need one."""
    by_name = next((one for one in origins(base_url) if "//localhost" in one), base_url)
    return f"{by_name}/sign-in/link/{token}"


def find(database: Database, account_id: str) -> Account:
    """Raises ApiError `account-unknown`."""
    with database.reading() as session:
        row = _mine(session, account_id)
        return _account(row, _passkeys(session).get(row.id, 0))


def everyone(database: Database, *, limit: int = 500, matching: str = "") -> list[Account]:
    """Accounts by name; `matching` is part of a name, a number or a unit."""
    wanted = select(AccountRow).order_by(AccountRow.name, AccountRow.id)
    with database.reading() as session:
        passkeys = _passkeys(session)
        sought = matching.strip().casefold()
        found = []
        for row in session.scalars(wanted):
            text = f"{row.name} {row.holder_id} {row.unit or ''}".casefold()
            if sought in text:
                found.append(_account(row, passkeys.get(row.id, 0)))
            if len(found) == limit:
                break
        return found


def for_sign_in(database: Database, holder_id: str) -> str | None:
    """The account of a person who proved themselves elsewhere: an official's before a citizen's."""
    with database.reading() as session:
        for kind in ("official", "citizen"):
            row = _by_holder(session, holder_id, kind)
            if row is not None and (row.disabled_at is None or kind == "citizen"):
                return row.id
    return None


def holder_of(text: str) -> str:
    """`CCCD:` and twelve digits."""
    found = _CITIZEN_NUMBER.fullmatch(text.strip())
    if found is None:
        raise ApiError("account-number-malformed")
    return f"CCCD:{found[1]}"


def roles_of(names: Iterable[str]) -> list[str]:
    """Known roles, in order; raises ApiError `role-unknown`."""
    wanted = sorted({str(one) for one in names})
    known = {role.value for role in Role}
    for one in wanted:
        if one not in known:
            raise ApiError("role-unknown", role=one[:40], known=", ".join(sorted(known)))
    return wanted


def _by_holder(session: Session, holder_id: str, kind: str) -> AccountRow | None:
    wanted = select(AccountRow).where(AccountRow.holder_id == holder_id, AccountRow.kind == kind)
    return session.scalars(wanted).one_or_none()


def _mine(session: Session, account_id: str) -> AccountRow:
    row = session.get(AccountRow, account_id)
    if row is None:
        raise ApiError("account-unknown")
    return row


def _unit(text: str | None) -> str | None:
    tidy = (text or "").strip()
    if len(tidy) > _LONGEST_UNIT or not tidy.isprintable():
        raise ApiError("account-unit-malformed")
    return tidy or None


def _passkeys(session: Session) -> dict[str, int]:
    wanted = select(PasskeyRow.account_id, func.count()).group_by(PasskeyRow.account_id)
    return {row[0]: row[1] for row in session.execute(wanted)}


def _account(row: AccountRow, passkeys: int) -> Account:
    return Account(sessions.person(row), row.created_at, row.disabled_at, passkeys)


def _record(
    session: Session,
    tag: Tag,
    account_id: str,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(session, tag=tag, by=by, subject=f"account:{account_id}", details=details, now=now)
