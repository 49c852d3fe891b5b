"""`dauso audit verify`: proves that nobody changed the audit log, or says where."""

from __future__ import annotations

import typer

from api.commands.terminal import TerminalError, complain, say, unopened_house

app = typer.Typer(help="The audit log.", rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def group() -> None:
    """The audit log."""


@app.command()
def verify() -> None:
    """Recompute every hash of the log and check the signed checkpoints."""
    from records import audit

    with unopened_house() as house:
        house.check_home()
        report = audit.verify(house.database, public_key=house.audit_public_keys() or None)
    if not report.ok:
        for one in report.problems:
            complain(one)
        raise TerminalError("audit-log-damaged", count=len(report.problems))
    say(
        f"Nhật ký nguyên vẹn: {report.size} bản ghi.",
        f"The audit log is whole: {report.size} entries.",
    )
