"""A stranger's image is decoded in a confined child, whose end is the end of one scan only."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from certify.errors import CaptureRejected
from certify.scans import scan_page
from certify.scans.capture import read_scans
from certify.scans.scan_pool import Confinement, Pool
from tests.certify.test_capture import saved, scan
from tests.certify.town_hall import scans

MEMORY = 450 << 20
SMALL = {"number": 1, "page": 1, "most": 1, "clean": True}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool(1, Confinement(memory=MEMORY))
    yield made
    made.close()


def refused(pool: Pool, data: bytes) -> str:
    with pytest.raises(CaptureRejected) as caught:
        pool.pages(data, **SMALL)
    return caught.value.code


def test_a_child_answers_as_this_process_would(pool: Pool) -> None:
    """The same pages to the last measure; the child stays warm, and can neither open nor write."""
    for data in (scans()[0], saved(scan().rotate(2, fillcolor="white"))):
        ours = list(scan_page.pages_of(data, **SMALL))
        theirs = pool.pages(data, **SMALL)
        assert [one.to_json(1) for one in theirs] == [one.to_json(1) for one in ours]
        assert [(one.jpeg, one.untouched) for one in theirs] == [
            (one.jpeg, one.untouched) for one in ours
        ]
    (child,) = pool.children
    limits = Path(f"/proc/{child}/limits").read_text()
    bounds = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert (bounds["Max open files"], bounds["Max file size"]) == ("3", "0")
    assert (bounds["Max core file size"], bounds["Max address space"]) == ("0", str(MEMORY))
    assert bounds["Max cpu time"].isdigit()
    pool.pages(scans()[0], **SMALL)
    assert pool.children == [child]


@pytest.mark.parametrize("fate", ["killed", "hanging"])
def test_a_child_that_dies_or_hangs_costs_one_scan(fate: str) -> None:
    """DESIGN.md §6: hostile files are "parsed in a child process with limits", and each failure is
    an answer; the next image is served."""
    pool = Pool(1, Confinement(cpu_seconds=1, cpu_seconds_per_page=1, clock_factor=1.0))
    faint = saved(scan(), dpi=150)
    assert refused(pool, faint) == "scan-resolution-low"
    (child,) = pool.children
    os.kill(child, signal.SIGSTOP)
    if fate == "killed":
        threading.Timer(0.2, os.kill, (child, signal.SIGKILL)).start()
    start = time.monotonic()
    assert refused(pool, faint) == "scan-unreadable"
    assert time.monotonic() - start < 20
    assert refused(pool, faint) == "scan-resolution-low"
    assert pool.children not in ([], [child])
    pool.close()


def test_a_bomb_meets_the_limits(pool: Pool) -> None:
    """Bounded memory: a small file that unfolds to more than the child may have is given up,
    in words, and whatever it did to its decoder ends with the child."""
    bomb = saved(Image.new("RGB", (7000, 5000), (250, 250, 240)), "PNG", dpi=600)
    assert len(bomb) < 1 << 20
    pool.pages(scans()[0], **SMALL)
    (child,) = pool.children
    assert refused(pool, bomb) == "scan-unreadable"
    assert pool.children == []
    assert not Path(f"/proc/{child}").exists()
    assert refused(pool, saved(scan(), dpi=150)) == "scan-resolution-low"
    (child,) = pool.children
    assert [page.jpeg for page in read_scans(scans(), declared_pages=2, pool=pool)] == [*scans()]
    assert pool.children == [child], "a scan refused for what it is leaves its child alone"


def test_a_child_is_replaced_after_its_scans() -> None:
    """No child lives for ever."""
    pool = Pool(1, Confinement(scans=2))
    seen = []
    for _ in range(3):
        assert refused(pool, saved(scan(), dpi=150)) == "scan-resolution-low"
        seen += pool.children
    pool.close()
    assert seen[0] == seen[1] != seen[2]
