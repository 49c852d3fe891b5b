"""Documents on their route: what each is, who may see it, and what happened to it.

    inbox(desk, actor=…)                 # what waits for this person
    look(desk, document_id, actor=…)     # one document with its steps
    content(desk, document_id, actor=…, now=now)

An official sees their own documents and those of their unit, a program those it submitted
(DOMAIN.md §6); anything else does not exist for them. `signer.routing.steps` is what moves a
document on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from records import audit
from records.tags import Tag
from signer.errors import StepRefused
from signer.routing.outgoing_numbers import written
from signer.routing.step_routes import Look, StepKind
from signer.routing.steps_models import RoutedDocumentRow, RoutedEventRow, RouteStepRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from signer.desk import Desk

MOST_LISTED = 200
STATES = ("under-way", "returned", "complete", "refused", "recalled")


@dataclass(frozen=True)
class Actor:
    """Who acts or looks: an official, or a program on an official's behalf.

    `by` is for the audit log. A program (`client`) has done its own checking of who the official
    is; a signature still wants the holder's own PIN or passkey.
    """

    by: str
    holder_id: str | None = None
    name: str = ""
    unit: str | None = None
    roles: frozenset[str] = frozenset()
    client: str | None = None


@dataclass(frozen=True)
class Step:
    """One step of a document and what became of it."""

    position: int
    kind: StepKind
    unit: str
    role: str
    holder_id: str | None
    holder_name: str | None
    days: int
    look: Look
    state: str
    due_at: datetime | None
    overdue: bool
    done_at: datetime | None
    done_by: str | None
    done_name: str | None
    shown: str | None
    credential_id: str | None
    field: str | None
    authority_lines: tuple[str, ...]


@dataclass(frozen=True)
class RoutedDocument:
    """A document as it stands. `file` is the digest of what is shown and signed next."""

    id: str
    client: str | None
    unit: str
    title: str
    kind: str
    symbol: str
    name: str
    drafter: str
    state: str
    version: int
    position: int
    file: str
    size: int
    pages: int
    number: int | None
    number_day: date | None
    created_at: datetime
    finished_at: datetime | None
    reason: str | None
    steps: tuple[Step, ...]

    @property
    def number_text(self) -> str | None:
        """As it stands on the document."""
        return f"{written(self.number)}/{self.symbol}" if self.number is not None else None

    @property
    def current(self) -> Step | None:
        """The step whose turn it is."""
        return self.steps[self.position] if self.state == "under-way" else None

    @property
    def signed(self) -> bool:
        """Whether the first signature is on it: from then on nothing changes but signatures."""
        return any(one.state == "done" and one.field is not None for one in self.steps)


@dataclass(frozen=True)
class Event:
    """A line of a document's history."""

    at: datetime
    by: str
    person: str | None
    act: str
    position: int | None
    digest: str | None
    reason: str | None


def look(desk: Desk, document_id: str, *, actor: Actor) -> RoutedDocument:
    """Raises StepRefused `routed-document-not-found`, also for what the actor may not see."""
    with desk.database.reading() as session:
        row, steps = load(session, document_id, actor=actor)
        return as_document(row, steps)


def inbox(desk: Desk, *, actor: Actor, limit: int = MOST_LISTED) -> list[RoutedDocument]:
    """What waits for this person: their steps, their role's in the unit, what came back to them."""
    return _listed(desk, select(RoutedDocumentRow).where(_waiting(actor)), limit)


def waiting(desk: Desk, *, actor: Actor) -> int:
    """How many documents the inbox holds."""
    wanted = select(func.count()).select_from(RoutedDocumentRow).where(_waiting(actor))
    with desk.database.reading() as session:
        return int(session.scalar(wanted) or 0)


def listed(
    desk: Desk,
    *,
    actor: Actor,
    state: str | None = None,
    before: datetime | None = None,
    limit: int = 50,
) -> list[RoutedDocument]:
    """Everything the actor may see, newest first; `before` goes on from the last one seen."""
    wanted = select(RoutedDocumentRow).where(_visible(actor))
    if state is not None:
        wanted = wanted.where(RoutedDocumentRow.state == state)
    if before is not None:
        wanted = wanted.where(RoutedDocumentRow.created_at < before)
    return _listed(desk, wanted, limit)


def history(desk: Desk, document_id: str, *, actor: Actor) -> list[Event]:
    """What happened to it, in order."""
    wanted = select(RoutedEventRow).where(RoutedEventRow.document_id == document_id)
    with desk.database.reading() as session:
        load(session, document_id, actor=actor)
        return [
            Event(row.at, row.by, row.person, row.act, row.position, row.digest, row.reason)
            for row in session.scalars(wanted.order_by(RoutedEventRow.id))
        ]


def content(
    desk: Desk, document_id: str, *, actor: Actor, now: datetime
) -> tuple[RoutedDocument, bytes]:
    """The file as it stands; every view is recorded.

    Raises StepRefused `routed-document-withdrawn` for what was recalled, or refused after it had
    been signed: a signed file that came to nothing is given to nobody.
    """
    found = look(desk, document_id, actor=actor)
    require_shown(found)
    data = desk.blobs.get(found.file)
    record_view(desk, found, actor=actor, now=now)
    return found, data


def require_shown(document: RoutedDocument) -> None:
    """Raises StepRefused `routed-document-withdrawn`."""
    if document.state in ("refused", "recalled"):
        raise StepRefused("routed-document-withdrawn", state=document.state)


def record_view(desk: Desk, document: RoutedDocument, *, actor: Actor, now: datetime) -> None:
    """Who looked at which file, and when (Law 91/2025)."""
    with desk.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.ROUTED_VIEWED,
            by=actor.by,
            subject=f"routed-document:{document.id}",
            details={"digest": document.file, "for": actor.holder_id or ""},
            now=now,
        )


def load(
    session: Session, document_id: str, *, actor: Actor | None = None, lock: bool = False
) -> tuple[RoutedDocumentRow, list[RouteStepRow]]:
    """The rows of a document, for those who may see it; `actor` None is the service itself."""
    row = session.get(RoutedDocumentRow, document_id, with_for_update=lock)
    if row is None:
        raise StepRefused("routed-document-not-found")
    wanted = select(RouteStepRow).where(RouteStepRow.document_id == document_id)
    steps = list(session.scalars(wanted.order_by(RouteStepRow.position)))
    if actor is not None and not _may_see(row, steps, actor):
        raise StepRefused("routed-document-not-found")
    return row, steps


def happened(
    session: Session,
    document_id: str,
    act: str,
    *,
    actor: Actor,
    position: int | None = None,
    digest: str | None = None,
    reason: str | None = None,
    tell: bool = False,
    now: datetime,
) -> None:
    """A line of the history; `tell` has it sent to whom it concerns (`api.step_notices`)."""
    session.add(
        RoutedEventRow(
            document_id=document_id,
            at=now,
            by=actor.by,
            person=actor.name or None,
            act=act,
            position=position,
            digest=digest,
            reason=reason,
            untold=tell,
        )
    )


def as_document(row: RoutedDocumentRow, steps: Sequence[RouteStepRow]) -> RoutedDocument:
    """Rows as a value that outlives its session."""
    return RoutedDocument(
        id=row.id,
        client=row.client,
        unit=row.unit,
        title=row.title,
        kind=row.kind,
        symbol=row.symbol,
        name=row.name,
        drafter=row.drafter,
        state=row.state,
        version=row.version,
        position=row.position,
        file=row.file,
        size=row.size,
        pages=row.pages,
        number=row.number,
        number_day=row.number_day,
        created_at=row.created_at,
        finished_at=row.finished_at,
        reason=row.reason,
        steps=tuple(_step(one) for one in steps),
    )


def _listed(desk: Desk, wanted: Select[RoutedDocumentRow], limit: int) -> list[RoutedDocument]:
    newest = wanted.order_by(RoutedDocumentRow.created_at.desc(), RoutedDocumentRow.id)
    with desk.database.reading() as session:
        rows = session.scalars(newest.limit(min(limit, MOST_LISTED))).all()
        steps: dict[str, list[RouteStepRow]] = {row.id: [] for row in rows}
        theirs = select(RouteStepRow).where(RouteStepRow.document_id.in_(steps))
        for one in session.scalars(theirs.order_by(RouteStepRow.position)):
            steps[one.document_id].append(one)
    return [as_document(row, steps[row.id]) for row in rows]


def _waiting(actor: Actor) -> ColumnElement[bool]:
    mine = RouteStepRow.holder_id == (actor.holder_id or "")
    ours = and_(
        RouteStepRow.holder_id.is_(None),
        RouteStepRow.unit == actor.unit,
        RouteStepRow.role.in_(actor.roles),
    )
    turn = exists().where(
        RouteStepRow.document_id == RoutedDocumentRow.id,
        RouteStepRow.state == "current",
        or_(mine, ours),
    )
    returned = and_(
        RoutedDocumentRow.state == "returned", RoutedDocumentRow.drafter == (actor.holder_id or "")
    )
    stands = or_(and_(RoutedDocumentRow.state == "under-way", turn), returned)
    return and_(stands, _visible(actor))


def _visible(actor: Actor) -> ColumnElement[bool]:
    if actor.client is not None:
        return RoutedDocumentRow.client == actor.client
    concerned = exists().where(
        RouteStepRow.document_id == RoutedDocumentRow.id,
        or_(
            RouteStepRow.holder_id == (actor.holder_id or ""),
            RouteStepRow.done_for == (actor.holder_id or ""),
            RouteStepRow.unit == actor.unit,
        ),
    )
    return or_(
        RoutedDocumentRow.unit == actor.unit,
        RoutedDocumentRow.drafter == (actor.holder_id or ""),
        concerned,
    )


def _may_see(row: RoutedDocumentRow, steps: Sequence[RouteStepRow], actor: Actor) -> bool:
    if actor.client is not None:
        return row.client == actor.client
    units = {row.unit, *(one.unit for one in steps)}
    people = {row.drafter}
    for one in steps:
        people |= {who for who in (one.holder_id, one.done_for) if who}
    return actor.unit in units or actor.holder_id in people


def _step(row: RouteStepRow) -> Step:
    return Step(
        position=row.position,
        kind=StepKind(row.kind),
        unit=row.unit,
        role=row.role,
        holder_id=row.holder_id,
        holder_name=row.holder_name,
        days=row.days,
        look=Look.from_json(row.look),
        state=row.state,
        due_at=row.due_at,
        overdue=row.overdue,
        done_at=row.done_at,
        done_by=row.done_by,
        done_name=row.done_name,
        shown=row.shown,
        credential_id=row.credential_id,
        field=row.field,
        authority_lines=tuple(row.authority_lines or ()),
    )
