"""The register of certified copies: 01, 02, … without a gap, per unit, register and year.

    number = take_number(session, unit="14797", register="SCTĐT/BS", year=2026)

The counter is a row: an upsert with RETURNING inside the caller's transaction. Whoever rolls back
gives the number back; whoever commits has written the line that holds it. A number is never used
twice: a line that fails is voided with its reason and stays (DOMAIN.md §4 *Numbering*).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from certify.errors import CertifyError, NotFound
from certify.models import (
    CaseRow,
    CaseState,
    CounterRow,
    EntryRow,
    EntryState,
    RegisterLockRow,
)
from certify.office import Office
from records import audit
from records.tags import Tag

_SHORT = re.compile(r"[0-9]{1,8}\Z")


@dataclass(frozen=True)
class Number:
    """A register number with the volume it is written in."""

    year: int
    number: int
    volume: int


@dataclass(frozen=True)
class Entry:
    """A line of the register: the eight columns, and its state."""

    id: str
    unit: str
    register: str
    year: int
    number: int
    volume: int
    case_id: str
    state: EntryState
    day: date
    requester_name: str
    document_name: str
    certifier_name: str
    certifier_title: str
    copies: int
    fee: int
    notes: str


def take_number(session: Session, *, unit: str, register: str, year: int) -> Number:
    """The next number, in the caller's transaction. Raises `CertifyError`: `register-locked`."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    taken = session.execute(
        insert(CounterRow)
        .values(unit=unit, register=register, year=year, last=1, volume=1, locked=False)
        .on_conflict_do_update(
            index_elements=[CounterRow.unit, CounterRow.register, CounterRow.year],
            set_={"last": CounterRow.last + 1},
        )
        .returning(CounterRow.last, CounterRow.volume, CounterRow.locked)
    ).one()
    if taken.locked:
        raise CertifyError("register-locked", register=register, year=year)
    return Number(year, taken.last, taken.volume)


def open_volume(
    office: Office, *, unit: str, year: int, register: str | None = None, now: datetime, by: str
) -> int:
    """Begin the next volume; numbers go on within the year. Raises `CertifyError`:
    `register-locked`.
    """
    symbol = register or office.register.symbol
    with office.database.transaction() as session:
        row = _counter(session, unit, symbol, year)
        if row.locked:
            raise CertifyError("register-locked", register=symbol, year=year)
        row.volume += 1
        volume = row.volume
        _audit(session, Tag.VOLUME_OPENED, unit, symbol, year, {"volume": volume}, now=now, by=by)
    return volume


def void(session: Session, row: EntryRow, *, reason: str, now: datetime, by: str) -> None:
    """End an open line without a copy; its number stays used, its case may be certified anew."""
    if not reason.strip():
        raise CertifyError("reason-missing")
    if row.state != EntryState.OPEN.value:
        raise CertifyError("number-not-open", number=row.number)
    row.state = EntryState.VOID.value
    row.notes = f"Hủy số: {reason}"
    row.claim = row.claimed_until = None
    row.ended_at = now
    case = session.get(CaseRow, row.case_id, with_for_update=True)
    if case is not None and case.state == CaseState.CERTIFYING.value:
        case.state = CaseState.COMPARED.value
    details = {"number": row.number, "reason": reason, "case": row.case_id}
    _audit(session, Tag.NUMBER_VOIDED, row.unit, row.register, row.year, details, now=now, by=by)


def void_number(office: Office, entry_id: str, *, reason: str, now: datetime, by: str) -> Entry:
    """Void an open number by hand, when nobody is signing it at this moment."""
    with office.database.transaction() as session:
        row = session.get(EntryRow, entry_id, with_for_update=True)
        if row is None:
            raise NotFound("number-unknown")
        if row.claimed_until is not None and row.claimed_until > now:
            raise CertifyError("copy-in-progress")
        void(session, row, reason=reason, now=now, by=by)
    return as_entry(row)


def void_case_number(
    office: Office, case_id: str, *, unit: str, reason: str, now: datetime, by: str
) -> Entry:
    """Void the open number of a unit's case. Raises `NotFound` `number-unknown`."""
    query = select(EntryRow.id).where(
        EntryRow.case_id == case_id,
        EntryRow.unit == unit,
        EntryRow.state == EntryState.OPEN.value,
    )
    with office.database.reading() as session:
        found = session.scalars(query).one_or_none()
    if found is None:
        raise NotFound("number-unknown")
    return void_number(office, found, reason=reason, now=now, by=by)


def void_of_year(
    office: Office, *, unit: str, year: int, number: int, reason: str, now: datetime, by: str
) -> Entry:
    """Void an open number of the unit's register. Raises `NotFound` `number-unknown`."""
    query = select(EntryRow.id).where(
        EntryRow.unit == unit,
        EntryRow.register == office.register.symbol,
        EntryRow.year == year,
        EntryRow.number == number,
    )
    with office.database.reading() as session:
        found = session.scalars(query).one_or_none()
    if found is None:
        raise NotFound("number-unknown")
    return void_number(office, found, reason=reason, now=now, by=by)


def lock_of(office: Office, *, unit: str, year: int) -> RegisterLockRow | None:
    """The closing of a year, once it is closed."""
    with office.database.reading() as session:
        return session.get(RegisterLockRow, (unit, office.register.symbol, year))


def volume_of(office: Office, *, unit: str, year: int) -> int:
    """The volume that the next number of a year is written in; 1 where there is none yet."""
    with office.database.reading() as session:
        row = session.get(CounterRow, (unit, office.register.symbol, year))
        return row.volume if row is not None else 1


def years(office: Office, *, unit: str) -> list[int]:
    """The years that have a register, newest first."""
    query = select(CounterRow.year).where(
        CounterRow.unit == unit, CounterRow.register == office.register.symbol
    )
    with office.database.reading() as session:
        return sorted(session.scalars(query), reverse=True)


def entries(
    office: Office,
    *,
    unit: str,
    year: int,
    month: int | None = None,
    register: str | None = None,
    search: str | None = None,
) -> list[Entry]:
    """Lines in order of number; `search` is a number, or looks in both names."""
    symbol = register or office.register.symbol
    query = _lines(unit, symbol, year)
    if month is not None:
        first = date(year, month, 1)
        after = date(year + month // 12, month % 12 + 1, 1)
        query = query.where(EntryRow.day >= first, EntryRow.day < after)
    if search and _SHORT.match(search):
        query = query.where(EntryRow.number == int(search))
    elif search:
        like = "%" + search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%"
        query = query.where(
            or_(
                EntryRow.requester_name.ilike(like, escape="\\"),
                EntryRow.document_name.ilike(like, escape="\\"),
            )
        )
    with office.database.reading() as session:
        return [as_entry(row) for row in session.scalars(query)]


def entries_in(session: Session, *, unit: str, register: str, year: int) -> list[Entry]:
    """All lines of a year, as the caller's transaction sees them."""
    return [as_entry(row) for row in session.scalars(_lines(unit, register, year))]


def gaps(office: Office, *, unit: str, year: int, register: str | None = None) -> list[int]:
    """Numbers up to the counter that no line holds: always empty, and this is how one knows."""
    symbol = register or office.register.symbol
    with office.database.reading() as session:
        counter = session.get(CounterRow, (unit, symbol, year))
        if counter is None:
            return []
        held = set(
            session.scalars(
                select(EntryRow.number).where(
                    EntryRow.unit == unit, EntryRow.register == symbol, EntryRow.year == year
                )
            )
        )
    return [number for number in range(1, counter.last + 1) if number not in held]


def totals(lines: Sequence[Entry]) -> tuple[int, int, int]:
    """Issued lines, their copies and their fees."""
    issued = [line for line in lines if line.state is EntryState.ISSUED]
    return len(issued), sum(line.copies for line in issued), sum(line.fee for line in issued)


def as_entry(row: EntryRow) -> Entry:
    """A row as a value that outlives its session."""
    return Entry(
        id=row.id,
        unit=row.unit,
        register=row.register,
        year=row.year,
        number=row.number,
        volume=row.volume,
        case_id=row.case_id,
        state=EntryState(row.state),
        day=row.day,
        requester_name=row.requester_name,
        document_name=row.document_name,
        certifier_name=row.certifier_name,
        certifier_title=row.certifier_title,
        copies=row.copies,
        fee=row.fee,
        notes=row.notes,
    )


def _lines(unit: str, register: str, year: int) -> Select[EntryRow]:
    return (
        select(EntryRow)
        .where(EntryRow.unit == unit, EntryRow.register == register, EntryRow.year == year)
        .order_by(EntryRow.number)
    )


def _counter(session: Session, unit: str, register: str, year: int) -> CounterRow:
    row = session.get(CounterRow, (unit, register, year), with_for_update=True)
    if row is None:
        raise NotFound("register-empty", register=register, year=year)
    return row


def _audit(
    session: Session,
    tag: Tag,
    unit: str,
    register: str,
    year: int,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    subject = f"register:{unit}/{register}/{year}"
    audit.record(session, tag=tag, by=by, subject=subject, details=details, now=now)
