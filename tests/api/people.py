"""People at the screens in tests: an account and a session without the dialogue.

sign_in(service.http, service.house, unit="14797", roles=["signer"])
service.http.post("/desk/…", data={"csrf": csrf(service.http), …})
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from api.auth import accounts, sessions
from api.auth.people import Person, csrf_token
from api.errors import ApiError
from api.house import House
from api.people_models import AccountRow

OFFICIAL_ID = "CCCD:038800000001"
"""The certifying official of tests/certify/town_hall.py."""
CITIZEN_ID = "CCCD:038812345678"


def person(
    house: House,
    kind: str = "official",
    holder_id: str = OFFICIAL_ID,
    name: str = "Lê Văn Thử",
    unit: str | None = "14797",
    roles: Iterable[str] = (),
    now: datetime | None = None,
) -> Person:
    """The person's account, made or with these roles from now on."""
    now = now or datetime.now(UTC)
    by = "operator:test"
    where: dict[str, Any] = {"unit": unit, "roles": roles, "now": now, "by": by}
    try:
        return accounts.add(house.database, kind=kind, holder_id=holder_id, name=name, **where)
    except ApiError as error:
        if error.code != "account-exists":
            raise
    for one in accounts.everyone(house.database, matching=holder_id):
        if one.person.kind == kind:
            return accounts.change(house.database, one.person.account_id, **where)
    raise AssertionError("the account exists and is not listed")


def sign_in(client: Any, house: House, **who: Any) -> Any:
    """The client, with a session of this person; see `person` for what may be said."""
    now = who.get("now") or datetime.now(UTC)
    them = person(house, **who)
    with house.database.transaction() as session:
        account = session.get_one(AccountRow, them.account_id)
        token = sessions.open_in(session, account, how="link", agent="test", now=now)
    client.cookies.set(sessions.cookie_name(house.settings), token)
    return client


def csrf(client: Any) -> str:
    """What the forms of this client's pages carry."""
    token = client.cookies.get("__Host-dauso") or client.cookies.get("dauso-session")
    return csrf_token(token)
