"""`./dauso bench readme`: the README's table of figures, made from the files of the last runs.

Each bench writes `bench/results/NAME.json` with `--json`; this puts their rows between the two
markers of the README, with the date and the machine they were measured on. Nobody types a figure.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: one table, its rows in the order of the files, then date and machine."""
    lines = ["| what | measured | limit or peer, in the same run | ratio |", "|---|---:|---:|---:|"]
    for result in results:
        for figure in result["figures"]:
            beside = figure.get("limit")
            name = figure.get("peer") or ""
            compared = f"{_number(beside)} {name}".strip() if beside is not None else name
            ratio = figure.get("ratio")
            lines.append(
                f"| {figure['name']} | {_number(figure['value'])} {figure['unit']} "
                f"| {compared} | {'' if ratio is None else f'{ratio:.2f}'} |"
            )
    seen = sorted({f"{result['date'][:10]}, {_machine(result['machine'])}" for result in results})
    return "\n".join([*lines, "", "Measured " + "; ".join(seen) + "."])


def _number(value: float | int | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"


def _machine(machine: Any) -> str:
    if isinstance(machine, str):
        return machine
    return ", ".join(str(part) for part in machine.values())


def write(readme: Path, folder: Path) -> int:
    """Replace what stands between the markers; the number of results used."""
    results = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    text = readme.read_text("utf-8")
    block = f"{BEGIN}\n{table(results)}\n{END}"
    text = re.sub(f"{BEGIN}.*?{END}", lambda _: block, text, flags=re.DOTALL)
    readme.write_text(text, "utf-8")
    return len(results)


def main(arguments_: list[str] | None = None) -> int:
    """Entry point of `./dauso bench readme`."""
    argparse.ArgumentParser("bench readme", description=__doc__).parse_args(arguments_)
    count = write(ROOT / "README.md", ROOT / "bench/results")
    print(f"README.md: {count} results")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
