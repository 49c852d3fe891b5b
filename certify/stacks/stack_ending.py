"""What ends otherwise: a line that failed, a stack dropped before it is signed, scans forgotten.

    end_case(office, case_id, reason="…", now=now, by=by)
    drop(office, stack_id, reason="danh sách nhầm năm học", now=now, by=by)
    forget_scans(office, older_than=timedelta(days=365), now=now)

A number that was taken is voided with the reason (a number is never used again), its case withdrawn
and what was paid for it given back: nothing of a line that failed stays open.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Text, cast, or_, select, update

from certify.counter import intake
from certify.counter.case_lookup import find_case
from certify.counter.cases import UNNUMBERED
from certify.errors import CertifyError
from certify.models import EntryRow, EntryState
from certify.money import payments
from certify.office import Office
from certify.register import void_number
from certify.stacks.stack_jobs import (
    LineState,
    Stack,
    StackState,
    lines_of,
    look,
    record,
    set_line,
    stack_row,
)
from certify.stacks.stack_models import StackLineRow, StackRow
from certify.stores.store import still_used
from records.tags import Tag

DROPPABLE = (StackState.OPEN, StackState.READY)
_DROPPED = "stack-dropped"


def end_case(office: Office, case_id: str, *, reason: str, now: datetime, by: str) -> None:
    """No copy comes of this case: number, case, money. One that was refused stays refused."""
    taken = select(EntryRow.id).where(
        EntryRow.case_id == case_id, EntryRow.state == EntryState.OPEN.value
    )
    with office.database.reading() as session:
        numbers = list(session.scalars(taken))
    for entry_id in numbers:
        void_number(office, entry_id, reason=reason, now=now, by=by)
    if find_case(office, case_id).state in UNNUMBERED:
        intake.withdraw(office, case_id, reason=reason, now=now, by=by)
    try:
        payments.refund(office, case_id, reason=reason, now=now, by=by)
    except CertifyError as nothing:
        if nothing.code != "fee-nothing-paid":
            raise


def drop(office: Office, stack_id: str, *, reason: str, now: datetime, by: str) -> Stack:
    """End a stack that nobody works on. Asked again after an interruption, it goes on.

    Raises `CertifyError`: `reason-missing`, `stack-state-wrong` while it is prepared or signed, or
    once it is finished.
    """
    if not reason.strip():
        raise CertifyError("reason-missing")
    # 1. From here on no worker takes it up and nobody can authorise it.
    with office.database.transaction() as session:
        row = stack_row(session, stack_id, lock=True)
        if row.state != StackState.DROPPED.value:
            if row.state not in DROPPABLE:
                raise CertifyError("stack-state-wrong", state=row.state)
            row.state, row.finished_at = StackState.DROPPED.value, now
            record(session, Tag.STACK_DROPPED, stack_id, {"reason": reason}, now=now, by=by)
        session.execute(
            update(StackLineRow)
            .where(StackLineRow.stack_id == stack_id, StackLineRow.state == LineState.LISTED.value)
            .values(state=LineState.FAILED.value, failure=_DROPPED, finished_at=now)
        )
        prepared = list(session.scalars(lines_of(stack_id, LineState.PREPARED)))
    # 2. Each prepared original: number, case, money, file.
    for line in prepared:
        end_case(office, str(line.case_id), reason=reason, now=now, by=by)
        with office.database.transaction() as session:
            ended = {"state": LineState.FAILED.value, "failure": _DROPPED, "finished_at": now}
            set_line(session, stack_id, line.position, **ended, prepared=None)
        for name in ("pdf", "signed"):
            if line.prepared and name in line.prepared:
                office.blobs.delete(line.prepared[name])
    return look(office, stack_id)


def forget_scans(office: Office, *, older_than: timedelta, now: datetime) -> int:
    """Delete the files that came with stacks: at once when one was dropped, else after the term
    of the authority's own images (DOMAIN.md §4). Returns how many stacks.
    """
    over = or_(
        StackRow.state == StackState.DROPPED.value,
        (StackRow.state == StackState.FINISHED.value) & (StackRow.finished_at < now - older_than),
    )
    query = select(StackLineRow.stack_id).join(StackRow, StackRow.id == StackLineRow.stack_id)
    held = cast(StackLineRow.scans, Text).contains('"')  # a digest, not only null
    with office.database.reading() as session:
        found = list(session.scalars(query.where(over, held).distinct()))
    for stack_id in found:
        with office.database.transaction() as session:
            lines = list(session.scalars(lines_of(stack_id).where(held)))
            digests = {one for line in lines for one in line.scans if one}
            for line in lines:
                line.scans = [None] * len(line.scans)
            session.flush()
            unused = [one for one in digests if not still_used(session, one)]
        for digest in unused:
            office.blobs.delete(digest)
    return len(found)
