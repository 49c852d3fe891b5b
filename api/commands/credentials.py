"""`dauso credentials`: enrol holders, give them their image, let them certify, list them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.terminal import new_pin, now, opened_house, operator, read_file, say, say_json

if TYPE_CHECKING:
    from ca.names import Subject

app = typer.Typer(
    help="Holders' signing credentials.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
PinFile = Annotated[
    Path | None, typer.Option(help="Owner-only file with the new PIN, or - for standard input")
]

Born = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Day of birth, for the population registry"),
]


@app.command()
def official(
    name: Annotated[str, typer.Option(help="Full name")],
    citizen_id: Annotated[str, typer.Option(help="Twelve digits")],
    unit: Annotated[str, typer.Option(help="Code of the unit, such as 14797")],
    unit_name: Annotated[str, typer.Option(help="The unit as the certificate names it")],
    title: Annotated[str, typer.Option(help="Title, such as Phó Chủ tịch")] = "",
    email: Annotated[str, typer.Option()] = "",
    born: Born = None,
    pin_file: PinFile = None,
) -> None:
    """Enrol an official: identity checked, key on the token, sealed under a PIN of their own."""
    from ca.names import Subject

    subject = Subject.official(
        name, citizen_id=citizen_id, unit=unit_name, title=title, email=email
    )
    _register("official", subject, unit, born, pin_file)


@app.command()
def citizen(
    name: Annotated[str, typer.Option(help="Full name")],
    citizen_id: Annotated[str, typer.Option(help="Twelve digits")],
    state: Annotated[str, typer.Option(help="Province")],
    locality: Annotated[str, typer.Option(help="Commune")],
    born: Born = None,
    pin_file: PinFile = None,
) -> None:
    """Enrol a citizen, as an official is enrolled."""
    from ca.names import Subject

    subject = Subject.citizen(name, citizen_id=citizen_id, state=state, locality=locality)
    _register("citizen", subject, None, born, pin_file)


@app.command()
def agency(
    name: Annotated[str, typer.Option(help="Full name of the agency")],
    tax_code: Annotated[str, typer.Option(help="MST")],
    unit: Annotated[str, typer.Option(help="Code of the unit, such as 14797")],
    locality: Annotated[str, typer.Option(help="Province or commune")],
    keeper: Annotated[str, typer.Option(help="CCCD:… of the clerk who keeps it")],
    budget_code: Annotated[str, typer.Option(help="MNS")] = "",
    pin_file: PinFile = None,
) -> None:
    """Enrol an agency's seal, kept by its clerk."""
    from ca.names import Subject

    subject = Subject.agency(name, tax_code=tax_code, budget_code=budget_code, locality=locality)
    pin = new_pin("PIN", pin_file)
    with opened_house() as house:
        from signer.keys import credentials

        made = credentials.enrol(
            house.desk,
            profile="agency-seal",
            subject=subject,
            holder_id=f"MST:{tax_code}",
            keeper=keeper,
            unit=unit,
            pin=pin,
            now=now(),
            by=operator(),
        )
    say(made.id, made.id)


@app.command("list")
def list_(
    unit: Annotated[str, typer.Option(help="Code of the unit")],
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """The credentials of a unit's people and its seals."""
    with opened_house() as house:
        from signer.keys import credentials

        for one in credentials.of_unit(house.desk, unit):
            until = one.certificate.not_valid_after_utc.date().isoformat()
            if json:
                kept: dict[str, object] = {"keeper": one.keeper} if one.kind == "agency" else {}
                facts = {"id": one.id, "kind": one.kind, "name": one.name, "state": one.state}
                say_json({**facts, **kept})
            else:
                line = f"{one.id}  {one.kind:<8}  {one.state:<9}  {until}  {one.name}"
                keeper = f"  ({one.keeper or '?'})" if one.kind == "agency" else ""
                say(line + keeper, line + keeper)


@app.command()
def image(
    credential: Annotated[str, typer.Argument(help="Identifier of the credential")],
    png: Annotated[Path, typer.Argument(help="Signature (blue) or seal (red), PNG")],
) -> None:
    """Give a credential the image that is shown on documents."""
    data = read_file(png)
    with opened_house() as house:
        from signer.holders import holder_images

        holder_images.set_image(
            house.desk, credential, data, approved_by=operator(), now=now(), by=operator()
        )
    say("✓ Đã lưu hình ảnh.", "✓ The image is kept.")


@app.command()
def unlock(
    credential: Annotated[str, typer.Argument(help="Identifier of the credential")],
) -> None:
    """Five new attempts, after the holder has proved in person who they are."""
    with opened_house() as house:
        from signer.keys import credentials

        credentials.unlock(house.desk, credential, now=now(), by=operator())
    say("✓ Đã mở khóa.", "✓ Unlocked.")


@app.command()
def delegate(
    credential: Annotated[str, typer.Argument(help="Identifier of the official's credential")],
    title: Annotated[str, typer.Option(help="As the statement shows it: PHÓ CHỦ TỊCH")],
    basis: Annotated[str, typer.Option(help="The decision that says so")],
    line: Annotated[
        list[str], typer.Option(help="Lines of authority, repeat: 'KT. CHỦ TỊCH', 'PHÓ CHỦ TỊCH'")
    ],
) -> None:
    """Let an official certify copies for their unit."""
    with opened_house() as house:
        from certify.competence import delegate as record
        from signer.keys import credentials

        holder = credentials.find(house.desk, credential)
        made = record(
            house.office,
            unit=holder.unit or "",
            holder_id=holder.holder_id,
            name=holder.name,
            title=title,
            authority_lines=line,
            basis=basis,
            now=now(),
            by=operator(),
        )
    say(f"✓ {made.name}: {made.title}", f"✓ {made.name}: {made.title}")


def _register(
    profile: str, subject: Subject, unit: str | None, born: datetime | None, source: Path | None
) -> None:
    pin = new_pin("PIN", source)
    with opened_house() as house:
        from api.adapters.population_registry import registry_of
        from signer.holders import registration

        made = registration.register(
            house.desk,
            profile=profile,
            subject=subject,
            unit=unit,
            born=None if born is None else born.date(),
            registry=registry_of(house.settings),
            pin=pin,
            now=now(),
            by=operator(),
        )
    say(made.id, made.id)
