"""Accounts over HTTP: the province's directory makes them as people come, move and leave."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path, Query, Security
from pydantic import Field

from api.auth import accounts
from api.auth.accounts import Account
from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.auth.people import Role
from api.routes.shapes import Shape, problems
from api.services import Services

router = APIRouter(prefix="/api/v1", tags=["people"])
Directory = Annotated[Client, Security(caller, scopes=["people"])]
AccountId = Annotated[str, Path(max_length=64, pattern="^[\\w-]+$", examples=["acc_5f0c"])]


class NewAccount(Shape):
    """Who gets an account. Without roles an official sees only their own certificates."""

    kind: Literal["official", "citizen"] = "official"
    number: str = Field(max_length=20, examples=["038800000102"], description="Citizen number")
    name: str = Field(max_length=200, examples=["Lê Văn Thử"])
    unit: str | None = Field(None, max_length=35, examples=["14797"])
    roles: list[Role] = Field(default_factory=list, max_length=len(Role))


class Place(Shape):
    """Where somebody works and what they do there, instead of what was before."""

    unit: str | None = Field(None, max_length=35)
    roles: list[Role] = Field(default_factory=list, max_length=len(Role))


class AccountShape(Shape):
    id: str
    kind: str
    number: str
    name: str
    unit: str | None
    roles: list[str]
    passkeys: int
    created_at: datetime
    disabled_at: datetime | None

    @classmethod
    def of(cls, one: Account) -> Self:
        who = one.person
        return cls(
            id=who.account_id,
            kind=who.kind,
            number=who.holder_id.removeprefix("CCCD:"),
            name=who.name,
            unit=who.unit,
            roles=sorted(who.roles),
            passkeys=one.passkeys,
            created_at=one.created_at,
            disabled_at=one.disabled_at,
        )


class SignInLink(Shape):
    """Told once; to be handed over in person."""

    account_id: str
    sign_in_link: str


@router.post(
    "/people",
    status_code=201,
    summary="Make an account",
    response_model=SignInLink,
    responses=problems(409),
)
def add(order: NewAccount, wired: Wired, now: Now, client: Directory) -> SignInLink:
    """The answer holds a link that signs this person in once, to register a passkey."""
    database = wired.house.database
    made = accounts.add(
        database,
        kind=order.kind,
        holder_id=order.number,
        name=order.name,
        unit=order.unit,
        roles=order.roles,
        now=now,
        by=client.by,
    )
    return _link(wired, made.account_id, now, client)


@router.get(
    "/people",
    summary="List accounts",
    response_model=list[AccountShape],
    responses=problems(),
)
def listed(
    wired: Wired,
    client: Directory,
    matching: Annotated[str, Query(max_length=100)] = "",
) -> list[AccountShape]:
    """By name, at most 500; `matching` is part of a name, a number or a unit."""
    del client
    found = accounts.everyone(wired.house.database, matching=matching)
    return [AccountShape.of(one) for one in found]


@router.put(
    "/people/{account_id}/place",
    summary="Change unit and roles",
    response_model=AccountShape,
    responses=problems(404),
)
def change(
    account_id: AccountId, order: Place, wired: Wired, now: Now, client: Directory
) -> AccountShape:
    """In force at the person's next page."""
    database = wired.house.database
    accounts.change(database, account_id, unit=order.unit, roles=order.roles, now=now, by=client.by)
    return AccountShape.of(accounts.find(database, account_id))


@router.post(
    "/people/{account_id}/link",
    status_code=201,
    summary="A new sign-in link",
    response_model=SignInLink,
    responses=problems(404),
)
def link(account_id: AccountId, wired: Wired, now: Now, client: Directory) -> SignInLink:
    """For somebody who has lost their passkey; links made before are void."""
    return _link(wired, account_id, now, client)


@router.post(
    "/people/{account_id}/disabling",
    summary="Disable an account",
    response_model=AccountShape,
    responses=problems(404),
)
def disable(account_id: AccountId, wired: Wired, now: Now, client: Directory) -> AccountShape:
    """Every session ends at once. The person's certificates are ended apart from this."""
    accounts.disable(wired.house.database, account_id, now=now, by=client.by)
    return AccountShape.of(accounts.find(wired.house.database, account_id))


@router.post(
    "/people/{account_id}/enabling",
    summary="Enable an account again",
    response_model=AccountShape,
    responses=problems(404),
)
def enable(account_id: AccountId, wired: Wired, now: Now, client: Directory) -> AccountShape:
    """With the roles it had."""
    accounts.enable(wired.house.database, account_id, now=now, by=client.by)
    return AccountShape.of(accounts.find(wired.house.database, account_id))


def _link(wired: Services, account_id: str, now: datetime, client: Client) -> SignInLink:
    token = accounts.make_link(wired.house.database, account_id, now=now, by=client.by)
    address = accounts.sign_in_address(wired.house.settings.base_url, token)
    return SignInLink(account_id=account_id, sign_in_link=address)
