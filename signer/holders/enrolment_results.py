"""What a bulk enrolment hands out: who was enrolled, and the code each of them activates with.

    for line in results(desk, list_id, secret=secret, now=now, by=by): …   # one after the other
    results_csv(desk, list_id, secret=secret, unit="14797", now=now, by=by)

The codes open only with the secret told at the start. Each is good once (the holder's own PIN takes
its place), is erased here when it was used, and all of them when the hand-out is closed: by whoever
handed them out, or by the schedule after `KEPT`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ca.names import Subject
from records import audit
from records.tags import Tag
from signer.errors import SignerError
from signer.holders.enrolment_list import Problem
from signer.holders.enrolment_models import EnrolmentLineRow, EnrolmentListRow, LineState, ListState
from signer.holders.handout import HandoutKey, Opener, line_name

if TYPE_CHECKING:
    from signer.desk import Desk

KEPT = timedelta(days=60)
_PAGE = 1_000
_HEADING = (
    "Dòng", "Họ tên / Cơ quan", "Mã đơn vị", "Kết quả", "Mã khóa ký", "Mã kích hoạt",
    "Người giữ con dấu", "Ghi chú",
)  # fmt: skip
_FINISHED = (ListState.DONE.value, ListState.CANCELLED.value)
_STATES = {
    LineState.ENROLLED: "đã cấp",
    LineState.PRESENT: "đã có từ trước",
    LineState.REFUSED: "bị từ chối",
    LineState.FAILED: "không cấp được",
    LineState.WAITING: "chưa cấp",
}


@dataclass(frozen=True)
class ResultLine:
    """`code` is empty when it was used, or there never was one."""

    number: int
    name: str
    holder_id: str
    unit: str
    state: LineState
    credential_id: str | None
    code: str = field(repr=False)
    problems: tuple[Problem, ...] = ()
    organization: str = ""
    keeper: str = ""


def results(
    desk: Desk, list_id: str, *, secret: str, unit: str | None = None, now: datetime, by: str
) -> Iterator[ResultLine]:
    """The lines of a list with their codes; each opening is audited, and so is a wrong secret.

    Raises SignerError `handout-secret-wrong`, `handout-closed`, `list-unknown`.
    """
    opener = _opener(desk, list_id, secret, now=now, by=by)
    with desk.database.transaction() as session:
        details: dict[str, object] = {"unit": unit or ""}
        _record(session, Tag.HANDOUT_OPENED, list_id, details, now=now, by=by)
    return _results(desk, list_id, unit, opener)


def results_csv(
    desk: Desk, list_id: str, *, secret: str, unit: str | None = None, now: datetime, by: str
) -> bytes:
    """The result file, for Excel (UTF-8 with its mark). No cell in it can start a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_HEADING)
    for line in results(desk, list_id, secret=secret, unit=unit, now=now, by=by):
        said = "; ".join(problem.message("vi") for problem in line.problems)
        cells = [
            str(line.number), line.name, line.unit, _STATES[line.state],
            line.credential_id or "", line.code, line.keeper, said,
        ]  # fmt: skip
        writer.writerow([_harmless(cell) for cell in cells])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def close(desk: Desk, list_id: str, *, now: datetime, by: str) -> None:
    """The codes are handed out: nobody can open them here again."""
    with desk.database.transaction() as session:
        row = session.get(EnrolmentListRow, list_id, with_for_update=True)
        if row is None:
            raise SignerError("list-unknown", list=list_id[:64])
        if row.state not in _FINISHED:
            raise SignerError("list-state", state=row.state, wanted=" / ".join(_FINISHED))
        if row.handout_private is None:
            raise SignerError("handout-closed")
        _close(session, row, now=now, by=by)


def close_old(desk: Desk, *, now: datetime, by: str) -> int:
    """Close every hand-out that has been open for `KEPT`. Returns how many."""
    wanted = (
        select(EnrolmentListRow)
        .where(
            EnrolmentListRow.finished_at <= now - KEPT,
            EnrolmentListRow.handout_private.is_not(None),
        )
        .with_for_update()
    )
    with desk.database.transaction() as session:
        rows = session.scalars(wanted).all()
        for row in rows:
            _close(session, row, now=now, by=by)
    return len(rows)


def _close(session: Session, row: EnrolmentListRow, *, now: datetime, by: str) -> None:
    row.handout_private, row.handout_closed_at = None, now
    session.execute(
        update(EnrolmentLineRow)
        .where(EnrolmentLineRow.list_id == row.id, EnrolmentLineRow.sealed_code.is_not(None))
        .values(sealed_code=None)
        .execution_options(synchronize_session=False)
    )
    _record(session, Tag.HANDOUT_CLOSED, row.id, {}, now=now, by=by)


def _opener(desk: Desk, list_id: str, secret: str, *, now: datetime, by: str) -> Opener:
    with desk.database.reading() as session:
        row = session.get(EnrolmentListRow, list_id)
    try:
        if row is None:
            raise SignerError("list-unknown", list=list_id[:64])
        if row.handout_public is None or row.handout_private is None:
            raise SignerError("handout-closed")
        return Opener(HandoutKey(row.handout_public, row.handout_private), list_id, secret)
    except SignerError as refusal:
        with desk.database.transaction() as session:
            details: dict[str, object] = {"code": refusal.code}
            _record(session, Tag.HANDOUT_REFUSED, list_id, details, now=now, by=by)
        raise


def _results(desk: Desk, list_id: str, unit: str | None, opener: Opener) -> Iterator[ResultLine]:
    after = -1
    while True:
        wanted = (
            select(EnrolmentLineRow)
            .where(EnrolmentLineRow.list_id == list_id, EnrolmentLineRow.number > after)
            .order_by(EnrolmentLineRow.number)
            .limit(_PAGE)
        )
        if unit is not None:
            wanted = wanted.where(EnrolmentLineRow.unit == unit)
        with desk.database.reading() as session:
            rows = session.scalars(wanted).all()
        if not rows:
            return
        for row in rows:
            after = row.number
            code = ""
            if row.sealed_code is not None:
                code = opener.open(row.sealed_code, line=line_name(list_id, row.number))
            yield ResultLine(
                number=row.number,
                name=row.name,
                holder_id=row.holder_id,
                unit=row.unit,
                state=LineState(row.state),
                credential_id=row.credential_id,
                code=code,
                problems=tuple(Problem.from_json(one) for one in row.problems or ()),
                organization=_organization(row.subject),
                keeper=(row.keeper or "").removeprefix("CCCD:"),
            )


def _organization(subject: dict[str, Any] | None) -> str:
    """The unit's name as the certificate has it."""
    if subject is None:
        return ""
    named = Subject.from_json(subject)
    return named.organizational_units[-1] if named.organizational_units else named.organization


def _harmless(cell: str) -> str:
    """What a spreadsheet would run as a formula is kept as text."""
    return "'" + cell if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _record(
    session: Session, tag: Tag, list_id: str, details: dict[str, object], *, now: datetime, by: str
) -> None:
    audit.record(
        session, tag=tag, by=by, subject=f"enrolment-list:{list_id}", details=details, now=now
    )
