"""Enrol the lines of a list: keys, seals and certificates at the pace of the token.

    work(desk, list_id, clock=clock, by="system:enrolment", registry=registry)

Two hundred lines at a time: while the token makes keys for the next ones and signs the
certificates of these, the last ones are written down. One transaction writes the
certificates, the credentials and what became of the lines, so that after `kill -9` a line is
either enrolled or untouched; whoever calls `work` again goes on with what is untouched. A run that
was thought dead and comes back finds itself fenced off and writes nothing. The numbered steps are
those of docs/flows/enrol-in-bulk.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509

from ca import issuance, issuance_rows, key_policy
from ca.errors import CaError
from ca.identity import PopulationRegistry, RegistryUnavailable
from ca.issuance import Order
from hsm.custody import WrappedKey
from hsm.errors import TokenUnavailable
from records.errors import DatabaseBusy
from signer.holders import enrolment_reading
from signer.holders.enrolment_list import Problem
from signer.holders.enrolment_models import LineState
from signer.holders.enrolment_reading import Taken
from signer.holders.enrolment_waiting import Waiting
from signer.holders.enrolment_writing import Clock, Line, Writing

if TYPE_CHECKING:
    from signer.desk import Desk

_ABOUT_THE_LINE = ("name-", "key-", "lint-finding", "validity-empty")
"""Codes of issuing that concern one holder; any other concerns all of them and stops the run."""
_WAIT_FOR = (TokenUnavailable, RegistryUnavailable, DatabaseBusy)


@dataclass
class _Batch:
    """Some lines on their way, with the keys that were made for them."""

    lines: list[Line]
    keys: list[WrappedKey] = field(repr=False)
    now: datetime
    prepared: list[issuance_rows.Prepared] = field(default_factory=list, repr=False)
    issued: Future[list[x509.Certificate]] | None = None


def work(
    desk: Desk,
    list_id: str,
    *,
    clock: Clock,
    by: str,
    registry: PopulationRegistry | None = None,
    chunk: int = 200,
    patience: float = 600.0,
    pause: Callable[[float], object] = time.sleep,
    told: Callable[[int], object] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Taken:
    """Go on with a started list until it is done, or `stop()`.

    `clock` gives the time of each batch; `told` hears how many lines each one enrolled. A token or
    registry that is away is waited for, up to
    `patience` seconds at a stretch. Raises SignerError `list-taken-over` when another run took
    over, `list-state`; CaError and HsmError when nothing can go on.
    """
    # 1. Take over: from here on no earlier run can write a line of this list.
    run = _Run(desk, list_id, clock, by, registry, chunk)
    run.writing.take_over()
    waited = 0.0
    while True:
        try:
            # 2.–6. Pass over what is untouched, batch by batch.
            for done in run.batches(stop):
                waited = 0.0
                told(done)
            break
        except _WAIT_FOR as absent:
            seconds = float(str(absent.params.get("retry_after", 1)))
            if waited >= patience:
                raise
            waited += seconds
            pause(seconds)
    # 7. Nothing is left: the list is done.
    if not stop():
        run.writing.finish()
    return enrolment_reading.look(desk, list_id)


class _Run:
    """One run over one list; it may write while the list's row names it."""

    def __init__(
        self,
        desk: Desk,
        list_id: str,
        clock: Clock,
        by: str,
        registry: PopulationRegistry | None,
        chunk: int,
    ) -> None:
        self._desk, self._clock, self._by, self._chunk = desk, clock, by, chunk
        self.writing = Writing(desk, list_id, clock, by)
        self._waiting = Waiting(desk, list_id, self.writing, registry, chunk)

    def batches(self, stop: Callable[[], bool]) -> Iterator[int]:
        """Enrol what waits; yields the size of each batch that was written down."""
        with ThreadPoolExecutor(2, "enrolment") as token:
            ahead: Future[list[WrappedKey]] | None = None
            under_way: _Batch | None = None
            try:
                for lines in self._waiting.lines(stop):
                    # 2. Keys: those for the next batch are made while this one is prepared.
                    keys = (ahead or token.submit(self._new_keys)).result()
                    ahead = token.submit(self._new_keys)
                    batch = _Batch(lines, keys[: len(lines)], self._clock())
                    # 3. Certificates: linted, intended, and then signed while others are written.
                    whole = self._intend(batch)
                    if whole:
                        batch.issued = token.submit(self._act, batch)
                    before, under_way = under_way, batch if whole else None
                    if before is not None:
                        yield self._conclude(before)
                    if not whole:
                        yield self._one_by_one(batch, token)
            except BaseException:
                if under_way is not None:
                    self._conclude(under_way)
                raise
            if under_way is not None:
                yield self._conclude(under_way)

    # Acting ----------------------------------------------------------------------------------

    def _new_keys(self) -> list[WrappedKey]:
        custody, algorithm = self._desk.custody, self.writing.algorithm

        def pairs() -> list[WrappedKey]:
            return [custody.generate(algorithm) for _ in range(self._chunk)]

        return self._desk.authority.token.on_token_thread(pairs)

    def _intend(self, batch: _Batch) -> bool:
        """False when something about one of the lines is not right."""
        orders = [
            Order(self.writing.profile, line.subject, key_policy.load(key.public_key))
            for line, key in zip(batch.lines, batch.keys, strict=True)
        ]
        try:
            batch.prepared = issuance.intend(
                self._desk.authority, orders, now=batch.now, by=self._by
            )
        except CaError as error:
            if not error.code.startswith(_ABOUT_THE_LINE):
                raise
            if len(batch.lines) == 1:
                params = {name: str(value) for name, value in error.params.items()}
                problem = Problem("", error.code, params)
                self.writing.refuse(
                    [(batch.lines[0], problem, batch.lines[0].identity)], LineState.FAILED
                )
            return False
        return True

    def _act(self, batch: _Batch) -> list[x509.Certificate]:
        return issuance.act(self._desk.authority, batch.prepared, now=batch.now, by=self._by)

    def _one_by_one(self, batch: _Batch, token: ThreadPoolExecutor) -> int:
        """After a refusal: each line alone, so that one spoils nothing for the others."""
        done = 0
        for line, key in zip(batch.lines, batch.keys, strict=True):
            alone = _Batch([line], [key], self._clock())
            if len(batch.lines) > 1 and self._intend(alone):
                alone.issued = token.submit(self._act, alone)
                done += self._conclude(alone)
        return done

    def _conclude(self, batch: _Batch) -> int:
        """Steps 4 to 6: check, seal, and one transaction for all that is now true."""
        assert batch.issued is not None
        # 4. Signed, and checked with the issuer's public key (a failure has voided the serials).
        certificates = batch.issued.result()
        return self.writing.conclude(
            batch.lines, batch.keys, batch.prepared, certificates, now=batch.now
        )
