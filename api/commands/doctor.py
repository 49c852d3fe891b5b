"""`dauso doctor`: is everything fit for work, and if not, what to do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from api.commands.terminal import Outcome, complain, language, now, say, say_json, unopened_house

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="One JSON object per check")] = False,
) -> None:
    """Check settings, disk, permissions, database, clock, token, chain, CRLs and secrets."""
    from api.health import examine

    with unopened_house() as house:
        findings = examine(house, now=now())
    for one in findings:
        if json:
            say_json(one.to_json())
            continue
        mark = {"ok": "✓", "warning": "!", "failed": "✗"}[one.state]
        line = f"{mark} {one.title(language())}: {one.text(language())}"
        if one.state == "ok":
            say(line, line)
        else:
            sys.stdout.flush()
            complain(line)
    if any(one.state == "failed" for one in findings):
        raise Outcome(1)
