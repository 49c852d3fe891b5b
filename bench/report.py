"""What every bench prints and writes: figures beside the limit or the peer they are compared with.

    report = Report("ca", arguments("The certificate authority").parse_args())
    raw = rate(lambda: key.sign(…), report.seconds)
    report.add("OCSP, live", measured, "1/s", limit=raw, peer="raw token signatures", goal=0.70)
    raise SystemExit(report.finish())

`ratio` is how the figure compares with its limit, larger being better: value ÷ limit for rates,
limit ÷ value for durations and sizes. A goal is a least ratio; a missed one is shown, and makes
the exit status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

_PACKAGES = ("cryptography", "pyhanko", "python-pkcs11", "sqlalchemy", "fastapi", "pikepdf")
_PER_SECOND = "/s"


@dataclass(frozen=True)
class Figure:
    """One row. `limit` is a number in the same unit, `peer` says what that number is."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    peer: str | None = None
    goal: float | None = None

    @property
    def missed(self) -> bool:
        return self.goal is not None and self.ratio is not None and self.ratio < self.goal


def arguments(description: str) -> argparse.ArgumentParser:
    """The options every bench has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="short runs, smaller populations")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    return parser


class Report:
    """Collects figures, prints them as a table, writes them as JSON."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name = name
        self.quick: bool = options.quick
        self.figures: list[Figure] = []
        self._json: Path | None = options.json
        self._console = Console()
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long one round of one measurement lasts."""
        return 0.25 if self.quick else 2.0

    @property
    def rounds(self) -> int:
        """How often alternatives are measured in turn."""
        return 3 if self.quick else 5

    def say(self, text: str) -> None:
        """Progress, for whoever waits."""
        self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s  {text}[/dim]")

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        limit: float | None = None,
        peer: str | None = None,
        goal: float | None = None,
    ) -> Figure:
        """One figure; a unit that ends in `/s` is better when larger, any other when smaller."""
        ratio = None
        if limit and value:
            ratio = value / limit if unit.endswith(_PER_SECOND) else limit / value
        figure = Figure(name, value, unit, limit, ratio, peer, goal)
        self.figures.append(figure)
        return figure

    def finish(self) -> int:
        """Print, write; the exit status."""
        table = Table(title=f"bench {self.name}{' (quick)' if self.quick else ''}")
        table.add_column("what")
        for heading in ("measured", "limit or peer", "ratio", "goal"):
            table.add_column(heading, justify="right")
        for each in self.figures:
            verdict = "" if each.goal is None else f"≥ {each.goal:g}"
            colour = "red" if each.missed else "green" if each.goal is not None else "default"
            beside = "" if each.limit is None else shown(each.limit)
            table.add_row(
                each.name,
                f"{shown(each.value)} {each.unit}",
                f"{beside} {each.peer or ''}".strip(),
                "" if each.ratio is None else f"{each.ratio:.2f}",
                f"[{colour}]{verdict}[/{colour}]",
            )
        self._console.print(table)
        if self._json is not None:
            self._json.parent.mkdir(parents=True, exist_ok=True)
            self._json.write_text(json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n")
        return 1 if any(each.missed for each in self.figures) else 0

    def to_json(self) -> dict[str, object]:
        """The file all benches share."""
        keys = ("name", "value", "unit", "limit", "ratio", "peer")
        return {
            "figures": [{key: getattr(each, key) for key in keys} for each in self.figures],
            "machine": machine(),
            "versions": versions(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def shown(value: float) -> str:
    """A figure with as many digits as it deserves."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def rate(work: Callable[[], object], seconds: float) -> float:
    """How often per second `work` is done, after one run to warm up."""
    work()
    done, began = 0, time.perf_counter()
    until = began + seconds
    while (now := time.perf_counter()) < until:
        work()
        done += 1
    return done / (now - began)


def alternately(
    works: Sequence[Callable[[], object]], *, seconds: float, rounds: int
) -> list[float]:
    """The median rate of each, measured in turn so that a noisy neighbour bothers all alike."""
    measured = [[rate(work, seconds) for work in works] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*measured, strict=True)]


def duration(work: Callable[[], object], times: int = 3) -> float:
    """The median number of seconds `work` takes."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def machine() -> str:
    """Processor, cores, memory, system: what a reader needs to judge the numbers."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {memory:.0f} GiB, {platform.system()}"


def versions() -> dict[str, str]:
    """Of what was measured."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    asked = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        found["openssl"] = asked.stdout.split()[1]
    return found
