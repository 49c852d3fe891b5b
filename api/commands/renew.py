"""`dauso renew`: proofs that outlive certificates and algorithms (RFC 4998)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from api.commands.terminal import (
    Outcome,
    TerminalError,
    language,
    now,
    opened_house,
    operator,
    parse_time,
    read_file,
    say,
    say_json,
    write_file,
)

app = typer.Typer(
    help="Evidence records and what must be renewed when.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def due(
    at: Annotated[str | None, typer.Option(help="As of this day (ISO 8601); today")] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON")] = False,
) -> None:
    """What the next run would do; nothing is changed."""
    moment = parse_time(at) or now()
    with opened_house() as house:
        from api.long_life import AT_ONCE
        from signer.long_life import evidence_renewal, evidence_store

        documents, trees = evidence_store.coverage(house.desk)
        waiting = len(evidence_store.delivered(house.desk, limit=AT_ONCE))
        ending = evidence_renewal.due(house.desk, now=moment)
    if json:
        rows = [
            {
                "tree": one.tree_id,
                "kind": one.kind,
                "size": one.documents,
                "until": one.strength.until.isoformat(),
                "cause": one.strength.cause.value,
                "what": one.strength.what,
            }
            for one in ending
        ]
        say_json({"documents": documents, "trees": trees, "waiting": waiting, "due": rows})
        return
    say(
        f"{documents} tài liệu có hồ sơ bằng chứng, {trees} dấu thời gian đang giữ; "
        f"{waiting} tài liệu chờ; {len(ending)} dấu thời gian cần gia hạn.",
        f"{documents} documents have an evidence record, held by {trees} time-stamps; "
        f"{waiting} documents wait; {len(ending)} time-stamps are due.",
    )
    for one in ending:
        line = f"  {one.strength.until:%d-%m-%Y}  {one.strength.cause.value}: {one.strength.what}"
        say(line, line)


@app.command()
def run() -> None:
    """Protect what is new and renew what ends soon; the schedule does the same every day."""
    with opened_house() as house:
        from api.long_life import keep

        kept = keep(house, now=now(), by=operator())
    renewed = kept.renewed
    say(
        f"✓ {kept.protected} tài liệu được bảo vệ, {renewed.trees} cây được gia hạn, "
        f"{kept.time_stamps} dấu thời gian đã dùng.",
        f"✓ {kept.protected} documents protected, {renewed.trees} trees renewed, "
        f"{kept.time_stamps} time-stamps used.",
    )
    if renewed.waiting:
        say(
            f"! {renewed.waiting} dấu thời gian sắp hết hạn phải chờ: dấu thời gian mới hiện nay "
            "không bền hơn. Hãy gia hạn đơn vị cấp dấu thời gian hoặc bổ sung chính sách.",
            f"! {renewed.waiting} time-stamps end soon but a new one would not last longer: renew "
            "the time-stamp unit or continue the policy.",
        )
    for digest in renewed.absent:
        say(
            f"! không còn tài liệu {digest}: hồ sơ của nó không gia hạn được nữa.",
            f"! document {digest} is not here any more: its record cannot be carried on.",
        )
    raise Outcome(2 if renewed.waiting or renewed.absent else 0)


@app.command()
def preview(
    files: Annotated[list[Path], typer.Argument(help="Signed files: PDF, CAdES, XAdES, ASiC")],
    at: Annotated[str, typer.Option(help="The day to look ahead to, e.g. 2045-01-01")],
    record: Annotated[Path | None, typer.Option(help="An evidence record of the file")] = None,
    content: Annotated[
        list[Path] | None,
        typer.Option(help="What a detached signature (.p7s, .xml) is about; once for each file"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per file")] = False,
) -> None:
    """Will this still validate then? What has to be done by when."""
    moment = parse_time(at)
    if moment is None or moment <= now():
        raise TerminalError("preview-time-past")
    with opened_house() as house:
        from signer.long_life.evidence_records import Evidence
        from signer.long_life.evidence_store import evidence_of
        from signer.long_life.preview import Answer
        from signer.long_life.preview import preview as look_ahead
        from signer.verdicts.originals import Original

        good, about = True, [Original(str(one), read_file(one)) for one in content or []]
        for path in files:
            data = read_file(path)
            given = Evidence(read_file(record)) if record is not None else None
            kept = given or evidence_of(house, hashlib.sha256(data).hexdigest())
            seen = look_ahead(
                data, at=moment, now=now(), trust=house.trust, content=about, evidence=kept
            )
            good = good and seen.answer in (Answer.STANDS, Answer.WITH_RENEWALS)
            if json:
                say_json({"file": str(path), **seen.to_json()})
            else:
                words = f"{path}\n{seen.to_text(language())}"
                say(words, words)
    raise Outcome(0 if good else 1)


@app.command()
def record(
    file: Annotated[Path, typer.Argument(help="A document that was signed here")],
    output: Annotated[Path, typer.Option(help="Where the record goes; companions beside it")],
) -> None:
    """Write the evidence record of a document, for anybody to keep and check (RFC 4998)."""
    with opened_house() as house:
        from signer.long_life.evidence_store import evidence_of

        evidence = evidence_of(house, hashlib.sha256(read_file(file)).hexdigest())
    if evidence is None:
        raise TerminalError("evidence-none")
    write_file(output, evidence.record)
    for number, one in enumerate(evidence.companions, start=1):
        write_file(output.with_suffix(f".{number}.p7c"), one)
    say(f"✓ {output}", f"✓ {output}")
