"""`dauso clients create|list|disable`: the systems that may call the API."""

from __future__ import annotations

from typing import Annotated

import typer

from api.commands.terminal import now, operator, say, say_json, unopened_house

app = typer.Typer(
    help="Systems that may call the API.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def create(
    client_id: Annotated[str, typer.Argument(help="Small letters, digits, dots, dashes")],
    scope: Annotated[
        list[str],
        typer.Option(
            help="sign, certify, validate, ca, store, stores, enrol, people, certificates, "
            "approve, csc, csc-explicit; repeat"
        ),
    ],
    name: Annotated[str, typer.Option(help="Its name for people")] = "",
    unit: Annotated[list[str] | None, typer.Option(help="Only these units; repeat")] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option(help="Where holders may be sent back to; repeat")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For programs")] = False,
) -> None:
    """Make a client and print its secret once."""
    from api.auth import clients
    from api.csc import redirects

    with unopened_house() as house:
        house.check_home()
        house.database.migrate()
        made = clients.create(
            house.database,
            clients.Secrets(),
            client_id=client_id,
            name=name or client_id,
            scopes=scope,
            units=unit,
            now=now(),
            by=operator(),
        )
        if redirect_uri:
            redirects.register(house.database, client_id, redirect_uri, now=now(), by=operator())
    if json:
        say_json({"client_id": made.client_id, "client_secret": made.secret})
        return
    say(
        f"client_id: {made.client_id}\nclient_secret: {made.secret}\n"
        "Hãy lưu mã bí mật ngay; hệ thống không hiện lại.",
        f"client_id: {made.client_id}\nclient_secret: {made.secret}\n"
        "Keep the secret now; it is not shown again.",
    )


@app.command("list")
def list_() -> None:
    """Every client that is not disabled."""
    from api.auth import clients

    with unopened_house() as house:
        house.check_home()
        for one in clients.everyone(house.database):
            units = ", ".join(sorted(one.units)) if one.units is not None else "*"
            line = f"{one.client_id}  {' '.join(sorted(one.scopes))}  [{units}]  {one.name}"
            say(line, line)


@app.command()
def disable(client_id: Annotated[str, typer.Argument()]) -> None:
    """Refuse the client from now on, whatever token it holds."""
    from api.auth import clients

    with unopened_house() as house:
        house.check_home()
        clients.disable(house.database, client_id, now=now(), by=operator())
    say(f"Đã vô hiệu hóa {client_id}.", f"{client_id} is disabled.")
