"""A unit's own copy, found as a person names it: by the code under the QR, or by its number.

    found = find_copy(office, "K7QF-2M9X-…", unit="14797", today=date(2026, 11, 23))
    found = find_copy(office, "12/2026", unit="14797", today=…)        # or "12": of this year

For officials of the unit that issued it: another unit's does not exist for them (DOMAIN.md §6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from certify import codes
from certify.errors import NotFound
from certify.models import CancellationRow, CopyRow, CopyStatus, EntryRow
from certify.office import Office

_NUMBER = re.compile(r"([0-9]{1,8})(?:/([0-9]{4}))?\Z")


@dataclass(frozen=True)
class Cancellation:
    """The decision that ended a copy, as it is registered."""

    number: str
    day: date
    reason: str
    signer: str
    digest: str
    published_at: datetime


@dataclass(frozen=True)
class FoundCopy:
    """A copy with its line in the register; `replaced_by` is the code of the one that counts."""

    id: str
    code: str
    unit: str
    number: str
    book: str
    year: int
    case_id: str
    document_name: str
    requester_name: str
    certifier_name: str
    issued_on: date
    status: CopyStatus
    replaced_by: str | None
    cancellation: Cancellation | None


def find_copy(office: Office, wanted: str, *, unit: str, today: date) -> FoundCopy:
    """By number (of this year unless it says which) or by code.

    Raises `NotFound` `copy-unknown`, `CertifyError` `code-malformed`.
    """
    wanted = wanted.strip()
    query = select(CopyRow, EntryRow).join(EntryRow, EntryRow.id == CopyRow.entry_id)
    number = _NUMBER.match(wanted)
    if number is not None:
        query = query.where(
            EntryRow.unit == unit,
            EntryRow.register == office.register.symbol,
            EntryRow.year == int(number[2] or today.year),
            EntryRow.number == int(number[1]),
        )
    else:
        query = query.where(CopyRow.code == codes.read(wanted))
    with office.database.reading() as session:
        return _one(session, office, query, unit)


def codes_of(office: Office, entry_ids: list[str]) -> dict[str, str]:
    """The code of each line that became a copy, for the register's links."""
    query = select(CopyRow.entry_id, CopyRow.code).where(CopyRow.entry_id.in_(entry_ids))
    with office.database.reading() as session:
        return {row.entry_id: row.code for row in session.execute(query)}


def code_of_case(office: Office, case_id: str) -> str | None:
    """The code of the copy that came of a case."""
    query = (
        select(CopyRow.code)
        .join(EntryRow, EntryRow.id == CopyRow.entry_id)
        .where(EntryRow.case_id == case_id)
    )
    with office.database.reading() as session:
        return session.scalars(query).one_or_none()


def _one(
    session: Session, office: Office, query: Select[CopyRow, EntryRow], unit: str
) -> FoundCopy:
    found = session.execute(query).one_or_none()
    if found is None or found[0].unit != unit:
        raise NotFound("copy-unknown")
    copy, entry = found
    newer = session.get(CopyRow, copy.replaced_by) if copy.replaced_by else None
    ended = session.get(CancellationRow, copy.id)
    return FoundCopy(
        id=copy.id,
        code=copy.code,
        unit=copy.unit,
        number=office.register.number(entry.number),
        book=office.register.book(entry.volume, entry.year),
        year=entry.year,
        case_id=entry.case_id,
        document_name=entry.document_name,
        requester_name=entry.requester_name,
        certifier_name=entry.certifier_name,
        issued_on=copy.issued_on,
        status=CopyStatus(copy.status),
        replaced_by=newer.code if newer else None,
        cancellation=None
        if ended is None
        else Cancellation(
            ended.decision_number,
            ended.decided_on,
            ended.reason,
            ended.signer,
            ended.decision_digest,
            ended.published_at,
        ),
    )
