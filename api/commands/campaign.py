"""`dauso campaign NAME`: runs `bench/campaigns/NAME.py`, a long trial."""

from __future__ import annotations

from typing import Annotated

import typer

from api.commands.programs import NAME_AND_REST, listed, run_program

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command(context_settings=NAME_AND_REST)
def campaign(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=listed("bench.campaigns"))],
) -> None:
    """Try it hard; takes --quick and --json FILE."""
    run_program("bench.campaigns", name, context.args)
