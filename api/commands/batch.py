"""`dauso batch FOLDER`: sign a whole folder, or the files of a list, with one PIN.

    dauso batch van-ban/ --credential ID -o da-ky/ --anchor "PHÓ CHỦ TỊCH" --preview
    dauso batch van-ban/ --credential ID -o da-ky/ --anchor "PHÓ CHỦ TỊCH"
    dauso batch --resume bat_0f3c… -o da-ky/

Each document has its own outcome in `ket-qua.csv`. What a crash or Ctrl-C interrupts goes on with
`--resume`: with the same PIN while its time lasts, and with a new one after that.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.terminal import (
    Outcome,
    TerminalError,
    ask_pin,
    language,
    now,
    opened_house,
    operator,
    read_file,
    say,
    write_file,
)

if TYPE_CHECKING:
    from api.house import House
    from signer.batches.batch_reading import Batch, Item
    from signer.signature import SignatureRequest

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
_CLIENT = "client:dauso-batch"
_AT_ONCE = 50
_RESULTS = "ket-qua.csv"
_EXIT_SOME_REFUSED = 2


@app.command()
def batch(
    source: Annotated[
        Path | None, typer.Argument(help="A folder of PDFs, or a CSV whose first column names them")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the signed documents")
    ] = None,
    credential: Annotated[str | None, typer.Option(help="Whose credential")] = None,
    level: Annotated[str, typer.Option(help="B-B, B-T, B-LT or B-LTA")] = "B-LTA",
    pin_file: Annotated[
        Path | None, typer.Option(help="Owner-only file with the PIN, or - for standard input")
    ] = None,
    anchor: Annotated[
        str | None, typer.Option(help="Text on the page where the signature belongs")
    ] = None,
    visible: Annotated[bool, typer.Option(help="Show the signature on the page")] = False,
    reason: Annotated[str | None, typer.Option()] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Inspect everything, sign nothing")
    ] = False,
    resume: Annotated[str | None, typer.Option(help="Go on with this batch")] = None,
) -> None:
    """Sign many documents under one authorisation; the PIN is never an argument."""
    if resume is None and (source is None or credential is None):
        raise TerminalError("batch-source-missing")
    if output is None and not preview:
        raise TerminalError("parameter-invalid", name="--output", reason="-o FOLDER")
    with opened_house() as house:
        if resume is not None:
            identifier = resume
        else:
            assert source is not None
            assert credential is not None
            request = _request(level, anchor, visible, reason)
            identifier = _opened(house, source, credential, request)
        _show(house, identifier)
        if preview:
            if resume is None:
                _cancelled(house, identifier)
            return
        assert output is not None
        _authorised(house, identifier, pin_file)
        _work(house, identifier)
        refused = _delivered(house, identifier, output)
    if refused:
        raise Outcome(_EXIT_SOME_REFUSED)


def _request(level: str, anchor: str | None, visible: bool, reason: str | None) -> SignatureRequest:
    from api.routes.placement import level_named
    from signer.looks.appearance import Appearance
    from signer.signature import SignatureRequest

    shown = visible or anchor is not None
    look = Appearance(anchor=anchor) if shown else None
    return SignatureRequest(level=level_named(level), appearance=look, reason=reason)


def _opened(house: House, source: Path, credential: str, request: SignatureRequest) -> str:
    """Every document in, inspected as it will be before signing."""
    from api.batch_work import shelves_of
    from signer.batches import batch as batches

    paths = _paths(source)
    made = batches.open_batch(
        house.desk, credential_id=credential, client=_CLIENT, request=request,
        now=now(), by=operator(),
    )  # fmt: skip
    shelves = shelves_of(house.settings)
    for first in range(0, len(paths), _AT_ONCE):
        some = [(name, read_file(path)) for name, path in paths[first : first + _AT_ONCE]]
        batches.add(house.desk, shelves, made.id, some, client=_CLIENT, now=now(), by=operator())
    return made.id


def _paths(source: Path) -> list[tuple[str, Path]]:
    """Names relative to the source, so that a result has its place; no name leads out of it."""
    if source.is_dir():
        found = [one for one in sorted(source.rglob("*")) if one.suffix.lower() == ".pdf"]
        named = [(str(one.relative_to(source)), one) for one in found if one.is_file()]
    else:
        rows = csv.reader(io.StringIO(read_file(source).decode("utf-8-sig", errors="replace")))
        names = [row[0].strip() for row in rows if row and row[0].strip().lower().endswith(".pdf")]
        named = [(one, source.parent / one) for one in names]
    for name, _ in named:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise TerminalError("file-name-unusable", name=name[:60])
    if not named:
        raise TerminalError("batch-source-empty", path=source)
    return named


def _show(house: House, identifier: str) -> None:
    """What is in it, and what cannot be signed and why."""

    from signer.batches import batch_reading

    stands = batch_reading.look(house.desk, identifier, client=_CLIENT)
    waiting, refused = stands.counts.get("waiting", 0), stands.counts.get("refused", 0)
    say(
        f"Lô {identifier}: {waiting} văn bản chờ ký, {refused} không ký được",
        f"Batch {identifier}: {waiting} documents to sign, {refused} cannot be signed",
    )
    for one in _items(house, identifier):
        if one.failure is not None:
            words = one.failure.message(language())
            say(f"  ✗ {one.name}: {words}", f"  ✗ {one.name}: {words}")


def _authorised(house: House, identifier: str, pin_file: Path | None) -> None:
    """One PIN for all that wait; a batch that still runs needs none."""
    from signer.batches import batch as batches
    from signer.batches import batch_reading

    stands = batch_reading.look(house.desk, identifier, client=_CLIENT)
    if stands.state not in ("open", "paused") or not stands.counts.get("waiting"):
        return
    batches.authorize(
        house.desk, identifier, pin=ask_pin("PIN", pin_file), client=_CLIENT,
        now=now(), by=operator(),
    )  # fmt: skip


def _work(house: House, identifier: str) -> None:
    """Chunk after chunk in this process; another that serves the same house may help."""
    import secrets
    import time

    from api.batch_work import shelves_of
    from signer.batches import batch_reading, batch_work

    shelves, holder = shelves_of(house.settings), f"dauso-batch:{secrets.token_hex(8)}"
    seen = -1
    while True:
        stands = batch_reading.look(house.desk, identifier, client=_CLIENT)
        done = stands.counts.get("signed", 0)
        if done != seen:
            say(f"  {done}/{stands.total} đã ký", f"  {done}/{stands.total} signed")
            seen = done
        if stands.settled or stands.state in ("paused", "open"):
            return
        if not batch_work.work_once(house.desk, shelves, holder=holder, clock=now, size=_AT_ONCE):
            time.sleep(0.2)


def _delivered(house: House, identifier: str, output: Path) -> int:
    """The signed documents and the result file; how many documents are not signed."""
    from api.batch_work import shelves_of
    from signer.batches import batch_reading

    shelves = shelves_of(house.settings)
    written, missing = io.StringIO(), 0
    table = csv.writer(written)
    table.writerow(["name", "state", "sha256", "result_sha256", "reason"])
    for one in _items(house, identifier):
        words = one.failure.message(language()) if one.failure is not None else ""
        table.writerow([one.name, one.state, one.digest, one.result or "", words])
        if one.result is None:
            missing += 1
            continue
        target = output / one.name
        if target.exists():
            continue  # delivered before an interruption
        data = batch_reading.content(house.desk, shelves, identifier, one.position, client=_CLIENT)
        write_file(target, data)
    write_file(output / _RESULTS, written.getvalue().encode("utf-8-sig"), force=True)
    stands = batch_reading.look(house.desk, identifier, client=_CLIENT)
    signed = stands.counts.get("signed", 0)
    say(
        f"✓ Đã ký {signed}/{stands.total} văn bản vào {output}; kết quả: {_RESULTS}",
        f"✓ Signed {signed} of {stands.total} documents into {output}; results: {_RESULTS}",
    )
    if stands.state == "paused":
        raise TerminalError("batch-paused", batch=identifier, reason=stands.failure or "")
    return missing


def _items(house: House, identifier: str) -> Iterator[Item]:

    from signer.batches import batch_reading

    after = -1
    while True:
        some = batch_reading.items(house.desk, identifier, client=_CLIENT, after=after, limit=500)
        yield from some
        if len(some) < 500:
            return
        after = some[-1].position


def _cancelled(house: House, identifier: str) -> Batch:
    """A preview leaves nothing that waits."""
    from signer.batches import batch as batches

    return batches.cancel(house.desk, identifier, client=_CLIENT, now=now(), by=operator())
