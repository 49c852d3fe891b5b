"""`dauso timestamp FILE`: a document time-stamp in a PDF, or a token beside any other file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from api.commands.terminal import now, opened_house, operator, read_file, say, write_file

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def timestamp(
    file: Annotated[Path, typer.Argument(help="What is to be proven to exist now")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the result goes")],
    token: Annotated[
        bool, typer.Option("--token", help="A token (RFC 3161) for a PDF too, not a new PDF")
    ] = False,
    force: Annotated[bool, typer.Option(help="Write over an existing file")] = False,
) -> None:
    """Check a token with: openssl ts -verify -token_in -in TOKEN -data FILE -CAfile root.pem"""
    data = read_file(file)
    with opened_house() as house:
        from signer.long_life import time_stamping

        if data.startswith(b"%PDF-") and not token:
            made = time_stamping.time_stamp_pdf(house.desk, data, now=now(), by=operator())
        else:
            digest = hashlib.sha256(data).digest()
            made = time_stamping.time_stamp_digest(
                house.desk, digest, now=now(), by=operator()
            ).token
    write_file(output, made, force=force)
    say(f"✓ Đã cấp dấu thời gian: {output}", f"✓ Time-stamped: {output}")
