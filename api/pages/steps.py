"""What the pages of documents under way show, taken from the documents themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from signer.routing.routed_documents import Actor, RoutedDocument, Step

_MOMENT = timedelta(minutes=2)
TONES = {
    "under-way": "open",
    "returned": "bad",
    "complete": "good",
    "refused": "bad",
    "recalled": "bad",
}


@dataclass(frozen=True)
class StepView:
    """A step in the list of steps; `shown` is done, current, late or waiting."""

    position: int
    kind: str
    shown: str
    who: str | None
    role: str
    unit: str
    lines: tuple[str, ...]
    at: datetime | None
    due_at: datetime | None
    may_assign: bool


@dataclass(frozen=True)
class RowView:
    """A document in a list."""

    id: str
    title: str
    number: str
    state: str
    tone: str
    step: str | None
    who: str | None
    role: str | None
    due_at: datetime | None
    late: bool
    created_at: datetime


@dataclass(frozen=True)
class DocumentView:
    """One document, and what this person may do to it now."""

    id: str
    title: str
    number: str
    name: str
    unit: str
    state: str
    tone: str
    reason: str | None
    version: int
    digest: str
    pages: range
    readable: bool
    steps: tuple[StepView, ...]
    act: Literal["initial", "signature", "number", "seal"] | None
    may_recall: bool
    may_replace: bool


def row_view(one: RoutedDocument, *, now: datetime) -> RowView:
    """For a list."""
    step = one.current
    return RowView(
        id=one.id,
        title=one.title,
        number=one.number_text or f"…/{one.symbol}",
        state=one.state,
        tone=TONES[one.state],
        step=step.kind.value if step else None,
        who=step.holder_name if step else None,
        role=step.role if step else None,
        due_at=step.due_at if step else None,
        late=_late(step, now) if step else False,
        created_at=one.created_at,
    )


def document_view(one: RoutedDocument, *, actor: Actor, now: datetime) -> DocumentView:
    """For its own page."""
    step = one.current
    sender = actor.holder_id == one.drafter
    open_yet = one.state in ("under-way", "returned")
    readable = one.state not in ("refused", "recalled")
    return DocumentView(
        id=one.id,
        title=one.title,
        number=one.number_text or f"…/{one.symbol}",
        name=one.name,
        unit=one.unit,
        state=one.state,
        tone=TONES[one.state],
        reason=one.reason,
        version=one.version,
        digest=one.file,
        pages=range(1, one.pages + 1) if readable else range(0),
        readable=readable,
        steps=tuple(_step_view(each, one, actor, now) for each in one.steps),
        act=step.kind.value if step is not None and may_act(step, actor) else None,
        may_recall=sender and open_yet,
        may_replace=sender and open_yet and not one.signed,
    )


def just_done(one: RoutedDocument, *, by: str, now: datetime) -> Step | None:
    """What this person has done a moment ago, to be told in words: from the record, no link."""
    mine = [each for each in one.steps if each.done_by == by and each.done_at is not None]
    latest = max(mine, key=lambda each: (each.done_at or now, each.position), default=None)
    if latest is None or latest.done_at is None or now - latest.done_at > _MOMENT:
        return None
    return latest


def may_act(step: Step, actor: Actor) -> bool:
    """Whether the step is this person's; `signer.routing.step_order` has the last word."""
    if step.holder_id is not None:
        return step.holder_id == actor.holder_id
    return step.unit == actor.unit and step.role in actor.roles


def _step_view(step: Step, one: RoutedDocument, actor: Actor, now: datetime) -> StepView:
    shown = step.state
    if shown == "current" and _late(step, now):
        shown = "late"
    runs_the_unit = actor.unit == step.unit and bool({"clerk", "admin"} & actor.roles)
    theirs = step.holder_id is not None and step.holder_id == actor.holder_id
    return StepView(
        position=step.position,
        kind=step.kind.value,
        shown=shown,
        who=step.done_name or step.holder_name,
        role=step.role,
        unit=step.unit,
        lines=step.authority_lines,
        at=step.done_at,
        due_at=step.due_at if step.state == "current" else None,
        may_assign=step.state == "current"
        and (runs_the_unit or theirs or actor.holder_id == one.drafter),
    )


def _late(step: Step, now: datetime) -> bool:
    return step.due_at is not None and step.due_at <= now
