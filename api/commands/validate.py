"""`dauso validate FILE…`: what a signed file is worth.

Exit code: 0 passed, 1 failed, 2 cannot be decided, 3 unreadable; the worst of several files.
With `--trust` nothing of this instance is used or needed.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.terminal import (
    Outcome,
    TerminalError,
    complain,
    language,
    now,
    parse_time,
    read_file,
    reason_of,
    say,
    say_json,
    write_file,
)
from records.errors import DomainError

if TYPE_CHECKING:
    from ca.trust import TrustStore
    from signer.long_life.evidence_records import Evidence
    from signer.trust.status_fetching import Fetcher
    from signer.verdicts.document_digests import DocumentDigests
    from signer.verdicts.report import Report

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

UNREADABLE = 3
_WORST_FIRST = (UNREADABLE, 1, 2, 0)


class Form(StrEnum):
    """The forms of `signer.reports`."""

    SIMPLE = "simple"
    DETAILED = "detailed"
    DIAGNOSTIC = "diagnostic"
    ETSI = "etsi"
    SIVA = "siva"
    ALL = "all"
    PDF = "pdf"


_ROOTS = {
    Form.SIMPLE: "SimpleReport",
    Form.DETAILED: "DetailedReport",
    Form.DIAGNOSTIC: "DiagnosticData",
}


@app.command()
def validate(
    files: Annotated[
        list[Path], typer.Argument(help="Signed files: PDF, CAdES, XAdES, ASiC containers")
    ],
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            help="Trust anchors, PEM or DER, or a trust file (.yaml); this instance's when absent"
        ),
    ] = None,
    content: Annotated[
        list[Path] | None,
        typer.Option(help="What a detached signature (.p7s, .xml) is about; once for each file"),
    ] = None,
    digest: Annotated[
        list[str] | None,
        typer.Option(help="sha256:HEX of what a detached signature is about, instead of it"),
    ] = None,
    at: Annotated[str | None, typer.Option(help="Judge as of this time (ISO 8601)")] = None,
    policy: Annotated[str, typer.Option(help="Validation policy, as dauso-2026-3")] = "",
    evidence: Annotated[
        Path | None, typer.Option(help="An evidence record about the file (RFC 4998)")
    ] = None,
    companion: Annotated[
        list[Path] | None, typer.Option(help="Further objects of the record's data group")
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Ask the addresses in certificates, guarded")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per file")] = False,
    report: Annotated[
        Form | None, typer.Option(help="A report in this form instead of the verdict in words")
    ] = None,
    xml: Annotated[bool, typer.Option("--xml", help="The report as XML, where it can be")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the reports, one file each; else to the screen")
    ] = None,
) -> None:
    """Validate the signatures of files (EN 319 102-1). Nothing is fetched without --fetch.

    Reports: simple, detailed, diagnostic (as EU DSS), etsi (TS 119 102-2), siva, all, and pdf
    (sealed by this instance; with --trust unsealed).
    """
    from api.adapters.guarded_fetch import GuardedFetch
    from api.trust_sources import asked
    from signer.verdicts.originals import Original
    from signer.verdicts.policy import CURRENT
    from signer.verdicts.validation import validate_file

    if report is Form.PDF and output is None:
        raise typer.BadParameter("--report pdf needs --output", param_hint="--output")
    try:
        moment = parse_time(at)
        fetcher = GuardedFetch() if fetch else None
        store, lists = _trusted(trust, fetcher)
        digests = _digests(digest or [])
        proof = _evidence(evidence, companion or [])
        codes = []
        for path in files:
            if not json and not _can_be_read(path):
                codes.append(UNREADABLE)
                continue

            def look(believed: TrustStore, known: Sequence[bytes], path: Path = path) -> Report:
                return validate_file(
                    path,
                    trust=believed,
                    now=now(),
                    at=moment,
                    revocation=known,
                    content=[Original(str(one), one) for one in content or []],
                    evidence=proof,
                    digests=digests,
                    policy=policy or CURRENT,
                    reports=language() if report is not None else None,
                )

            found = asked(look, store, lists, fetcher).named(str(path))
            codes.append(found.exit_code)
            if report is not None:
                _write(found, path, report, xml=xml, output=output, sealed=trust is None)
            elif json:
                say_json(found.to_json())
            else:
                text = found.to_text(language())
                say(text, text)
    except DomainError as error:
        complain(error)
        raise Outcome(UNREADABLE) from None
    raise Outcome(next(code for code in _WORST_FIRST if code in codes))


def _can_be_read(path: Path) -> bool:
    """Or one line says why not, and the other files are judged all the same."""
    try:
        path.open("rb").close()
    except OSError as error:
        complain(TerminalError("file-unreadable", path=path, reason=reason_of(error)))
        return False
    return True


def _write(
    found: Report, path: Path, form: Form, *, xml: bool, output: Path | None, sealed: bool
) -> None:
    """One report to a file beside others, or to the screen."""
    from signer.reports.writing import reports_without_examination
    from signer.reports.xml_form import Root, to_xml

    papers = found.papers or reports_without_examination(found, name=path.name, language=language())
    found = replace(found, papers=papers)
    if form is Form.PDF:
        made, suffix = _paper(found, path, sealed=sealed), "pdf"
    elif form is Form.ETSI:
        made, suffix = papers["ValidationReport"].encode(), "xml"
    elif xml and form in _ROOTS:
        name = _ROOTS[form]
        made, suffix = to_xml(Root(name), papers[name]), "xml"
    else:
        whole = papers if form is Form.ALL else papers[_ROOTS.get(form, "validationReport")]
        made, suffix = dumps(whole, ensure_ascii=False, indent=1).encode(), "json"
    if output is None:
        sys.stdout.write(made.decode() + "\n")
        return
    kind = "report" if form is Form.PDF else form.value
    target = output / f"{path.name}.{kind}.{suffix}"
    write_file(target, made, force=True)
    say(str(target), str(target))


def _paper(found: Report, path: Path, *, sealed: bool) -> bytes:
    """The report as a PDF; sealed by this instance, whose token is opened for it."""
    from api.house import House
    from api.settings import Settings
    from ca.names import PROVINCE_AUTHORITY
    from signer.reports.paper import Subject, draw, sealed_report

    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    subject = Subject(path.name, digest, PROVINCE_AUTHORITY)
    if not sealed:
        return draw(found, subject, language=language())
    with House(Settings.from_environment()) as house:
        return sealed_report(house.desk, found, subject, language=language(), now=now())


def _digests(given: Sequence[str]) -> DocumentDigests | None:
    from signer.verdicts.document_digests import DocumentDigests

    known: dict[str, bytes] = {}
    for one in given:
        algorithm, _, value = one.partition(":")
        try:
            known[algorithm.lower().replace("-", "_")] = bytes.fromhex(value)
        except ValueError:
            raise typer.BadParameter(f"{one} is not ALGORITHM:HEX", param_hint="--digest") from None
    return DocumentDigests({"": known}) if known else None


def _evidence(record: Path | None, companions: Sequence[Path]) -> Evidence | None:
    from signer.long_life.evidence_records import Evidence

    if record is None:
        return None
    return Evidence(read_file(record), tuple(read_file(one) for one in companions))


def _trusted(
    trust: Sequence[Path] | None, fetcher: Fetcher | None
) -> tuple[TrustStore, list[bytes]]:
    """The anchors to believe and the revocation lists at hand."""
    from api.trust_sources import TrustSources
    from ca.trust import TrustStore

    if trust:
        files = [one for one in trust if one.suffix in {".yaml", ".yml"}]
        store = TrustStore.load(one for one in trust if one not in files)
        for one in files:
            store = store.and_also(TrustSources(one, fetcher).store(now()))
        return store, []
    from api.house import House
    from api.settings import Settings

    settings = Settings.from_environment()
    if settings.database_url.startswith("sqlite") and not settings.home.is_dir():
        # No instance here: nothing is believed, and every verdict says so.
        return TrustStore(anchors=()), []
    with House(settings) as house:
        house.check_home()
        house.database.migrate()
        return house.believed(now()), house.published_lists()
