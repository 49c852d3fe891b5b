"""`./dauso bench population`: a province enrolled in bulk, beside what the token alone can do.

The limit is the token with nothing around it: for each person a P-256 pair generated, wrapped and
destroyed, and a certificate's digest signed by the issuing key, by bare PKCS#11 calls on the
token's own thread. It is measured every few seconds in between, so that a busy machine is busy for
both.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pkcs11
from sqlalchemy import select

from bench import token_rate
from bench.ca_world import BY, BenchWorld, bench_world
from bench.population_files import AGENCIES, OFFICIALS, agencies, as_csv, officials
from bench.report import Report, arguments
from bench.sign_world import desk_of
from ca.authority import Authority
from hsm.kek import find_kek
from hsm.mechanisms import WRAP_MECHANISMS, KeyAlgorithm
from hsm.sealing import unseal_with_code
from records.database import Database
from signer import signing
from signer.desk import Desk
from signer.holders import bulk_enrolment, enrolment_intake, enrolment_lists, enrolment_results
from signer.holders.enrolment_models import LineState
from signer.holders.enrolment_reading import Taken
from signer.keys import activation, credentials
from signer.keys.activation import Authorization
from signer.levels import Level
from signer.models import CredentialRow
from signer.signing import SignatureRequest, document_digest
from tests.signer.paper import decision

SECONDS_BETWEEN = 3.0
SAMPLE = 400
MEMORY_LIMIT = 500.0


def main(arguments_: list[str] | None = None) -> int:
    """Entry point; the exit status says whether every goal was met."""
    sys.setswitchinterval(0.0001)  # as `dauso enrol` does: the token's thread gets its turn sooner
    report = Report("population", arguments("A province in bulk").parse_args(arguments_))
    report.say("ceremony")
    with bench_world() as world:
        desk = desk_of(world.authority, world.database, world.token, world.home)
        small = _another(world, desk)
        few = _enrolled(report, small, "official", 10, None)
        people, seals = (2_000, 60) if report.quick else (OFFICIALS, AGENCIES)
        raw = _Raw(desk, "persons-g1")
        _enrolled(report, desk, "agency-seal", seals, raw)
        many = _enrolled(report, desk, "official", people, raw)
        report.add(
            f"{people:,} officials and {seals:,} agencies enrolled, P-256",
            raw.enrolled / raw.enrolling,
            "1/s",
            limit=raw.rate,
            peer="token alone: the same pairs, wraps, signatures",
            goal=0.60,
        )
        report.add("token objects afterwards", world.token.object_count(), "", limit=19,
                   peer="fewer than 20", goal=1.0)  # fmt: skip
        _signing(report, (small, *few), (desk, *many), people)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        report.add("memory at its highest", peak, "MB", limit=MEMORY_LIMIT, peer="goal", goal=1.0)
        small.database.dispose()
    return report.finish()


def _now() -> datetime:
    return datetime.now(UTC)


def _another(world: BenchWorld, desk: Desk) -> Desk:
    """The same authority and token over a database of its own, for the population of ten."""
    path = world.home / "small.sqlite"
    world.database.dispose()  # the log is folded into the file
    shutil.copyfile(world.home / "dauso.sqlite", path)
    database = Database(f"sqlite:///{path}")
    authority = Authority(database, world.token, base_url=world.authority.base_url)
    made = desk_of(authority, database, world.token, world.home / "small")
    return replace(made, custody=desk.custody)


class _Raw:
    """The token alone: what one enrolment asks of it, and nothing else."""

    def __init__(self, desk: Desk, issuer: str) -> None:
        self._token, self._custody = desk.authority.token, desk.custody
        key_id = desk.authority.issuer(issuer).key_id
        assert key_id is not None
        self._key_id = key_id
        self.rates: list[float] = []
        self.seconds = 0.0
        self.enrolled, self.enrolling = 0, 0.0

    def measure(self, seconds: float) -> None:
        began = time.perf_counter()
        self.rates.append(self._token.run(lambda session: self._rate(session, seconds)))
        self.seconds += time.perf_counter() - began

    def _rate(self, session: pkcs11.Session, seconds: float) -> float:
        kek, code = find_kek(session, self._custody.kek_id)
        issuing = token_rate._session_copy(session, self._key_id)
        work: list[Callable[[], object]] = [
            partial(token_rate._raw_generate, session, kek, dict(WRAP_MECHANISMS)[code]),
            partial(token_rate._raw_sign, KeyAlgorithm.RSA_2048, issuing),
        ]
        done, began = 0, time.perf_counter()
        until = began + seconds
        while (now := time.perf_counter()) < until:
            for one in work:
                one()
            done += 1
        issuing.destroy()
        return done / (now - began)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def _enrolled(
    report: Report, desk: Desk, profile: str, count: int, raw: _Raw | None
) -> tuple[str, str]:
    """A list taken in, started, worked; its identifier and the secret of its hand-out."""
    made = officials(count) if profile == "official" else agencies(count)
    data = as_csv(made)
    began = time.perf_counter()
    taken = enrolment_intake.take_in(
        desk, data, profile=profile, file_name="ds.csv", now=_now(), by=BY
    )
    reading = time.perf_counter() - began
    if taken.needs_approval:
        enrolment_lists.approve(
            desk, taken.id, digest=taken.digest, now=_now(), by="official:038900000001"
        )
    secret = enrolment_lists.start(desk, taken.id, now=_now(), by=BY)
    if raw is None:
        bulk_enrolment.work(desk, taken.id, clock=_now, by=BY)
        return taken.id, secret
    report.say(f"{profile}: {count:,} lines read in {reading:.1f} s")
    del data
    gc.collect()
    memory = _Memory()
    done, seconds = _worked(report, desk, taken, count, raw, memory)
    raw.enrolled += done
    raw.enrolling += seconds
    report.add(f"{profile}: a list of {count:,} read and checked", count / reading, "1/s")
    if profile == "official":
        report.add("memory gained from first tenth to last", max(memory.gained, 0.1), "MB",
                   limit=100, peer="flat", goal=1.0)  # fmt: skip
    return taken.id, secret


def _worked(
    report: Report, desk: Desk, taken: Taken, count: int, raw: _Raw, memory: _Memory
) -> tuple[int, float]:
    state = {"done": 0, "next": 0.0}
    raw.measure(0.5)
    raw.seconds = 0.0

    def told(lines: int) -> None:
        state["done"] += lines
        memory.look(state["done"] / count)
        if time.perf_counter() >= state["next"]:
            raw.measure(0.3)
            report.say(f"{state['done']:,.0f} of {count:,}")
            state["next"] = time.perf_counter() + SECONDS_BETWEEN

    began = time.perf_counter()
    state["next"] = began + SECONDS_BETWEEN / 3
    finished = bulk_enrolment.work(desk, taken.id, clock=_now, by=BY, told=told)
    seconds = time.perf_counter() - began - raw.seconds
    assert finished.counts[LineState.ENROLLED] == count, finished.counts
    return count, seconds


class _Memory:
    """Resident size after a tenth and at the end."""

    def __init__(self) -> None:
        self._first: float | None = None
        self.gained = 0.0

    def look(self, part: float) -> None:
        size = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        if part >= 0.1 and self._first is None:
            self._first = size / 1e6
        if self._first is not None:
            self.gained = size / 1e6 - self._first


def _signing(
    report: Report, few: tuple[Desk, str, str], many: tuple[Desk, str, str], people: int
) -> None:
    """sign_pdf (B-B, RSA or P-256 as enrolled) for strangers among many, and among ten."""
    report.say("signing")
    times: dict[str, list[float]] = {"few": [], "many": []}
    document = decision()
    queues = {"few": _authorised(*few, document), "many": _authorised(*many, document)}
    for _ in range(SAMPLE // 4 if report.quick else SAMPLE):
        for name, queue in queues.items():
            desk, authorization = next(queue)
            began = time.perf_counter()
            signing.sign_pdf(
                desk, document, SignatureRequest(level=Level.B_B),
                authorization=authorization, now=_now(), by=BY,
            )  # fmt: skip
            times[name].append(time.perf_counter() - began)
    ten, all_ = (statistics.median(times[name]) * 1000 for name in ("few", "many"))
    report.add(f"signing for one of {people:,} (a stranger each time)", all_, "ms",
               limit=ten, peer="for one of 10", goal=0.80)  # fmt: skip


def _authorised(
    desk: Desk, list_id: str, secret: str, document: bytes
) -> Iterator[tuple[Desk, Authorization]]:
    """Open authorisations of holders drawn at random; opening them is not what is measured."""
    codes = {}
    for line in enrolment_results.results(desk, list_id, secret=secret, now=_now(), by=BY):
        codes[line.credential_id] = line.code
    with desk.database.reading() as session:
        wanted = select(CredentialRow.id).where(CredentialRow.kind == "official")
        known = list(session.scalars(wanted))
    digest = document_digest(document)
    chooser = random.Random(38)
    while True:
        credential = credentials.find(desk, chooser.choice(known))
        blob = unseal_with_code(
            credential.sealed_key, codes[credential.id], context=credential.context
        )
        opened = activation.open_authorization(
            desk, credential.id, blob, [digest], BY, minutes=5, now=_now(), by=BY
        )
        yield desk, opened


if __name__ == "__main__":
    raise SystemExit(main())
