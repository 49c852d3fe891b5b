"""One act at a time on a document, and none lost: claim, give back, finish, take up again.

A claim is the intention: committed before anybody's key is opened, with the number the act will
print. The signature itself has its own intention and outcome (`signer.signing`), and its file is
kept before that outcome is committed. So whatever moment a process ends at, `settle` finds either
a finished signature of this very claim, and completes the step with it, or none, and frees it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.errors import OrderRefused, StepRefused
from signer.keys import credentials
from signer.models import SignatureRow
from signer.routing import outgoing_numbers, step_order
from signer.routing.routed_documents import Actor, happened, load
from signer.routing.step_routes import StepKind
from signer.routing.steps_models import RoutedDocumentRow, RouteStepRow
from signer.routing.working_days import due_after, local

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from signer.desk import Desk

CLAIM = timedelta(minutes=10)
"""Longer than an authorisation made at once for one document can live."""
_DONE = {
    StepKind.INITIAL: "initialled",
    StepKind.SIGNATURE: "signed",
    StepKind.NUMBER: "numbered",
    StepKind.SEAL: "sealed",
}


@dataclass(frozen=True)
class Claim:
    """An act in hand. `number` and `day` are what a number step prints."""

    token: str
    document_id: str
    position: int
    kind: StepKind
    field: str
    file: str
    number: int | None
    symbol: str
    number_day: Any


def take(
    session: Session,
    row: RoutedDocumentRow,
    step: RouteStepRow,
    *,
    credential_id: str,
    authority_lines: Sequence[str],
    signer: str,
    actor: Actor,
    now: datetime,
) -> Claim:
    """Commit the intention, in the caller's transaction; a number step takes its number here.

    Raises StepRefused `step-in-hand` while somebody else's act is under way.
    """
    require_free(row, now=now)
    kind = StepKind(step.kind)
    if kind is StepKind.NUMBER:
        _number(session, row, signer=signer, actor=actor, now=now)
    row.claim, row.claimed_at, row.claimed_until = secrets.token_hex(16), now, now + CLAIM
    row.claimed_by, row.claimed_credential = actor.by, credential_id
    row.claimed_for = {
        "holder_id": actor.holder_id,
        "name": actor.name,
        "lines": list(authority_lines),
    }
    audit.record(
        session,
        tag=Tag.ROUTED_STEP_INTENDED,
        by=actor.by,
        subject=f"routed-document:{row.id}",
        details={
            "step": step.position,
            "kind": step.kind,
            "digest": row.file,
            "credential": credential_id,
            "for": actor.holder_id or "",
            "lines": list(authority_lines),
        },
        now=now,
    )
    return Claim(
        token=row.claim,
        document_id=row.id,
        position=step.position,
        kind=kind,
        field=field_name(row, step),
        file=row.file,
        number=row.number,
        symbol=row.symbol,
        number_day=row.number_day,
    )


def require_free(row: RoutedDocumentRow, *, now: datetime) -> None:
    """Raises StepRefused `step-in-hand`."""
    if row.claim is not None and row.claimed_until is not None and row.claimed_until > now:
        raise StepRefused("step-in-hand")


def field_name(row: RoutedDocumentRow, step: RouteStepRow) -> str:
    """The signature field of a step: by it an interrupted act knows its own signature again."""
    return f"{step.kind.capitalize()}-{step.position + 1}-v{row.version}-{row.id[-8:]}"


def give_back(desk: Desk, claim: Claim, failure: Exception, *, actor: Actor, now: datetime) -> None:
    """Nothing was signed that counts: the step is free again, a taken number stays for its day."""
    with desk.database.transaction() as session:
        row = session.get_one(RoutedDocumentRow, claim.document_id, with_for_update=True)
        if row.claim == claim.token:
            code = failure.code if isinstance(failure, DomainError) else type(failure).__name__
            _free(session, row, code, by=actor.by, now=now)


def finish(
    desk: Desk, claim: Claim, *, result: str, size: int, actor: Actor, now: datetime
) -> None:
    """The outcome: the step is done, the next one's turn begins.

    Raises StepRefused `step-lost` when the claim ran out and another took the step.
    """
    with desk.database.transaction() as session:
        row, steps = load(session, claim.document_id, lock=True)
        if row.claim != claim.token:
            raise StepRefused("step-lost")
        signed = Signed(result, claim.field, size)
        _complete(session, row, steps, signed, by=actor.by, now=now)


def settle(desk: Desk, document_id: str, *, now: datetime) -> bool:
    """Take up an act whose claim ran out: finish it if its signature was made, else free it.

    A signature that was made is judged here as it would have been then; an unsound one is thrown
    away, and nobody has seen it.
    """
    with desk.database.reading() as session:
        row, steps = load(session, document_id)
        if not _ran_out(row, now):
            return False
        token, made = row.claim, _made(session, row, steps[row.position])
    signed, reason = None, "interrupted"
    if made is not None and made.result is not None and desk.blobs.exists(made.result):
        data = desk.blobs.get(made.result)
        credential = credentials.find(desk, made.credential_id)
        serials = step_order.signed_by(desk, steps) | {credential.certificate.serial_number}
        try:
            step_order.require_signed(desk, data, serials, now=now)
            signed = Signed(made.result, made.field or "", len(data))
        except OrderRefused as refusal:
            reason = refusal.code
    with desk.database.transaction() as session:
        row, steps = load(session, document_id, lock=True)
        if row.claim != token or not _ran_out(row, now):
            return False  # somebody else has taken it up
        if signed is None:
            _free(session, row, reason, by="system:recovery", now=now)
        else:
            by = row.claimed_by or "system:recovery"
            _complete(session, row, steps, signed, by=by, now=now)
    return True


def _ran_out(row: RoutedDocumentRow, now: datetime) -> bool:
    return row.claim is not None and row.claimed_until is not None and row.claimed_until <= now


def _made(session: Session, row: RoutedDocumentRow, step: RouteStepRow) -> SignatureRow | None:
    """The finished signature of the claim in hand, known by its field."""
    wanted = select(SignatureRow).where(
        SignatureRow.document == row.file,
        SignatureRow.credential_id == row.claimed_credential,
        SignatureRow.field == field_name(row, step),
        SignatureRow.state == "made",
        SignatureRow.intended_at >= row.claimed_at,
    )
    return session.scalar(wanted.limit(1))


def recover(desk: Desk, *, now: datetime) -> int:
    """Settle every act whose claim ran out; at the start of the service and from time to time."""
    wanted = select(RoutedDocumentRow.id).where(RoutedDocumentRow.claimed_until <= now)
    with desk.database.reading() as session:
        left = list(session.scalars(wanted))
    return sum(settle(desk, one, now=now) for one in left)


@dataclass(frozen=True)
class Signed:
    """The file that a signature made, and the field it is in."""

    digest: str
    field: str
    size: int


def begin_turn(session: Session, step: RouteStepRow, *, actor: Actor, now: datetime) -> None:
    """This step is next: its working days begin to count, and whom it waits for is told."""
    step.state, step.due_at, step.overdue = "current", due_after(now, step.days), False
    happened(
        session,
        step.document_id,
        "turn",
        actor=actor,
        position=step.position,
        tell=True,
        now=now,
    )


def advance(
    session: Session,
    row: RoutedDocumentRow,
    steps: Sequence[RouteStepRow],
    *,
    by: str,
    holder_id: str | None,
    name: str,
    result: str | None,
    now: datetime,
) -> None:
    """Close the current step, and open the next one or complete the document."""
    actor = Actor(by, holder_id=holder_id, name=name)
    step = steps[row.position]
    step.state, step.done_at, step.done_by = "done", now, by
    step.done_for, step.done_name, step.shown, step.result = holder_id, name, row.file, result
    act = _DONE[StepKind(step.kind)]
    digest = result or row.file
    happened(session, row.id, act, actor=actor, position=step.position, digest=digest, now=now)
    if result is not None:
        row.file = result
    if row.position + 1 < len(steps):
        row.position += 1
        begin_turn(session, steps[row.position], actor=actor, now=now)
    else:
        row.state, row.finished_at = "complete", now
        happened(session, row.id, "complete", actor=actor, digest=row.file, tell=True, now=now)
    audit.record(
        session,
        tag=Tag.ROUTED_STEP_DONE,
        by=by,
        subject=f"routed-document:{row.id}",
        details={
            "step": step.position,
            "kind": step.kind,
            "shown": step.shown,
            "result": result or "",
            "for": holder_id or "",
        },
        now=now,
    )
    if row.state == "complete":
        audit.record(
            session,
            tag=Tag.ROUTED_COMPLETE,
            by=by,
            subject=f"routed-document:{row.id}",
            details={"digest": row.file, "number": row.number or 0},
            now=now,
        )


def _complete(
    session: Session,
    row: RoutedDocumentRow,
    steps: Sequence[RouteStepRow],
    signed: Signed,
    *,
    by: str,
    now: datetime,
) -> None:
    step, whose = steps[row.position], row.claimed_for or {}
    step.credential_id, step.field = row.claimed_credential, signed.field
    step.authority_lines = whose.get("lines") or None
    if step.kind == StepKind.NUMBER.value:
        line = outgoing_numbers.of_document(session, row.id)
        if line is not None:
            outgoing_numbers.issue(session, line, now=now, by=by)
    row.claim = row.claimed_at = row.claimed_until = None
    row.claimed_by = row.claimed_for = row.claimed_credential = None
    row.size = signed.size
    advance(
        session,
        row,
        steps,
        by=by,
        holder_id=whose.get("holder_id"),
        name=whose.get("name") or "",
        result=signed.digest,
        now=now,
    )


def _free(session: Session, row: RoutedDocumentRow, reason: str, *, by: str, now: datetime) -> None:
    row.claim = row.claimed_at = row.claimed_until = None
    row.claimed_by = row.claimed_for = row.claimed_credential = None
    audit.record(
        session,
        tag=Tag.ROUTED_STEP_GIVEN_BACK,
        by=by,
        subject=f"routed-document:{row.id}",
        details={"step": row.position, "reason": reason},
        now=now,
    )


def _number(
    session: Session, row: RoutedDocumentRow, *, signer: str, actor: Actor, now: datetime
) -> None:
    """The number taken before, if it is of today; one of a day that is over is void."""
    today = local(now).date()
    held = outgoing_numbers.of_document(session, row.id)
    if held is not None and held.day != today:
        outgoing_numbers.void(
            session, held, reason="hết ngày cấp số mà chưa ký", now=now, by=actor.by
        )
        session.flush()
        held = None
    if held is None:
        held = outgoing_numbers.take(session, row, signer=signer, day=today, now=now, by=actor.by)
    row.number, row.number_day = held.number, held.day
