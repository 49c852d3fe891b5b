"""EU DSS as a judge that nobody here wrote.

The reference implementation of EN 319 102-1 is a Java library; its artifacts come from Maven
Central and are built once into `tests/interop/dss/target`. Where there is no JVM or no artifacts
the judge is absent, and the tests that need it are skipped with that reason.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent / "dss"


@dataclass(frozen=True)
class DssVerdict:
    """What DSS says of one signature: its words, unchanged."""

    file: str
    indication: str  # TOTAL_PASSED, TOTAL_FAILED, INDETERMINATE
    sub_indication: str
    level: str  # PAdES-BASELINE-LTA and so on
    intact: bool
    messages: str


@cache
def why_absent() -> str | None:
    """The reason why there is no judge here, or None when it is ready to be asked."""
    if not (shutil.which("java") and shutil.which("mvn")):
        return "no JVM or no Maven on this machine: EU DSS cannot judge here"
    with (HERE / ".build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (HERE / "target/classes/Judge.class").exists() and (HERE / "target/lib").is_dir():
            return None
        build = subprocess.run(
            ["mvn", "-q", "-B", "package"], cwd=HERE, capture_output=True, text=True, timeout=600
        )
    if build.returncode:
        return "EU DSS could not be built from its Maven artifacts: " + build.stdout[-300:]
    return None


def judge(files: list[Path], *, trust: list[Path]) -> list[DssVerdict]:
    """Ask DSS about `files`, believing only the roots in `trust` (DER or PEM); nothing is fetched."""
    command = ["java", "-cp", f"{HERE}/target/classes:{HERE}/target/lib/*", "Judge"]
    for root in trust:
        command += ["--trust", str(root)]
    command += [str(file) for file in files]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    verdicts = []
    for line in run.stdout.splitlines():
        file, _, indication, sub_indication, level, intact, messages = line.split("\t")
        verdicts.append(
            DssVerdict(file, indication, sub_indication, level, intact == "true", messages)
        )
    return verdicts
