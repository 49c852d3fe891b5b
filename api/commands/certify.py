"""`dauso certify`: from a presented original and its scans to a certified copy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from api.commands.terminal import (
    TerminalError,
    ask_pin,
    now,
    opened_house,
    operator,
    read_file,
    say,
    write_file,
)

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def certify(
    scans: Annotated[list[Path], typer.Argument(help="Scans of the original, in order")],
    unit: Annotated[str, typer.Option(help="Code of the certifying unit, such as 14797")],
    requester: Annotated[str, typer.Option(help="Name of the person who asks")],
    requester_id: Annotated[str, typer.Option(help="Citizen number or tax code")],
    kind: Annotated[str, typer.Option(help="Kind of document, such as transcript")],
    title: Annotated[str, typer.Option(help="What the original is called")],
    issuer: Annotated[str, typer.Option(help="Who issued the original")],
    pages: Annotated[int, typer.Option(help="Pages of the original")],
    place: Annotated[str, typer.Option(help="Where the original was presented")],
    person: Annotated[str, typer.Option(help="Credential of the certifying person")],
    seal: Annotated[str, typer.Option(help="Credential of the unit's seal")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the copy goes")],
    copies: Annotated[int, typer.Option(min=1, max=100)] = 1,
    pin_file: Annotated[Path | None, typer.Option(help="PIN of the person; - for stdin")] = None,
    seal_pin_file: Annotated[Path | None, typer.Option(help="PIN of the seal; - for stdin")] = None,
    compared: Annotated[
        bool, typer.Option(help="Every page was compared with the original and matches")
    ] = False,
    waive: Annotated[str | None, typer.Option(help="Waive the fee, for this reason")] = None,
    force: Annotated[bool, typer.Option(help="Write over an existing file")] = False,
) -> None:
    """Open a case, capture, compare, take the fee, certify and seal; the copy is left in OUTPUT.

    Without --compared each page is asked about.
    """
    if output.exists() and not force:
        raise TerminalError("file-exists", path=output)
    images = [read_file(path) for path in scans]
    by = operator()
    with opened_house() as house:
        from certify.counter import cases, intake
        from certify.issuance import certify_copy
        from certify.money import payments
        from certify.scans import captures
        from certify.scans.comparison import Checklist, record_comparison

        office = house.office
        case = intake.open_case(
            office,
            unit=unit,
            requester=cases.Requester(
                requester, requester_id, "person" if len(requester_id) == 12 else "organisation"
            ),
            document_kind=kind,
            original=cases.OriginalDescription(title, issuer, pages),
            copies=copies,
            presented=cases.Presentation(now(), place, by),
            now=now(),
            by=by,
        )
        captured = captures.record_capture(office, case.id, images, now=now(), by=by)
        for page, warning in captured.warnings:
            say(f"Trang {page}: {warning}", f"Page {page}: {warning}")
        finding = record_comparison(
            office,
            case.id,
            pages=[compared or _matches(page) for page in range(1, captured.pages + 1)],
            checklist=Checklist(),
            now=now(),
            by=by,
        )
        if not finding.passed:
            raise TerminalError("comparison-failed", case=case.id)
        if waive is not None:
            payments.waive(office, case.id, reason=waive, now=now(), by=by)
        else:
            payments.pay(office, case.id, method="cash", now=now(), by=by)
        copy = certify_copy(
            office,
            case.id,
            person=(person, ask_pin("PIN", pin_file)),
            seal=(seal, ask_pin("PIN (seal)", seal_pin_file)),
            now=now(),
            by=by,
        )
        write_file(output, copy.data, force=force)
    say(
        f"✓ Số chứng thực {copy.number}, quyển số {copy.book}, mã {copy.code}\n  {copy.address}",
        f"✓ Number {copy.number}, book {copy.book}, code {copy.code}\n  {copy.address}",
    )


def _matches(page: int) -> bool:
    if not sys.stdin.isatty():
        raise TerminalError("comparison-missing")
    return typer.confirm(f"Trang {page} khớp với bản chính? / Page {page} matches?")
