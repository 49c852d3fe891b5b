"""What is shown is what is signed: the assembled copy is kept, and taken up by its digest.

    shown = prepare_copy(office, case.id, person_id=…, seal_id=…, now=now, by=by)
    shown.pdf                # on the screen; `certify_copy` signs these very bytes

From here the number is taken, as in step 2 of docs/flows/certify.md: the same people may certify on
the same day, or the number is voided with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from certify.errors import NotFound
from certify.intention import intend, release
from certify.issuance import prepare, record_failure, usable
from certify.models import EntryRow, EntryState
from certify.office import Office
from certify.pages.assembly import Assembled
from certify.pages.kept_assembly import as_kept, kept
from records.errors import DomainError


@dataclass(frozen=True)
class PreparedCopy:
    """The file to look at and to authorise: `digest` is its SHA-256."""

    entry_id: str
    number: str
    book: str
    digest: str
    pages: int
    statement_page: int
    pdf: bytes = field(repr=False)


def prepare_copy(
    office: Office, case_id: str, *, person_id: str, seal_id: str, now: datetime, by: str
) -> PreparedCopy:
    """Take the number and put the copy together, or find what was put together before.

    Raises what `certify_copy` raises before anything is signed.
    """
    official = usable(office, (person_id, ""), now=now)
    agency = usable(office, (seal_id, ""), now=now)
    intention = intend(office, case_id, person=official, seal=agency, now=now, by=by)
    try:
        assembled = prepare(office, intention, now=now, by=by)
        digest = office.blobs.put(assembled.pdf)
        _keep(office, intention.entry_id, assembled, digest)
    except DomainError as error:
        record_failure(office, intention, error, now=now, by=by)
        raise
    finally:
        release(office, intention)
    return PreparedCopy(
        entry_id=intention.entry_id,
        number=office.register.number(intention.number),
        book=office.register.book(intention.volume, intention.year),
        digest=digest,
        pages=assembled.pages,
        statement_page=assembled.statement_page,
        pdf=assembled.pdf,
    )


def find_prepared(office: Office, case_id: str) -> PreparedCopy:
    """The copy that was prepared and is not signed yet; nothing is claimed by looking at it.

    Raises `NotFound` `copy-unknown`.
    """
    query = select(EntryRow).where(
        EntryRow.case_id == case_id, EntryRow.state == EntryState.OPEN.value
    )
    with office.database.reading() as session:
        row = session.scalars(query).one_or_none()
    found = None if row is None else kept(office, row.frozen)
    if row is None or found is None:
        raise NotFound("copy-unknown")
    return PreparedCopy(
        entry_id=row.id,
        number=office.register.number(row.number),
        book=office.register.book(row.volume, row.year),
        digest=str(row.frozen["assembled"]["digest"]),
        pages=found.pages,
        statement_page=found.statement_page,
        pdf=found.pdf,
    )


def _keep(office: Office, entry_id: str, assembled: Assembled, digest: str) -> None:
    with office.database.transaction() as session:
        row = session.get_one(EntryRow, entry_id, with_for_update=True)
        if "assembled" not in row.frozen:
            row.frozen = {**row.frozen, "assembled": as_kept(assembled, digest)}
