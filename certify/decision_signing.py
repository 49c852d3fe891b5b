"""The decision to cancel, read and signed at the screen, and in force with the signature.

    shown = draft(office, copy_id, number=…, reason=…, holder_id=…, now=now)     # `decisions`
    cancel_here(office, copy_id, Words("131/QĐ-UBND", "…"), person=(key.id, opens),
                shown=document_digest(shown).hex(), now=now, by=by)

What was shown is what is signed: the same words on the same day give the same bytes, and their
digest is what the person approved. Steps: docs/flows/cancel.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from certify.cancellation import Cancelled, cancel, require_in_force
from certify.decisions import Decision, draft
from certify.errors import CertifyError
from certify.issuance import Hand, authorise, usable
from certify.office import Office
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.routing.working_days import local
from signer.signing import SignatureRequest, document_digest, sign_pdf


@dataclass(frozen=True)
class Words:
    """What the person writes: the decision's number and why."""

    number: str
    reason: str


def cancel_here(
    office: Office,
    copy_id: str,
    words: Words,
    *,
    person: Hand,
    shown: str,
    now: datetime,
    by: str,
) -> Cancelled:
    """Sign the decision that was shown, and cancel the copy by it.

    Raises what `draft` and `cancel` raise, `CertifyError` `shown-not-current`, `copy-not-in-force`,
    and `SignerError`.
    """
    # 1. Who decides: an official's own key; whether they may, the draft asks.
    official = usable(office, person, now=now)
    if official.kind != "official":
        raise CertifyError("signer-not-official")
    require_in_force(office, copy_id)
    # 2. The same words give the same document; another one than was shown is not signed.
    document = draft(
        office,
        copy_id,
        number=words.number,
        reason=words.reason,
        holder_id=official.holder_id,
        now=now,
    )
    digest = document_digest(document)
    if digest.hex() != shown:
        raise CertifyError("shown-not-current")
    # 3. Intention on record, then the signature: nothing may follow it.
    _record(office, Tag.CANCELLATION_INTENDED, copy_id, words, digest.hex(), now=now, by=by)
    try:
        given = authorise(office, person, [digest], now=now, by=by)
        request = SignatureRequest(
            level=Level.B_LTA,
            appearance=Appearance.person(anchor=official.name),
            reason="Hủy bản sao chứng thực",
            certify=1,
        )
        signed = sign_pdf(office.desk, document, request, authorization=given, now=now, by=by).data
        # 4. The decision is judged as one that was signed elsewhere, and the world is told.
        decision = Decision(words.number, local(now).date(), words.reason, official.name)
        return cancel(office, copy_id, decision, signed_decision=signed, now=now, by=by)
    except DomainError as error:
        _record(office, Tag.CANCELLATION_FAILED, copy_id, words, error.code, now=now, by=by)
        raise


def _record(
    office: Office, tag: Tag, copy_id: str, words: Words, what: str, *, now: datetime, by: str
) -> None:
    with office.database.transaction() as session:
        audit.record(
            session,
            tag=tag,
            by=by,
            subject=f"copy:{copy_id}",
            details={"decision": words.number, "about": what},
            now=now,
        )
