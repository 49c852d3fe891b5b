"""The work of a stack, in the background and again after any interruption.

    work(office, clock=…, by="system:stacks", stop=…)      # from the schedule, for a while

A stack is prepared (`stack_preparing`), waits for its one authorisation (`stack_approval`), and is
run under it (`stack_running`). One worker at a time: the schedule's lease sees to that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select

from certify.office import Office
from certify.stacks.stack_jobs import StackState
from certify.stacks.stack_models import StackRow
from certify.stacks.stack_preparing import prepare_lines
from certify.stacks.stack_running import Run


def work(
    office: Office, *, clock: Callable[[], datetime], by: str, stop: Callable[[], bool]
) -> int:
    """Go on with every stack that has something to do; returns how many lines were ended."""
    done = 0
    with office.database.reading() as session:
        active = (StackState.PREPARING.value, StackState.RUNNING.value)
        found = session.execute(
            select(StackRow.id, StackRow.state)
            .where(StackRow.state.in_(active))
            .order_by(StackRow.created_at)
        ).all()
    for stack_id, state in found:
        if stop():
            break
        if state == StackState.PREPARING.value:
            done += prepare_lines(office, stack_id, clock=clock, by=by, stop=stop)
        else:
            done += Run(office, stack_id, clock=clock, by=by).go(stop)
    return done
