"""Acts of the token for an event loop: in order, in few turns, and never forgotten."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from typing import cast

import pytest

from api.token_queue import TokenQueue
from hsm.errors import HsmError
from hsm.thread import TokenThread
from hsm.token import Token


@pytest.fixture
def thread() -> Iterator[TokenThread]:
    thread = TokenThread()
    yield thread
    thread.stop()


def queue_of(thread: TokenThread) -> TokenQueue:
    """Of a token nothing is used but its thread."""
    return TokenQueue(lambda: cast("Token", thread))


def test_each_gets_its_own_answer_in_order(thread: TokenThread) -> None:
    """What is asked first is done first, on the token's thread; an error goes to who asked."""
    done: list[int] = []

    def work(number: int) -> int:
        assert thread.inside
        done.append(number)
        if number == 7:
            raise HsmError("token-refused", reason="test")
        return number * number

    async def all_of_them() -> list[object]:
        queue = queue_of(thread)
        acts = [queue.run(partial(work, number)) for number in range(30)]
        return list(await asyncio.gather(*acts, return_exceptions=True))

    answers = asyncio.run(all_of_them())
    assert done == list(range(30))
    assert isinstance(answers.pop(7), HsmError)
    assert answers == [number * number for number in range(30) if number != 7]


def test_others_have_their_turn(thread: TokenThread) -> None:
    """However many wait here, somebody else's job is done after a few of them."""
    busy = threading.Event()
    done: list[str] = []

    async def many() -> None:
        queue = queue_of(thread)
        first = queue.run(lambda: busy.wait(10))
        others = [queue.run(lambda: done.append("stamp")) for _ in range(40)]
        waiting = asyncio.gather(first, *others)
        await asyncio.sleep(0)
        thread.post(lambda: done.append("document"))
        busy.set()
        await waiting

    asyncio.run(many())
    assert len(done) == 41
    assert done.index("document") < 10


def test_who_does_not_wait_any_longer_is_passed_over(thread: TokenThread) -> None:
    async def one_leaves() -> int:
        queue, busy = queue_of(thread), threading.Event()
        leaves = asyncio.ensure_future(queue.run(lambda: busy.wait(10)))
        stays = asyncio.ensure_future(queue.run(lambda: 5))
        await asyncio.sleep(0)
        leaves.cancel()
        busy.set()
        return await stays

    assert asyncio.run(one_leaves()) == 5


def test_a_token_that_was_closed(thread: TokenThread) -> None:
    """Who asks, and who waits while it closes, is told so."""

    async def asked() -> list[object]:
        queue = queue_of(thread)  # one per event loop
        assert await queue.run(lambda: 1) == 1
        acts = [queue.run(lambda: thread.stop() if thread.inside else None) for _ in range(20)]
        answers: list[object] = list(await asyncio.gather(*acts, return_exceptions=True))
        with pytest.raises(HsmError, match=r"."):
            await queue.run(lambda: 1)
        return answers

    answers = asyncio.run(asked())
    refused = [one for one in answers if isinstance(one, HsmError) and one.code == "token-closed"]
    # Whoever was in the same row as the end is still served; a row is eight at the most.
    assert 12 <= len(refused) < 20
