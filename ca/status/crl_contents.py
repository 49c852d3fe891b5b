"""What the next list will say: decided and frozen under the issuer's counter, then signed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session, defer

from ca.errors import CaError
from ca.issuer import Issuer
from ca.status.crl_encoding import CrlTemplate
from ca.status.crl_scope import COMPLETE, DELTA, Scope
from ca.status.revoked import IssuerView
from ca.status.status_models import CrlRow, CrlState

_STEP_BACK = timedelta(minutes=5)
_ABANDONED = timedelta(minutes=10)
_SMALL_DELTA = 1_000


@dataclass(frozen=True)
class CrlPolicy:
    """How long lists live. Each is renewed when half its life is over, so that one missed run of
    the schedule, or a day without the token, leaves nobody with an expired list.

    EN 319 411-1 CSS-6.3.9: at least every 24 hours. `shard_size` None means one list per issuer.
    """

    lifetime: timedelta = timedelta(hours=48)
    delta_lifetime: timedelta = timedelta(hours=24)
    shard_size: int | None = None

    def life_of(self, scope: Scope) -> timedelta:
        return self.delta_lifetime if scope == DELTA else self.lifetime


POLICY = CrlPolicy()


@dataclass(frozen=True)
class Prepared:
    """A list about to be signed: its committed intention and the bytes to sign."""

    scope: Scope
    number: int
    base: int | None
    entries: int
    next_update: datetime
    tbs: bytes


def prepare(
    session: Session,
    template: CrlTemplate,
    issuer: Issuer,
    view: IssuerView,
    number: int,
    scopes: Iterable[Scope],
    now: datetime,
    policy: CrlPolicy,
) -> list[Prepared]:
    newest = newest_of(session, issuer.name)
    if any(now < row.this_update - _STEP_BACK for row in newest.values()):
        raise CaError("clock-stepped-back", now=now.isoformat())
    _void_abandoned(session, issuer.name, now)
    base = _base(session, issuer.name, view, now)
    prepared = []
    for scope in scopes:
        if scope == DELTA:
            if base is None:
                continue
            changes = view.changes_since(base.sequence)
            entries: Iterable[bytes] = changes.values()
            count = len(changes)
        else:
            entries = view.entries(scope.shard)
            count = len(view.entries(scope.shard))
        next_update = now + policy.life_of(scope)
        tbs = template.tbs(
            entries,
            number=number,
            this_update=now,
            next_update=next_update,
            base=base.number if base is not None and scope == DELTA else None,
            partition=scope.address(issuer) if scope.shard is not None else None,
            freshest=DELTA.address(issuer) if scope == COMPLETE and base is not None else None,
        )
        one = Prepared(
            scope, number, base.number if base and scope == DELTA else None, count, next_update, tbs
        )
        session.add(
            CrlRow(
                issuer=issuer.name,
                number=number,
                scope=scope.name,
                base=one.base,
                sequence=view.sequence,
                this_update=now,
                next_update=next_update,
                entries=count,
                tbs_sha256=hashlib.sha256(tbs).digest(),
            )
        )
        prepared.append(one)
    return prepared


def _base(session: Session, issuer: str, view: IssuerView, now: datetime) -> CrlRow | None:
    """What a delta builds on: the oldest complete list that somebody may still rely on, unless so
    much has changed since that fetching a delta would cost more than it saves."""
    rows = session.scalars(
        select(CrlRow)
        .options(defer(CrlRow.der))
        .where(
            CrlRow.issuer == issuer,
            CrlRow.scope == COMPLETE.name,
            CrlRow.state == CrlState.ISSUED.value,
            CrlRow.next_update > now,
        )
        .order_by(CrlRow.number)
    ).all()
    worth = max(_SMALL_DELTA, len(view.entries()) // 4)
    for row in rows:
        if view.sequence - row.sequence <= worth:
            return row
    return rows[-1] if rows else None


def newest_of(session: Session, issuer: str) -> dict[str, CrlRow]:
    """The newest issued list of each scope, without its body."""
    rows = session.scalars(
        select(CrlRow)
        .options(defer(CrlRow.der))
        .where(CrlRow.issuer == issuer, CrlRow.der.is_not(None))
        .order_by(CrlRow.number)
    )
    return {row.scope: row for row in rows}


def _void_abandoned(session: Session, issuer: str, now: datetime) -> None:
    """A number whose maker died is never served; gaps in CRL numbers are allowed (§5.2.3)."""
    session.execute(
        update(CrlRow)
        .where(
            CrlRow.issuer == issuer,
            CrlRow.state == CrlState.OPEN.value,
            CrlRow.this_update < now - _ABANDONED,
        )
        .values(state=CrlState.VOID.value)
    )
