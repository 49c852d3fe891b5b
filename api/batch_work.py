"""Worker processes for batches: started when there is work, gone when there is none.

    workers = BatchWorkers(services); workers.start(); …; workers.stop()

Each is spawned (never forked: PKCS#11 does not survive that) and opens the house for itself: its
own login, its own thread for the token. A worker that dies is noticed at once, and what it held
waits again without waiting for its lease to run out.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import socket
import threading
import time
from multiprocessing.process import BaseProcess

import structlog

from api.house import House
from api.interpreter import tune
from api.services import Services, system_clock
from api.settings import Settings
from signer.batches import batch_outcome, batch_work
from signer.batches.batch_packs import Shelves

log = structlog.get_logger("dauso.batches")

LOOK = 0.5  # seconds between looks for work
IDLE = 60.0  # seconds without work after which a worker ends
REST = 0.1  # seconds a worker waits when there is nothing for it
BACK_OFF = 30.0  # the longest rest after failures


def shelves_of(settings: Settings) -> Shelves:
    """Where the documents of batches lie: apart from what the law keeps."""
    return Shelves(f"{settings.blobs.rstrip('/')}/batches")


def workers_wanted() -> int:
    """One for each core; a signature is processor time and little else."""
    return max(1, min(8, os.cpu_count() or 1))


class BatchWorkers:
    """The thread that keeps as many workers as there is work for; one per serving process."""

    def __init__(self, services: Services, *, count: int | None = None) -> None:
        self._services = services
        self._count = count or workers_wanted()
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[str, BaseProcess] = {}
        self._stopping = threading.Event()
        self._stop_workers = self._context.Event()
        self._thread = threading.Thread(target=self._run, name="dauso-batches", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Each worker finishes its chunk and ends; a batch goes on at the next start."""
        self._stopping.set()
        self._stop_workers.set()
        self._thread.join(timeout=30)
        for worker in self._workers.values():
            worker.join(timeout=20)
            if worker.is_alive():
                worker.terminate()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._look()
            except Exception as error:  # the database may be away for a while
                log.error("batches could not be looked after", exc_info=error)
            self._stopping.wait(LOOK)

    def _look(self) -> None:
        desk = self._services.house.desk
        for holder, worker in list(self._workers.items()):
            if worker.is_alive():
                continue
            del self._workers[holder]
            if worker.exitcode:
                log.error("batch worker died", holder=holder, exitcode=worker.exitcode)
                now = self._services.clock()
                batch_outcome.void_expired(desk, now=now, by="system:batches", holder=holder)
        if len(self._workers) < self._count and batch_work.pending(
            desk, now=self._services.clock()
        ):
            # The activation key is made at first use: before another process logs in to the token.
            _ = desk.activation_seal
            while len(self._workers) < self._count:
                self._spawn()

    def _spawn(self) -> None:
        # Random, not only host and process: containers repeat both.
        holder = f"{socket.gethostname()[:60]}:{secrets.token_hex(8)}"
        worker = self._context.Process(
            target=work_until_idle,
            args=(self._services.house.settings, holder, self._stop_workers, os.getpid()),
            name="dauso-batch",
            daemon=True,
        )
        worker.start()
        self._workers[holder] = worker


def work_until_idle(settings: Settings, holder: str, stop: threading.Event, parent: int) -> None:
    """A worker process: chunk after chunk, until told to stop, idle for long, or orphaned."""
    with House(settings) as house:
        desk, shelves = house.desk, shelves_of(settings)
        tune()
        idle_since, rest = time.monotonic(), REST
        while not stop.is_set() and os.getppid() == parent:
            try:
                done = batch_work.work_once(desk, shelves, holder=holder, clock=system_clock)
            except Exception as error:
                log.error("batch chunk put back", holder=holder, exc_info=error)
                stop.wait(rest)
                rest = min(rest * 2, BACK_OFF)
                idle_since = time.monotonic()
                continue
            if done:
                idle_since, rest = time.monotonic(), REST
                continue
            batch_work.forget_ended(desk)
            if time.monotonic() - idle_since > IDLE:
                return
            stop.wait(REST)
