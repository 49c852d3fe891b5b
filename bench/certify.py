"""`./dauso bench certify`: from "finding recorded" to "copy issued", numbers, sizes, memory.

A 2-page 200 dpi colour scan, both signatures B-LTA, PDF/A-2b judged before signing and the whole
file validated after. Rates per core are per second of processor time, so a busy machine bothers
nobody. Limits are the issue's: 5 copies per second on 2 cores, 1.3 × the JPEG bytes, 100 numbers/s.
"""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from api.interpreter import tune
from bench.ca_world import BY, BenchWorld, bench_world
from bench.report import Report, arguments
from bench.sign_world import desk_of
from ca.authority import Authority
from certify.issuance import Hand, authorise, certify_copy
from certify.money.payments import pay
from certify.office import Office
from certify.register import entries, gaps, take_number
from certify.scans.captures import record_capture
from certify.scans.comparison import Checklist, record_comparison
from certify.stacks.stack import certify_stack
from certify.units import units
from hsm.mechanisms import KeyAlgorithm
from hsm.token import Token, TokenSettings
from records import audit
from records.database import Database
from records.tags import Tag
from signer.desk import Desk
from signer.keys.activation import Authorization
from tests import postgres
from tests.certify.town_hall import (
    PIN,
    SEAL_PIN,
    TRANSCRIPT,
    UNIT,
    TownHall,
    scans,
    town_hall,
)

_GOAL = "issue: 5/s on 2 cores"


@dataclass(frozen=True)
class _World:
    """What the town hall is built in."""

    desk: Desk
    database: Database
    blobs: Any
    now: Any


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; the exit status says whether every goal was met."""
    tune()  # as `dauso serve` does
    report = Report("certify", arguments("Certified copies").parse_args(arguments_))
    report.say("ceremony, an official, a seal")
    with _hall() as (world, hall):
        _single(report, hall)
        _stack(report, hall)
        _two_processes(report, world, hall)
        _at_once(report, hall)
        _long_original(report, hall)
    _numbers(report)
    return report.finish()


@contextmanager
def _hall() -> Iterator[tuple[BenchWorld, TownHall]]:
    with bench_world() as world:
        desk = desk_of(world.authority, world.database, world.token, world.home)
        made = _World(desk, world.database, desk.blobs, world.now)
        yield world, town_hall(made, KeyAlgorithm.RSA_2048)


def _single(report: Report, hall: TownHall) -> None:
    report.say("one at a time, both PINs each time")
    cases = [hall.compared().id for _ in range(3 if report.quick else 12)]
    certify_copy(hall.office, cases.pop(), **hall.hands, now=hall.now, by=BY)
    walls, sizes = [], []
    began = time.process_time()
    for case in cases:
        start = time.perf_counter()
        copy = certify_copy(hall.office, case, **hall.hands, now=hall.now, by=BY)
        walls.append(time.perf_counter() - start)
        sizes.append(len(copy.data))
    spent = time.process_time() - began
    report.add("one copy, two PINs (argon2id)", statistics.median(walls) * 1000, "ms")
    report.add("copies per core, two PINs each", len(cases) / spent, "1/s")
    jpeg = sum(map(len, scans()))
    report.add(
        "file size, 2 pages",
        max(sizes),
        "bytes",
        limit=1.3 * jpeg,
        peer="1.3 × the JPEG bytes",
        goal=1.0,
    )


def _stack(report: Report, hall: TownHall) -> None:
    report.say("a stack with one authorisation")
    cases = [hall.compared().id for _ in range(10 if report.quick else 50)]
    began = time.process_time()
    results = list(certify_stack(hall.office, cases, **hall.hands, now=hall.now, by=BY))
    spent = time.process_time() - began
    failed = [result for result in results if result.copy is None]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(cases)} not issued: {failed[0].error}")
    report.add("copies per core, stack", len(cases) / spent, "1/s", limit=2.5, peer=_GOAL, goal=1.0)


def _two_processes(report: Report, world: BenchWorld, hall: TownHall) -> None:
    report.say("two processes, one register")
    count = 12 if report.quick else 60
    cases = [hall.compared().id for _ in range(count)]
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(3), context.Queue()
    shared = (
        world.token.settings,
        str(world.database.engine.url),
        hall.office.desk.authority.base_url,
        world.home,
        hall.person.id,
        hall.seal.id,
        hall.now,
    )
    workers = [
        context.Process(target=_worker, args=(*shared, cases[half::2], barrier, answers))
        for half in (0, 1)
    ]
    for worker in workers:
        worker.start()
    barrier.wait(timeout=120)
    began = time.perf_counter()
    issued = sum(answers.get(timeout=600) for _ in workers)
    wall = time.perf_counter() - began
    for worker in workers:
        worker.join()
    if issued != count:
        raise RuntimeError(f"{count - issued} of {count} not issued")
    report.add(
        "copies, two processes (wall clock)", count / wall, "1/s", limit=5, peer=_GOAL, goal=1.0
    )


def _worker(
    settings: TokenSettings,
    url: str,
    base_url: str,
    home: Path,
    person: str,
    seal: str,
    now: Any,
    cases: Sequence[str],
    barrier: Any,
    answers: Any,
) -> None:
    database, token = Database(url), Token.open(settings)
    try:
        desk = desk_of(Authority(database, token, base_url=base_url), database, token, home)
        office = Office(desk=desk, database=database, blobs=desk.blobs, base_url="https://dauso.vn")
        hands = {"person": (person, PIN), "seal": (seal, SEAL_PIN)}
        barrier.wait(timeout=120)
        results = list(certify_stack(office, cases, **hands, now=now, by=BY))
        answers.put(sum(result.copy is not None for result in results))
    finally:
        token.close()


def _at_once(report: Report, hall: TownHall) -> None:
    count = 20 if report.quick else 200
    report.say(f"{count} issuances at once in one unit")
    cases = [hall.compared().id for _ in range(count)]

    # A person types one PIN after another; everything else happens at once.
    typing = threading.Lock()

    def typed(hand: Hand) -> Hand:
        def give(digests: Sequence[bytes]) -> Authorization:
            with typing:
                return authorise(hall.office, hand, digests, now=hall.now, by=BY)

        return hand[0], give

    hands = {name: typed(hand) for name, hand in hall.hands.items()}

    def issue(case_id: str) -> float:
        start = time.perf_counter()
        certify_copy(hall.office, case_id, **hands, now=hall.now, by=BY)
        return time.perf_counter() - start

    with ThreadPoolExecutor(count) as pool:
        taken = sorted(pool.map(issue, cases))
    year = hall.now.year
    numbers = [line.number for line in entries(hall.office, unit=UNIT, year=year)]
    wrong = len(gaps(hall.office, unit=UNIT, year=year)) + len(numbers) - len(set(numbers))
    report.add(f"gaps and duplicates after {len(numbers)} numbers", wrong, "numbers")
    report.add(f"{count} at once, p50", taken[len(taken) // 2] * 1000, "ms")
    report.add(f"{count} at once, p99", taken[int(len(taken) * 0.99)] * 1000, "ms")


def _long_original(report: Report, hall: TownHall) -> None:
    """The whole way of a long original, from the finding to the issued copy, in this process."""
    count = 20 if report.quick else 100
    report.say(f"an original of {count} pages")
    case = hall.opened(original=replace(TRANSCRIPT, pages=count))
    many = [scans()[index % 2] for index in range(count)]
    record_capture(hall.office, case.id, many, now=hall.now, by=BY)
    record_comparison(
        hall.office, case.id, pages=[True] * count, checklist=Checklist(), now=hall.now, by=BY
    )
    pay(hall.office, case.id, method="cash", now=hall.now, by=BY)
    gc.collect()
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak is counted from here
    began = time.process_time()
    copy = certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)
    spent = time.process_time() - began
    grown = max(0, _resident("VmHWM") - before)
    jpeg = sum(map(len, many))
    report.add(f"{count} pages, finding to copy, processor time", spent * 1000, "ms")
    report.add(
        f"{count} pages, memory at its peak",
        grown / 2**20,
        "MiB",
        limit=64 + 8 * jpeg / 2**20,
        peer="8 × the JPEGs, 64 MiB of argon2id",
        goal=1,
    )
    report.add(
        f"{count} pages, size",
        len(copy.data),
        "bytes",
        limit=1.3 * jpeg,
        peer="1.3 × the JPEGs",
        goal=1,
    )


def _resident(what: str) -> int:
    """Bytes in memory now (VmRSS), or at most since the peak was set back (VmHWM)."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {what} in /proc/self/status")


def _numbers(report: Report) -> None:
    """Numbers with their audit entry, each a transaction, over all units."""
    reason = postgres.why_absent()
    if reason is not None:
        report.say(reason)
        return
    end = postgres.announce()
    try:
        with postgres.fresh_database(_migrate, f"bench_{uuid.uuid4().hex}") as address:
            report.say("numbers on PostgreSQL")
            database = Database(address)
            rate = _numbers_per_second(database, 8, report.seconds * 2)
            database.dispose()
    finally:
        end()
    report.add(
        "numbers over all units, PostgreSQL (no fsync)",
        rate,
        "1/s",
        limit=100,
        peer="issue: 100/s",
        goal=1.0,
    )


def _migrate(address: str) -> None:
    database = Database(address)
    database.migrate()
    database.dispose()


def _numbers_per_second(database: Database, threads: int, seconds: float) -> float:
    from datetime import UTC, datetime

    names = list(units())
    counts = [0] * threads
    until = time.perf_counter() + seconds

    def work(index: int) -> None:
        while time.perf_counter() < until:
            unit = names[(index * 97 + counts[index]) % len(names)]
            with database.transaction() as session:
                number = take_number(session, unit=unit, register="SCTĐT/BS", year=2026)
                audit.record(
                    session,
                    tag=Tag.COPY_INTENDED,
                    by=BY,
                    subject=f"register:{unit}",
                    details={"number": number.number},
                    now=datetime.now(UTC),
                )
            counts[index] += 1

    _run([partial(work, index) for index in range(threads)])
    return sum(counts) / seconds


def _run(works: Sequence[Callable[[], None]]) -> None:
    running = [threading.Thread(target=work) for work in works]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


if __name__ == "__main__":
    raise SystemExit(main())
