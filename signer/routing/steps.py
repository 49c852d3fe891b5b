"""A document's way through the steps of signing: initials, signature, number and date, seal.

    document = submit(desk, data, Submission(unit=…, title=…, kind="QĐ", symbol="QĐ-UBND",
                      name="quyet-dinh.pdf", drafter="CCCD:…", steps=route.steps), actor, now=now)
    initial(desk, document.id, shown=document.file, actor=…, now=now)
    sign(desk, document.id, StepKind.SIGNATURE, shown=…, credential_id=…, authorize=…, …)
    sign(desk, document.id, StepKind.NUMBER, …)
    sign(desk, document.id, StepKind.SEAL, …)

`shown` is the digest of the file the person had before them, and `authorize` is called with exactly
that digest: what is shown is what is signed. docs/flows/steps.md has the same numbered steps as
`sign`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from records import audit
from records.tags import Tag
from signer import signing
from signer.errors import ActivationRefused, DocumentRefused, StepRefused
from signer.levels import Level
from signer.looks.appearance import Appearance, Template
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.routing import delegations, step_claims, step_order, step_places
from signer.routing.routed_documents import Actor, RoutedDocument, as_document, happened, load
from signer.routing.step_claims import Claim
from signer.routing.step_routes import Look, PlannedStep, StepKind, require_order
from signer.routing.steps_models import RoutedDocumentRow, RouteStepRow
from signer.signing import SignatureRequest

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.workflow import Authorizer

MOST_BYTES = 64 << 20
"""People read these page by page, and each step holds the file in memory."""


@dataclass(frozen=True)
class Submission:
    """What a document is, and which way it goes.

    `kind` names the series of its number (QĐ, TB, …), `symbol` is what follows the number's stroke.
    """

    unit: str
    title: str
    kind: str
    symbol: str
    name: str
    drafter: str
    steps: Sequence[PlannedStep]


def submit(
    desk: Desk, data: bytes, submission: Submission, *, actor: Actor, now: datetime
) -> RoutedDocument:
    """Take in an unsigned draft and begin its first step.

    Everything a later step would stumble over is refused now, while the drafter can mend it:
    DocumentRefused, SignerError `route-order`, `step-holder-unknown`, `document-signed-already`,
    `route-boxes-overlap`, `number-place-missing`, `anchor-not-found` and the like.
    """
    require_order(submission.steps)
    names = _names(desk, submission.steps)
    pages = inspect(desk, data, submission.steps)
    digest = desk.blobs.put(data)
    row = RoutedDocumentRow(
        id=f"rd_{secrets.token_hex(12)}",
        client=actor.client,
        unit=submission.unit,
        title=submission.title,
        kind=submission.kind,
        symbol=submission.symbol,
        name=submission.name,
        drafter=submission.drafter,
        state="under-way",
        version=1,
        position=0,
        original=digest,
        file=digest,
        size=len(data),
        pages=pages,
        created_at=now,
        created_by=actor.by,
    )
    steps = [
        RouteStepRow(
            document_id=row.id,
            position=position,
            kind=one.kind.value,
            unit=one.unit,
            role=one.role,
            holder_id=one.holder_id,
            holder_name=names.get(one.holder_id or ""),
            days=one.days,
            look=one.look.to_json(),
            state="waiting",
            overdue=False,
        )
        for position, one in enumerate(submission.steps)
    ]
    with desk.database.transaction() as session:
        session.add(row)
        session.flush()
        session.add_all(steps)
        happened(session, row.id, "submitted", actor=actor, digest=digest, now=now)
        step_claims.begin_turn(session, steps[0], actor=actor, now=now)
        audit.record(
            session,
            tag=Tag.ROUTED_SUBMITTED,
            by=actor.by,
            subject=f"routed-document:{row.id}",
            details={
                "unit": row.unit,
                "kind": row.kind,
                "digest": digest,
                "drafter": row.drafter,
                "steps": [one.kind for one in steps],
            },
            now=now,
        )
    return as_document(row, steps)


def initial(
    desk: Desk, document_id: str, *, shown: str, actor: Actor, now: datetime
) -> RoutedDocument:
    """Ký nháy: this person has read the file with this digest and agrees that it goes on.

    An approval bound to the digest, in the audit log; it is no signature in the file, because the
    file may still be mended (docs/decisions/0230).
    """
    step_claims.settle(desk, document_id, now=now)
    with (
        step_order.refusals_recorded(desk, document_id, actor, now),
        desk.database.transaction() as session,
    ):
        row, steps = load(session, document_id, actor=actor, lock=True)
        step_claims.require_free(row, now=now)
        step_order.require_turn(row, steps, StepKind.INITIAL, actor=actor, shown=shown)
        step_claims.advance(
            session,
            row,
            steps,
            by=actor.by,
            holder_id=actor.holder_id,
            name=actor.name,
            result=None,
            now=now,
        )
    return as_document(row, steps)


def sign(
    desk: Desk,
    document_id: str,
    kind: StepKind,
    *,
    shown: str,
    credential_id: str,
    authorize: Authorizer,
    actor: Actor,
    now: datetime,
) -> RoutedDocument:
    """The signature of a step: of the authorised person, or the agency's with number or seal.

    Refusals are SignerError and HsmError; each is audited, and whatever happens the document is
    either signed and moved on, or as it was.
    """
    # 1. Take up what an interruption left: a signature that was made is not made again.
    step_claims.settle(desk, document_id, now=now)
    with step_order.refusals_recorded(desk, document_id, actor, now):
        # 2. Whose turn it is, whether it is this person's, and whether they saw the current file.
        with desk.database.reading() as session:
            row, steps = load(session, document_id, actor=actor)
            step = step_order.require_turn(row, steps, kind, actor=actor, shown=shown)
        # 3. The certificate that belongs to this step, good at this moment.
        credential = step_order.require_credential(desk, step, credential_id, actor=actor, now=now)
        data = desk.blobs.get(row.file)
        # 4. Order: every signature before this one is there and valid, as any recipient finds.
        before = step_order.signed_by(desk, steps)
        if before or kind is not StepKind.SIGNATURE:
            step_order.require_signed(desk, data, before, now=now)
        # 5. The delegation in force at this moment, and the claim with the number, committed.
        with desk.database.transaction() as session:
            row, steps = load(session, document_id, actor=actor, lock=True)
            step = step_order.require_turn(row, steps, kind, actor=actor, shown=shown)
            lines: tuple[str, ...] = ()
            if kind is StepKind.SIGNATURE:
                lines = delegations.in_force(
                    session,
                    unit=step.unit,
                    holder_id=credential.holder_id,
                    kind=row.kind,
                    now=now,
                ).authority_lines
            claim = step_claims.take(
                session,
                row,
                step,
                credential_id=credential_id,
                authority_lines=lines,
                signer=_signers(steps),
                actor=actor,
                now=now,
            )
        try:
            # 6. How it looks: lines and picture, number and date, or the seal over the person's.
            original = Original.of(data)
            request = _request(desk, original, claim, steps, lines, credential.name)
            # 7. The holder authorises exactly the digest that was shown.
            authorization = authorize([original.sha256])
            if authorization.credential_id != credential_id:
                raise ActivationRefused("authorization-of-another-credential")
            # 8. Sign (docs/flows/sign.md); the file is kept before its outcome is committed.
            signed = signing.sign_pdf(
                desk,
                original,
                request,
                authorization=authorization,
                now=now,
                by=actor.by,
                keep=lambda made: desk.blobs.put(made.data),
            )
            # 9. Judge the result as any recipient would, before anybody gets it.
            everybody = {*before, credential.certificate.serial_number}
            step_order.require_signed(desk, signed.data, everybody, now=now)
        except Exception as failure:
            step_claims.give_back(desk, claim, failure, actor=actor, now=now)
            raise
        # 10. Commit the outcome: the step is done, the next one's turn begins, who waits is told.
        size = len(signed.original) + sum(map(len, signed.revisions))
        step_claims.finish(desk, claim, result=signed.digest, size=size, actor=actor, now=now)
    with desk.database.reading() as session:
        return as_document(*load(session, document_id, actor=actor))


def recover(desk: Desk, *, now: datetime) -> int:
    """Finish or free what an interruption left in hand; returns how many."""
    return step_claims.recover(desk, now=now)


def _request(
    desk: Desk,
    original: Original,
    claim: Claim,
    steps: Sequence[RouteStepRow],
    lines: Sequence[str],
    name: str,
) -> SignatureRequest:
    step = steps[claim.position]
    look = Look.from_json(step.look)
    if claim.kind is StepKind.NUMBER:
        assert claim.number is not None
        shape = Appearance.number(number=claim.number, symbol=claim.symbol, day=claim.number_day)
    elif claim.kind is StepKind.SEAL:
        over = [one.field for one in steps if one.kind == StepKind.SIGNATURE.value]
        shape = Appearance.seal(over=over[-1])
    elif look.box is not None:
        shape = Appearance(Template.PERSON, look.page, look.box, lines=tuple(lines), name=name)
    else:
        with Document.open(original, desk.limits) as document:
            step_order.require_lines_printed(document, lines, name=look.anchor or name, page=None)
        shape = Appearance(Template.PERSON, look.page, anchor=look.anchor)
    last = claim.position == len(steps) - 1
    level = Level.B_LTA if last else Level.B_LT
    return SignatureRequest(level=level, appearance=shape, field_name=claim.field)


def inspect(desk: Desk, data: bytes, steps: Sequence[PlannedStep]) -> int:
    """Whether a draft has what each of its steps will need; its number of pages."""
    if len(data) > MOST_BYTES:
        raise DocumentRefused("document-too-large", limit_mb=MOST_BYTES >> 20)
    names = _names(desk, steps)
    with Document.open(Original.of(data), desk.limits) as document:
        document.require_signable()
        if any(one.signed for one in document.signatures):
            raise StepRefused("document-signed-already")
        step_places.require_places(desk, document, steps, names)
        return document.pages


def _names(desk: Desk, steps: Sequence[PlannedStep]) -> dict[str, str]:
    """The people of the steps, as their certificates name them."""
    return {
        one.holder_id: step_order.name_in_unit(desk, one.holder_id, one.unit)
        for one in steps
        if one.holder_id is not None
    }


def _signers(steps: Sequence[RouteStepRow]) -> str:
    names = [one.done_name or "" for one in steps if one.kind == StepKind.SIGNATURE.value]
    return ", ".join(one for one in names if one)
