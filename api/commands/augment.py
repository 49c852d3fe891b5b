"""`dauso augment FILE`: raise the level of the signatures in a file, or renew its archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.commands.terminal import now, opened_house, operator, read_file, say, write_file

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def augment(
    file: Annotated[Path, typer.Argument(help="PDF, CAdES, XAdES or ASiC-E")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the result goes")],
    level: Annotated[str, typer.Option(help="B-T, B-LT or B-LTA")] = "B-LTA",
    content: Annotated[
        Path | None, typer.Option(help="The file that a detached signature is about")
    ] = None,
    revocation: Annotated[
        list[Path] | None, typer.Option(help="CRL or OCSP answer about certificates of others")
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over an existing file")] = False,
) -> None:
    """What others signed stays as it is; B-LTA again renews the archive time-stamp."""
    data = read_file(file)
    about = read_file(content) if content is not None else None
    known = [read_file(one) for one in revocation or ()]
    with opened_house() as house:
        from api.routes.placement import level_named
        from signer.files.raising import raise_file

        raised = raise_file(
            house.desk,
            data,
            to=level_named(level),
            content=about,
            revocation=known,
            now=now(),
            by=operator(),
        )
    write_file(output, raised, force=force)
    say(f"✓ Đã nâng mức chữ ký: {output}", f"✓ Level raised: {output}")
