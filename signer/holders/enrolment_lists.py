"""What is decided about a list: approved by a second person, started, cancelled.

    approve(desk, taken.id, digest=taken.digest, now=now, by="official:…")   # a second person
    secret = start(desk, taken.id, now=now, by=by)       # told once: it opens the codes later

`enrolment_intake` makes lists of files, `enrolment_reading` says how far one is,
`bulk_enrolment.work` does the enrolling and `enrolment_results` hands out the codes.
docs/flows/enrol-in-bulk.md has the steps.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.orm import Session, aliased

from ca.profiles import profile_named
from records import audit
from records.tags import Tag
from signer.errors import SignerError
from signer.holders import enrolment_reading, handout
from signer.holders.enrolment_list import Problem
from signer.holders.enrolment_models import EnrolmentLineRow, EnrolmentListRow, LineState, ListState

if TYPE_CHECKING:
    from signer.desk import Desk


def approve(desk: Desk, list_id: str, *, digest: str, now: datetime, by: str) -> None:
    """A second person agrees to exactly these lines. Raises SignerError."""
    with desk.database.transaction() as session:
        row = enrolment_reading.row_of(session, list_id, lock=True)
        _require(row, ListState.PREVIEWED)
        if by == row.created_by:
            raise SignerError("list-own")
        if not hmac.compare_digest(digest.encode(), (row.digest or b"").hex().encode()):
            raise SignerError("list-other")
        row.state, row.approved_at, row.approved_by = ListState.APPROVED.value, now, by
        record(session, Tag.LIST_APPROVED, list_id, {"digest": row.digest or b""}, now=now, by=by)


def start(desk: Desk, list_id: str, *, now: datetime, by: str) -> str:
    """Let the enrolment begin; returns the hand-out secret, which is told this once.

    A line whose holder stands in another list that runs is marked as present there.
    """
    secret = handout.new_secret()
    key = handout.create(list_id, secret)
    with desk.database.transaction() as session:
        row = enrolment_reading.row_of(session, list_id, lock=True)
        if profile_named(row.profile).second_person:
            _require(row, ListState.APPROVED)
        else:
            _require(row, ListState.PREVIEWED, ListState.APPROVED)
        _claim(session, row)
        row.state, row.started_at, row.started_by = ListState.RUNNING.value, now, by
        row.handout_public, row.handout_private = key.public, key.sealed_private
        record(session, Tag.LIST_STARTED, list_id, {"digest": row.digest or b""}, now=now, by=by)
    return secret


def cancel(desk: Desk, list_id: str, *, now: datetime, by: str) -> None:
    """No line more is enrolled; those that are stay so, and their codes can be handed out."""
    with desk.database.transaction() as session:
        row = enrolment_reading.row_of(session, list_id, lock=True)
        _require(row, ListState.PREVIEWED, ListState.APPROVED, ListState.RUNNING)
        row.state, row.finished_at, row.run = ListState.CANCELLED.value, now, None
        release(session, list_id)
        record(
            session,
            Tag.LIST_CANCELLED,
            list_id,
            enrolment_reading.counts_of(session, list_id),
            now=now,
            by=by,
        )


def release(session: Session, list_id: str) -> None:
    """The lines of a list that runs no more hold nobody back."""
    session.execute(
        update(EnrolmentLineRow)
        .where(EnrolmentLineRow.list_id == list_id, EnrolmentLineRow.claim.is_not(None))
        .values(claim=None)
    )


def _claim(session: Session, row: EnrolmentListRow) -> None:
    other = aliased(EnrolmentLineRow)
    claim = row.profile + ":" + EnrolmentLineRow.holder_id
    mine = (EnrolmentLineRow.list_id == row.id, EnrolmentLineRow.state == LineState.WAITING.value)
    elsewhere = select(other.list_id).where(other.claim == claim).exists()
    problem = [Problem("", "line-in-other-list").to_json()]
    session.execute(
        update(EnrolmentLineRow)
        .where(*mine, elsewhere)
        .values(state=LineState.PRESENT.value, problems=problem)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(EnrolmentLineRow)
        .where(*mine)
        .values(claim=claim)
        .execution_options(synchronize_session=False)
    )


def _require(row: EnrolmentListRow, *states: ListState) -> None:
    if row.state not in [one.value for one in states]:
        raise SignerError("list-state", state=row.state, wanted=" / ".join(states))


def record(
    session: Session,
    tag: Tag,
    list_id: str,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    """An entry of the audit log about a list."""
    audit.record(
        session, tag=tag, by=by, subject=f"enrolment-list:{list_id}", details={**details}, now=now
    )
