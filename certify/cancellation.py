"""A wrongly certified copy is cancelled by a formal decision, and the world is told at once.

    cancel(office, copy_id, Decision(number="12/QĐ-UBND", day=…, reason=…, signer=…),
           signed_decision=pdf, now=now, by=by)

DOMAIN.md §4 *Cancelling*: number, date, reason, signer. The decision is itself a signed document of
the same unit: it is validated here, and its digest kept. The copy's signatures stay valid; its
status does not, and verification says both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from certify.deadlines import local
from certify.errors import CertifyError, NotFound
from certify.models import AccessRow, CancellationRow, CopyRow, CopyStatus, EntryRow, ItemRow
from certify.office import Office
from certify.units import unit as find_unit
from records import audit
from records.tags import Tag
from signer.validation import validate


@dataclass(frozen=True)
class Decision:
    """The decision to cancel, as it is registered."""

    number: str
    day: date
    reason: str
    signer: str


@dataclass(frozen=True)
class Cancelled:
    """`fetched_by` are those who fetched the copy and must be told."""

    copy_id: str
    code: str
    fetched_by: tuple[str, ...]


def cancel(
    office: Office,
    copy_id: str,
    decision: Decision,
    *,
    signed_decision: bytes,
    now: datetime,
    by: str,
) -> Cancelled:
    """Cancel a copy; the public status changes with the commit of this call.

    Raises `CertifyError`: `decision-incomplete`, `decision-not-signed`, `copy-not-in-force`.
    """
    if not all(text.strip() for text in (decision.number, decision.reason, decision.signer)):
        raise CertifyError("decision-incomplete")
    if decision.day > local(now).date():
        raise CertifyError("decision-incomplete")
    report = validate(signed_decision, trust=office.desk.trust, now=now)
    if not report.passed or not report.signatures:
        raise CertifyError("decision-not-signed")
    digest = office.blobs.put(signed_decision)
    with office.database.transaction() as session:
        copy = _locked(session, copy_id)
        if copy.status != CopyStatus.IN_FORCE.value:
            raise CertifyError("copy-not-in-force", status=copy.status)
        copy.status, copy.status_at = CopyStatus.CANCELLED.value, now
        session.add(
            CancellationRow(
                copy_id=copy_id,
                decision_number=decision.number,
                decided_on=decision.day,
                reason=decision.reason,
                signer=decision.signer,
                decision_digest=digest,
                published_at=now,
                published_by=by,
            )
        )
        note = f"Đã hủy theo Quyết định {decision.number} ngày {decision.day:%d/%m/%Y}"
        session.execute(update(EntryRow).where(EntryRow.id == copy.entry_id).values(notes=note))
        fetched = _fetched_by(session, copy_id)
        audit.record(
            session,
            tag=Tag.COPY_CANCELLED,
            by=by,
            subject=f"copy:{copy_id}",
            details={
                "decision": decision.number,
                "day": decision.day.isoformat(),
                "digest": digest,
                "unit": find_unit(copy.unit).code,
            },
            now=now,
        )
    return Cancelled(copy_id, copy.code, fetched)


def replace(office: Office, copy_id: str, *, by_copy: str, now: datetime, by: str) -> None:
    """Link a cancelled copy to the one that takes its place (same unit, same owner)."""
    with office.database.transaction() as session:
        old, new = _locked(session, copy_id), _locked(session, by_copy)
        if old.status != CopyStatus.CANCELLED.value or new.status != CopyStatus.IN_FORCE.value:
            raise CertifyError("replacement-wrong")
        if old.id == new.id or (old.unit, old.owner_id) != (new.unit, new.owner_id):
            raise CertifyError("replacement-wrong")
        old.status, old.status_at, old.replaced_by = CopyStatus.REPLACED.value, now, new.id
        audit.record(
            session,
            tag=Tag.COPY_REPLACED,
            by=by,
            subject=f"copy:{copy_id}",
            details={"by": new.id},
            now=now,
        )


def _locked(session: Session, copy_id: str) -> CopyRow:
    row = session.get(CopyRow, copy_id, with_for_update=True)
    if row is None:
        raise NotFound("copy-unknown")
    return row


def _fetched_by(session: Session, copy_id: str) -> tuple[str, ...]:
    query = (
        select(AccessRow.by)
        .join(ItemRow, ItemRow.id == AccessRow.item_id)
        .where(ItemRow.copy_id == copy_id)
        .distinct()
    )
    return tuple(sorted(session.scalars(query)))
