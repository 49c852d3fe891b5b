"""The first half of a stack's work: each line becomes a file that waits to be signed.

    prepare_lines(office, stack_id, clock=…, by=…, stop=…)

For each line a case is opened, the scans recorded, the finding of the list recorded, the fee taken
or waived, the number taken, the copy put together and kept. What was interrupted is found again by
the mark its case bears. Then the job waits for its authorisation.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import select

from certify import issuance
from certify.counter.cases import Presentation
from certify.counter.intake import open_case
from certify.errors import CertifyError
from certify.intention import intend, release
from certify.models import CaptureRow, CaseRow, CaseState, ComparisonRow
from certify.money import payments
from certify.office import Office
from certify.recovery import recover
from certify.scans.captures import record_capture
from certify.scans.comparison import Checklist, PageFinding, record_comparison
from certify.stacks.stack_ending import end_case
from certify.stacks.stack_failures import passes
from certify.stacks.stack_jobs import LineState, StackState, read_lines, release_ended, set_line
from certify.stacks.stack_list import Line
from certify.stacks.stack_models import StackLineRow, StackRow
from records.errors import DomainError
from signer.keys import credentials
from signer.keys.credentials import Credential


def prepare_lines(
    office: Office,
    stack_id: str,
    *,
    clock: Callable[[], datetime],
    by: str,
    stop: Callable[[], bool],
) -> int:
    """Prepare every listed line, for a while; returns how many were ended.

    A line that fails leaves nothing open. What only passes (`stack_failures`) is waited for.
    """
    row, lines = read_lines(office, stack_id, LineState.LISTED)
    person = credentials.find(office.desk, str(row.person_id))
    seal = credentials.find(office.desk, str(row.seal_id))
    done = 0
    for line in lines:
        if stop():
            return done
        now = clock()
        try:
            case_id = _compared(office, row, line, now=now)
            prepared, entry_id = _put_together(office, case_id, person, seal, now=now, by=by)
            values: dict[str, Any] = {
                "state": LineState.PREPARED.value,
                "case_id": case_id,
                "entry_id": entry_id,
                "prepared": prepared,
            }
        except DomainError as error:
            if passes(error):
                return done
            values = _failed(office, stack_id, line, error, now=now, by=by)
        with office.database.transaction() as session:
            set_line(session, stack_id, line.position, **values)
        done += 1
    with office.database.transaction() as session:
        kept = session.get_one(StackRow, stack_id, with_for_update=True)
        left = session.scalar(
            select(StackLineRow.position)
            .where(
                StackLineRow.stack_id == stack_id,
                StackLineRow.state == LineState.PREPARED.value,
            )
            .limit(1)
        )
        if left is None:
            release_ended(session, kept, now=clock(), by=by)
        else:
            kept.state = StackState.READY.value
    return done


def _compared(office: Office, row: StackRow, line: StackLineRow, *, now: datetime) -> str:
    """The line's case, as far as the list takes it; an interrupted one is found by its mark."""
    said = Line(line.position, tuple(line.said["scans"]), line.said, ())
    case_id = _known_case(office, row.id, line)
    if case_id is None:
        case_id = open_case(
            office,
            unit=row.unit,
            requester=said.requester,
            document_kind=str(line.said["kind"]),
            original=said.original,
            copies=int(line.said["copies"]),
            presented=Presentation(at=now, place=row.place, to=row.created_by),
            assigned_to=_mark(row.id, line),
            now=now,
            by=row.created_by,
        ).id
    with office.database.reading() as session:
        captured = session.scalar(select(CaptureRow.id).where(CaptureRow.case_id == case_id))
        found = session.scalar(select(ComparisonRow.id).where(ComparisonRow.case_id == case_id))
    if captured is None:
        scans = [office.blobs.get(str(digest)) for digest in line.scans]
        record_capture(office, case_id, scans, now=now, by=row.created_by)
    if found is None:
        page = PageFinding(bool(line.said["matches"]), str(line.said["note"]))
        record_comparison(
            office,
            case_id,
            pages=[page] * int(line.said["pages"]),
            checklist=Checklist(),
            final=True,
            now=now,
            by=row.created_by,
        )
    with office.database.reading() as session:
        case = session.get_one(CaseRow, case_id)
        if case.state == CaseState.REFUSED.value:
            raise CertifyError("stack-finding-differs")
        owed = case.state == CaseState.COMPARED.value and payments.outstanding(
            session, case, on=now.date()
        )
    if owed and row.waiver:
        payments.waive(office, case_id, reason=row.waiver, now=now, by=row.created_by)
    elif owed:
        payments.pay(office, case_id, method="cash", now=now, by=row.created_by)
    return case_id


def _mark(stack_id: str, line: StackLineRow) -> str:
    return f"stack:{stack_id}/{line.position}"


def _known_case(office: Office, stack_id: str, line: StackLineRow) -> str | None:
    query = select(CaseRow.id).where(CaseRow.assigned_to == _mark(stack_id, line))
    with office.database.reading() as session:
        return session.scalar(query)


def _failed(
    office: Office,
    stack_id: str,
    line: StackLineRow,
    error: DomainError,
    *,
    now: datetime,
    by: str,
) -> dict[str, Any]:
    """What becomes of a line that cannot be prepared; a case it had is ended first."""
    case_id = _known_case(office, stack_id, line)
    if case_id is not None:
        end_case(office, case_id, reason=error.message("vi"), now=now, by=by)
    return {
        "state": LineState.FAILED.value,
        "case_id": case_id,
        "failure": error.code,
        "finished_at": now,
    }


def _put_together(
    office: Office,
    case_id: str,
    person: Credential,
    seal: Credential,
    *,
    now: datetime,
    by: str,
) -> tuple[dict[str, Any], str]:
    """The number, and the file that is going to be signed."""
    try:
        intention = intend(office, case_id, person=person, seal=seal, now=now, by=by)
    except CertifyError as error:
        if error.code != "number-of-another-day":
            raise
        # Midnight came between: that number is voided with its reason, and the next one taken.
        recover(office, now=now, by=by)
        intention = intend(office, case_id, person=person, seal=seal, now=now, by=by)
    try:
        made = issuance.prepare(office, intention, now=now, by=by)
        return {
            "pdf": office.blobs.put(made.pdf),
            "pages": made.pages,
            "statement_page": made.statement_page,
            "statement_added": made.statement_added,
            "signature_box": list(made.signature_box),
            "seal_box": list(made.seal_box),
            "code": made.code,
        }, intention.entry_id
    finally:
        release(office, intention)
