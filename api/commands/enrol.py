"""`dauso enrol`: bulk enrolment from a CSV or XLSX list, from the preview to the result file.

dauso enrol take-in ds.xlsx                  # preview; nothing is enrolled
dauso enrol problems LIST                    # row by row
dauso enrol start LIST --secret-file s.txt   # enrols; goes on after an interruption: `resume`
dauso enrol results LIST --secret-file s.txt -o ket-qua.csv
dauso enrol slips LIST --secret-file s.txt --unit 14797 -o phieu.pdf
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.terminal import (
    ask_pin,
    language,
    now,
    opened_house,
    operator,
    read_file,
    say,
    say_json,
    write_file,
)

if TYPE_CHECKING:
    from api.house import House
    from signer.holders.enrolment_reading import Taken

app = typer.Typer(
    help="Bulk enrolment from lists.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
ListId = Annotated[str, typer.Argument(help="Identifier of the list")]
Profile = Annotated[str, typer.Option(help="official or agency-seal")]
SecretFile = Annotated[
    Path | None, typer.Option(help="Owner-only file with the hand-out secret, or - for input")
]
Json = Annotated[bool, typer.Option("--json")]


@app.command()
def template(
    output: Annotated[Path, typer.Option("--output", "-o")], profile: Profile = "official"
) -> None:
    """An empty list with the right headings."""
    from signer.holders.enrolment_list import template as made

    write_file(output, made(profile))
    say(f"✓ {output}", f"✓ {output}")


@app.command("take-in")
def take_in(
    file: Annotated[Path, typer.Argument(help="CSV (UTF-8, UTF-16) or XLSX")],
    profile: Profile = "official",
    algorithm: Annotated[str, typer.Option(help="p-256 or p-384")] = "p-256",
    json: Json = False,
) -> None:
    """Read a list and say what would happen; nothing is enrolled."""
    data = read_file(file)
    with opened_house() as house:
        from certify.units import units
        from hsm.mechanisms import KeyAlgorithm
        from signer.holders import enrolment_intake

        known = [each.value for each in KeyAlgorithm]
        if algorithm not in known:
            raise typer.BadParameter(", ".join(known))
        taken = enrolment_intake.take_in(
            house.desk,
            data,
            profile=profile,
            file_name=file.name,
            algorithm=KeyAlgorithm(algorithm),
            known_unit=lambda code: code in units(),
            now=now(),
            by=operator(),
        )
        _show(taken, json)
        _show_problems(house, taken.id, 20)


@app.command()
def show(list_id: ListId, json: Json = False) -> None:
    """A list and how far it is."""
    with opened_house() as house:
        from signer.holders import enrolment_reading

        _show(enrolment_reading.look(house.desk, list_id), json)


@app.command("list")
def list_(json: Json = False) -> None:
    """The newest lists."""
    with opened_house() as house:
        from signer.holders import enrolment_reading

        for taken in enrolment_reading.newest(house.desk):
            _show(taken, json)


@app.command()
def problems(list_id: ListId) -> None:
    """The lines that are not, or were not, enrolled, with the reasons."""
    with opened_house() as house:
        _show_problems(house, list_id, 1_000_000)


@app.command()
def approve(
    list_id: ListId, digest: Annotated[str, typer.Option(help="As `show` prints it")]
) -> None:
    """Agree to exactly this list, as a second person."""
    with opened_house() as house:
        from signer.holders import enrolment_lists

        enrolment_lists.approve(house.desk, list_id, digest=digest, now=now(), by=operator())
    say("✓ Đã duyệt.", "✓ Approved.")


@app.command()
def start(
    list_id: ListId,
    secret_file: Annotated[
        Path, typer.Option(help="Where the hand-out secret is written, for its owner alone")
    ],
) -> None:
    """Enrol the list. The hand-out secret is written once and is nowhere else."""
    from api.settings import write_secret

    with opened_house() as house:
        from signer.holders import enrolment_lists

        # The file first: a secret that could not be written would be lost with every code.
        write_secret(secret_file, "")
        secret_file.unlink()
        secret = enrolment_lists.start(house.desk, list_id, now=now(), by=operator())
        write_secret(secret_file, secret)
        say(f"✓ Mật mã bàn giao: {secret_file}", f"✓ Hand-out secret: {secret_file}")
        _work(house, list_id)


@app.command()
def resume(list_id: ListId) -> None:
    """Go on with a list that was interrupted."""
    with opened_house() as house:
        _work(house, list_id)


@app.command()
def cancel(list_id: ListId) -> None:
    """Enrol no line more; who is enrolled stays so."""
    with opened_house() as house:
        from signer.holders import enrolment_lists

        enrolment_lists.cancel(house.desk, list_id, now=now(), by=operator())
    say("✓ Đã dừng danh sách.", "✓ Cancelled.")


@app.command()
def results(
    list_id: ListId,
    output: Annotated[Path, typer.Option("--output", "-o")],
    secret_file: SecretFile = None,
    unit: Annotated[str | None, typer.Option(help="Only this unit's lines")] = None,
) -> None:
    """The result file with the activation codes, for the hand-out."""
    secret = ask_pin("Mật mã bàn giao / hand-out secret", secret_file)
    with opened_house() as house:
        from signer.holders import enrolment_results

        data = enrolment_results.results_csv(
            house.desk, list_id, secret=secret, unit=unit, now=now(), by=operator()
        )
    write_file(output, data, private=True)
    say(f"✓ {output}", f"✓ {output}")


@app.command()
def slips(
    list_id: ListId,
    output: Annotated[Path, typer.Option("--output", "-o")],
    secret_file: SecretFile = None,
    unit: Annotated[str | None, typer.Option(help="Only this unit's slips")] = None,
) -> None:
    """The activation codes as slips of paper (PDF), a page to sign for them before each unit's."""
    secret = ask_pin("Mật mã bàn giao / hand-out secret", secret_file)
    with opened_house() as house:
        from signer.holders import activation_slips

        data = activation_slips.slips_pdf(
            house.desk,
            list_id,
            secret=secret,
            address=house.settings.base_url,
            unit=unit,
            now=now(),
            by=operator(),
        )
    write_file(output, data, private=True)
    say(
        f"✓ {output}: in xong hãy xóa tập tin này.",
        f"✓ {output}: delete the file once it is printed.",
    )


@app.command()
def close(list_id: ListId) -> None:
    """The codes are handed out: nobody can open them again."""
    with opened_house() as house:
        from signer.holders import enrolment_results

        enrolment_results.close(house.desk, list_id, now=now(), by=operator())
    say("✓ Đã đóng bàn giao.", "✓ Closed.")


def _work(house: House, list_id: str) -> None:
    from api.adapters.population_registry import registry_of
    from signer.holders import bulk_enrolment

    sys.setswitchinterval(0.0001)  # the token's thread gets its turn sooner
    began = time.monotonic()
    told = {"lines": 0, "at": began}

    def progress(lines: int) -> None:
        told["lines"] += lines
        if time.monotonic() - told["at"] >= 1:
            told["at"] = time.monotonic()
            rate = told["lines"] / (told["at"] - began)
            sys.stderr.write(f"\r{told['lines']:,.0f} ({rate:,.0f}/s) ")
            sys.stderr.flush()

    taken = bulk_enrolment.work(
        house.desk,
        list_id,
        clock=now,
        by=operator(),
        registry=registry_of(house.settings),
        told=progress,
    )
    if told["at"] != began:
        sys.stderr.write("\n")
    _show(taken, json=False)


def _show(taken: Taken, json: bool) -> None:
    if json:
        say_json(
            {
                "id": taken.id,
                "profile": taken.profile,
                "state": taken.state.value,
                "digest": taken.digest,
                "needs_approval": taken.needs_approval,
                **taken.counts,
            }
        )
        return
    counts = taken.counts
    say(
        f"{taken.id}  {taken.file_name}  [{taken.state.value}]\n"
        f"  sẽ cấp {counts['waiting']:,} · đã cấp {counts['enrolled']:,} · đã có từ trước "
        f"{counts['present']:,} · bị từ chối {counts['refused']:,} · không cấp được "
        f"{counts['failed']:,}\n  mã duyệt {taken.digest}"
        + ("  (cần người thứ hai duyệt)" if taken.needs_approval else ""),
        f"{taken.id}  {taken.file_name}  [{taken.state.value}]\n"
        f"  to enrol {counts['waiting']:,} · enrolled {counts['enrolled']:,} · there already "
        f"{counts['present']:,} · refused {counts['refused']:,} · failed {counts['failed']:,}\n"
        f"  digest {taken.digest}"
        + ("  (a second person must approve)" if taken.needs_approval else ""),
    )


def _show_problems(house: House, list_id: str, most: int) -> None:
    from signer.holders import enrolment_reading

    after, shown = 0, 0
    while found := enrolment_reading.problems(house.desk, list_id, after=after):
        for line in found:
            if shown == most:
                say("  …", "  …")
                return
            said = "; ".join(one.message(language()) for one in line.problems)
            say(f"  dòng {line.number}: {said}", f"  line {line.number}: {said}")
            after, shown = line.number, shown + 1
