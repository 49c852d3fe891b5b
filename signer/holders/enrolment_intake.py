"""A department's file becomes a list: read, judged row by row, kept; nothing is enrolled yet.

    taken = take_in(desk, data, profile="official", file_name="ds.xlsx", now=now, by="official:1")

docs/flows/enrol-in-bulk.md.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from ca.profiles import profile_named
from hsm.mechanisms import KeyAlgorithm
from records.errors import DomainError
from records.tags import Tag
from signer.errors import SignerError
from signer.holders import enrolment_lists, enrolment_reading
from signer.holders.enrolment_list import Entry, Known, Problem, entries
from signer.holders.enrolment_models import EnrolmentLineRow, EnrolmentListRow, LineState, ListState
from signer.holders.enrolment_reading import Taken
from signer.holders.present_holders import holders_with_credentials

if TYPE_CHECKING:
    from signer.desk import Desk

T = TypeVar("T")
_STORED_AT_ONCE = 1_000
_IN_BULK = (KeyAlgorithm.P_256, KeyAlgorithm.P_384)
"""RSA pairs take 0.2 s each in software tokens: they are made when their holder activates."""


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
        counts = enrolment_reading.counts_of(session, list_id)
        details: dict[str, object] = {
            "profile": profile, "digest": row.digest, "file": row.file_sha256, **counts,
        }  # fmt: skip
        enrolment_lists.record(session, Tag.LIST_TAKEN_IN, list_id, details, now=now, by=by)
        return enrolment_reading.taken_of(row, counts)


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
        enrolment_lists.record(session, Tag.LIST_REFUSED, list_id, details, now=now, by=by)


def _parts(found: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(found)
    while part := list(islice(left, size)):
        yield part
