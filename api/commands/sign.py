"""`dauso sign FILE`: sign a PDF as a holder, and seal it if asked to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from signer.activation import Authorization
    from signer.desk import Desk
    from signer.workflow import Authorizer

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="The PDF to sign")],
    credential: Annotated[str, typer.Option(help="Whose credential (dauso credentials list)")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the result goes")],
    level: Annotated[str, typer.Option(help="B-B, B-T, B-LT or B-LTA")] = "B-LTA",
    pin_file: Annotated[
        Path | None, typer.Option(help="Owner-only file with the PIN, or - for standard input")
    ] = None,
    visible: Annotated[bool, typer.Option(help="Show the signature on the page")] = False,
    anchor: Annotated[
        str | None, typer.Option(help="Text on the page where the signature belongs")
    ] = None,
    page: Annotated[int, typer.Option(help="1 is the first page, -1 the last")] = -1,
    box: Annotated[str | None, typer.Option(help="x1,y1,x2,y2 in points")] = None,
    reason: Annotated[str | None, typer.Option()] = None,
    location: Annotated[str | None, typer.Option()] = None,
    seal: Annotated[str | None, typer.Option(help="Then seal with this agency credential")] = None,
    seal_pin_file: Annotated[Path | None, typer.Option(help="As --pin-file")] = None,
    force: Annotated[bool, typer.Option(help="Write over an existing file")] = False,
) -> None:
    """Sign a PDF; the PIN is asked for, or read from an owner-only file, never an argument."""
    if output.exists() and not force:
        raise TerminalError("file-exists", path=output)
    data = read_file(file)
    with opened_house() as house:
        from api.routes.placement import level_named
        from signer import signing, workflow
        from signer.appearance import Appearance
        from signer.signature import SignatureRequest

        shown = visible or anchor is not None or box is not None
        request = SignatureRequest(
            level=level_named(level),
            appearance=Appearance(page=page, box=_box(box), anchor=anchor) if shown else None,
            reason=reason,
            location=location,
        )
        person = authorizer(house.desk, credential, pin_file, "PIN")
        if seal is None:
            authorization = person([signing.document_digest(data)])
            signed = signing.sign_pdf(
                house.desk, data, request, authorization=authorization, now=now(), by=operator()
            ).data
        else:
            signed = workflow.sign_then_seal(
                house.desk,
                data,
                person=person,
                person_request=request,
                seal=authorizer(house.desk, seal, seal_pin_file, "PIN (seal)"),
                seal_request=SignatureRequest(
                    level=request.level, appearance=Appearance.seal() if shown else None
                ),
                now=now(),
                by=operator(),
            ).data
        write_file(output, signed, force=force)
    say(f"✓ Đã ký số thành công: {output}", f"✓ Signed: {output}")


def authorizer(desk: Desk, credential: str, source: Path | None, prompt: str) -> Authorizer:
    """Asks for the PIN when the digest to be signed is known, and authorises just that."""

    def authorize(digests: Sequence[bytes]) -> Authorization:
        from signer import activation

        return activation.authorize(
            desk,
            credential_id=credential,
            pin=ask_pin(prompt, source),
            digests=digests,
            client="client:dauso-sign",
            now=now(),
            by=operator(),
        )

    return authorize


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError:
        reason = "x1,y1,x2,y2"
        raise TerminalError("parameter-invalid", name="--box", reason=reason) from None
    return x1, y1, x2, y2
