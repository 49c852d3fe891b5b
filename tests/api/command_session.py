"""Several commands, one after the other, in one process of their own: starting Python costs most.

    with session(home) as dauso:
        done = dauso("enrol", "take-in", path)      # as at the terminal: code, out, err

Each command opens and closes the house as it would alone. Run as a program it is the other side:
it reads one JSON list of arguments (and what is typed) per line and answers with one JSON object.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.world import PROVINCE

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@contextmanager
def session(home: Path, environment: dict[str, str]) -> Iterator[Callable[..., Done]]:
    """An embedded instance after its first run, with keys that are quick to make."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.api.command_session", str(home)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        sent, received = process.stdin, process.stdout
        assert sent is not None
        assert received is not None
        assert received.readline().strip() == "ready"

        def dauso(*arguments: object, typed: str = "") -> Done:
            sent.write(json.dumps([[str(one) for one in arguments], typed]) + "\n")
            sent.flush()
            return Done(**json.loads(received.readline()))

        yield dauso
        sent.close()


def _serve(home: Path) -> None:
    from api import first_run
    from api.commands.__main__ import main
    from api.settings import Settings

    plan = home.parent / "quick.yaml"
    text = PROVINCE.read_text("utf-8")
    plan.write_text(text.replace("rsa-4096", "p-256").replace("rsa-3072", "rsa-2048"), "utf-8")
    vars(first_run)["default_plan"] = lambda: plan
    first_run.create(Settings.from_environment(), now=datetime.now(UTC), by="operator:test").close()
    answers = sys.stdout
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        arguments, typed = json.loads(line)
        out, err = io.StringIO(), io.StringIO()
        kept, sys.stdin = sys.stdin, io.StringIO(typed)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
        sys.stdin = kept
        answers.write(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}))
        answers.write("\n")
        answers.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
