"""Notices before a certificate ends: each written down once, and delivered until it is taken.

    announce(database, channels, now=now)      # idempotent: run it as often as you like
    deliver(database, channels, now=now)       # what is due; a channel that fails is tried again

`channels` are the ways out, each with its own row per notice, so that one that is down holds up no
other. Delivery is at least once: the key of a notice goes with it, for the receiver to tell a
repetition by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import delete, select

from api.notice_models import NoticeRow
from records import audit
from records.database import Database
from records.tags import Tag
from signer.holders.expiry import Ending, ending

log = structlog.get_logger("dauso.notices")

MILESTONES = (60, 30, 7, 1)
"""Days before the end, longest first. Who comes late to one hears of the nearest only."""
KEPT = timedelta(days=90)
_LONGEST_WAIT = timedelta(hours=6)
_AT_ONCE = 200


@dataclass(frozen=True)
class Notice:
    """One notice on its way. `key` is the same in every repetition."""

    key: str
    payload: Mapping[str, Any]


class Channel(Protocol):
    """A way out. Raises any exception when the notice was not taken."""

    @property
    def name(self) -> str: ...

    def send(self, notice: Notice, *, now: datetime) -> None: ...


def announce(database: Database, channels: Sequence[Channel], *, now: datetime) -> int:
    """Write down what is to be told of endings; returns how many notices are new."""
    new = 0
    within = timedelta(days=MILESTONES[0])
    for one in ending(database, now=now, within=within):
        left = (one.until - now) / timedelta(days=1)
        days = min(milestone for milestone in MILESTONES if left <= milestone)
        with database.transaction() as session:
            for channel in channels:
                key = f"{channel.name}:expiry:{one.serial}:{days}"
                if session.scalar(select(NoticeRow.id).where(NoticeRow.key == key)) is None:
                    session.add(
                        NoticeRow(
                            key=key,
                            kind=channel.name,
                            payload=_payload(one, days),
                            created_at=now,
                            due_at=now,
                            attempts=0,
                        )
                    )
                    new += 1
    return new


def deliver(database: Database, channels: Sequence[Channel], *, now: datetime) -> int:
    """Hand over what is due; returns how many were taken."""
    ways = {channel.name: channel for channel in channels}
    wanted = (
        select(NoticeRow)
        .where(NoticeRow.delivered_at.is_(None), NoticeRow.due_at <= now, NoticeRow.kind.in_(ways))
        .order_by(NoticeRow.due_at, NoticeRow.id)
        .limit(_AT_ONCE)
    )
    with database.reading() as session:
        due = session.scalars(wanted).all()
    taken = 0
    for row in due:
        failure = _sent(ways[row.kind], Notice(row.key, row.payload), now)
        with database.transaction() as session:
            kept = session.get_one(NoticeRow, row.id, with_for_update=True)
            kept.attempts += 1
            kept.failure = failure
            if failure is None:
                kept.delivered_at = now
                taken += 1
                audit.record(
                    session,
                    tag=Tag.NOTICE_SENT,
                    by="system:notices",
                    subject=row.payload.get("subject")
                    or f"credential:{row.payload.get('credential', '')}",
                    details={"key": row.key, "channel": row.kind},
                    now=now,
                )
            else:
                wait = min(timedelta(minutes=2) * 2 ** min(kept.attempts, 10), _LONGEST_WAIT)
                kept.due_at = now + wait
    return taken


def purge(database: Database, *, now: datetime) -> int:
    """Forget what was delivered long ago: it names people."""
    gone = delete(NoticeRow).where(NoticeRow.delivered_at <= now - KEPT)
    with database.transaction() as session:
        return int(session.execute(gone).rowcount)  # type: ignore[attr-defined]  # a DELETE has a row count


def _sent(channel: Channel, notice: Notice, now: datetime) -> str | None:
    """None when it was taken, else why not, in few words and without anybody's name."""
    try:
        channel.send(notice, now=now)
    except Exception as error:  # whatever a channel meets, the other notices go on
        log.warning("notice not taken", channel=channel.name, key=notice.key, exc_info=error)
        return type(error).__name__
    return None


def _payload(one: Ending, days: int) -> dict[str, Any]:
    return {
        "type": "credential.expiring",
        "credential": one.credential_id,
        "kind": one.kind,
        "unit": one.unit,
        "name": one.name,
        "email": one.email,
        "serial": one.serial,
        "until": one.until.isoformat(),
        "days": days,
    }
