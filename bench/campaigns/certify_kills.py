"""`./dauso campaign certify-kills`: kill -9 at random moments of certifying, on both databases.

A worker certifies cases one after the other and tells each acknowledged copy through a pipe; it is
killed after a random time and started again. Then: every acknowledged copy is there with its bytes
and its number, nobody has two, no number is missing or used twice, a number without a copy has its
reason, and the audit log is whole.

Workers are forked from a process that has loaded the programs and opened nothing: no PKCS#11 before
the fork. The token lies in the worker, as in life: SoftHSM rewrites its files at each login and can
lose them when killed just then, so they are put back from a copy (DESIGN.md §6). A dead worker's
claim holds for two seconds here instead of ten minutes; nothing else differs from the service.
"""

from __future__ import annotations

import json
import os
import random
import select as waiting
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from sqlalchemy import insert, select

from api import first_run
from api.house import House
from api.settings import Settings
from bench.certified_outcomes import Acknowledged, problems
from bench.report import Report, arguments
from certify import intention, issuance
from certify.models import (
    CapturePageRow,
    CaptureRow,
    CaseRow,
    CaseState,
    ComparisonRow,
    PaymentRow,
)
from hsm import sealing
from records import migration
from records.database import Database
from records.errors import DomainError
from tests import postgres
from tests.certify.town_hall import BY, PIN, SEAL_PIN, town_hall
from tests.world import PROVINCE

CLAIM = timedelta(seconds=2)
T = TypeVar("T")
_LOADED = (migration,)
"""What a worker would load at its start: loaded once, here, so that lives are spent at work."""
_WARM_UP = 2
"""Copies that the first worker makes undisturbed."""
_FIRST_LIFE = 1.2
"""Seconds of processor time after its start that a life lasts at most: about one whole copy."""
_FRUITLESS = 10
"""So many lives in a row without a copy, and the next may last longer."""


@dataclass
class Campaign:
    """One database's run."""

    settings: Settings
    kept: Path
    hands: dict[str, str]
    kills: int = 0
    lost_tokens: int = 0
    acknowledged: list[Acknowledged] = field(default_factory=list)


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; 1 when anything acknowledged was lost, doubled or is unexplained."""
    parser = arguments("Kills while certifying")
    parser.add_argument("--kills", type=int, metavar="N", help="kills on each database")
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    options = parser.parse_args(arguments_)
    report = Report("certify-kills", options)
    kills = options.kills or (6 if report.quick else 300)
    chooser = random.Random()
    wrong = 0
    with TemporaryDirectory(prefix="dauso-certify-kills-") as directory:
        if report.quick:
            _hold_quick_ceremonies(Path(directory))
        for name, address in _databases(report):
            if options.only not in (None, name):
                continue
            with address as url:
                made = _prepared(Path(directory) / name, url, cases=kills * 2 + 20)
                _kill(report, name, made, kills, chooser)
                wrong += _judged(report, name, made)
    return max(report.finish(), int(wrong > 0))


def _hold_quick_ceremonies(directory: Path) -> None:
    """Keys that are made in milliseconds: what is tried here is not the ceremony."""
    text = PROVINCE.read_text("utf-8").replace("rsa-4096", "p-256").replace("rsa-3072", "rsa-2048")
    plan = directory / "quick.yaml"
    plan.write_text(text, "utf-8")
    vars(first_run)["default_plan"] = lambda: plan


def _databases(report: Report) -> Iterator[tuple[str, Any]]:
    yield "sqlite", _embedded()
    reason = postgres.why_absent()
    if reason is not None:
        report.say(reason)
        return
    end = postgres.announce()
    try:
        yield "postgresql", postgres.fresh_database(_migrate, f"kills_{uuid.uuid4().hex}")
    finally:
        end()


@contextmanager
def _embedded() -> Iterator[str]:
    yield ""


def _migrate(address: str) -> None:
    database = Database(address)
    database.migrate()
    database.dispose()


def _settings(home: Path, url: str) -> Settings:
    found = Settings.from_environment({"DAUSO_HOME": str(home)})
    if not url:
        return found
    from dataclasses import replace

    return replace(found, database_url=url)


def _prepared(home: Path, url: str, *, cases: int) -> Campaign:
    """A house with a certifying unit and many cases; in a process of its own, for the token."""
    settings = _settings(home, url)
    told = _told_by_child(lambda: _furnish(settings, cases))
    kept = home.with_name(f"{home.name}-token")
    shutil.copytree(home / "token", kept)
    return Campaign(settings, kept, told)


def _furnish(settings: Settings, cases: int) -> dict[str, str]:
    # PINs that open quickly: the seal says at what cost it was made, and workers read it there.
    vars(sealing)["PinCost"] = partial(sealing.PinCost, memory_kib=1024, iterations=1, lanes=1)
    with first_run.create(settings, now=_now(), by=BY) as house:

        class World:
            desk, database, blobs, now = house.desk, house.database, house.blobs, _now()

        hall = town_hall(World)
        case = hall.compared()
        _ = house.desk.activation_seal
        with house.database.transaction() as session:
            _multiply(session, case.id, cases - 1)
        return {"person": hall.person.id, "seal": hall.seal.id}


def _multiply(session: Any, case_id: str, times: int) -> None:
    """More cases like this one: rows are copied, for the scans are the same."""

    def rows(model: Any, **named: str) -> list[dict[str, Any]]:
        query = select(*model.__table__.columns)
        for name, value in named.items():
            query = query.where(getattr(model, name) == value)
        return [dict(row) for row in session.execute(query).mappings()]

    (case,), (capture,) = rows(CaseRow, id=case_id), rows(CaptureRow, case_id=case_id)
    pages = rows(CapturePageRow, capture_id=capture["id"])
    (comparison,), (payment,) = (
        rows(ComparisonRow, case_id=case_id),
        rows(PaymentRow, case_id=case_id),
    )
    for _ in range(times):
        new, taken = uuid.uuid4().hex, uuid.uuid4().hex
        session.execute(insert(CaseRow).values(case | {"id": new}))
        session.execute(insert(CaptureRow).values(capture | {"id": taken, "case_id": new}))
        session.execute(insert(CapturePageRow), [page | {"capture_id": taken} for page in pages])
        found = {"id": uuid.uuid4().hex, "case_id": new, "capture_id": taken}
        session.execute(insert(ComparisonRow).values(comparison | found))
        paid = {"id": uuid.uuid4().hex, "case_id": new}
        session.execute(insert(PaymentRow).values(payment | paid))


def _kill(report: Report, name: str, made: Campaign, kills: int, chooser: random.Random) -> None:
    _one_life(made, None, most=_WARM_UP)
    longest, fruitless = _FIRST_LIFE, 0
    while made.kills < kills:
        before = len(made.acknowledged)
        if not _one_life(made, chooser.uniform(0, longest)):
            continue
        made.kills += 1
        fruitless = 0 if len(made.acknowledged) > before else fruitless + 1
        if fruitless == _FRUITLESS:
            # This processor is slower: give them time for a whole copy again.
            longest, fruitless = longest * 1.2, 0
        if made.kills % 25 == 0:
            report.say(f"{name}: {made.kills} kills, {len(made.acknowledged)} acknowledged")
    _one_life(made, None)


def _worked(child: int, seconds: float) -> None:
    """Until the child has used so much processor time, or ended: a busy machine changes nothing."""
    ticks = os.sysconf("SC_CLK_TCK")
    began: float | None = None
    while True:
        fields = Path(f"/proc/{child}/stat").read_text("ascii").rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / ticks
        began = used if began is None else began
        if used - began >= seconds or fields[0] == "Z":
            return
        time.sleep(0.002)


def _one_life(made: Campaign, life: float | None, *, most: int = 0) -> bool:
    """A worker from its start to its end; whether it was killed at work."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _in_child(lambda: _work(made.settings, made.hands, write, last=life is None, most=most))
    os.close(write)
    told = b""
    with os.fdopen(read, "rb", buffering=0) as answers:
        ready, _, _ = waiting.select([answers], [], [], 120)
        told += answers.read(1) if ready else b""
        if life is not None and told:
            _worked(child, life)
            # Ticks are 10 ms; the moment within one is chosen by chance.
            time.sleep(random.uniform(0, 0.02))
            os.kill(child, signal.SIGKILL)
        while piece := answers.read(65536):
            told += piece
    _, status = os.waitpid(child, 0)
    # A line that was cut off by the kill was not acknowledged to anybody.
    for line in told[1:].split(b"\n")[:-1]:
        made.acknowledged.append(Acknowledged(**json.loads(line)))
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if not killed and os.WEXITSTATUS(status):
        made.lost_tokens += 1
        if made.lost_tokens > 30:
            raise RuntimeError("the worker does not start any more")
        token = made.settings.home / "token"
        shutil.rmtree(token)
        shutil.copytree(made.kept, token)
    return killed


def _work(settings: Settings, hands: dict[str, str], write: int, *, last: bool, most: int) -> None:
    """Certify whatever waits; each copy is told only after the call has returned."""
    intention.CLAIM = CLAIM
    with House.open(settings, now=_now()) as house:
        person, seal = (hands["person"], PIN), (hands["seal"], SEAL_PIN)
        os.write(write, b".")
        for case_id in _waiting_cases(house, last=last, most=most):
            try:
                copy = issuance.certify_copy(
                    house.office, case_id, person=person, seal=seal, now=_now(), by=BY
                )
            except DomainError as error:
                if error.code not in {"copy-in-progress", "number-of-another-day"}:
                    raise
                continue
            told = {
                "case_id": case_id,
                "number": copy.number,
                "code": copy.code,
                "digest": copy.digest,
            }
            os.write(write, json.dumps(told).encode() + b"\n")


def _waiting_cases(house: House, *, last: bool, most: int) -> list[str]:
    """Interrupted ones first; the last worker waits for their claims and takes only those."""
    wanted = [CaseState.CERTIFYING.value]
    if most or not last:
        wanted.append(CaseState.COMPARED.value)
    else:
        time.sleep(CLAIM.total_seconds() + 0.1)
    with house.database.reading() as session:
        found = session.execute(
            select(CaseRow.id, CaseRow.state).where(CaseRow.state.in_(wanted))
        ).all()
    listed = [row.id for row in sorted(found, key=lambda row: row.state != "certifying")]
    return listed[:most] if most else listed


def _judged(report: Report, name: str, made: Campaign) -> int:
    found = _told_by_child(lambda: problems(made.settings, made.acknowledged, year=_now().year))
    report.add(f"{name}: kills", made.kills, "made")
    report.add(f"{name}: acknowledged copies", len(made.acknowledged), "copies")
    report.add(f"{name}: token files lost by SoftHSM, put back", made.lost_tokens, "times")
    for what, count in found.items():
        report.add(f"{name}: {what}", count, "found", peer="none may")
    return sum(found.values())


def _told_by_child(work: Callable[[], dict[str, T]]) -> dict[str, T]:
    """What `work` returns, done in a process of its own: this one opens nothing before it forks.

    Threads of the blob store that were started here would be missing, and waited for, in every
    worker forked afterwards.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _in_child(lambda: os.write(write, json.dumps(work()).encode()))
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        told = answer.read()
    _, status = os.waitpid(child, 0)
    if status or not told:
        raise RuntimeError("a process of the campaign ended without an answer (CAMPAIGN_TRACE=1)")
    result: dict[str, T] = json.loads(told)
    return result


def _in_child(work: Callable[[], object]) -> None:
    """Run and leave, without the parent's endings."""
    code = 1
    try:
        sys.setswitchinterval(0.0005)
        work()
        code = 0
    except BaseException:
        import traceback

        if os.environ.get("CAMPAIGN_TRACE"):
            traceback.print_exc()
    finally:
        os._exit(code)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    raise SystemExit(main())
