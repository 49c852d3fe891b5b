"""`dauso sign FILE…`: sign a PDF as a holder and seal it if asked to, or files in other formats.

dauso sign quyet-dinh.pdf --credential ID -o signed.pdf --anchor "PHÓ CHỦ TỊCH"
dauso sign bao-cao.docx --credential ID --format cades-detached -o bao-cao.docx.p7s
dauso sign a.docx b.xlsx --credential ID --format asic-e-cades -o ho-so.asice
"""

from __future__ import annotations

import mimetypes
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
    from signer.desk import Desk
    from signer.files.formats import FileRequest
    from signer.keys.activation import Authorization
    from signer.looks.appearance import Appearance
    from signer.workflow import Authorizer

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def sign(
    files: Annotated[list[Path], typer.Argument(help="The PDF to sign; several for a container")],
    credential: Annotated[str, typer.Option(help="Whose credential (dauso credentials list)")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the result goes")],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="pades, cades-detached, cades-enveloping, xades-enveloped, xades-enveloping, "
            "xades-detached, asic-e-cades or asic-e-xades",
        ),
    ] = "pades",
    level: Annotated[str, typer.Option(help="B-B, B-T, B-LT or B-LTA")] = "B-LTA",
    pss: Annotated[bool, typer.Option("--pss", help="RSA-PSS instead of PKCS#1 v1.5")] = False,
    inclusive: Annotated[
        bool, typer.Option("--inclusive", help="XAdES: inclusive canonicalisation")
    ] = False,
    more_may_follow: Annotated[
        bool, typer.Option("--more-may-follow", help="XAdES: leave room for others' signatures")
    ] = False,
    pin_file: Annotated[
        Path | None, typer.Option(help="Owner-only file with the PIN, or - for standard input")
    ] = None,
    visible: Annotated[bool, typer.Option(help="Show the signature on the page")] = False,
    anchor: Annotated[
        str | None, typer.Option(help="Text on the page where the signature belongs")
    ] = None,
    page: Annotated[int, typer.Option(help="1 is the first page, -1 the last")] = -1,
    box: Annotated[str | None, typer.Option(help="x1,y1,x2,y2 in points")] = None,
    template: Annotated[
        str, typer.Option(help="person, annex, copy-note or number (decree 30/2020 annex I)")
    ] = "person",
    line: Annotated[
        list[str] | None,
        typer.Option(help="Words that the template shows, in order: KT. CHỦ TỊCH; repeat"),
    ] = None,
    preview: Annotated[
        Path | None, typer.Option(help="Only draw the page as it will look, into this PNG")
    ] = None,
    certify: Annotated[
        int | None,
        typer.Option(min=1, max=3, help="Certification (DocMDP): what may change after it"),
    ] = None,
    lock: Annotated[
        list[str] | None, typer.Option(help="Form field locked with it (FieldMDP); repeat")
    ] = None,
    lock_all: Annotated[bool, typer.Option("--lock-all", help="Lock every form field")] = False,
    reason: Annotated[str | None, typer.Option()] = None,
    location: Annotated[str | None, typer.Option()] = None,
    seal: Annotated[str | None, typer.Option(help="Then seal with this agency credential")] = None,
    seal_pin_file: Annotated[Path | None, typer.Option(help="As --pin-file")] = None,
    force: Annotated[bool, typer.Option(help="Write over an existing file")] = False,
) -> None:
    """Sign; the PIN is asked for, or read from an owner-only file, never an argument."""
    if output.exists() and not force:
        raise TerminalError("file-exists", path=output)
    if format_ != "pades":
        of_pdf = (anchor, box, line, preview, certify, lock, seal, reason, location)
        if visible or lock_all or template != "person" or any(one is not None for one in of_pdf):
            raise TerminalError("option-only-for-pdf", format=format_)
        how = file_request(
            format_, level, pss=pss, inclusive=inclusive, more_may_follow=more_may_follow
        )
        made = _sign_files(files, how, credential, pin_file)
        write_file(output, made, force=force)
        say(f"✓ Đã ký số thành công: {output}", f"✓ Signed: {output}")
        return
    if len(files) != 1:
        raise TerminalError("format-takes-one-file", format="pades")
    data = read_file(files[0])
    with opened_house() as house:
        from api.routes.placement import level_named
        from signer import signing, workflow
        from signer.cms import Scheme
        from signer.looks.appearance import Appearance
        from signer.signature import SignatureRequest

        placed = visible or anchor is not None or box is not None or preview is not None
        shown = placed or template != "person" or bool(line)
        stamp = Appearance(template, page, _box(box), anchor, tuple(line or ()))
        if preview is not None:
            _preview(house.desk, data, stamp, credential, preview, force=force)
            return
        request = SignatureRequest(
            level=level_named(level),
            appearance=stamp if shown else None,
            reason=reason,
            location=location,
            certify=certify,
            lock_fields=() if lock_all else tuple(lock) if lock else None,
            scheme=Scheme.RSA_PSS if pss else None,
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


def _preview(
    desk: Desk, data: bytes, stamp: Appearance, credential: str, path: Path, *, force: bool
) -> None:
    """Nothing is signed, no PIN is asked for."""
    from signer.looks import appearance

    found = appearance.preview(desk, data, stamp, credential_id=credential, now=now())
    write_file(path, found.picture, force=force)
    if found.covers_text:
        say("⚠ Vị trí này đè lên chữ; sẽ không ký được.", "⚠ It lies on text: signing is refused.")
    page = found.placed.page
    say(f"✓ Đã vẽ trang {page}: {path}", f"✓ Page {page} is drawn: {path}")


def file_request(
    format_: str,
    level: str,
    *,
    pss: bool = False,
    inclusive: bool = False,
    more_may_follow: bool = False,
) -> FileRequest:
    """How files are to be signed in a format other than PAdES."""
    from api.routes.placement import level_named
    from signer.cms import Scheme
    from signer.files.formats import Canonicalization, FileRequest, Format

    try:
        chosen = Format(format_)
    except ValueError:
        known = ", ".join(("pades", *Format))
        raise TerminalError("format-unknown", format=format_[:30], known=known) from None
    return FileRequest(
        chosen,
        level=level_named(level),
        scheme=Scheme.RSA_PSS if pss else None,
        canonicalization=Canonicalization.INCLUSIVE if inclusive else Canonicalization.EXCLUSIVE,
        more_may_follow=more_may_follow,
    )


def _sign_files(
    files: Sequence[Path], request: FileRequest, credential: str, pin_file: Path | None
) -> bytes:
    """In a container each file bears its own name, without its folder."""
    from signer.files.file_signing import SourceFile, sign_files

    sources = [SourceFile(one.name, read_file(one), media_type_of_name(one.name)) for one in files]
    with opened_house() as house:
        give = authorizer(house.desk, credential, pin_file, "PIN")
        authorization = give(list(dict.fromkeys(one.digest for one in sources)))
        return sign_files(
            house.desk, sources, request, authorization=authorization, now=now(), by=operator()
        ).data


def media_type_of_name(name: str) -> str:
    """What a file's name says it is; it is written beside its digest, nothing more."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def authorizer(desk: Desk, credential: str, source: Path | None, prompt: str) -> Authorizer:
    """Asks for the PIN when the digest to be signed is known, and authorises just that."""

    def authorize(digests: Sequence[bytes]) -> Authorization:
        from signer.keys import activation

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
