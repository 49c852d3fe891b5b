"""`dauso verify-qr CODE`: what a copy's QR code is worth, without a network.

Exit code: 0 genuine, 1 not to be believed, 3 unreadable.
"""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.terminal import (
    Outcome,
    TerminalError,
    complain,
    read_file,
    say,
    say_json,
    unopened_house,
)
from certify.errors import CertifyError
from records.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certify.pages.code_keys import PublishedKey

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

_UNREADABLE = 3
_NOT_READ = {"qr-not-found", "qr-without-seal"}


@app.command()
def verify_qr(
    code: Annotated[str, typer.Argument(help="A picture or PDF with the code, or its text")],
    copy: Annotated[
        Path | None, typer.Option(help="Also compare this file with what was signed")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(help="Published keys (/.well-known/dauso-copy-keys.json), with --trust"),
    ] = None,
    trust: Annotated[
        list[Path] | None, typer.Option(help="Trust anchors for --keys, PEM or DER")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object")] = False,
) -> None:
    """Check the signed QR code of a certified copy against the published keys.

    Whether the copy was cancelled since then is known online only.
    """
    from certify.pages import code_keys, code_seal, offline_code

    try:
        text, found_in = _text(code)
        sealed = code_seal.read(text)
        key = code_keys.who_signed(sealed, _keys(keys, trust))
        file = read_file(copy) if copy is not None else found_in
        if file is not None:
            offline_code.require_file(sealed, file)
    except CertifyError as error:
        complain(error)
        raise Outcome(_UNREADABLE if error.code in _NOT_READ else 1) from None
    except DomainError as error:
        complain(error)
        raise Outcome(_UNREADABLE) from None
    claims = sealed.claims
    if json:
        say_json(
            {
                "genuine": True,
                "unit": claims.unit,
                "unit_name": key.unit_name,
                "number": claims.number,
                "volume": claims.volume,
                "day": claims.day.isoformat(),
                "digest": claims.digest,
                "file_matches": file is not None or None,
                "address": text.partition("#")[0],
            }
        )
        return
    day = f"{claims.day:%d/%m/%Y}"
    say(
        f"✓ Mã QR là thật: số {claims.number:02d}, quyển {claims.volume:02d}, ngày {day}, "
        f"{key.unit_name}",
        f"✓ Genuine: number {claims.number:02d}, volume {claims.volume:02d}, {day}, "
        f"{key.unit_name}",
    )
    if file is not None:
        say("  Tệp đúng với nội dung đã ký.", "  The file is what was signed.")
    say(
        "  Còn hiệu lực hay không: chỉ biết khi có mạng.",
        "  Whether it is still in force is known online only.",
    )


def _text(code: str) -> tuple[str, bytes | None]:
    """The code's text, and the PDF it was found in."""
    from api.qr_reading import text_in

    path = Path(code)
    if len(code) > 1000 or "#" in code or "://" in code:  # an address, not a file's name
        return code, None
    data = read_file(path)
    return text_in(data, name=path.name), data if data.startswith(b"%PDF") else None


def _keys(keys: Path | None, trust: Sequence[Path] | None) -> list[PublishedKey]:
    """The published list as far as the anchors vouch for it, or this instance's own keys."""
    from ca.trust import TrustStore
    from certify.pages import code_keys

    if (keys is None) != (not trust):
        raise TerminalError("qr-keys-need-trust")
    if keys is not None and trust:
        try:
            listed = json_format.loads(read_file(keys))
        except ValueError:
            raise CertifyError("qr-keys-malformed") from None
        return code_keys.from_json(listed, TrustStore.load(trust).anchors)
    with unopened_house() as house:
        house.check_home()
        house.database.migrate()
        return code_keys.published(house.database)
