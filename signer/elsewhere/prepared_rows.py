"""What is remembered of a prepared signature: open, taken in hand, completed or void.

It is completed once. Whoever takes it has it alone; a process that died with it in hand gives it
back after ten minutes, if its time is not over by then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.cms import Scheme
from signer.elsewhere.prepared_models import PreparedRow
from signer.errors import PreparationRefused
from signer.files.formats import Canonicalization, FileRequest, Format
from signer.levels import Level
from signer.pdf.revision import Hole
from signer.signature import SignatureRequest

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from signer.desk import Desk

PADES = "pades"
MOST_TRIES = 5
ABANDONED_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Waiting:
    """A signature that waits for its value.

    `to_sign` are the octets that the key signs (it hashes them with `digest_name` itself); `digest`
    is what the message-digest of a whole CMS must be. `proven` says whether the signer's status is
    known; a level from B-LT on needs that at completion.
    """

    id: str
    format: str
    level: Level
    to_sign: bytes | None = field(repr=False)
    digest: bytes | None
    digest_name: str
    scheme: Scheme | None
    proven: bool | None
    expires_at: datetime


def add(
    desk: Desk,
    row: PreparedRow,
    *,
    digest: bytes | None,
    digest_name: str,
    scheme: Scheme | None,
    proven: bool | None,
    now: datetime,
    by: str,
) -> Waiting:
    """Keep it, with its audit entry."""
    waiting = Waiting(
        id=row.id,
        format=row.format,
        level=Level(row.level),
        to_sign=row.to_sign,
        digest=digest,
        digest_name=digest_name,
        scheme=scheme,
        proven=proven,
        expires_at=row.expires_at,
    )
    details = {
        "client": row.client,
        "format": row.format,
        "level": row.level,
        "documents": [one[2] for one in row.files],
    }
    with desk.database.transaction() as session:
        session.add(row)
        _record(session, Tag.SIGNATURE_PREPARED, row.id, details, now=now, by=by)
    return waiting


def take(desk: Desk, identifier: str, *, client: str, now: datetime, by: str) -> PreparedRow:
    """Open → taken; raises PreparationRefused `preparation-unknown`, `preparation-expired`,
    `preparation-used`, `preparation-in-hand`."""
    refusal: PreparationRefused | None = None
    with desk.database.transaction() as session:
        row = session.get(PreparedRow, identifier, with_for_update=True)
        if row is None or row.client != client:
            raise PreparationRefused("preparation-unknown", id=identifier[:64])
        if row.state in ("completed", "void"):
            expired = row.failure == "expired"
            refusal = PreparationRefused("preparation-expired" if expired else "preparation-used")
        elif row.expires_at <= now:
            refusal = PreparationRefused("preparation-expired")
        elif row.state == "taken":
            refusal = PreparationRefused("preparation-in-hand")
        if refusal is None:
            row.state, row.taken_at = "taken", now
            row.tries += 1
        else:
            _refused(session, row.id, refusal, now=now, by=by)
    if refusal is not None:
        raise refusal
    return row


def give_back(
    desk: Desk, taken: PreparedRow, failure: BaseException, *, now: datetime, by: str
) -> None:
    """Nothing was handed out: it may be tried again, unless it was tried often enough."""
    reason = failure.code if isinstance(failure, DomainError) else type(failure).__name__
    with desk.database.transaction() as session:
        row = session.get_one(PreparedRow, taken.id, with_for_update=True)
        if row.state == "taken":
            row.state, row.failure = "open", reason
            if row.tries >= MOST_TRIES:
                _end(row, "void", now)
        details = {"code": reason, "client": row.client}
        _record(session, Tag.PREPARATION_REFUSED, row.id, details, now=now, by=by)


def settle(
    desk: Desk, taken: PreparedRow, *, result: str, signer: bytes, now: datetime, by: str
) -> None:
    """Taken → completed; raises PreparationRefused when recovery took it away meanwhile."""
    with desk.database.transaction() as session:
        row = session.get_one(PreparedRow, taken.id, with_for_update=True)
        if row.state != "taken" or row.taken_at != taken.taken_at:
            raise PreparationRefused("preparation-in-hand")
        row.result, row.certificate, row.failure = result, signer, None
        _end(row, "completed", now)
        details = {
            "client": row.client,
            "format": row.format,
            "level": row.level,
            "field": row.field or "",
            "documents": [one[2] for one in row.files],
            "result": result,
        }
        _record(session, Tag.SIGNATURE_COMPLETED, row.id, details, now=now, by=by)


def look(desk: Desk, identifier: str, *, client: str) -> PreparedRow:
    """The row as it stands; another client's does not exist."""
    with desk.database.reading() as session:
        row = session.get(PreparedRow, identifier)
    if row is None or row.client != client:
        raise PreparationRefused("preparation-unknown", id=identifier[:64])
    return row


def expire(desk: Desk, *, now: datetime) -> int:
    """Void what nobody completed in time, give back what a dead process held; returns how many."""
    with desk.database.transaction() as session:
        session.execute(
            update(PreparedRow)
            .where(PreparedRow.state == "taken", PreparedRow.taken_at < now - ABANDONED_AFTER)
            .values(state="open")
        )
        over = select(PreparedRow).where(PreparedRow.state == "open", PreparedRow.expires_at <= now)
        rows = session.scalars(over.limit(1000).with_for_update(skip_locked=True)).all()
        for row in rows:
            row.failure = "expired"
            _end(row, "void", now)
    return len(rows)


def hole_of(row: PreparedRow) -> Hole | None:
    """The place for a PDF's CMS."""
    if row.before is None or row.after is None or row.reserve is None:
        return None
    return Hole(row.before, row.reserve, row.after)


def format_name(request: SignatureRequest | FileRequest) -> str:
    return request.format.value if isinstance(request, FileRequest) else PADES


def family(request: SignatureRequest | FileRequest) -> str:
    """As validators name levels."""
    if isinstance(request, SignatureRequest):
        return "PAdES"
    return "XAdES" if request.format.uses_xml else "CAdES"


def packed(request: SignatureRequest | FileRequest) -> dict[str, Any]:
    """What completion must know; the rest of a PDF's request is in its revision already."""
    scheme = request.scheme.value if request.scheme else None
    if isinstance(request, SignatureRequest):
        return {"scheme": scheme}
    return {
        "scheme": scheme,
        "canonicalization": request.canonicalization.value,
        "more_may_follow": request.more_may_follow,
    }


def unpacked(row: PreparedRow) -> SignatureRequest | FileRequest:
    """The request again."""
    scheme = Scheme(row.request["scheme"]) if row.request["scheme"] else None
    if row.format == PADES:
        return SignatureRequest(level=Level(row.level), scheme=scheme)
    return FileRequest(
        format=Format(row.format),
        level=Level(row.level),
        scheme=scheme,
        canonicalization=Canonicalization(row.request["canonicalization"]),
        more_may_follow=row.request["more_may_follow"],
    )


def _end(row: PreparedRow, state: str, now: datetime) -> None:
    row.state, row.finished_at = state, now
    row.before = row.after = row.to_sign = None


def _refused(
    session: Session, identifier: str, refusal: DomainError, *, now: datetime, by: str
) -> None:
    details = {"code": refusal.code}
    _record(session, Tag.PREPARATION_REFUSED, identifier, details, now=now, by=by)


def _record(
    session: Session,
    tag: Tag,
    identifier: str,
    details: dict[str, Any],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(
        session, tag=tag, by=by, subject=f"prepared:{identifier}", details=details, now=now
    )
