"""A list from its file to the moment its enrolment starts.

    taken = take_in(desk, data, profile="official", file_name="ds.xlsx", known_unit=…, now=, by=)
    look(desk, taken.id)                          # what would happen, before anything does
    problems(desk, taken.id)                      # row by row, in words
    approve(desk, taken.id, digest=taken.digest, now=now, by="official:…")   # a second person
    secret = start(desk, taken.id, now=now, by=by)       # told once: it opens the codes later

`signer.holders.bulk_enrolment.work` does the enrolling; `signer.holders.enrolment_results` hands
out the codes. docs/flows/enrol-in-bulk.md has the steps.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from ca.profiles import profile_named
from hsm.mechanisms import KeyAlgorithm
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.errors import SignerError
from signer.holders import handout
from signer.holders.enrolment_list import Entry, Known, Problem, entries
from signer.holders.enrolment_models import EnrolmentLineRow, EnrolmentListRow, LineState, ListState
from signer.models import CredentialRow

if TYPE_CHECKING:
    from signer.desk import Desk

T = TypeVar("T")
_STORED_AT_ONCE = 1_000
_LIVING = ("active", "locked", "suspended", "enrolling")
_IN_BULK = (KeyAlgorithm.P_256, KeyAlgorithm.P_384)
"""RSA pairs take 0.2 s each in software tokens: they are made when their holder activates."""


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


def take_in(
    desk: Desk,
    data: bytes,
    *,
    profile: str,
    file_name: str,
    algorithm: KeyAlgorithm = KeyAlgorithm.P_256,
    known_unit: Known | None = None,
    now: datetime,
    by: str,
) -> Taken:
    """Read a file into a list; nothing is enrolled. Raises ListRefused, SignerError.

    A list without problems and one full of them are both taken in: the preview says which rows
    would be enrolled, and those alone are, unless the list is corrected and sent again.
    """
    list_id = secrets.token_hex(16)
    try:
        # 1. Refuse early: a kind of list or of key there is none of.
        if algorithm not in _IN_BULK or algorithm not in profile_named(profile).algorithms:
            known = ", ".join(_IN_BULK)
            raise SignerError("list-algorithm", algorithm=algorithm.value, known=known)
        with desk.database.transaction() as session:
            session.add(
                EnrolmentListRow(
                    id=list_id,
                    profile=profile,
                    algorithm=algorithm.value,
                    file_name=file_name[:200],
                    file_sha256=hashlib.sha256(data).digest(),
                    state=ListState.READING.value,
                    created_at=now,
                    created_by=by,
                )
            )
        # 2. Read the rows, a thousand at a time; who has a credential already is found here.
        content = hashlib.sha256(f"{profile}\n{algorithm.value}\n".encode())
        for part in _parts(entries(data, profile=profile, known_unit=known_unit), _STORED_AT_ONCE):
            with desk.database.transaction() as session:
                session.execute(insert(EnrolmentLineRow), _lines(session, list_id, profile, part))
            for one in part:
                content.update(_content(one))
    except DomainError as refusal:
        _discard(desk, list_id, file_name, refusal, now=now, by=by)
        raise
    # 3. The list is in; what an approval will be bound to is fixed.
    with desk.database.transaction() as session:
        row = session.get_one(EnrolmentListRow, list_id)
        row.state, row.digest = ListState.PREVIEWED.value, content.digest()
        counts = _counts(session, list_id)
        details: dict[str, object] = {
            "profile": profile, "digest": row.digest, "file": row.file_sha256, **counts,
        }  # fmt: skip
        _record(session, Tag.LIST_TAKEN_IN, list_id, details, now=now, by=by)
        return _taken(row, counts)


def look(desk: Desk, list_id: str) -> Taken:
    """The list as it stands. Raises SignerError `list-unknown`."""
    with desk.database.reading() as session:
        return _taken(_row(session, list_id), _counts(session, list_id))


def newest(desk: Desk, limit: int = 50) -> list[Taken]:
    """The lists there are, newest first."""
    wanted = select(EnrolmentListRow).order_by(EnrolmentListRow.created_at.desc()).limit(limit)
    with desk.database.reading() as session:
        return [_taken(row, _counts(session, row.id)) for row in session.scalars(wanted)]


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
        _row(session, list_id)
        return [_report(row) for row in session.scalars(wanted)]


def problems(desk: Desk, list_id: str, *, after: int = 0, limit: int = 500) -> list[LineReport]:
    """The lines that are not, or were not, enrolled, with the reasons."""
    states = (LineState.REFUSED, LineState.PRESENT, LineState.FAILED)
    return lines(desk, list_id, states=states, after=after, limit=limit)


def approve(desk: Desk, list_id: str, *, digest: str, now: datetime, by: str) -> None:
    """A second person agrees to exactly these lines. Raises SignerError."""
    with desk.database.transaction() as session:
        row = _row(session, list_id, lock=True)
        _require(row, ListState.PREVIEWED)
        if by == row.created_by:
            raise SignerError("list-own")
        if not hmac.compare_digest(digest.encode(), (row.digest or b"").hex().encode()):
            raise SignerError("list-other")
        row.state, row.approved_at, row.approved_by = ListState.APPROVED.value, now, by
        _record(session, Tag.LIST_APPROVED, list_id, {"digest": row.digest or b""}, now=now, by=by)


def start(desk: Desk, list_id: str, *, now: datetime, by: str) -> str:
    """Let the enrolment begin; returns the hand-out secret, which is told this once.

    A line whose holder stands in another list that runs is marked as present there.
    """
    secret = handout.new_secret()
    key = handout.create(list_id, secret)
    with desk.database.transaction() as session:
        row = _row(session, list_id, lock=True)
        if profile_named(row.profile).second_person:
            _require(row, ListState.APPROVED)
        else:
            _require(row, ListState.PREVIEWED, ListState.APPROVED)
        _claim(session, row)
        row.state, row.started_at, row.started_by = ListState.RUNNING.value, now, by
        row.handout_public, row.handout_private = key.public, key.sealed_private
        _record(session, Tag.LIST_STARTED, list_id, {"digest": row.digest or b""}, now=now, by=by)
    return secret


def cancel(desk: Desk, list_id: str, *, now: datetime, by: str) -> None:
    """No line more is enrolled; those that are stay so, and their codes can be handed out."""
    with desk.database.transaction() as session:
        row = _row(session, list_id, lock=True)
        _require(row, ListState.PREVIEWED, ListState.APPROVED, ListState.RUNNING)
        row.state, row.finished_at, row.run = ListState.CANCELLED.value, now, None
        release(session, list_id)
        _record(session, Tag.LIST_CANCELLED, list_id, _counts(session, list_id), now=now, by=by)


def abandon_unread(
    desk: Desk, *, now: datetime, by: str, older_than: timedelta = timedelta(minutes=10)
) -> int:
    """After an interruption: lists that never came in whole are removed. Returns how many."""
    with desk.database.reading() as session:
        wanted = select(EnrolmentListRow.id).where(
            EnrolmentListRow.state == ListState.READING.value,
            EnrolmentListRow.created_at <= now - older_than,
        )
        left = list(session.scalars(wanted))
    for list_id in left:
        _discard(desk, list_id, "", SignerError("list-interrupted"), now=now, by=by)
    return len(left)


def release(session: Session, list_id: str) -> None:
    """The lines of a list that runs no more hold nobody back."""
    session.execute(
        update(EnrolmentLineRow)
        .where(EnrolmentLineRow.list_id == list_id, EnrolmentLineRow.claim.is_not(None))
        .values(claim=None)
    )


def holders_with_credentials(session: Session, profile: str, holders: Sequence[str]) -> set[str]:
    """Which of these hold a credential of this profile that is not ended."""
    found: set[str] = set()
    for start_at in range(0, len(holders), 500):
        part = holders[start_at : start_at + 500]
        wanted = select(CredentialRow.holder_id).where(
            CredentialRow.holder_id.in_(part),
            CredentialRow.profile == profile,
            CredentialRow.state.in_(_LIVING),
        )
        found.update(session.scalars(wanted))
    return found


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


def _lines(
    session: Session, list_id: str, profile: str, part: Sequence[Entry]
) -> list[dict[str, Any]]:
    present = holders_with_credentials(
        session, profile, [one.holder_id for one in part if one.subject is not None]
    )
    found = []
    for one in part:
        said = list(one.problems)
        if one.subject is None:
            state = LineState.REFUSED
        elif one.holder_id in present:
            state = LineState.PRESENT
            said.append(Problem("", "holder-has-credential"))
        else:
            state = LineState.WAITING
        found.append(
            {
                "list_id": list_id,
                "number": one.number,
                "name": one.name[:200],
                "holder_id": one.holder_id[:64],
                "unit": one.unit[:64],
                "subject": one.subject.to_json() if one.subject is not None else None,
                "born": one.born.isoformat() if one.born is not None else None,
                "keeper": one.keeper if one.subject is not None else None,
                "state": state.value,
                "problems": [each.to_json() for each in said] or None,
            }
        )
    return found


def _content(entry: Entry) -> bytes:
    """What of a line an approval is bound to; nothing of one that is refused."""
    if entry.subject is None:
        return b""
    born = entry.born.isoformat() if entry.born is not None else ""
    said = [entry.number, entry.holder_id, entry.unit, born, entry.subject.to_json()]
    if entry.keeper is not None:
        said.append(entry.keeper)
    return json.dumps(said, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def _discard(
    desk: Desk, list_id: str, file_name: str, refusal: DomainError, *, now: datetime, by: str
) -> None:
    with desk.database.transaction() as session:
        session.execute(delete(EnrolmentLineRow).where(EnrolmentLineRow.list_id == list_id))
        session.execute(delete(EnrolmentListRow).where(EnrolmentListRow.id == list_id))
        details: dict[str, object] = {"code": refusal.code, "file": file_name[:200]}
        _record(session, Tag.LIST_REFUSED, list_id, details, now=now, by=by)


def _row(session: Session, list_id: str, *, lock: bool = False) -> EnrolmentListRow:
    row = session.get(EnrolmentListRow, list_id, with_for_update=lock or None)
    if row is None or row.state == ListState.READING.value:
        raise SignerError("list-unknown", list=list_id[:64])
    return row


def _require(row: EnrolmentListRow, *states: ListState) -> None:
    if row.state not in [one.value for one in states]:
        raise SignerError("list-state", state=row.state, wanted=" / ".join(states))


def _counts(session: Session, list_id: str) -> dict[str, int]:
    wanted = (
        select(EnrolmentLineRow.state, func.count())
        .where(EnrolmentLineRow.list_id == list_id)
        .group_by(EnrolmentLineRow.state)
    )
    found = {row[0]: row[1] for row in session.execute(wanted)}
    return {state.value: found.get(state.value, 0) for state in LineState}


def _taken(row: EnrolmentListRow, counts: dict[str, int]) -> Taken:
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


def _record(
    session: Session,
    tag: Tag,
    list_id: str,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(
        session, tag=tag, by=by, subject=f"enrolment-list:{list_id}", details={**details}, now=now
    )


def _parts(found: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(found)
    while part := list(islice(left, size)):
        yield part
