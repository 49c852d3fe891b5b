"""The register of a year is closed (khóa sổ): its totals on a page, signed and sealed, for ever.

    page = draft_closing(office, unit="14797", year=2026, person_id=…, now=now)    # to be read
    made = close_year(office, unit="14797", year=2026, person=(credential_id, pin),
                      seal=(seal_id, pin), now=now, by=by)
    made.data                                        # PDF/A-2b, two B-LTA signatures

DOMAIN.md §4 *Register*: "locked yearly with the total and the certifier; permanent". The page names
the SHA-256 of the year's lines, which are kept beside it. docs/flows/close-register.md has the same
numbered steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select
from sqlalchemy.orm import Session

from certify.closing_models import ClosingRow
from certify.closing_page import TEMPLATE, closing_words
from certify.counter.visit_models import ActState
from certify.errors import CertifyError, NotFound
from certify.issuance import Hand, authorise, usable
from certify.models import CounterRow, RegisterLockRow
from certify.office import Office
from certify.pages.statement import render
from certify.register import entries_in, totals
from certify.units import unit as find_unit
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.keys.credentials import Credential
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.routing.working_days import local
from signer.signing import SignatureRequest, document_digest, sign_pdf
from signer.verdicts.report import Report
from signer.verdicts.validation import validate

UNFINISHED = timedelta(minutes=10)
"""After so long an intended closing is another's to make, and recovery opens the register again."""


@dataclass(frozen=True)
class Closing:
    """A closed year. `lines_digest` names the lines kept beside the page (`closed_lines`)."""

    unit: str
    register: str
    year: int
    last_number: int
    issued: int
    void: int
    copies: int
    fees: int
    closed_at: datetime
    signer: str
    digest: str
    lines_digest: str
    data: bytes = field(repr=False)


def is_over(year: int, *, now: datetime) -> bool:
    """From its last day on a year may be closed."""
    return local(now).date() >= date(year, 12, 31)


def draft_closing(office: Office, *, unit: str, year: int, person_id: str, now: datetime) -> bytes:
    """The page as it would be signed now: same lines, same day, same bytes. Nothing is locked.

    Raises what `close_year` raises before its intention is committed.
    """
    official = usable(office, (person_id, ""), now=now)
    with office.database.reading() as session:
        _closable(session, unit, office.register.symbol, year, lock=False, now=now)
        words, _ = closing_words(office, session, unit, year, official, now=now)
    return render(TEMPLATE, words)


def close_year(
    office: Office,
    *,
    unit: str,
    year: int,
    person: Hand,
    seal: Hand,
    shown: str | None = None,
    now: datetime,
    by: str,
) -> Closing:
    """Close a register for a year; no number is taken from it again.

    `shown` is the digest of the page that the signer has read; another page is not signed. Raises
    `CertifyError`: `register-year-not-over`, `register-has-open-numbers`, `register-locked`,
    `register-closing-in-hand`, `not-competent`, `shown-not-current`, `register-check-failed`;
    `NotFound` `register-empty`; and `SignerError`. After any of them the register is as before.
    """
    # 1. Who closes: an official delegated to certify for this unit, now; and the unit's seal.
    official, agency = usable(office, person, now=now), usable(office, seal, now=now)
    # 2. Intention: from here on no number is taken; totals, words and lines are frozen, committed.
    row = _intend(office, unit, year, official, agency, now=now, by=by)
    try:
        # 3. The same frozen words always give the same page.
        page = render(TEMPLATE, row.frozen["words"])
        if shown is not None and document_digest(page).hex() != shown:
            raise CertifyError("shown-not-current")
        # 4. The person signs, with their image above their name.
        data = _signed(office, page, person, _as_person(row), now=now, by=by)
        # 5. The unit seals, one third over the person's signature.
        data = _signed(office, data, seal, _FOR_UNIT, now=now, by=by)
        # 6. Check as an auditor will: exactly these two, in this order.
        report = _checked(office, data, official, agency, now=now)
        # 7. Bytes, then 8. the outcome: the totals are permanent.
        digest = office.blobs.put(data)
        _lock(office, row, digest, report, now=now, by=by)
    except DomainError as error:
        _reopen(office, row, error.code, now=now, by=by)
        raise
    found = find_closing(office, unit=unit, year=year)
    assert found is not None
    return found


def find_closing(office: Office, *, unit: str, year: int) -> Closing | None:
    """The closing of a year with its signed page; None while the year is open."""
    key = (unit, office.register.symbol, year)
    with office.database.reading() as session:
        row, lock = session.get(ClosingRow, key), session.get(RegisterLockRow, key)
    if row is None or lock is None or row.state != ActState.MADE.value or row.digest is None:
        return None
    return Closing(
        *key,
        last_number=lock.last_number,
        issued=lock.issued,
        void=lock.void,
        copies=lock.copies,
        fees=lock.fees,
        closed_at=lock.locked_at,
        signer=str(row.frozen["words"]["signer"]),
        digest=row.digest,
        lines_digest=row.lines_digest,
        data=office.blobs.get(row.digest),
    )


def closed_lines(office: Office, *, unit: str, year: int) -> bytes:
    """The year's lines as they were closed (CSV). Raises `NotFound` `register-not-closed`."""
    found = find_closing(office, unit=unit, year=year)
    if found is None:
        raise NotFound("register-not-closed", year=year)
    return office.blobs.get(found.lines_digest)


def reopen_unfinished(office: Office, *, now: datetime, by: str) -> int:
    """After an interruption: what was intended and not made is undone; nobody received a page."""
    query = select(ClosingRow).where(
        ClosingRow.state == ActState.INTENDED.value, ClosingRow.intended_at < now - UNFINISHED
    )
    with office.database.reading() as session:
        left = list(session.scalars(query))
    for row in left:
        _reopen(office, row, "stopped", now=now, by=by)
    return len(left)


def _closable(
    session: Session, unit: str, register: str, year: int, *, lock: bool, now: datetime
) -> CounterRow:
    if not is_over(year, now=now):
        raise CertifyError("register-year-not-over", year=year)
    counter = session.get(CounterRow, (unit, register, year), with_for_update=lock or None)
    if counter is None:
        raise NotFound("register-empty", register=register, year=year)
    if counter.locked:
        intended = session.get(ClosingRow, (unit, register, year))
        if intended is not None and intended.state == ActState.INTENDED.value:
            raise CertifyError("register-closing-in-hand", year=year)
        raise CertifyError("register-locked", register=register, year=year)
    return counter


def _intend(
    office: Office,
    unit: str,
    year: int,
    official: Credential,
    agency: Credential,
    *,
    now: datetime,
    by: str,
) -> ClosingRow:
    symbol, found = office.register.symbol, find_unit(unit)
    if agency.kind != "agency" or agency.unit not in (found.code, found.agency_code):
        raise CertifyError("seal-not-of-unit", unit=found.name)
    with office.database.transaction() as session:
        counter = _closable(session, unit, symbol, year, lock=True, now=now)
        words, table = closing_words(office, session, unit, year, official, now=now)
        counter.locked = True
        row = ClosingRow(
            unit=unit,
            register=symbol,
            year=year,
            state=ActState.INTENDED.value,
            frozen={"words": words, "person": official.id, "seal": agency.id},
            lines_digest=office.blobs.put(table),
            intended_at=now,
            intended_by=by,
        )
        session.add(row)
        session.flush()
        details = {"person": official.id, "seal": agency.id, "lines": row.lines_digest}
        _record(session, Tag.REGISTER_CLOSING_INTENDED, row, details, now=now, by=by)
    return row


def _as_person(row: ClosingRow) -> SignatureRequest:
    words = row.frozen["words"]
    return SignatureRequest(
        level=Level.B_LTA,
        appearance=Appearance.person(anchor=str(words["signer"])),
        reason=f"Khóa sổ chứng thực năm {row.year}",
    )


_FOR_UNIT = SignatureRequest(level=Level.B_LTA, appearance=Appearance.seal())


def _signed(
    office: Office, data: bytes, hand: Hand, how: SignatureRequest, *, now: datetime, by: str
) -> bytes:
    given = authorise(office, hand, [document_digest(data)], now=now, by=by)
    return sign_pdf(office.desk, data, how, authorization=given, now=now, by=by).data


def _checked(
    office: Office, data: bytes, person: Credential, seal: Credential, *, now: datetime
) -> Report:
    report = validate(data, trust=office.desk.trust, now=now)
    expected = [one.certificate.public_bytes(Encoding.DER) for one in (person, seal)]
    found = [verdict.signer_certificate for verdict in report.signatures]
    if not report.passed or found != expected:
        reason = report.sub_indication.value if report.sub_indication else "signers"
        raise CertifyError("register-check-failed", reason=reason)
    return report


def _lock(
    office: Office, row: ClosingRow, digest: str, report: Report, *, now: datetime, by: str
) -> None:
    symbol, unit, year = row.register, row.unit, row.year
    with office.database.transaction() as session:
        kept = session.get(ClosingRow, (unit, symbol, year), with_for_update=True)
        if kept is None or kept.state != ActState.INTENDED.value:
            raise CertifyError("register-closing-lost", year=year)
        lines = entries_in(session, unit=unit, register=symbol, year=year)
        issued, copies, fees = totals(lines)
        counter = session.get_one(CounterRow, (unit, symbol, year), with_for_update=True)
        kept.state, kept.digest, kept.made_at = ActState.MADE.value, digest, now
        kept.evidence = {"validation": report.to_json()}
        session.add(
            RegisterLockRow(
                unit=unit,
                register=symbol,
                year=year,
                last_number=counter.last,
                issued=issued,
                void=len(lines) - issued,
                copies=copies,
                fees=fees,
                locked_at=now,
                locked_by=by,
            )
        )
        session.flush()
        details = {
            "last": counter.last,
            "issued": issued,
            "void": len(lines) - issued,
            "page": digest,
            "lines": kept.lines_digest,
        }
        _record(session, Tag.REGISTER_LOCKED, kept, details, now=now, by=by)


def _reopen(office: Office, row: ClosingRow, reason: str, *, now: datetime, by: str) -> None:
    """No page came of it: the register takes numbers again, and the log says why."""
    key = (row.unit, row.register, row.year)
    with office.database.transaction() as session:
        kept = session.get(ClosingRow, key, with_for_update=True)
        if kept is None or kept.state != ActState.INTENDED.value:
            return
        session.get_one(CounterRow, key, with_for_update=True).locked = False
        session.delete(kept)
        session.flush()
        _record(session, Tag.REGISTER_CLOSING_FAILED, row, {"reason": reason}, now=now, by=by)


def _record(
    session: Session,
    tag: Tag,
    row: ClosingRow,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    subject = f"register:{row.unit}/{row.register}/{row.year}"
    audit.record(session, tag=tag, by=by, subject=subject, details=details, now=now)
