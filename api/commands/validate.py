"""`dauso validate FILE…`: what a signed file is worth.

Exit code: 0 passed, 1 failed, 2 cannot be decided, 3 unreadable; the worst of several files.
With `--trust` nothing of this instance is used or needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.terminal import Outcome, complain, language, now, parse_time, say, say_json
from records.errors import DomainError

if TYPE_CHECKING:
    from ca.trust import TrustStore

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

UNREADABLE = 3
_WORST_FIRST = (UNREADABLE, 1, 2, 0)


@app.command()
def validate(
    files: Annotated[
        list[Path], typer.Argument(help="Signed files: PDF, CAdES, XAdES, ASiC containers")
    ],
    trust: Annotated[
        list[Path] | None,
        typer.Option(help="Trust anchors, PEM or DER; this instance's own when absent"),
    ] = None,
    content: Annotated[
        Path | None, typer.Option(help="What a detached signature (.p7s, .xml) is about")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Judge as of this time (ISO 8601)")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per file")] = False,
) -> None:
    """Validate the signatures of files (EN 319 102-1). Nothing is fetched from outside."""
    try:
        moment = parse_time(at)
        store, lists = _trusted(trust)
    except DomainError as error:
        complain(error)
        raise Outcome(UNREADABLE) from None
    from signer.validation import validate_file

    codes = []
    for path in files:
        report = validate_file(
            path, trust=store, now=now(), at=moment, revocation=lists, content=content
        )
        report = report.named(str(path))
        codes.append(report.exit_code)
        if json:
            say_json(report.to_json())
        else:
            text = report.to_text(language())
            say(text, text)
    raise Outcome(next(code for code in _WORST_FIRST if code in codes))


def _trusted(trust: Sequence[Path] | None) -> tuple[TrustStore, list[bytes]]:
    """The anchors to believe and the revocation lists at hand."""
    from ca.trust import TrustStore

    if trust:
        return TrustStore.load(trust), []
    from api.house import House
    from api.settings import Settings

    settings = Settings.from_environment()
    if settings.database_url.startswith("sqlite") and not settings.home.is_dir():
        # No instance here: nothing is believed, and every verdict says so.
        return TrustStore(anchors=()), []
    with House(settings) as house:
        house.check_home()
        house.database.migrate()
        return house.trust, house.published_lists()
