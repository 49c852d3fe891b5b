"""Before anything is signed: the number, and everything the copy will say, committed.

A rollback cannot unsign (DESIGN.md §3.3). So the register line is written first, as an intention
that holds the number and the frozen inputs. One worker at a time holds its claim. An interrupted
certification is taken up again with the same number and the same frozen inputs; recovery voids what
nobody takes up on its day.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from certify import codes
from certify.competence import Delegation, competent
from certify.counter.cases import OriginalDescription, as_case, case_row
from certify.errors import CertifyError
from certify.models import CapturePageRow, CaseRow, CaseState, EntryRow, EntryState
from certify.money import payments
from certify.office import Office
from certify.pages.assembly import ScanPage
from certify.pages.statement import Statement, template_on
from certify.register import take_number
from certify.scans.captures import current_capture
from certify.scans.comparison import passed_comparison
from certify.scans.recognition import layers
from certify.units import unit as find_unit
from records import audit
from records.tags import Tag
from signer.keys.credentials import Credential
from signer.routing.working_days import local

CLAIM = timedelta(minutes=10)


@dataclass(frozen=True)
class Intention:
    """A taken number, held by one worker; `frozen` is all the copy is made from."""

    entry_id: str
    claim: str
    case_id: str
    unit: str
    year: int
    number: int
    volume: int
    day: date
    taken_at: datetime
    frozen: dict[str, Any]
    pages: tuple[ScanPage, ...]

    @property
    def code(self) -> str:
        return str(self.frozen["code"])

    def statement(self, office: Office) -> Statement:
        """The words of the statement, from the frozen inputs only."""
        return Statement(
            number=office.register.number(self.number),
            book=office.register.book(self.volume, self.year),
            day=self.day,
            unit=find_unit(self.unit).committee,
            original=str(self.frozen["original"]),
            original_pages=int(self.frozen["original_pages"]),
            security_elements=tuple(self.frozen["security_elements"]),
            authority_lines=tuple(self.frozen["authority_lines"]),
            signer=str(self.frozen["signer"]),
            code=self.code,
            address=str(self.frozen["address"]),
        )


def intend(
    office: Office,
    case_id: str,
    *,
    person: Credential,
    seal: Credential,
    now: datetime,
    by: str,
) -> Intention:
    """Check the case, freeze the inputs, take the number, commit; or take up an open intention.

    Raises `CertifyError`: `case-state-wrong`, `not-compared`, `not-competent`, `seal-not-of-unit`,
    `fee-not-paid`, `register-locked`, `copy-in-progress`, `copy-frozen-for-another-signer`.
    """
    today = local(now).date()
    claim = secrets.token_hex(16)
    with office.database.transaction() as session:
        row = case_row(session, case_id, lock=True)
        delegation = _competence(session, row, person, seal, now=now)
        if row.state == CaseState.CERTIFYING.value:
            entry = _taken_up(session, row, person, seal, claim=claim, now=now)
        else:
            if row.state != CaseState.COMPARED.value:
                raise CertifyError("case-state-wrong", state=row.state)
            entry = _taken(office, session, row, delegation, person, seal, today, now, by)
            entry.claim, entry.claimed_until = claim, now + CLAIM
            session.add(entry)
            row.state = CaseState.CERTIFYING.value
            details = {
                "unit": row.unit,
                "register": entry.register,
                "year": entry.year,
                "number": entry.number,
                "capture": entry.frozen["capture"],
                "person": person.id,
                "seal": seal.id,
            }
            audit.record(
                session,
                tag=Tag.COPY_INTENDED,
                by=by,
                subject=f"entry:{entry.id}",
                details=details,
                now=now,
            )
        session.flush()
        pages = session.scalars(
            select(CapturePageRow.facts)
            .where(CapturePageRow.capture_id == entry.frozen["capture"])
            .order_by(CapturePageRow.number)
        )
        return _as_intention(entry, [ScanPage.from_json(page) for page in pages], claim)


def release(office: Office, intention: Intention) -> None:
    """Let go of the claim after a failure: the number waits for the next attempt."""
    with office.database.transaction() as session:
        session.execute(
            update(EntryRow)
            .where(EntryRow.id == intention.entry_id, EntryRow.claim == intention.claim)
            .values(claim=None, claimed_until=None)
        )


def _competence(
    session: Session, row: CaseRow, person: Credential, seal: Credential, *, now: datetime
) -> Delegation:
    unit = find_unit(row.unit)
    if person.kind != "official":
        raise CertifyError("signer-not-official")
    if seal.kind != "agency" or seal.unit not in (unit.code, unit.agency_code):
        raise CertifyError("seal-not-of-unit", unit=unit.name)
    return competent(session, unit=row.unit, holder_id=person.holder_id, now=now)


def _taken(
    office: Office,
    session: Session,
    row: CaseRow,
    delegation: Delegation,
    person: Credential,
    seal: Credential,
    today: date,
    now: datetime,
    by: str,
) -> EntryRow:
    case = as_case(row)
    comparison = passed_comparison(session, row.id)
    capture = current_capture(session, row.id)
    fee = payments.require_settled(session, row, on=today)
    original: OriginalDescription = case.original
    frozen = {
        "code": codes.new(),
        "capture": capture.id,
        "comparison": comparison.id,
        "template": template_on(today).version,
        "delegation": delegation.id,
        "person": person.id,
        "person_serial": f"{person.certificate.serial_number:x}",
        "seal": seal.id,
        "seal_serial": f"{seal.certificate.serial_number:x}",
        "original": original.sentence(),
        "original_pages": original.pages,
        "security_elements": list(comparison.security_elements),
        "authority_lines": list(delegation.authority_lines),
        "signer": delegation.name,
        "requester": case.requester.owner_id,
        "text_layers": {str(n): one for n, one in layers(session, capture.id).items()},
        "capture_data": office.attach_capture_data,
    }
    frozen["address"] = office.address(str(frozen["code"]))
    symbol = office.register.symbol
    number = take_number(session, unit=row.unit, register=symbol, year=today.year)
    return EntryRow(
        id=uuid.uuid4().hex,
        unit=row.unit,
        register=symbol,
        year=number.year,
        number=number.number,
        volume=number.volume,
        case_id=row.id,
        state=EntryState.OPEN.value,
        day=today,
        requester_name=case.requester.name,
        document_name=original.sentence(),
        certifier_name=delegation.name,
        certifier_title=delegation.title,
        copies=row.copies,
        fee=fee,
        notes="",
        frozen=frozen,
        taken_at=now,
        taken_by=by,
    )


def _taken_up(
    session: Session,
    row: CaseRow,
    person: Credential,
    seal: Credential,
    *,
    claim: str,
    now: datetime,
) -> EntryRow:
    entry = session.scalars(
        select(EntryRow).where(EntryRow.case_id == row.id, EntryRow.state == EntryState.OPEN.value)
    ).one()
    if (entry.frozen["person"], entry.frozen["seal"]) != (person.id, seal.id):
        raise CertifyError("copy-frozen-for-another-signer", signer=entry.certifier_name)
    if entry.day != local(now).date():
        raise CertifyError("number-of-another-day", number=entry.number)
    taken = session.execute(
        update(EntryRow)
        .where(
            EntryRow.id == entry.id,
            EntryRow.state == EntryState.OPEN.value,
            or_(EntryRow.claimed_until.is_(None), EntryRow.claimed_until < now),
        )
        .values(claim=claim, claimed_until=now + CLAIM)
        .returning(EntryRow.id)
    ).one_or_none()
    if taken is None:
        raise CertifyError("copy-in-progress")
    return entry


def _as_intention(entry: EntryRow, pages: list[ScanPage], claim: str) -> Intention:
    return Intention(
        entry_id=entry.id,
        claim=claim,
        case_id=entry.case_id,
        unit=entry.unit,
        year=entry.year,
        number=entry.number,
        volume=entry.volume,
        day=entry.day,
        taken_at=entry.taken_at,
        frozen=entry.frozen,
        pages=tuple(pages),
    )
