"""pkilint over every certificate again, on all cores.

    for serial, found in findings(asked, processes=cores()): …

pkilint is most of what a check costs, and knows no token and no database: spawned processes do it,
a batch each, while this one goes on asking. Few batches are on their way at once, so that memory
stays flat however many certificates there are. A process that is killed takes no verdict with it:
its batch is judged here.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import NamedTuple

from ca import lint
from ca.lint import Finding
from ca.profiles import Kind

BATCH = 50
FEW = 200
"""So many are done here before a process has started and read its libraries."""
_AHEAD = 3


class Asked(NamedTuple):
    """A certificate to judge. `local_names`: made for a service without a public name."""

    serial: str
    der: bytes
    kind: Kind
    local_names: bool


Judged = tuple[str, list[Finding]]


def cores() -> int:
    """Those this process may use."""
    return len(os.sched_getaffinity(0))


def findings(asked: Iterable[Asked], *, processes: int, few: int = FEW) -> Iterator[Judged]:
    """What pkilint objects to in each, in their order. `asked` is read as the work goes on."""
    left = iter(asked)
    first = list(islice(left, few + 1))
    if processes < 2 or len(first) <= few:
        yield from judged(chain(first, left))
        return
    batches = _batches(chain(first, left))
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        under_way: deque[tuple[list[Asked], Future[list[Judged]]]] = deque()
        for batch in batches:
            under_way.append((batch, _submitted(pool, batch)))
            if len(under_way) >= processes * _AHEAD:
                yield from _result(*under_way.popleft())
        while under_way:
            yield from _result(*under_way.popleft())


def judged(asked: Iterable[Asked]) -> Iterator[Judged]:
    """One after the other, here."""
    for one in asked:
        yield (
            one.serial,
            lint.pkilint_findings(one.der, one.kind, local_names=one.local_names),
        )


def _of_batch(batch: list[Asked]) -> list[Judged]:
    return list(judged(batch))


def _submitted(pool: ProcessPoolExecutor, batch: list[Asked]) -> Future[list[Judged]]:
    try:
        return pool.submit(_of_batch, batch)
    except BrokenProcessPool as broken:
        lost: Future[list[Judged]] = Future()
        lost.set_exception(broken)
        return lost


def _result(batch: list[Asked], future: Future[list[Judged]]) -> Iterator[Judged]:
    try:
        done = future.result()
    except BrokenProcessPool:
        done = _of_batch(batch)
    yield from done


def _batches(asked: Iterator[Asked]) -> Iterator[list[Asked]]:
    while batch := list(islice(asked, BATCH)):
        yield batch
