"""How far a list for bulk enrolment is, and what became of its lines.

taken = look(desk, list_id); taken.state, taken.counts, taken.finished
for line in problems(desk, list_id): line.number, line.problems
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ca.profiles import profile_named
from signer.errors import SignerError
from signer.holders.enrolment_list import Problem
from signer.holders.enrolment_models import EnrolmentLineRow, EnrolmentListRow, LineState, ListState

if TYPE_CHECKING:
    from signer.desk import Desk


@dataclass(frozen=True)
class Taken:
    """A list and how far it is. `counts` has every LineState."""

    id: str
    profile: str
    algorithm: str
    file_name: str
    state: ListState
    digest: str
    counts: dict[str, int]
    created_by: str
    needs_approval: bool
    approved_by: str | None
    started_at: datetime | None
    finished_at: datetime | None
    handout_open: bool

    @property
    def lines(self) -> int:
        return sum(self.counts.values())

    @property
    def finished(self) -> int:
        """Lines whose fate is decided."""
        return self.lines - self.counts[LineState.WAITING]


@dataclass(frozen=True)
class LineReport:
    """What a person is told of one line."""

    number: int
    name: str
    unit: str
    state: LineState
    problems: tuple[Problem, ...] = ()
    identity: str | None = None
    credential_id: str | None = None
    keeper: str | None = None


def look(desk: Desk, list_id: str) -> Taken:
    """The list as it stands. Raises SignerError `list-unknown`."""
    with desk.database.reading() as session:
        return taken_of(row_of(session, list_id), counts_of(session, list_id))


def newest(desk: Desk, limit: int = 50) -> list[Taken]:
    """The lists there are, newest first."""
    wanted = select(EnrolmentListRow).order_by(EnrolmentListRow.created_at.desc()).limit(limit)
    with desk.database.reading() as session:
        return [taken_of(row, counts_of(session, row.id)) for row in session.scalars(wanted)]


def running(desk: Desk) -> list[str]:
    """Lists that are started and not finished, oldest first."""
    wanted = (
        select(EnrolmentListRow.id)
        .where(EnrolmentListRow.state == ListState.RUNNING.value)
        .order_by(EnrolmentListRow.started_at)
    )
    with desk.database.reading() as session:
        return list(session.scalars(wanted))


def lines(
    desk: Desk, list_id: str, *, states: Sequence[LineState] = (), after: int = 0, limit: int = 500
) -> list[LineReport]:
    """The lines in the order of the file, from the one after `after`."""
    wanted = (
        select(EnrolmentLineRow)
        .where(EnrolmentLineRow.list_id == list_id, EnrolmentLineRow.number > after)
        .order_by(EnrolmentLineRow.number)
        .limit(limit)
    )
    if states:
        wanted = wanted.where(EnrolmentLineRow.state.in_([one.value for one in states]))
    with desk.database.reading() as session:
        row_of(session, list_id)
        return [_report(row) for row in session.scalars(wanted)]


def problems(desk: Desk, list_id: str, *, after: int = 0, limit: int = 500) -> list[LineReport]:
    """The lines that are not, or were not, enrolled, with the reasons."""
    states = (LineState.REFUSED, LineState.PRESENT, LineState.FAILED)
    return lines(desk, list_id, states=states, after=after, limit=limit)


def row_of(session: Session, list_id: str, *, lock: bool = False) -> EnrolmentListRow:
    """One that came in whole. Raises SignerError `list-unknown`."""
    row = session.get(EnrolmentListRow, list_id, with_for_update=lock or None)
    if row is None or row.state == ListState.READING.value:
        raise SignerError("list-unknown", list=list_id[:64])
    return row


def counts_of(session: Session, list_id: str) -> dict[str, int]:
    """Lines by their state."""
    wanted = (
        select(EnrolmentLineRow.state, func.count())
        .where(EnrolmentLineRow.list_id == list_id)
        .group_by(EnrolmentLineRow.state)
    )
    found = {row[0]: row[1] for row in session.execute(wanted)}
    return {state.value: found.get(state.value, 0) for state in LineState}


def taken_of(row: EnrolmentListRow, counts: dict[str, int]) -> Taken:
    """The row as others see it."""
    return Taken(
        id=row.id,
        profile=row.profile,
        algorithm=row.algorithm,
        file_name=row.file_name,
        state=ListState(row.state),
        digest=(row.digest or b"").hex(),
        counts=counts,
        created_by=row.created_by,
        needs_approval=profile_named(row.profile).second_person and row.approved_by is None,
        approved_by=row.approved_by,
        started_at=row.started_at,
        finished_at=row.finished_at,
        handout_open=row.handout_private is not None,
    )


def _report(row: EnrolmentLineRow) -> LineReport:
    return LineReport(
        number=row.number,
        name=row.name,
        unit=row.unit,
        state=LineState(row.state),
        problems=tuple(Problem.from_json(one) for one in row.problems or ()),
        identity=row.identity,
        credential_id=row.credential_id,
        keeper=row.keeper,
    )
