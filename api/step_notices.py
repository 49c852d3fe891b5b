"""Whom the steps of a document concern is told: a turn that began, a refusal, the end, a delay.

    announce(database, channels, now=now)      # idempotent; `api.notices.deliver` sends

What happened is written down as untold together with the act itself
(`signer.routing.routed_documents`), so a notice is lost in no crash. The people get a mail,
connected systems a webhook of the same event: `routed-document.turn`, `.assigned`, `.refused`,
`.recalled`, `.complete`, `.overdue`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.local_time import shown
from api.notice_models import NoticeRow
from api.notices import Channel
from records.database import Database
from signer.holders.expiry import email_of
from signer.routing.routed_documents import RoutedDocument, Step, as_document, load
from signer.routing.steps_models import RoutedEventRow

_AT_ONCE = 500
_SUBJECTS = {
    "turn": "Văn bản chờ xử lý: {title}",
    "assigned": "Văn bản được giao xử lý: {title}",
    "refused": "Văn bản bị từ chối: {title}",
    "recalled": "Văn bản đã thu hồi: {title}",
    "complete": "Văn bản đã phát hành: {title}",
    "overdue": "Quá hạn xử lý văn bản: {title}",
}
_STEPS = {
    "initial": ("ký nháy", "initial"),
    "signature": ("ký", "signature"),
    "number": ("cấp số, ngày", "number and date"),
    "seal": ("đóng dấu", "seal"),
}


def announce(database: Database, channels: Sequence[Channel], *, now: datetime) -> int:
    """Write notices for what is untold; returns how many."""
    wanted = select(RoutedEventRow.id).where(RoutedEventRow.untold.is_(True))
    with database.reading() as session:
        untold = session.scalars(wanted.order_by(RoutedEventRow.id).limit(_AT_ONCE)).all()
    written = 0
    for event_id in untold:
        with database.transaction() as session:
            event = session.get_one(RoutedEventRow, event_id, with_for_update=True)
            if not event.untold:
                continue
            event.untold = False
            row, steps = load(session, event.document_id)
            payload = _payload(session, as_document(row, steps), event)
            for channel in channels:
                session.add(
                    NoticeRow(
                        key=f"{channel.name}:routed:{event.id}",
                        kind=channel.name,
                        payload=payload,
                        created_at=now,
                        due_at=now,
                        attempts=0,
                    )
                )
                written += 1
    return written


def _payload(session: Session, document: RoutedDocument, event: RoutedEventRow) -> dict[str, Any]:
    step = document.steps[event.position] if event.position is not None else None
    return {
        "type": f"routed-document.{event.act}",
        "subject": f"routed-document:{document.id}",
        "document": document.id,
        "client": document.client,
        "unit": document.unit,
        "state": document.state,
        "version": document.version,
        "number": document.number_text,
        "number_day": document.number_day.isoformat() if document.number_day else None,
        "digest": event.digest or document.file,
        "at": event.at.isoformat(),
        "step": step.position if step else None,
        "step_kind": step.kind.value if step else None,
        "due_at": step.due_at.isoformat() if step and step.due_at else None,
        "reason": event.reason,
        "mail": _mail(session, document, step, event),
    }


def _mail(
    session: Session, document: RoutedDocument, step: Step | None, event: RoutedEventRow
) -> dict[str, str]:
    """To whom it now falls: who does the step, or the drafter for an outcome."""
    if step is not None and event.act in ("turn", "assigned", "overdue"):
        whom, unit = step.holder_id, step.unit
    else:
        whom, unit = document.drafter, document.unit
    to = (email_of(session, whom) if whom else None) or f"unit:{unit}"
    lines = [f"{document.title} ({document.number_text or document.symbol})"]
    if step is not None:
        vi, en = _STEPS[step.kind.value]
        lines.append(f"Bước / step: {vi} / {en}")
        if step.due_at is not None:
            lines.append(f"Hạn / due: {shown(step.due_at)}")
    if event.reason:
        lines.append(f"Lý do / reason: {event.reason}")
    lines.append(f"/desk/documents/{document.id}")
    return {
        "to": to,
        "subject": _SUBJECTS[event.act].format(title=document.title)[:200],
        "text": "\n".join(lines) + "\n",
    }
