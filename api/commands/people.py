"""`dauso people add|link|list|roles|disable|enable`: who may sign in at the screens."""

from __future__ import annotations

from typing import Annotated

import typer

from api.commands.terminal import now, operator, say, say_json, unopened_house

app = typer.Typer(
    help="Accounts of people at the screens.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Account = Annotated[str, typer.Argument(help="The account (acc_…)")]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help="signer, clerk, intake, comparer, admin, auditor; repeat"),
]
Unit = Annotated[str, typer.Option(help="The unit's code")]
Json = Annotated[bool, typer.Option("--json", help="For programs")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Full name")],
    number: Annotated[str, typer.Option(help="Citizen number, 12 digits")],
    unit: Unit = "",
    role: Roles = None,
    citizen: Annotated[bool, typer.Option("--citizen", help="A citizen, not an official")] = False,
    json: Json = False,
) -> None:
    """Make an account and print the link that signs its person in once."""
    from api.auth import accounts

    with unopened_house() as house:
        house.check_home()
        house.database.migrate()
        made = accounts.add(
            house.database,
            kind="citizen" if citizen else "official",
            holder_id=number,
            name=name,
            unit=unit or None,
            roles=role or [],
            now=now(),
            by=operator(),
        )
        token = accounts.make_link(house.database, made.account_id, now=now(), by=operator())
        _tell(made.account_id, accounts.sign_in_address(house.settings.base_url, token), json)


@app.command()
def link(account: Account, json: Json = False) -> None:
    """A new one-time link: for somebody who has lost their passkey. The old one is void."""
    from api.auth import accounts

    with unopened_house() as house:
        house.check_home()
        token = accounts.make_link(house.database, account, now=now(), by=operator())
        _tell(account, accounts.sign_in_address(house.settings.base_url, token), json)


@app.command("list")
def list_(
    matching: Annotated[str, typer.Argument(help="Part of a name, number or unit")] = "",
) -> None:
    """Accounts by name."""
    from api.auth import accounts

    with unopened_house() as house:
        house.check_home()
        for one in accounts.everyone(house.database, matching=matching):
            who = one.person
            roles = " ".join(sorted(who.roles)) or "-"
            state = "disabled" if one.disabled_at else "active"
            line = f"{who.account_id}  {who.kind}  {who.holder_id}  {who.unit or '-'}"
            line += f"  {roles}  {state}  {who.name}"
            say(line, line)


@app.command()
def roles(account: Account, unit: Unit = "", role: Roles = None) -> None:
    """Give an account these roles and this unit, instead of those it had."""
    from api.auth import accounts

    with unopened_house() as house:
        house.check_home()
        made = accounts.change(
            house.database, account, unit=unit or None, roles=role or [], now=now(), by=operator()
        )
    line = f"{made.account_id}  {made.unit or '-'}  {' '.join(sorted(made.roles)) or '-'}"
    say(line, line)


@app.command()
def disable(account: Account) -> None:
    """No sign-in from now on; open sessions end."""
    from api.auth import accounts

    with unopened_house() as house:
        house.check_home()
        accounts.disable(house.database, account, now=now(), by=operator())
    say(f"Đã khóa tài khoản {account}.", f"{account} is disabled.")


@app.command()
def enable(account: Account) -> None:
    """The account may sign in again."""
    from api.auth import accounts

    with unopened_house() as house:
        house.check_home()
        accounts.enable(house.database, account, now=now(), by=operator())
    say(f"Đã mở lại tài khoản {account}.", f"{account} is enabled.")


def _tell(account_id: str, address: str, json: bool) -> None:
    if json:
        say_json({"account_id": account_id, "sign_in_link": address})
        return
    say(
        f"{account_id}\n{address}\nLiên kết dùng một lần, trong 72 giờ; hãy trao tận tay.",
        f"{account_id}\n{address}\nThe link works once, within 72 hours; hand it over in person.",
    )
