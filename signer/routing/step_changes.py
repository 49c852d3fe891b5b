"""What may happen to a document besides the next step: refused, mended, recalled, handed on, late.

Before the first signature a refused document goes back to its drafter, who may mend it: a new
version, for which everybody agrees anew. Once a signature is on it nothing of it can change; a
refusal or a recall then ends it, its number is void, and its file is given to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from records import audit
from records.tags import Tag
from signer.errors import StepRefused
from signer.routing import outgoing_numbers, step_claims, step_order, steps
from signer.routing.routed_documents import Actor, RoutedDocument, as_document, happened, load
from signer.routing.step_routes import Look, PlannedStep, StepKind
from signer.routing.steps_models import RoutedDocumentRow, RouteStepRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from signer.desk import Desk

LONGEST_REASON = 1000
_AT_ONCE = 500


def refuse(
    desk: Desk, document_id: str, *, reason: str, actor: Actor, now: datetime
) -> RoutedDocument:
    """Whose turn it is will not do their step; the reason goes to the drafter."""
    reason = _reason(reason)
    step_claims.settle(desk, document_id, now=now)
    with (
        step_order.refusals_recorded(desk, document_id, actor, now),
        desk.database.transaction() as session,
    ):
        row, rows = load(session, document_id, actor=actor, lock=True)
        step_claims.require_free(row, now=now)
        step = step_order.require_turn(row, rows, None, actor=actor, shown=None)
        step.state, step.due_at = "waiting", None
        row.reason = reason
        if is_signed(rows):
            _end(session, row, "refused", reason, actor=actor, now=now)
        else:
            row.state = "returned"
        happened(
            session,
            row.id,
            "refused",
            actor=actor,
            position=step.position,
            digest=row.file,
            reason=reason,
            tell=True,
            now=now,
        )
        details = {"step": step.position, "reason": reason, "state": row.state}
        _audit(session, Tag.ROUTED_REFUSED, row, details, actor=actor, now=now)
    return as_document(row, rows)


def recall(
    desk: Desk, document_id: str, *, reason: str, actor: Actor, now: datetime
) -> RoutedDocument:
    """The sender takes it back, at any time before the last step is done."""
    reason = _reason(reason)
    step_claims.settle(desk, document_id, now=now)
    with (
        step_order.refusals_recorded(desk, document_id, actor, now),
        desk.database.transaction() as session,
    ):
        row, rows = load(session, document_id, actor=actor, lock=True)
        step_claims.require_free(row, now=now)
        require_sender(row, actor)
        if row.state not in ("under-way", "returned"):
            raise StepRefused("routed-document-state", state=row.state)
        for one in rows:
            if one.state == "current":
                one.state, one.due_at = "waiting", None
        row.reason = reason
        _end(session, row, "recalled", reason, actor=actor, now=now)
        happened(session, row.id, "recalled", actor=actor, reason=reason, tell=True, now=now)
        details = {"reason": reason, "signed": is_signed(rows)}
        _audit(session, Tag.ROUTED_RECALLED, row, details, actor=actor, now=now)
    return as_document(row, rows)


def replace(
    desk: Desk, document_id: str, data: bytes, *, actor: Actor, now: datetime
) -> RoutedDocument:
    """A new version of the file, only before the first signature; every initial falls away.

    Raises StepRefused `document-signed-already`, and what `steps.submit` refuses in a file.
    """
    step_claims.settle(desk, document_id, now=now)
    with step_order.refusals_recorded(desk, document_id, actor, now):
        with desk.database.reading() as session:
            row, rows = load(session, document_id, actor=actor)
            _require_mendable(row, rows, actor)
        pages = steps.inspect(desk, data, [_planned(one) for one in rows])
        digest = desk.blobs.put(data)
        with desk.database.transaction() as session:
            row, rows = load(session, document_id, actor=actor, lock=True)
            step_claims.require_free(row, now=now)
            _require_mendable(row, rows, actor)
            before = row.file
            row.original = row.file = digest
            row.size, row.pages = len(data), pages
            row.version, row.position, row.state, row.reason = row.version + 1, 0, "under-way", None
            for one in rows:
                one.state, one.due_at, one.overdue = "waiting", None, False
                one.done_at = one.done_by = one.done_for = one.done_name = one.shown = None
            happened(session, row.id, "replaced", actor=actor, digest=digest, now=now)
            step_claims.begin_turn(session, rows[0], actor=actor, now=now)
            details = {"before": before, "digest": digest, "version": row.version}
            _audit(session, Tag.ROUTED_REPLACED, row, details, actor=actor, now=now)
    return as_document(row, rows)


def assign(
    desk: Desk,
    document_id: str,
    position: int,
    *,
    holder_id: str | None,
    actor: Actor,
    now: datetime,
) -> RoutedDocument:
    """Give a step that is not done to another person of its unit, or back to the unit's role.

    Those who may: whose step it is, the unit's clerks and administrators, the sender. Raises
    StepRefused `step-done-already`, `step-not-yours`, `step-holder-not-of-unit`.
    """
    step_claims.settle(desk, document_id, now=now)
    with (
        step_order.refusals_recorded(desk, document_id, actor, now),
        desk.database.transaction() as session,
    ):
        row, rows = load(session, document_id, actor=actor, lock=True)
        step_claims.require_free(row, now=now)
        if row.state not in ("under-way", "returned"):
            raise StepRefused("routed-document-state", state=row.state)
        if not 0 <= position < len(rows):
            raise StepRefused("step-not-found", position=position)
        step = rows[position]
        if step.state == "done":
            raise StepRefused("step-done-already")
        _require_may_assign(row, step, actor)
        before = step.holder_id
        step.holder_id = holder_id
        step.holder_name = _name(desk, step, holder_id)
        happened(
            session,
            row.id,
            "assigned",
            actor=actor,
            position=position,
            reason=step.holder_name,
            tell=step.state == "current",
            now=now,
        )
        details = {"step": position, "before": before or "", "after": holder_id or ""}
        _audit(session, Tag.ROUTED_STEP_ASSIGNED, row, details, actor=actor, now=now)
    return as_document(row, rows)


def mark_overdue(desk: Desk, *, now: datetime, by: str = "system:steps") -> int:
    """Steps whose working days are over, each once; who is late and the drafter are told."""
    wanted = (
        select(RouteStepRow.document_id, RouteStepRow.position)
        .join(RoutedDocumentRow, RoutedDocumentRow.id == RouteStepRow.document_id)
        .where(
            RouteStepRow.state == "current",
            RouteStepRow.due_at <= now,
            RouteStepRow.overdue.is_(False),
            RoutedDocumentRow.state == "under-way",
        )
        .limit(_AT_ONCE)
    )
    with desk.database.reading() as session:
        late = session.execute(wanted).all()
    marked = 0
    for document_id, position in late:
        with desk.database.transaction() as session:
            row, rows = load(session, document_id, lock=True)
            step = rows[position]
            if step.state != "current" or step.overdue or row.state != "under-way":
                continue
            step.overdue = True
            marked += 1
            actor = Actor(by)
            happened(session, row.id, "overdue", actor=actor, position=position, tell=True, now=now)
            details = {"step": position, "due_at": step.due_at or ""}
            _audit(session, Tag.ROUTED_STEP_OVERDUE, row, details, actor=actor, now=now)
    return marked


def is_signed(rows: Sequence[RouteStepRow]) -> bool:
    """Whether the first signature is on it."""
    return any(one.state == "done" and one.field is not None for one in rows)


def require_sender(row: RoutedDocumentRow, actor: Actor) -> None:
    """The program that submitted it, or its drafter. Raises StepRefused `step-not-yours`."""
    if actor.client is not None:
        sender = actor.client == row.client
    else:
        sender = actor.holder_id == row.drafter
    if not sender:
        raise StepRefused("step-not-yours")


def _require_mendable(row: RoutedDocumentRow, rows: Sequence[RouteStepRow], actor: Actor) -> None:
    require_sender(row, actor)
    if is_signed(rows):
        raise StepRefused("document-signed-already")
    if row.state not in ("under-way", "returned"):
        raise StepRefused("routed-document-state", state=row.state)


def _require_may_assign(row: RoutedDocumentRow, step: RouteStepRow, actor: Actor) -> None:
    if actor.client is not None:
        allowed = actor.client == row.client
    else:
        theirs = step.holder_id is not None and step.holder_id == actor.holder_id
        runs_the_unit = actor.unit == step.unit and bool({"clerk", "admin"} & actor.roles)
        allowed = theirs or runs_the_unit or actor.holder_id == row.drafter
    if not allowed:
        raise StepRefused("step-not-yours")


def _name(desk: Desk, step: RouteStepRow, holder_id: str | None) -> str | None:
    if holder_id is not None:
        return step_order.name_in_unit(desk, holder_id, step.unit)
    if step.kind == StepKind.SIGNATURE.value:
        raise StepRefused("route-signer-missing")
    return None


def _end(
    session: Session,
    row: RoutedDocumentRow,
    state: str,
    reason: str,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    row.state, row.finished_at = state, now
    line = outgoing_numbers.of_document(session, row.id)
    if line is not None:
        outgoing_numbers.void(session, line, reason=reason, now=now, by=actor.by)


def _planned(row: RouteStepRow) -> PlannedStep:
    return PlannedStep(
        StepKind(row.kind), row.unit, row.holder_id, row.days, Look.from_json(row.look)
    )


def _reason(text: str) -> str:
    """Raises StepRefused `step-reason-missing`."""
    reason = " ".join(text.split())
    if not reason or len(reason) > LONGEST_REASON:
        raise StepRefused("step-reason-missing", limit=LONGEST_REASON)
    return reason


def _audit(
    session: Session,
    tag: Tag,
    row: RoutedDocumentRow,
    details: Mapping[str, object],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    audit.record(
        session,
        tag=tag,
        by=actor.by,
        subject=f"routed-document:{row.id}",
        details={**details, "for": actor.holder_id or ""},
        now=now,
    )
