"""`dauso prepare` and `dauso prepare complete`: a signature made with a key elsewhere.

dauso prepare begin don.pdf --certificate mine.pem --octets to-sign.bin
openssl dgst -sha256 -sign mine.key -out value.bin to-sign.bin
dauso prepare complete prp_0f3c… don.pdf --value value.bin -o signed.pdf
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.commands.sign import file_request, media_type_of_name
from api.commands.terminal import (
    TerminalError,
    now,
    opened_house,
    operator,
    read_file,
    say,
    say_json,
    write_file,
)

if TYPE_CHECKING:
    from signer.files.formats import FileRequest, SourceFile
    from signer.signature import SignatureRequest

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
_CLIENT = "client:dauso-prepare"


@app.command()
def begin(
    files: Annotated[list[Path], typer.Argument(help="The PDF; several for a container")],
    certificate: Annotated[
        Path | None, typer.Option(help="The signer's, PEM or DER, those above it after it in PEM")
    ] = None,
    octets: Annotated[
        Path | None, typer.Option(help="Write what the key is to sign into this file")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="As for dauso sign")] = "pades",
    level: Annotated[str, typer.Option(help="B-B, B-T, B-LT or B-LTA")] = "B-LTA",
    pss: Annotated[bool, typer.Option("--pss", help="RSA-PSS instead of PKCS#1 v1.5")] = False,
    minutes: Annotated[int, typer.Option(help="How long it waits")] = 10,
) -> None:
    """One JSON line: identifier, digests, algorithm, when it ends."""
    chain = _certificates(certificate) if certificate is not None else []
    request = _request(format_, level, pss)
    with opened_house() as house:
        from signer.elsewhere import prepared

        waiting = prepared.prepare(
            house.desk,
            _sources(files),
            request,
            certificate=chain[0] if chain else None,
            others=chain[1:],
            client=_CLIENT,
            minutes=minutes,
            now=now(),
            by=operator(),
        )
    if octets is not None and waiting.to_sign is not None:
        write_file(octets, waiting.to_sign, force=True)
    say_json(
        {
            "id": waiting.id,
            "to_be_signed": waiting.to_sign.hex() if waiting.to_sign else None,
            "document_digest": waiting.digest.hex() if waiting.digest else None,
            "digest_algorithm": waiting.digest_name,
            "signature_scheme": waiting.scheme.value if waiting.scheme else None,
            "expires_at": waiting.expires_at.isoformat(),
        }
    )


@app.command()
def complete(
    identifier: Annotated[str, typer.Argument(help="From dauso prepare begin")],
    files: Annotated[list[Path], typer.Argument(help="The same files in the same order")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the result goes")],
    value: Annotated[Path | None, typer.Option(help="The signature value, as octets")] = None,
    cms: Annotated[Path | None, typer.Option(help="Or a whole CMS, DER")] = None,
    revocation: Annotated[
        list[Path] | None, typer.Option(help="CRL or OCSP answer about certificates of others")
    ] = None,
    force: Annotated[bool, typer.Option(help="Write over an existing file")] = False,
) -> None:
    """The result is checked, as any recipient would, before it is written."""
    with opened_house() as house:
        from signer.elsewhere import prepared

        done = prepared.complete(
            house.desk,
            identifier,
            _sources(files),
            prepared.Answer(
                value=read_file(value) if value is not None else None,
                cms=read_file(cms) if cms is not None else None,
                revocation=tuple(read_file(one) for one in revocation or ()),
            ),
            client=_CLIENT,
            now=now(),
            by=operator(),
            keep=lambda made: write_file(output, made.data, force=force),
        )
    level = done.verdict.level or ""
    say(f"✓ Đã hoàn tất chữ ký ({level}): {output}", f"✓ Completed ({level}): {output}")


def _request(format_: str, level: str, pss: bool) -> SignatureRequest | FileRequest:
    from api.routes.placement import level_named
    from signer.cms import Scheme
    from signer.signature import SignatureRequest

    if format_ == "pades":
        return SignatureRequest(level=level_named(level), scheme=Scheme.RSA_PSS if pss else None)
    return file_request(format_, level, pss=pss)


def _sources(files: list[Path]) -> list[SourceFile]:
    from signer.files.formats import SourceFile

    return [SourceFile(one.name, read_file(one), media_type_of_name(one.name)) for one in files]


def _certificates(path: Path) -> list[bytes]:
    data = read_file(path)
    try:
        if b"-----BEGIN" in data:
            found = x509.load_pem_x509_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
    except ValueError:
        raise TerminalError("signer-certificate-unreadable") from None
    return [one.public_bytes(Encoding.DER) for one in found]
