"""`dauso audit`: proves that nobody changed the audit log, or says where.

Whoever owns the database and the audit key could write another history. A checkpoint kept elsewhere
(`dauso audit checkpoint > FILE`, on paper or with another authority) is what finds that too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from api.commands.terminal import TerminalError, complain, read_file, say, unopened_house

app = typer.Typer(
    help="The audit log.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def group() -> None:
    """The audit log."""


@app.command()
def verify(
    kept: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that was kept elsewhere; may repeat")
    ] = None,
) -> None:
    """Recompute every hash of the log and check the signed checkpoints."""
    from records import audit
    from records.checkpoints import Checkpoint

    outside = []
    for path in kept or ():
        try:
            outside.append(Checkpoint.parse(read_file(path).decode("utf-8")))
        except ValueError as error:
            raise TerminalError("checkpoint-unreadable", path=path) from error
    with unopened_house() as house:
        house.check_home()
        keys = house.audit_public_keys() or None
        report = audit.verify(house.database, public_key=keys, kept=outside)
    if not report.ok:
        for one in report.problems:
            complain(one)
        raise TerminalError("audit-log-damaged", count=len(report.problems))
    say(
        f"Nhật ký nguyên vẹn: {report.size} bản ghi.",
        f"The audit log is whole: {report.size} entries.",
    )


@app.command()
def checkpoint() -> None:
    """Print the newest signed checkpoint, to be kept outside this machine."""
    from sqlalchemy import select

    from records.models import AuditCheckpoint

    with unopened_house() as house:
        house.check_home()
        with house.database.reading() as session:
            newest = select(AuditCheckpoint.note).order_by(AuditCheckpoint.size.desc()).limit(1)
            note = session.scalar(newest)
    if note is None:
        raise TerminalError("checkpoint-missing")
    sys.stdout.write(note)
