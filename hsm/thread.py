"""The one thread of this process that calls the PKCS#11 module.

python-pkcs11 initialises modules without asking for locking, yet releases the interpreter lock in
every call: two threads inside SoftHSM crash the process. So there is one thread, and everything
else hands it work. Parallelism comes from more processes, started by spawn, never by fork.
"""

from __future__ import annotations

import threading
from _thread import allocate_lock, get_ident
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from hsm.errors import HsmError

T = TypeVar("T")


class _Job:
    """One piece of work and its answer; a bare lock is the cheapest thing to wait on."""

    __slots__ = ("answer", "done", "error", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.answer: Any = None
        self.error: BaseException | None = None
        self.done = allocate_lock()
        self.done.acquire()


class TokenThread:
    """Runs work one piece at a time, in order; work given from inside runs at once."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._ident = 0
        self._usable = True
        self._gate = threading.Lock()  # no job may be queued behind the end
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(started,), name="pkcs11", daemon=True
        )
        self._thread.start()
        started.wait()

    def call(self, work: Callable[[], T]) -> T:
        """The result of `work()`, run on the thread; its exception is raised here."""
        if get_ident() == self._ident:
            return work()
        job = self._queued(work)
        job.done.acquire()
        if job.error is not None:
            raise job.error
        answer: T = job.answer
        return answer

    def post(self, work: Callable[[], object]) -> None:
        """Have `work()` run on the thread, in its turn, and do not wait. It must not raise."""
        self._queued(work)

    @property
    def inside(self) -> bool:
        """Whether the caller already runs on the thread."""
        return get_ident() == self._ident

    def stop(self) -> None:
        """Finish what is queued and end; later calls are refused."""
        with self._gate:
            self._usable = False
            self._queue.put(None)
        if not self.inside:
            self._thread.join()

    def abandon(self) -> None:
        """In a forked child: the thread is not there, and the module must not be used."""
        self._gate = threading.Lock()
        self._usable = False
        self._ident = 0

    def _queued(self, work: Callable[[], Any]) -> _Job:
        job = _Job(work)
        with self._gate:
            if not self._usable:
                raise HsmError("token-closed")
            self._queue.put(job)
        return job

    def _serve(self, started: threading.Event) -> None:
        self._ident = get_ident()
        started.set()
        while (job := self._queue.get()) is not None:
            try:
                job.answer = job.work()
            except BaseException as error:  # the waiting caller gets it, whatever it is
                job.error = error
            job.done.release()
            del job
