"""`./dauso campaign fuzz`: coverage-guided mutations of everything strangers can send (atheris).

    ./dauso campaign fuzz --minutes 5                  # each reader of tests/fuzz_targets.py
    ./dauso campaign fuzz --target evidence-record --minutes 60

Each target runs in a process of its own with limits on time and memory for one input. What breaks a
reader is kept as `crash-…` under --keep; its octets then become a regression in the suite. The
corpus grows there too, and the next campaign goes on from it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from bench.report import Report, arguments

_SECONDS_FOR_ONE = 20
_MEMORY_MB = 2048


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; 1 when a reader broke."""
    parser = arguments("Fuzzing of the parsers' edges")
    parser.add_argument("--minutes", type=float, default=5.0, help="for each target")
    parser.add_argument("--target", action="append", metavar="NAME")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="corpus and crashes")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments_)
    if options.inside:
        _fuzz(options)
        return 0
    from tests.fuzz_targets import TARGETS

    report = Report("fuzz", options)
    minutes = 0.1 if report.quick else options.minutes
    for target in TARGETS:
        if options.target and target.name not in options.target:
            continue
        folder = options.keep / target.name
        corpus = folder / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
        before = set(folder.glob("*-*"))
        began = time.monotonic()
        run = subprocess.run(
            [
                sys.executable, "-m", "bench.campaigns.fuzz", "--inside", target.name,
                "--keep", str(options.keep), "--minutes", str(minutes),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        broken = sorted(set(folder.glob("*-*")) - before)
        tried = _executed(run.stderr)
        report.say(f"{target.name}: {tried} inputs in {time.monotonic() - began:.0f} s")
        if broken or run.returncode:
            (folder / "output.txt").write_text(run.stderr, "utf-8")
            report.say("\n".join(run.stderr.strip().splitlines()[-12:]))
        report.add(f"{target.name}: inputs tried", tried, "inputs")
        found = len(broken) or int(run.returncode != 0)
        report.add(f"{target.name}: inputs that broke it", found, "inputs", limit=0.5, goal=1.0)
    return report.finish()


def _fuzz(options: argparse.Namespace) -> None:
    import atheris  # type: ignore[import-untyped]  # it ships no types

    # What is instrumented tells the fuzzer which branches its input took.
    with atheris.instrument_imports(
        include=["signer", "ca", "certify"], enable_loader_override=False
    ):
        from tests.fuzz_targets import TARGETS
    target = next(one for one in TARGETS if one.name == options.inside)
    folder = options.keep / target.name
    command = [
        "fuzz",
        str(folder / "corpus"),
        f"-artifact_prefix={folder}/",
        f"-max_total_time={int(options.minutes * 60)}",
        f"-timeout={_SECONDS_FOR_ONE}",
        # By the wall clock: on a busy machine an input that waited is not a slow one.
        f"-report_slow_units={_SECONDS_FOR_ONE}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-max_len={target.largest}",
        "-print_final_stats=1",
    ]
    atheris.Setup(command, target)
    atheris.Fuzz()


def _executed(output: str) -> int:
    for line in output.splitlines():
        if line.startswith("stat::number_of_executed_units:"):
            return int(line.split()[-1])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
