"""Who may certify for a unit, and under which title: delegations, checked at the moment of signing.

    delegate(office, unit="14797", holder_id="038800000001", name="Lê Văn Thử",
             title="PHÓ CHỦ TỊCH", authority_lines=["KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"], …)

A delegated signer uses their own certificate (decree 30/2020); the authority prefix (TM., KT., TL.,
TUQ.) is part of the delegation, not of the certificate.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from certify.errors import CertifyError, NotFound
from certify.models import DelegationRow
from certify.office import Office
from certify.units import unit as find_unit
from records import audit
from records.tags import Tag


@dataclass(frozen=True)
class Delegation:
    """A standing permission to certify."""

    id: str
    unit: str
    holder_id: str
    name: str
    title: str
    authority_lines: tuple[str, ...]
    basis: str
    valid_from: datetime
    valid_to: datetime | None

    def in_force(self, now: datetime) -> bool:
        return self.valid_from <= now and (self.valid_to is None or now < self.valid_to)


def delegate(
    office: Office,
    *,
    unit: str,
    holder_id: str,
    name: str,
    title: str,
    authority_lines: Sequence[str],
    basis: str,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    now: datetime,
    by: str,
) -> Delegation:
    """Let a person certify for a unit; `basis` names the decision that says so."""
    find_unit(unit)
    if not name.strip() or not title.strip() or not authority_lines or not basis.strip():
        raise CertifyError("delegation-incomplete")
    if len(authority_lines) > 3:
        raise CertifyError("delegation-incomplete")
    if valid_to is not None and valid_to <= (valid_from or now):
        raise CertifyError("delegation-dates")
    row = DelegationRow(
        id=uuid.uuid4().hex,
        unit=unit,
        holder_id=holder_id,
        name=name,
        title=title,
        authority_lines=list(authority_lines),
        basis=basis,
        valid_from=valid_from or now,
        valid_to=valid_to,
    )
    with office.database.transaction() as session:
        session.add(row)
        audit.record(
            session,
            tag=Tag.CERTIFIER_DELEGATED,
            by=by,
            subject=f"delegation:{row.id}",
            details={"unit": unit, "title": title, "basis": basis},
            now=now,
        )
    return _as_delegation(row)


def end_delegation(
    office: Office, delegation_id: str, *, unit: str, now: datetime, by: str
) -> Delegation:
    """From now on the person certifies no more for this unit.

    Raises `NotFound` `delegation-unknown` (also for another unit's), `CertifyError`
    `delegation-ended`.
    """
    with office.database.transaction() as session:
        row = session.get(DelegationRow, delegation_id, with_for_update=True)
        if row is None or row.unit != unit:
            raise NotFound("delegation-unknown")
        if row.valid_to is not None and row.valid_to <= now:
            raise CertifyError("delegation-ended")
        _end(session, row, now=now, by=by)
    return _as_delegation(row)


def end_all_in(session: Session, holder_id: str, *, now: datetime, by: str) -> None:
    """Whoever leaves certifies for no unit any more."""
    wanted = select(DelegationRow).where(
        DelegationRow.holder_id == holder_id,
        or_(DelegationRow.valid_to.is_(None), DelegationRow.valid_to > now),
    )
    for row in session.scalars(wanted.with_for_update()):
        _end(session, row, now=now, by=by)


def _end(session: Session, row: DelegationRow, *, now: datetime, by: str) -> None:
    # One that has not begun never does.
    row.valid_to = max(now, row.valid_from)
    audit.record(
        session,
        tag=Tag.CERTIFIER_WITHDRAWN,
        by=by,
        subject=f"delegation:{row.id}",
        details={"unit": row.unit},
        now=now,
    )


def of_unit(office: Office, unit: str) -> list[Delegation]:
    """A unit's delegations, ended ones too, newest first."""
    query = (
        select(DelegationRow)
        .where(DelegationRow.unit == unit)
        .order_by(DelegationRow.valid_from.desc(), DelegationRow.id)
    )
    with office.database.reading() as session:
        return [_as_delegation(row) for row in session.scalars(query)]


def competent(session: Session, *, unit: str, holder_id: str, now: datetime) -> Delegation:
    """The delegation in force. Raises `CertifyError`: `not-competent`."""
    row = session.scalars(
        select(DelegationRow)
        .where(
            DelegationRow.unit == unit,
            DelegationRow.holder_id == holder_id,
            *_in_force(now),
        )
        .order_by(DelegationRow.valid_from.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        raise CertifyError("not-competent", unit=unit)
    return _as_delegation(row)


def certifiers(office: Office, *, unit: str, now: datetime) -> list[Delegation]:
    """Everybody who may certify for the unit at this moment, one delegation each, by name."""
    query = (
        select(DelegationRow)
        .where(DelegationRow.unit == unit, *_in_force(now))
        .order_by(DelegationRow.valid_from)
    )
    with office.database.reading() as session:
        latest = {row.holder_id: _as_delegation(row) for row in session.scalars(query)}
    return sorted(latest.values(), key=lambda one: (one.name, one.holder_id))


def _in_force(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    until = or_(DelegationRow.valid_to.is_(None), DelegationRow.valid_to > now)
    return DelegationRow.valid_from <= now, until


def _as_delegation(row: DelegationRow) -> Delegation:
    return Delegation(
        id=row.id,
        unit=row.unit,
        holder_id=row.holder_id,
        name=row.name,
        title=row.title,
        authority_lines=tuple(row.authority_lines),
        basis=row.basis,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )
