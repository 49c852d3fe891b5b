"""Judges that nobody here wrote and that live in Java: EU DSS and veraPDF.

Their artifacts come from Maven Central and are built once into `tests/interop/*/target`. Where
there is no JVM or no artifacts a judge is absent, and the tests that need it are skipped with that
reason.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@cache
def why_absent(name: str) -> str | None:
    """The reason why judge `name` ("dss", "verapdf") is not here, or None when it can be asked."""
    if not (shutil.which("java") and shutil.which("mvn")):
        return f"no JVM or no Maven on this machine: {name} cannot judge here"
    folder = HERE / name
    with (folder / ".build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_built(folder):
            return None
        try:
            build = subprocess.run(
                ["mvn", "-q", "-B", "package"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=240,
            )
        except subprocess.TimeoutExpired:
            return f"the Maven artifacts of {name} could not be had in time"
    if build.returncode:
        return f"{name} could not be built from its Maven artifacts: {build.stdout[-300:]}"
    return None


def _is_built(folder: Path) -> bool:
    """Whether the classes are there and newer than their sources."""
    made = [one.stat().st_mtime for one in (folder / "target/classes").glob("*.class")]
    if not made or not (folder / "target/lib").is_dir():
        return False
    sources = [folder / "pom.xml", *(folder / "src").rglob("*.java")]
    return all(one.stat().st_mtime <= max(made) for one in sources)


def dss_writes(pki: Path, out: Path, *files: Path) -> None:
    """EU DSS signs a file, an XML file and a PDF in each format and level it writes, into `out`."""
    _ask("dss", str(pki), str(out), *map(str, files), program="Signer")


def _ask(name: str, *arguments: str, program: str = "Judge") -> list[list[str]]:
    folder = HERE / name
    run = subprocess.run(
        ["java", "-cp", f"{folder}/target/classes:{folder}/target/lib/*", program, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return [line.split("\t") for line in run.stdout.splitlines() if "\t" in line]


@dataclass(frozen=True)
class DssVerdict:
    """What DSS says of one signature: its words, unchanged."""

    file: str
    indication: str  # TOTAL_PASSED, TOTAL_FAILED, INDETERMINATE
    sub_indication: str
    level: str  # PAdES-BASELINE-LTA and so on
    intact: bool
    messages: str


def dss(
    files: list[Path], *, trust: list[Path], contents: dict[Path, Path] | None = None
) -> list[DssVerdict]:
    """Ask EU DSS about `files`, believing only the roots in `trust`; nothing is fetched.

    `contents` names the file that a detached signature is about.
    """
    arguments = [part for root in trust for part in ("--trust", str(root))]
    asked: list[str] = []
    for file in files:
        about = (contents or {}).get(file)
        asked += [str(file)] if about is None else ["--content", str(about), str(file)]
    return [
        DssVerdict(file, indication, sub_indication, level, intact == "true", messages)
        for file, _, indication, sub_indication, level, intact, messages in _ask(
            "dss", *arguments, *asked
        )
    ]


@dataclass(frozen=True)
class EvidenceVerdict:
    """What DSS says of an evidence record, and how many objects BouncyCastle finds in it."""

    indication: str
    sub_indication: str
    since: str
    messages: str
    found: int


def evidence(record: Path, objects: list[Path], *, trust: list[Path]) -> EvidenceVerdict:
    """Ask EU DSS and BouncyCastle about an evidence record (RFC 4998) of these objects."""
    arguments = [part for root in trust for part in ("--trust", str(root))]
    arguments += [part for one in objects for part in ("--object", str(one))]
    verdict, found = _ask("dss", *arguments, str(record), program="EvidenceJudge")
    _, _, indication, sub_indication, since, messages = verdict
    return EvidenceVerdict(indication, sub_indication, since, messages, int(found[2]))


@dataclass(frozen=True)
class ListVerdict:
    """What DSS says of a trusted list, and its services: (type, status, start in seconds)."""

    indication: str
    sub_indication: str
    number: str
    territory: str
    against_the_schema: str
    services: tuple[tuple[str, str, int], ...]


def trusted_lists(lists: list[Path], *, signer: Path) -> dict[Path, ListVerdict]:
    """Ask EU DSS's own job about trusted lists (TS 119 612) that only `signer` may have signed."""
    rows = _ask("dss", str(signer), *map(str, lists), program="ListJudge")
    found = {}
    for kind, file, *told in rows:
        if kind == "list":
            indication, sub_indication, _version, number, territory, messages = told
            services = tuple(
                (one[2].rpartition("/Svctype/")[2], one[4].rpartition("/")[2], int(one[5]) // 1000)
                for one in rows
                if one[:2] == ["service", file]
            )
            found[Path(file)] = ListVerdict(
                indication, sub_indication, number, territory, messages, services
            )
    return found


def dss_reads(files: list[Path]) -> dict[str, str]:
    """Reports read into DSS's own classes, by their names' ends (`simple.json`, `etsi.xml`).

    The outcome is "read", or why not. JSON may have no member that DSS does not know, XML must fit
    the schema.
    """
    answers = _ask("dss", "read", *map(str, files), program="ReportForms")
    return {Path(file).name: outcome for file, outcome in answers}


def dss_reports(file: Path, *, trust: Path, folder: Path) -> None:
    """DSS's own reports on `file`, in each form, into `folder`."""
    _ask("dss", "write", str(trust), str(file), str(folder), program="ReportForms")


def verapdf(files: list[Path], *, flavour: str = "2b") -> dict[str, list[str]]:
    """The failed clauses of PDF/A `flavour` by file; an empty list is a conforming file."""
    answers = _ask("verapdf", flavour, *map(str, files))
    return {
        file: [] if compliant == "true" else [clauses] for file, _, compliant, clauses in answers
    }
