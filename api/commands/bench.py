"""`dauso bench NAME`: runs `bench/NAME.py`, beside the peers and the limits."""

from __future__ import annotations

from typing import Annotated

import typer

from api.commands.programs import NAME_AND_REST, listed, run_program

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command(context_settings=NAME_AND_REST)
def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=listed("bench"))],
) -> None:
    """Measure; takes --quick and --json FILE."""
    run_program("bench", name, context.args)
