"""A stack as a durable job: a notary's or a school's originals, one list, one authorisation.

    job = open_stack(office, unit=…, data=list, place=…, now=now, by=by)
    add_scans(office, job.id, {"01.jpg": …})
    start(office, job.id, person_id=…, seal_id=…, now=now, by=by)     # prepared in the background
    authorize(office, job.id, person=pin, seal=pin, now=now, by=by)   # stack_approval
    progress(office, job.id)                                          # each with its outcome

The work itself is in `certify.stacks.stack_work`; docs/flows/stack.md has the steps.
"""

from __future__ import annotations

import csv
import io
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from certify.errors import CertifyError, NotFound
from certify.office import Office
from certify.stacks.stack_list import read_list
from certify.stacks.stack_models import StackLineRow, StackRow
from certify.units import unit as find_unit
from records import audit
from records.errors import text as catalogue_text
from records.tags import Tag
from signer.keys import credentials
from signer.routing.working_days import local

RESULT_COLUMNS = (
    "Dòng",
    "Người yêu cầu",
    "Tên bản chính",
    "Kết quả",
    "Số chứng thực",
    "Mã tra cứu",
    "Lý do",
)


class StackState(StrEnum):
    """Where a stack stands."""

    OPEN = "open"  # scans are coming
    PREPARING = "preparing"
    READY = "ready"  # waits for the one authorisation
    RUNNING = "running"
    FINISHED = "finished"
    DROPPED = "dropped"


class LineState(StrEnum):
    """Where one original stands."""

    LISTED = "listed"
    PREPARED = "prepared"
    ISSUED = "issued"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """One line of the result."""

    position: int
    state: LineState
    requester: str
    title: str
    case_id: str | None
    number: str | None
    code: str | None
    failure: str | None

    def reason(self, language: str = "vi") -> str:
        return catalogue_text(self.failure, {}, language) if self.failure else ""


@dataclass(frozen=True)
class Stack:
    """A job and how far it is."""

    id: str
    unit: str
    state: StackState
    created_at: datetime
    created_by: str
    finished_at: datetime | None
    counts: Mapping[str, int]
    waiting_scans: int
    failure: str | None
    person_id: str | None
    seal_id: str | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def open_stack(
    office: Office,
    *,
    unit: str,
    data: bytes,
    place: str,
    waiver: str | None = None,
    now: datetime,
    by: str,
) -> Stack:
    """Take in the list. Lines that cannot be taken are failed at once, the others go on."""
    find_unit(unit)
    if not place.strip():
        raise CertifyError("reason-missing")
    lines = read_list(data)
    digest = office.blobs.put(data)
    stack_id = uuid.uuid4().hex
    with office.database.transaction() as session:
        session.add(
            StackRow(
                id=stack_id,
                unit=unit,
                state=StackState.OPEN.value,
                list_digest=digest,
                place=place,
                waiver=waiver,
                authorizations={},
                created_at=now,
                created_by=by,
            )
        )
        session.flush()
        session.add_all(
            StackLineRow(
                stack_id=stack_id,
                position=line.position,
                state=(LineState.FAILED if line.problems else LineState.LISTED).value,
                said=line.said | {"scans": list(line.scans)},
                scans=[None] * len(line.scans),
                failure=line.problems[0] if line.problems else None,
                finished_at=now if line.problems else None,
            )
            for line in lines
        )
        details = {"unit": unit, "lines": len(lines), "list": digest}
        record(session, Tag.STACK_OPENED, stack_id, details, now=now, by=by)
    return look(office, stack_id)


def add_scans(office: Office, stack_id: str, files: Mapping[str, bytes], *, now: datetime) -> int:
    """Scans by the names the list gives them; returns how many were wanted."""
    del now
    wanted = 0
    # Only what the list asks for is stored: a ZIP may unfold to anything.
    with office.database.reading() as session:
        asked = {
            str(name)
            for line in session.scalars(lines_of(stack_id, LineState.LISTED))
            for name in line.said["scans"]
        }
    digests = {
        name: office.blobs.put(data) for name, data in files.items() if data and name in asked
    }
    with office.database.transaction() as session:
        row = stack_row(session, stack_id, lock=True)
        require_state(row, StackState.OPEN)
        for line in session.scalars(lines_of(stack_id, LineState.LISTED)):
            names = line.said["scans"]
            found = [digests.get(name) or old for name, old in zip(names, line.scans, strict=True)]
            if found != line.scans:
                wanted += sum(name in digests for name in names)
                line.scans = found
    return wanted


def start(
    office: Office, stack_id: str, *, person_id: str, seal_id: str, now: datetime, by: str
) -> Stack:
    """Scans are complete: from now on cases are opened and numbers taken in the background.

    A line without its scans fails; the others go on. Raises what an unusable credential raises.
    """
    del by
    for credential_id in (person_id, seal_id):
        credential = credentials.find(office.desk, credential_id)
        credentials.require_usable(office.desk, credential, now=now)
    with office.database.transaction() as session:
        row = stack_row(session, stack_id, lock=True)
        require_state(row, StackState.OPEN)
        row.person_id, row.seal_id, row.state = person_id, seal_id, StackState.PREPARING.value
        for line in session.scalars(lines_of(stack_id, LineState.LISTED)):
            if None in line.scans:
                line.state, line.failure = LineState.FAILED.value, "stack-scans-missing"
                line.finished_at = now
    return look(office, stack_id)


def look(office: Office, stack_id: str) -> Stack:
    """How far it is. Raises `NotFound` `stack-unknown`."""
    with office.database.reading() as session:
        row = stack_row(session, stack_id)
        lines = session.execute(
            select(StackLineRow.state, StackLineRow.scans).where(StackLineRow.stack_id == stack_id)
        ).all()
        counts = Counter(state for state, _ in lines)
        listed = [scans for state, scans in lines if state == LineState.LISTED.value]
        return Stack(
            id=row.id,
            unit=row.unit,
            state=StackState(row.state),
            created_at=row.created_at,
            created_by=row.created_by,
            finished_at=row.finished_at,
            counts={state.value: counts.get(state.value, 0) for state in LineState},
            waiting_scans=sum(scans.count(None) for scans in listed),
            failure=row.failure,
            person_id=row.person_id,
            seal_id=row.seal_id,
        )


def stacks(office: Office, *, unit: str, limit: int = 50) -> list[Stack]:
    """A unit's stacks, newest first."""
    query = (
        select(StackRow.id)
        .where(StackRow.unit == unit)
        .order_by(StackRow.created_at.desc())
        .limit(limit)
    )
    with office.database.reading() as session:
        found = list(session.scalars(query))
    return [look(office, one) for one in found]


def outcomes(office: Office, stack_id: str) -> list[Outcome]:
    """Every line with its outcome, in the list's order."""
    with office.database.reading() as session:
        stack_row(session, stack_id)
        return [
            Outcome(
                position=line.position,
                state=LineState(line.state),
                requester=str(line.said.get("requester", "")),
                title=str(line.said.get("title", "")),
                case_id=line.case_id,
                number=line.number,
                code=line.code,
                failure=line.failure,
            )
            for line in session.scalars(lines_of(stack_id))
        ]


def results_csv(office: Office, stack_id: str) -> bytes:
    """The result as a table for a spreadsheet, with BOM."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(RESULT_COLUMNS)
    words = {"issued": "đã chứng thực", "failed": "không chứng thực được"}
    for one in outcomes(office, stack_id):
        cells = (
            str(one.position + 2),
            one.requester,
            one.title,
            words.get(one.state.value, "đang xử lý"),
            one.number or "",
            one.code or "",
            one.reason(),
        )
        writer.writerow("'" + cell if cell[:1] in "=+-@\t\r" and cell else cell for cell in cells)
    return out.getvalue().encode("utf-8-sig")


def release_ended(session: Session, row: StackRow, *, now: datetime, by: str) -> None:
    """Nothing is left to do: the job is finished."""
    row.state, row.finished_at = StackState.FINISHED.value, now
    details = {"day": local(now).date().isoformat()}
    record(session, Tag.STACK_FINISHED, row.id, details, now=now, by=by)


def set_line(session: Session, stack_id: str, position: int, **values: object) -> None:
    """Change one line."""
    session.execute(
        update(StackLineRow)
        .where(StackLineRow.stack_id == stack_id, StackLineRow.position == position)
        .values(**values)
    )


def lines_of(stack_id: str, state: LineState | None = None) -> Select[StackLineRow]:
    query = (
        select(StackLineRow)
        .where(StackLineRow.stack_id == stack_id)
        .order_by(StackLineRow.position)
    )
    return query if state is None else query.where(StackLineRow.state == state.value)


def read_lines(
    office: Office, stack_id: str, state: LineState, *, limit: int | None = None
) -> tuple[StackRow, list[StackLineRow]]:
    """A stack and its lines in one state, in the list's order."""
    query = lines_of(stack_id, state)
    with office.database.reading() as session:
        row = session.get_one(StackRow, stack_id)
        return row, list(session.scalars(query.limit(limit) if limit else query))


def stack_row(session: Session, stack_id: str, *, lock: bool = False) -> StackRow:
    row = session.get(StackRow, stack_id, with_for_update=True if lock else None)
    if row is None:
        raise NotFound("stack-unknown")
    return row


def require_state(row: StackRow, state: StackState) -> None:
    if row.state != state.value:
        raise CertifyError("stack-state-wrong", state=row.state)


def record(
    session: Session,
    tag: Tag,
    stack_id: str,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(session, tag=tag, by=by, subject=f"stack:{stack_id}", details=details, now=now)
