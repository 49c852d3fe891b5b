"""What a run over a list writes down, and only while the list's row names it.

    writing = Writing(desk, list_id, clock, by); writing.take_over()
    writing.conclude(lines, keys, prepared, certificates, now=now)    # all of it, or none
    writing.refuse([(line, problem, answer)], LineState.FAILED)
    writing.finish()

A run that was thought dead and comes back finds another's name: SignerError `list-taken-over`, and
nothing is written. The numbered steps are those of docs/flows/enrol-in-bulk.md.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from ca import issuance_rows
from ca.models import serial_text
from ca.names import Subject
from hsm.custody import WrappedKey
from hsm.mechanisms import KeyAlgorithm
from hsm.sealing import seal_with_code
from records import audit
from records.errors import DatabaseBusy
from records.tags import Tag
from signer.errors import SignerError
from signer.holders import enrolment_lists, handout, keepers
from signer.holders.enrolment_list import Problem
from signer.holders.enrolment_models import EnrolmentLineRow, EnrolmentListRow, LineState, ListState
from signer.keys import credentials
from signer.models import CredentialRow

if TYPE_CHECKING:
    from signer.desk import Desk

Clock = Callable[[], datetime]

_lines = EnrolmentLineRow.__table__
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
class Line:
    """A line that may be enrolled."""

    number: int
    holder_id: str
    unit: str
    subject: Subject
    born: date | None
    identity: str | None
    keeper: str | None


class Writing:
    """The pen of one run; `profile` and `algorithm` are the list's, once it is taken over."""

    profile: str
    algorithm: KeyAlgorithm

    def __init__(self, desk: Desk, list_id: str, clock: Clock, by: str) -> None:
        self._desk, self._list_id, self._clock, self._by = desk, list_id, clock, by
        self._run = secrets.token_hex(8)

    def take_over(self) -> None:
        """Name this run in the list's row. Raises SignerError `list-unknown`, `list-state`."""
        with self._desk.database.transaction() as session:
            row = session.get(EnrolmentListRow, self._list_id, with_for_update=True)
            if row is None:
                raise SignerError("list-unknown", list=self._list_id[:64])
            if row.state != ListState.RUNNING.value or row.handout_public is None:
                raise SignerError("list-state", state=row.state, wanted=ListState.RUNNING.value)
            again = row.run is not None
            row.run = self._run
            self.profile, self.algorithm = row.profile, KeyAlgorithm(row.algorithm)
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
        """The list is done, when no line waits any more."""
        now = self._clock()
        with self._desk.database.transaction() as session:
            row = self._still_mine(session)
            left = select(_lines.c.number).where(*self.waiting()).limit(1)
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

    def waiting(self) -> tuple[Any, ...]:
        """Which lines are untouched, for a query."""
        return (_lines.c.list_id == self._list_id, _lines.c.state == LineState.WAITING.value)

    def conclude(
        self,
        lines: Sequence[Line],
        keys: Sequence[WrappedKey],
        prepared: Sequence[issuance_rows.Prepared],
        certificates: Sequence[x509.Certificate],
        *,
        now: datetime,
    ) -> int:
        """Steps 5 and 6: seal, and one transaction for all that is now true. How many lines."""
        # 5. Seal each key under its own one-time code, and the code for the hand-out.
        chain = [
            base64.b64encode(one.public_bytes(Encoding.DER)).decode()
            for one in self._desk.authority.chain(certificates[0])
        ]
        rows, changes, acts = [], [], []
        for line, key, certificate in zip(lines, keys, certificates, strict=True):
            credential_id = secrets.token_hex(16)
            code = handout.new_code()
            context = credentials.seal_context(credential_id)
            serial = serial_text(certificate.serial_number)
            rows.append(
                {
                    "id": credential_id,
                    "kind": credentials.KINDS[self.profile],
                    "profile": self.profile,
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
                    "created_at": now,
                    "created_by": self._by,
                }
            )
            changes.append(
                {
                    "its_list": self._list_id,
                    "its_number": line.number,
                    "its_credential": credential_id,
                    "its_code": self._sealer.seal(
                        code, line=handout.line_name(self._list_id, line.number)
                    ),
                    "its_identity": line.identity,
                    "its_moment": now,
                }
            )
            details = {
                "profile": self.profile,
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
                issuance_rows.conclude(session, prepared, certificates, now=now, by=self._by)
                audit.record_all(
                    session, tag=Tag.CREDENTIAL_ENROLLED, by=self._by, acts=acts, now=now
                )
        except (SignerError, DatabaseBusy) as error:  # rolled back for certain
            issuance_rows.void(self._desk.authority, prepared, error, now=now, by=self._by)
            raise
        return len(rows)

    def refuse(self, refused: Sequence[tuple[Line, Problem, str | None]], state: LineState) -> None:
        """These lines go no further, each for its reason."""
        now = self._clock()
        with self._desk.database.transaction() as session:
            self._still_mine(session)
            for line, problem, identity in refused:
                session.execute(
                    update(EnrolmentLineRow)
                    .where(*self.waiting(), _lines.c.number == line.number)
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
                (handout.line_name(self._list_id, line.number), {"code": problem.code})
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
