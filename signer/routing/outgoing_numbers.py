"""The register of outgoing documents (sổ văn bản đi): 01, 02, … per unit, series and year.

    line = take(session, document, series="QĐ", …)      # in the caller's transaction

Decree 30/2020 art. 15: numbers run from 01 on 1 January to 31 December and are unique in the year.
The counter is a row; whoever rolls back gives the number back, whoever commits has written the line
that holds it. A number is never used twice: one that came to nothing is void, with its reason, and
stays in the register, so there is no gap that nobody can explain.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from records import audit
from records.tags import Tag
from signer.routing.steps_models import OutgoingCounterRow, OutgoingNumberRow, RoutedDocumentRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from signer.desk import Desk


@dataclass(frozen=True)
class OutgoingNumber:
    """A line of the register."""

    unit: str
    series: str
    year: int
    number: int
    symbol: str
    day: date
    document_id: str
    title: str
    signer: str
    state: str
    reason: str | None

    @property
    def text(self) -> str:
        """As it stands on the document: below ten with a nought before it (annex I, II.3)."""
        return f"{written(self.number)}/{self.symbol}"


def written(number: int) -> str:
    """The number's digits on paper."""
    return f"{number:02d}"


def take(
    session: Session, document: RoutedDocumentRow, *, signer: str, day: date, now: datetime, by: str
) -> OutgoingNumberRow:
    """The next number of the document's unit and kind, in the caller's transaction."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    last = session.execute(
        insert(OutgoingCounterRow)
        .values(unit=document.unit, series=document.kind, year=day.year, last=1)
        .on_conflict_do_update(
            index_elements=["unit", "series", "year"], set_={"last": OutgoingCounterRow.last + 1}
        )
        .returning(OutgoingCounterRow.last)
    ).scalar_one()
    row = OutgoingNumberRow(
        unit=document.unit,
        series=document.kind,
        year=day.year,
        number=last,
        symbol=document.symbol,
        day=day,
        document_id=document.id,
        title=document.title,
        signer=signer,
        state="taken",
        taken_at=now,
    )
    session.add(row)
    _audit(session, Tag.OUTGOING_NUMBER_TAKEN, row, now=now, by=by)
    return row


def of_document(session: Session, document_id: str) -> OutgoingNumberRow | None:
    """The number a document has and that is not void."""
    wanted = select(OutgoingNumberRow).where(
        OutgoingNumberRow.document_id == document_id, OutgoingNumberRow.state != "void"
    )
    return session.scalar(wanted)


def issue(session: Session, row: OutgoingNumberRow, *, now: datetime, by: str) -> None:
    """The number is on the document for good."""
    row.state, row.ended_at, row.ended_by = "issued", now, by
    _audit(session, Tag.OUTGOING_NUMBER_ISSUED, row, now=now, by=by)


def void(session: Session, row: OutgoingNumberRow, *, reason: str, now: datetime, by: str) -> None:
    """It came to nothing; the line stays."""
    row.state, row.reason, row.ended_at, row.ended_by = "void", reason, now, by
    _audit(session, Tag.OUTGOING_NUMBER_VOIDED, row, now=now, by=by)


def lines(desk: Desk, *, unit: str, year: int, series: str | None = None) -> list[OutgoingNumber]:
    """A unit's register of a year, by series and number."""
    wanted = select(OutgoingNumberRow).where(
        OutgoingNumberRow.unit == unit, OutgoingNumberRow.year == year
    )
    if series is not None:
        wanted = wanted.where(OutgoingNumberRow.series == series)
    ordered = wanted.order_by(OutgoingNumberRow.series, OutgoingNumberRow.number)
    with desk.database.reading() as session:
        return [_line(row) for row in session.scalars(ordered)]


def gaps(desk: Desk, *, unit: str, year: int) -> list[tuple[str, int]]:
    """Numbers up to a counter that no line holds: always empty, and this is how one knows."""
    held = {(one.series, one.number) for one in lines(desk, unit=unit, year=year)}
    wanted = select(OutgoingCounterRow).where(
        OutgoingCounterRow.unit == unit, OutgoingCounterRow.year == year
    )
    with desk.database.reading() as session:
        counters = session.scalars(wanted).all()
    return [
        (one.series, number)
        for one in counters
        for number in range(1, one.last + 1)
        if (one.series, number) not in held
    ]


def _audit(session: Session, tag: Tag, row: OutgoingNumberRow, *, now: datetime, by: str) -> None:
    audit.record(
        session,
        tag=tag,
        by=by,
        subject=f"routed-document:{row.document_id}",
        details={
            "unit": row.unit,
            "series": row.series,
            "year": row.year,
            "number": row.number,
            "reason": row.reason or "",
        },
        now=now,
    )


def _line(row: OutgoingNumberRow) -> OutgoingNumber:
    return OutgoingNumber(
        unit=row.unit,
        series=row.series,
        year=row.year,
        number=row.number,
        symbol=row.symbol,
        day=row.day,
        document_id=row.document_id,
        title=row.title,
        signer=row.signer,
        state=row.state,
        reason=row.reason,
    )
