"""A wrongly certified copy is cancelled by a formal decision, and the world is told at once.

    cancel(office, copy_id, Decision(number="12/QĐ-UBND", day=…, reason=…, signer=…),
           signed_decision=pdf, now=now, by=by)

DOMAIN.md §4 *Cancelling*: number, date, reason, signer. The decision is itself a document signed by
who may certify for the unit (`certify.decisions`): it is validated here and kept. The copy's
signatures stay valid; its status does not, and verification says both. Steps: docs/flows/cancel.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from certify.decisions import Decision, require_decision
from certify.errors import CertifyError, NotFound
from certify.models import CancellationRow, CopyRow, CopyStatus, EntryRow
from certify.office import Office
from certify.stores import deliveries
from certify.units import unit as find_unit
from records import audit
from records.tags import Tag
from signer.routing.working_days import local
from signer.verdicts.report import Report
from signer.verdicts.validation import validate


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
    judged: Report | None = None,
    now: datetime,
    by: str,
) -> Cancelled:
    """Cancel a copy; the public status changes with the commit of this call.

    `judged` is the decision's report when it was validated elsewhere, as in a confined process.
    Raises `CertifyError`: `decision-incomplete`, `decision-not-signed`, `copy-not-in-force`,
    `decision-signer-not-competent`, `decision-about-another-copy`.
    """
    # 1. The decision is complete, and not of a day to come.
    if not all(text.strip() for text in (decision.number, decision.reason, decision.signer)):
        raise CertifyError("decision-incomplete")
    if decision.day > local(now).date():
        raise CertifyError("decision-incomplete")
    # 2. Its signatures are valid.
    report = judged or validate(signed_decision, trust=office.desk.trust, now=now)
    # 3. It is signed by who may decide for this unit, and about this copy; then it is kept.
    with office.database.reading() as session:
        require_decision(
            session, _found(session, copy_id), decision, signed_decision, report, now=now
        )
    digest = office.blobs.put(signed_decision)
    with office.database.transaction() as session:
        copy = _locked(session, copy_id)
        if copy.status != CopyStatus.IN_FORCE.value:
            raise CertifyError("copy-not-in-force", status=copy.status)
        # 4. Status, decision, note in the register, everybody to be told: one transaction.
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
        session.flush()
        fetched = deliveries.status_changed(session, office, copy, deliveries.CANCELLED, now=now)
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


def require_in_force(office: Office, copy_id: str) -> None:
    """Before a decision is written. Raises `NotFound`, `CertifyError` `copy-not-in-force`."""
    with office.database.reading() as session:
        copy = _found(session, copy_id)
        if copy.status != CopyStatus.IN_FORCE.value:
            raise CertifyError("copy-not-in-force", status=copy.status)


def replace(office: Office, copy_id: str, *, by_copy: str, now: datetime, by: str) -> None:
    """Link a cancelled copy to the one that takes its place (same unit, same owner)."""
    with office.database.transaction() as session:
        old, new = _locked(session, copy_id), _locked(session, by_copy)
        if old.status != CopyStatus.CANCELLED.value or new.status != CopyStatus.IN_FORCE.value:
            raise CertifyError("replacement-wrong")
        if old.id == new.id or (old.unit, old.owner_id) != (new.unit, new.owner_id):
            raise CertifyError("replacement-wrong")
        old.status, old.status_at, old.replaced_by = CopyStatus.REPLACED.value, now, new.id
        session.flush()
        deliveries.status_changed(session, office, old, deliveries.REPLACED, now=now)
        audit.record(
            session,
            tag=Tag.COPY_REPLACED,
            by=by,
            subject=f"copy:{copy_id}",
            details={"by": new.id},
            now=now,
        )


def _locked(session: Session, copy_id: str) -> CopyRow:
    return _found(session, copy_id, lock=True)


def _found(session: Session, copy_id: str, *, lock: bool = False) -> CopyRow:
    row = session.get(CopyRow, copy_id, with_for_update=True if lock else None)
    if row is None:
        raise NotFound("copy-unknown")
    return row
