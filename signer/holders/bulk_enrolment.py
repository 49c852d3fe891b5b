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

import base64
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from ca import issuance, issuance_rows, key_policy
from ca.errors import CaError
from ca.identity import Answer, Claim, Outcome, PopulationRegistry, RegistryUnavailable, refusal
from ca.issuance import Order
from ca.models import serial_text
from ca.names import Subject
from hsm.custody import WrappedKey
from hsm.errors import TokenUnavailable
from hsm.mechanisms import KeyAlgorithm
from hsm.sealing import seal_with_code
from records import audit
from records.errors import DatabaseBusy
from records.tags import Tag
from signer.errors import SignerError
from signer.holders import enrolment_lists, enrolment_reading, handout, keepers
from signer.holders.enrolment_list import Problem
from signer.holders.enrolment_models import EnrolmentLineRow, EnrolmentListRow, LineState, ListState
from signer.holders.enrolment_reading import Taken
from signer.holders.present_holders import holders_with_credentials
from signer.keys import credentials
from signer.models import CredentialRow

if TYPE_CHECKING:
    from signer.desk import Desk

Clock = Callable[[], datetime]

_lines = EnrolmentLineRow.__table__
_ABOUT_THE_LINE = ("name-", "key-", "lint-finding", "validity-empty")
"""Codes of issuing that concern one holder; any other concerns all of them and stops the run."""
_WAIT_FOR = (TokenUnavailable, RegistryUnavailable, DatabaseBusy)
_enrolled = (
    update(EnrolmentLineRow)
    .where(
        _lines.c.list_id == bindparam("its_list"),
        _lines.c.number == bindparam("its_number"),
        _lines.c.state == LineState.WAITING.value,
    )
    .values(
        state=LineState.ENROLLED.value,
        credential_id=bindparam("its_credential"),
        sealed_code=bindparam("its_code"),
        identity=bindparam("its_identity"),
        finished_at=bindparam("its_moment"),
    )
)


@dataclass(frozen=True)
class _Line:
    number: int
    holder_id: str
    unit: str
    subject: Subject
    born: date | None
    identity: str | None
    keeper: str | None


@dataclass
class _Batch:
    """Some lines on their way, with the keys that were made for them."""

    lines: list[_Line]
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
    run.take_over()
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
        run.finish()
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
        self._desk, self._list_id, self._clock, self._by = desk, list_id, clock, by
        self._registry, self._chunk = registry, chunk
        self._run = secrets.token_hex(8)

    def take_over(self) -> None:
        with self._desk.database.transaction() as session:
            row = session.get(EnrolmentListRow, self._list_id, with_for_update=True)
            if row is None:
                raise SignerError("list-unknown", list=self._list_id[:64])
            if row.state != ListState.RUNNING.value or row.handout_public is None:
                raise SignerError("list-state", state=row.state, wanted=ListState.RUNNING.value)
            again = row.run is not None
            row.run = self._run
            self._profile, self._algorithm = row.profile, KeyAlgorithm(row.algorithm)
            self._sealer = handout.Sealer(row.handout_public)
            if again:
                audit.record(
                    session,
                    tag=Tag.LIST_RESUMED,
                    by=self._by,
                    subject=f"enrolment-list:{self._list_id}",
                    details={},
                    now=self._clock(),
                )

    def finish(self) -> None:
        now = self._clock()
        with self._desk.database.transaction() as session:
            row = self._still_mine(session)
            left = select(_lines.c.number).where(*self._waiting()).limit(1)
            if session.execute(left).first() is not None:
                return
            row.state, row.finished_at, row.run = ListState.DONE.value, now, None
            enrolment_lists.release(session, self._list_id)
            audit.record(
                session,
                tag=Tag.LIST_FINISHED,
                by=self._by,
                subject=f"enrolment-list:{self._list_id}",
                details={},
                now=now,
            )

    def batches(self, stop: Callable[[], bool]) -> Iterator[int]:
        """Enrol what waits; yields the size of each batch that was written down."""
        with ThreadPoolExecutor(2, "enrolment") as token:
            ahead: Future[list[WrappedKey]] | None = None
            under_way: _Batch | None = None
            try:
                for lines in self._waiting_lines(stop):
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

    # Reading what waits ----------------------------------------------------------------------

    def _waiting(self) -> tuple[Any, ...]:
        return (_lines.c.list_id == self._list_id, _lines.c.state == LineState.WAITING.value)

    def _waiting_lines(self, stop: Callable[[], bool]) -> Iterator[list[_Line]]:
        """Untouched lines whose holder may be enrolled, a batch at a time."""
        last = -1
        while not stop():
            wanted = (
                select(
                    _lines.c.number, _lines.c.holder_id, _lines.c.unit, _lines.c.subject,
                    _lines.c.born, _lines.c.identity, _lines.c.keeper,
                )
                .where(*self._waiting(), _lines.c.number > last)
                .order_by(_lines.c.number)
                .limit(self._chunk)
            )  # fmt: skip
            with self._desk.database.reading() as session:
                found = session.execute(wanted).all()
                holders = [row.holder_id for row in found]
                present = holders_with_credentials(session, self._profile, holders)
            if not found:
                return
            last = found[-1].number
            lines = [
                _Line(
                    row.number,
                    row.holder_id,
                    row.unit,
                    Subject.from_json(row.subject),
                    date.fromisoformat(row.born) if row.born else None,
                    row.identity,
                    row.keeper,
                )
                for row in found
            ]
            lines = self._without_present(lines, present)
            lines = self._identified(lines)
            if lines:
                yield lines

    def _without_present(self, lines: list[_Line], present: set[str]) -> list[_Line]:
        """Who got a credential since the preview is left out."""
        there = [line for line in lines if line.holder_id in present]
        if there:
            problem = Problem("", "holder-has-credential")
            self._refuse([(line, problem, None) for line in there], LineState.PRESENT)
        return [line for line in lines if line.holder_id not in present]

    def _identified(self, lines: list[_Line]) -> list[_Line]:
        """With a registry, only those it knows as what the list says go on."""
        registry = self._registry
        people = [line for line in lines if line.subject.citizen_id]
        if registry is None or not people:
            return lines
        claims = [
            Claim(one.subject.citizen_id, one.subject.common_name, one.born) for one in people
        ]
        answers = dict(zip((one.number for one in people), registry.check(claims), strict=True))
        refused: list[tuple[_Line, Problem, str | None]] = []
        known = []
        for line in lines:
            answer: Answer | None = answers.get(line.number)
            if answer is None or answer.outcome is Outcome.MATCH:
                said = None if answer is None else answer.outcome.value
                known.append(replace(line, identity=said))
            else:
                error = refusal(answer)
                problem = Problem("", error.code, {k: str(v) for k, v in error.params.items()})
                refused.append((line, problem, answer.outcome.value))
        if refused:
            self._refuse(refused, LineState.FAILED)
        return known

    # Acting ----------------------------------------------------------------------------------

    def _new_keys(self) -> list[WrappedKey]:
        custody, algorithm = self._desk.custody, self._algorithm

        def pairs() -> list[WrappedKey]:
            return [custody.generate(algorithm) for _ in range(self._chunk)]

        return self._desk.authority.token.on_token_thread(pairs)

    def _intend(self, batch: _Batch) -> bool:
        """False when something about one of the lines is not right."""
        orders = [
            Order(self._profile, line.subject, key_policy.load(key.public_key))
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
                self._refuse([(batch.lines[0], problem, batch.lines[0].identity)], LineState.FAILED)
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

    # Writing down ----------------------------------------------------------------------------

    def _conclude(self, batch: _Batch) -> int:
        """Steps 4 to 6: check, seal, and one transaction for all that is now true."""
        assert batch.issued is not None
        # 4. Signed, and checked with the issuer's public key (a failure has voided the serials).
        certificates = batch.issued.result()
        # 5. Seal each key under its own one-time code, and the code for the hand-out.
        chain = [
            base64.b64encode(one.public_bytes(Encoding.DER)).decode()
            for one in self._desk.authority.chain(certificates[0])
        ]
        rows, changes, acts = [], [], []
        for line, key, certificate in zip(batch.lines, batch.keys, certificates, strict=True):
            credential_id = secrets.token_hex(16)
            code = handout.new_code()
            context = credentials.seal_context(credential_id)
            serial = serial_text(certificate.serial_number)
            rows.append(
                {
                    "id": credential_id,
                    "kind": credentials.KINDS[self._profile],
                    "profile": self._profile,
                    "holder_id": line.holder_id,
                    "keeper": line.keeper,
                    "unit": line.unit,
                    "algorithm": key.algorithm.value,
                    "public_key": key.public_key,
                    "sealed_key": seal_with_code(key.blob, code, context=context),
                    "certificate": certificate.public_bytes(Encoding.DER),
                    "chain": chain,
                    "serial": serial,
                    "state": "active",
                    "wrong_pins": 0,
                    "created_at": batch.now,
                    "created_by": self._by,
                }
            )
            changes.append(
                {
                    "its_list": self._list_id,
                    "its_number": line.number,
                    "its_credential": credential_id,
                    "its_code": self._sealer.seal(code, line=line_name(self._list_id, line.number)),
                    "its_identity": line.identity,
                    "its_moment": batch.now,
                }
            )
            details = {
                "profile": self._profile,
                "serial": serial,
                "unit": line.unit,
                **keepers.noted(line.keeper),
            }
            acts.append((f"credential:{credential_id}", {**details, "list": self._list_id}))
        # 6. Certificates, credentials and lines: all of it, or none.
        try:
            with self._desk.database.transaction() as session:
                self._still_mine(session)
                session.execute(insert(CredentialRow), rows)
                changed = session.connection().execute(_enrolled, changes)
                if changed.rowcount != len(changes):
                    raise SignerError("list-taken-over")
                issuance_rows.conclude(
                    session, batch.prepared, certificates, now=batch.now, by=self._by
                )
                audit.record_all(
                    session, tag=Tag.CREDENTIAL_ENROLLED, by=self._by, acts=acts, now=batch.now
                )
        except (SignerError, DatabaseBusy) as error:  # rolled back for certain
            issuance_rows.void(
                self._desk.authority, batch.prepared, error, now=batch.now, by=self._by
            )
            raise
        return len(rows)

    def _refuse(
        self, refused: Sequence[tuple[_Line, Problem, str | None]], state: LineState
    ) -> None:
        now = self._clock()
        with self._desk.database.transaction() as session:
            self._still_mine(session)
            for line, problem, identity in refused:
                session.execute(
                    update(EnrolmentLineRow)
                    .where(*self._waiting(), _lines.c.number == line.number)
                    .values(
                        state=state.value,
                        problems=[problem.to_json()],
                        identity=identity,
                        finished_at=now,
                        claim=None,
                    )
                    .execution_options(synchronize_session=False)
                )
            acts = [
                (line_name(self._list_id, line.number), {"code": problem.code})
                for line, problem, _ in refused
            ]
            audit.record_all(session, tag=Tag.LINE_REFUSED, by=self._by, acts=acts, now=now)

    def _still_mine(self, session: Session) -> EnrolmentListRow:
        row = session.get(
            EnrolmentListRow, self._list_id, with_for_update=True, populate_existing=True
        )
        if row is None or row.run != self._run or row.state != ListState.RUNNING.value:
            raise SignerError("list-taken-over")
        return row


def line_name(list_id: str, number: int) -> str:
    """What a line's code is bound to."""
    return f"enrolment-list:{list_id}/{number}"
