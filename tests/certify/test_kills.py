"""kill -9 in the middle of certifying: the short form of `./dauso campaign certify-kills`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Issue *Figures*: "0 acknowledged copies lost, 0 duplicates, 0 unexplained gaps".

    In a process of its own: its workers are forked, and this one has a token open.
    """
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench.campaigns.certify_kills", "--quick"]
    done = subprocess.run(
        [*command, "--only", "sqlite", "--kills", "2", "--json", str(figures)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {row["name"]: row["value"] for row in json.loads(figures.read_text("utf-8"))["figures"]}
    assert found["sqlite: kills"] == 2
    assert found["sqlite: acknowledged copies"] >= 2
