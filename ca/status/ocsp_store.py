"""Answers that may be repeated: in memory for this process, on disk for all of them.

An answer is kept with the number of the last status change it knew. It is served as long as no
later change concerns its serial and half of its life is left, so a revocation is felt at once in
the process that made it and within `revoked.GLANCE` in every other.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ca.models import serial_text
from ca.status.ocsp_request import CertId, cert_id_of_encoded
from ca.status.revoked import IssuerView
from ca.status.status_models import OcspAnswerRow, StatusChangeRow
from records.database import Database

_IN_MEMORY = 50_000
_LONGEST_KEY = 512
_HOT_AFTER = 2
_DUE_AT_ONCE = 500


class Answer(NamedTuple):
    """A signed answer; `sequence` is the status change up to which it knows."""

    der: bytes
    this_update: datetime
    next_update: datetime
    serial: int
    sequence: int
    repeatable: bool

    def holds(self, view: IssuerView, now: datetime) -> bool:
        half = (self.next_update - self.this_update) / 2
        return self.this_update <= now < self.this_update + half and not view.changed_after(
            self.serial, self.sequence
        )


class AnswerStore:
    """Least recently used answers go first; certificates asked about twice are put on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._asked: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._lock = threading.Lock()

    def in_memory(self, key: bytes, view: IssuerView, now: datetime) -> Answer | None:
        answer = self._answers.get(key)
        return answer if answer is not None and answer.holds(view, now) else None

    def remember(self, key: bytes, answer: Answer) -> None:
        if len(key) > _LONGEST_KEY:
            return
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            if len(self._answers) > _IN_MEMORY:
                self._answers.popitem(last=False)

    def on_disk(
        self, issuer: str, cert_id: bytes, view: IssuerView, now: datetime
    ) -> Answer | None:
        with self._database.reading() as session:
            row = session.get(OcspAnswerRow, (issuer, cert_id))
        if row is None:
            return None
        # A change deletes the row in its own transaction, so a row knows all changes there are.
        answer = Answer(
            row.der, row.this_update, row.next_update, int(row.serial, 16), view.sequence, True
        )
        return answer if answer.holds(view, now) else None

    def count(self, issuer: str, cert_id: CertId, answer: Answer) -> None:
        """Asked again after the last answer ran out, or by another process: hot, so store it."""
        with self._lock:
            times = self._asked.pop((issuer, cert_id.encoded), 0) + 1
            self._asked[issuer, cert_id.encoded] = times
            if len(self._asked) > _IN_MEMORY:
                self._asked.popitem(last=False)
        if times >= _HOT_AFTER:
            self.keep(issuer, [(cert_id, answer)])

    def keep(self, issuer: str, answers: Sequence[tuple[CertId, Answer]]) -> int:
        """Put answers on disk, except those that a status change has overtaken meanwhile."""
        with self._database.transaction() as session:
            return sum(_put(session, issuer, cert_id, answer) for cert_id, answer in answers)

    def replace(self, issuer: str, cert_id: CertId, answer: Answer) -> int:
        return self.keep(issuer, [(cert_id, answer)])

    def due(self, now: datetime, within: timedelta) -> Iterator[OcspAnswerRow]:
        """Stored answers with less than `within` to live; those nobody renewed are removed."""
        with self._database.transaction() as session:
            session.execute(delete(OcspAnswerRow).where(OcspAnswerRow.next_update < now))
            rows = session.scalars(
                select(OcspAnswerRow)
                .where(OcspAnswerRow.next_update < now + within)
                .order_by(OcspAnswerRow.next_update)
                .limit(_DUE_AT_ONCE)
            ).all()
        yield from rows


def cert_id_of(row: OcspAnswerRow) -> CertId:
    return cert_id_of_encoded(row.cert_id)


def _put(session: Session, issuer: str, cert_id: CertId, answer: Answer) -> int:
    serial = serial_text(cert_id.serial)
    overtaken = session.execute(
        select(StatusChangeRow.sequence).where(
            StatusChangeRow.issuer == issuer,
            StatusChangeRow.serial == serial,
            StatusChangeRow.sequence > answer.sequence,
        )
    ).first()
    if overtaken is not None or not answer.repeatable or len(cert_id.encoded) > 256:
        return 0
    session.merge(
        OcspAnswerRow(
            issuer=issuer,
            cert_id=cert_id.encoded,
            serial=serial,
            this_update=answer.this_update,
            next_update=answer.next_update,
            der=answer.der,
        )
    )
    return 1
