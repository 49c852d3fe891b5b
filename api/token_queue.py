"""Short acts of the token for an event loop that waits for none of them.

    queue = TokenQueue(lambda: house.token)
    reply = await queue.run(partial(tsa.respond, body, now=now))

A request that goes to a thread which goes to the token's thread changes threads four times; each
change costs as much as what is done for a time-stamp besides its signature. Here the work itself
runs on the token's thread, several in a row, and the whole row is fetched by one wake-up of the
loop (of slow ones, every few milliseconds). After a few, others who wait have their turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from hsm.errors import HsmError

if TYPE_CHECKING:
    from hsm.token import Token

T = TypeVar("T")

_IN_A_ROW = 8
_PATIENCE = 0.003
"""Seconds for which what is done waits for the rest of its row. Each wake-up makes two threads
contend for the interpreter, which costs a fast key more than its signature."""
_Done = tuple["asyncio.Future[Any]", Any, BaseException | None]


class TokenQueue:
    """One per event loop. Work must need the token and nothing else that lets one wait."""

    def __init__(self, token: Callable[[], Token]) -> None:
        self._token = token
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._done: deque[_Done] = deque()
        self._posted = False
        self._woken = False

    async def run(self, work: Callable[[], T]) -> T:
        """What `work()` returns or raises on the token's thread. HsmError `token-closed`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((work, future))
        if not self._posted:
            # After this turn of the loop, with what other requests put in until then.
            self._posted = True
            loop.call_soon(self._post, loop)
        return await future

    def _post(self, loop: asyncio.AbstractEventLoop) -> None:
        self._posted = True
        try:
            self._token().post(lambda: self._serve(loop))
        except HsmError as error:  # closed: nobody will come for what waits
            self._posted = False
            while self._waiting:
                self._done.append((self._waiting.popleft()[1], None, error))
            self._wake(loop)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the token's thread."""
        began = perf_counter()
        for _ in range(_IN_A_ROW):
            try:
                work, future = self._waiting.popleft()
            except IndexError:
                break
            try:
                self._done.append((future, work(), None))
            except Exception as error:  # whoever awaits it gets it
                self._done.append((future, None, error))
            if (now := perf_counter()) - began > _PATIENCE:
                self._wake(loop)
                began = now
        if self._done:
            self._wake(loop)
        # First the flag, then the look: what is put in between is seen here or posted there.
        self._posted = False
        if self._waiting:
            self._post(loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._woken:
            return
        self._woken = True
        try:
            loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop has ended, and with it everybody who waited
            self._done.clear()
            self._woken = False

    def _deliver(self) -> None:
        """On the loop."""
        self._woken = False
        while self._done:
            future, answer, error = self._done.popleft()
            if future.done():  # nobody waits any longer
                continue
            if error is None:
                future.set_result(answer)
            else:
                future.set_exception(error)
