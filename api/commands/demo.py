"""`dauso demo`: the whole main job on real parts, with fictional people, in six steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.terminal import TerminalError, language, reason_of
from api.settings import DEFAULT_PORT, Settings

if TYPE_CHECKING:
    import socket

    from rich.console import Console

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Where the results go")] = Path("demo-output"),
) -> None:
    """Ceremony, enrolment, signing, certifying, verifying, and the same over HTTP."""
    from rich.console import Console

    from api import first_run
    from api.demonstration import desks, over_http, people, results, steps
    from api.demonstration.cast import Cast
    from api.house import House

    _require_writable(output)
    progress = Progress(Console(highlight=False))
    # The port first, and held: its address goes into every certificate.
    settings, listening = _settings()
    steps.fresh_home(settings.home)
    cast, made = Cast(), steps.Made()

    # 1. The ceremony: a root on a token of its own, the issuing CAs and services on another.
    with progress.step(1, "Nghi lễ tạo khóa gốc", "Key ceremony"):
        first_run.create(settings, now=steps.clock(), by=steps.OPERATOR).close()
    with (
        listening,
        House.open(settings, now=steps.clock()) as house,
        steps.serving(house, listening) as address,
    ):
        progress.note(", ".join(issuer.name for issuer in house.authority.issuers()))
        # 2. Enrol an official and an agency; CRL, OCSP and issuer are where the certificates say.
        with progress.step(2, "Cấp chứng thư cho công chức và cơ quan", "Enrolment"):
            steps.enrol(house, cast, made)
            over_http.check_addresses(made)
            seats = people.seat_everybody(house, cast, now=steps.clock())
        progress.note(f"{made.official.name}; {made.agency.name}")
        # 3. The official signs the decision, then the agency seals it: both PAdES B-LTA.
        with progress.step(3, "Ký và đóng dấu số quyết định", "Sign and seal the decision"):
            steps.sign_decision(house, cast, made)
        progress.note(f"{len(made.decision):,} byte, PAdES-BASELINE-LTA ×2")
        # 4. Certify a copy of the scanned original; it goes into the citizen's store.
        with progress.step(4, "Chứng thực bản sao điện tử", "Certify a copy"):
            steps.certify(house, cast, made)
        progress.note(f"{made.copy.number} ({made.copy.book}), {made.copy.code}")
        # 5. Verify both by file, the copy by its code as well.
        with progress.step(5, "Kiểm tra", "Verify"):
            steps.verify(house, made)
        progress.note(f"{made.decision_report.indication}, {made.copy_report.indication}")
        # 6. The same as another system does it, over HTTP.
        with progress.step(6, "Làm lại qua API", "The same over the API"):
            again = over_http.as_client(house, cast, made, address)
        progress.note(f"{again['copy']['number']}, {again['copy']['code']}")
        # Something for each of the cast to do at the screens.
        desks.leave_work(house, cast, now=steps.clock())
        results.write(house, cast, made, again, progress.timings, output)
    progress.end(output, settings, seats)


class Progress:
    """Tells each step, its result and its time."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.timings: dict[str, float] = {}

    @contextmanager
    def step(self, number: int, vietnamese: str, english: str) -> Iterator[None]:
        words = english if language() == "en" else vietnamese
        started = time.perf_counter()
        with self.console.status(f"{number}/6 {words} …"):
            yield
        seconds = time.perf_counter() - started
        self.timings[english] = seconds
        self.console.print(f"[green]✓[/] {number}/6 {words:<42} {seconds:6.2f} s")

    def note(self, text: str) -> None:
        self.console.print(f"      {text}", style="dim", markup=False)

    def end(self, output: Path, settings: Settings, seats: Path) -> None:
        """Where everything is, and how to go on."""
        from api.demonstration.people import TASKS

        # The links in `seats` lead to this port.
        port = "" if settings.port == DEFAULT_PORT else f"DAUSO_PORT={settings.port} "
        serve = f"DAUSO_HOME={settings.home} {port}./dauso serve"
        english = language() == "en"
        lines = [
            f"Results: {output}" if english else f"Kết quả: {output}",
            "",
            f"To sit at the screens: {serve}" if english else f"Ngồi vào bàn làm việc: {serve}",
            f"Links and PINs of everybody: {seats}"
            if english
            else f"Liên kết đăng nhập và mã PIN của từng người: {seats}",
            *(f"  {task.line('en' if english else 'vi')}" for task in TASKS),
        ]
        for line in lines:
            self.console.print(line, markup=False, soft_wrap=True)


def _settings() -> tuple[Settings, socket.socket]:
    """A home of its own beside the real one, and the port that is kept for it.

    8000 when it is free: the addresses in the certificates then fit a later `serve`.
    """
    from api.commands.serve import bind

    usual = Settings.from_environment()
    try:
        listening = bind(usual.host, DEFAULT_PORT)
    except TerminalError:
        listening = bind(usual.host, 0)
    port = listening.getsockname()[1]
    where = {"DAUSO_HOME": str(usual.home / "demo"), "DAUSO_PORT": str(port)}
    return Settings.from_environment(where), listening


def _require_writable(output: Path) -> None:
    """Said before the work, not after it."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe = output / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise TerminalError("file-unwritable", path=output, reason=reason_of(error)) from error
