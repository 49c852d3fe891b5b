"""Who may sign for a unit, and under which authority lines: checked at the moment of signing.

    give(desk, unit="14797", holder_id="CCCD:0388…", name="Lê Văn Thử",
         authority_lines=("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"), kinds=("QĐ",),
         basis="Quyết định số 12/QĐ-UBND", valid_from=…, valid_to=…, now=now, by=by)

A delegated signer uses their own certificate (decree 30/2020, art. 13); the prefix (TM., Q., KT.,
TL., TUQ.) comes from the delegation, never from the certificate. The head of a unit has a
delegation too, without a prefix: nobody signs for a unit on the strength of a title alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from records import audit
from records.tags import Tag
from signer.errors import SignerError, StepRefused
from signer.looks.appearance import PREFIXES
from signer.routing.steps_models import SigningDelegationRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from signer.desk import Desk

MOST_LINES = 4
LONGEST_TEXT = 200


@dataclass(frozen=True)
class SigningDelegation:
    """A standing permission; `kinds` empty means every kind of document."""

    id: str
    unit: str
    holder_id: str
    name: str
    authority_lines: tuple[str, ...]
    kinds: tuple[str, ...]
    basis: str
    valid_from: datetime
    valid_to: datetime | None
    ended_at: datetime | None

    def in_force(self, now: datetime) -> bool:
        """Whether it stands at that moment."""
        begun = self.valid_from <= now
        over = self.valid_to is not None and self.valid_to <= now
        return begun and not over and (self.ended_at is None or self.ended_at > now)

    def covers(self, kind: str) -> bool:
        """Whether it is for such documents."""
        return not self.kinds or kind in self.kinds


def give(
    desk: Desk,
    *,
    unit: str,
    holder_id: str,
    name: str,
    authority_lines: Sequence[str],
    kinds: Sequence[str] = (),
    basis: str,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    now: datetime,
    by: str,
) -> SigningDelegation:
    """Let a person sign for a unit; `basis` names the decision that says so.

    Raises SignerError `signing-delegation-incomplete`, `signing-delegation-dates`,
    `prefix-unknown`.
    """
    lines = [" ".join(one.split()).upper() for one in authority_lines]
    texts = [unit, holder_id, name, basis, *lines, *kinds]
    if not lines or len(lines) > MOST_LINES or not all(0 < len(t) <= LONGEST_TEXT for t in texts):
        raise SignerError("signing-delegation-incomplete", lines=MOST_LINES)
    for line in lines[:-1]:
        # Only the last line is the signer's own title; those above say for whom they sign.
        if not line.startswith(PREFIXES):
            prefix = line.partition(" ")[0]
            raise SignerError("prefix-unknown", prefix=prefix, known=", ".join(PREFIXES))
    begins = valid_from or now
    if valid_to is not None and valid_to <= begins:
        raise SignerError("signing-delegation-dates")
    row = SigningDelegationRow(
        id=secrets.token_hex(16),
        unit=unit,
        holder_id=holder_id,
        name=name,
        authority_lines=lines,
        kinds=list(dict.fromkeys(kinds)),
        basis=basis,
        valid_from=begins,
        valid_to=valid_to,
        given_at=now,
        given_by=by,
    )
    with desk.database.transaction() as session:
        session.add(row)
        audit.record(
            session,
            tag=Tag.SIGNING_DELEGATED,
            by=by,
            subject=f"signing-delegation:{row.id}",
            details={
                "unit": unit,
                "lines": lines,
                "kinds": row.kinds,
                "basis": basis,
                "valid_from": begins,
                "valid_to": valid_to or "",
            },
            now=now,
        )
    return _delegation(row)


def end(desk: Desk, delegation_id: str, *, now: datetime, by: str) -> SigningDelegation:
    """From now on it is not in force, whatever its dates say.

    Raises SignerError `signing-delegation-not-found`, `signing-delegation-ended`.
    """
    with desk.database.transaction() as session:
        row = session.get(SigningDelegationRow, delegation_id, with_for_update=True)
        if row is None:
            raise SignerError("signing-delegation-not-found")
        if row.ended_at is not None:
            raise SignerError("signing-delegation-ended")
        _end(session, row, now=now, by=by)
    return _delegation(row)


def end_all_in(session: Session, holder_id: str, *, now: datetime, by: str) -> None:
    """Whoever leaves signs for no unit any more."""
    wanted = select(SigningDelegationRow).where(
        SigningDelegationRow.holder_id == holder_id, SigningDelegationRow.ended_at.is_(None)
    )
    for row in session.scalars(wanted.with_for_update()):
        _end(session, row, now=now, by=by)


def _end(session: Session, row: SigningDelegationRow, *, now: datetime, by: str) -> None:
    row.ended_at, row.ended_by = now, by
    audit.record(
        session,
        tag=Tag.SIGNING_DELEGATION_ENDED,
        by=by,
        subject=f"signing-delegation:{row.id}",
        details={"unit": row.unit},
        now=now,
    )


def find(desk: Desk, delegation_id: str) -> SigningDelegation:
    """Raises SignerError `signing-delegation-not-found`."""
    with desk.database.reading() as session:
        row = session.get(SigningDelegationRow, delegation_id)
    if row is None:
        raise SignerError("signing-delegation-not-found")
    return _delegation(row)


def of_unit(desk: Desk, unit: str) -> list[SigningDelegation]:
    """A unit's delegations, the ended ones too, newest first."""
    wanted = select(SigningDelegationRow).where(SigningDelegationRow.unit == unit)
    newest = wanted.order_by(SigningDelegationRow.given_at.desc(), SigningDelegationRow.id)
    with desk.database.reading() as session:
        return [_delegation(row) for row in session.scalars(newest)]


def in_force(
    session: Session, *, unit: str, holder_id: str, kind: str, now: datetime
) -> SigningDelegation:
    """The newest delegation that lets this person sign this kind for this unit at this moment.

    Raises StepRefused: `not-delegated` (never was, or not for this kind), `delegation-stale` (was,
    and its time is over or has not begun).
    """
    wanted = select(SigningDelegationRow).where(
        SigningDelegationRow.unit == unit, SigningDelegationRow.holder_id == holder_id
    )
    newest = wanted.order_by(SigningDelegationRow.valid_from.desc(), SigningDelegationRow.id)
    known = [_delegation(row) for row in session.scalars(newest)]
    covering = [one for one in known if one.covers(kind)]
    for one in covering:
        if one.in_force(now):
            return one
    if covering:
        raise StepRefused("delegation-stale", unit=unit, kind=kind)
    raise StepRefused("not-delegated", unit=unit, kind=kind)


def _delegation(row: SigningDelegationRow) -> SigningDelegation:
    return SigningDelegation(
        id=row.id,
        unit=row.unit,
        holder_id=row.holder_id,
        name=row.name,
        authority_lines=tuple(row.authority_lines),
        kinds=tuple(row.kinds),
        basis=row.basis,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        ended_at=row.ended_at,
    )
