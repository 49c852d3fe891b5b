"""What must be so before a step may be done: whose turn, whose credential, what is signed already.

Order is enforced twice: by the steps' own states, and by validating the file as any recipient
would, so that neither a forged row nor a forged file gets a seal (decree 30/2020, art. 13).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509

from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.errors import OrderRefused, StepRefused
from signer.keys import credentials
from signer.looks import placement
from signer.looks.appearance import PREFIXES
from signer.looks.page_contents import text_of
from signer.routing.routed_documents import Actor
from signer.routing.step_routes import StepKind
from signer.routing.steps_models import RoutedDocumentRow, RouteStepRow
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Indication

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential
    from signer.pdf.document import Document

_NOT_ALONE = (*PREFIXES, "PHÓ")
"""What before a title makes it another one: KT. CHỦ TỊCH, PHÓ CHỦ TỊCH."""


def require_turn(
    row: RoutedDocumentRow,
    steps: Sequence[RouteStepRow],
    kind: StepKind | None,
    *,
    actor: Actor,
    shown: str | None,
) -> RouteStepRow:
    """The step whose turn it is, if this actor may do this at it to the file they were shown.

    Raises StepRefused `routed-document-state`, `step-not-its-turn`, `step-not-yours`,
    `shown-not-current`.
    """
    if row.state != "under-way":
        raise StepRefused("routed-document-state", state=row.state)
    step = steps[row.position]
    if kind is not None and step.kind != kind.value:
        raise StepRefused("step-not-its-turn", turn=step.kind, wanted=kind.value)
    require_theirs(row, step, actor)
    if shown is not None and shown != row.file:
        raise StepRefused("shown-not-current")
    return step


def require_theirs(row: RoutedDocumentRow, step: RouteStepRow, actor: Actor) -> None:
    """The person it is assigned to; without one, whoever has the role in the unit.

    For a program the official it names must be that person; what is assigned to a unit it may do
    for its own documents. Raises StepRefused `step-not-yours`.
    """
    if step.holder_id is not None:
        allowed = actor.holder_id == step.holder_id
    elif actor.client is not None:
        allowed = actor.client == row.client
    else:
        allowed = actor.unit == step.unit and step.role in actor.roles
    if not allowed:
        raise StepRefused("step-not-yours")


def require_credential(
    desk: Desk, step: RouteStepRow, credential_id: str, *, actor: Actor, now: datetime
) -> Credential:
    """A signer signs with their own certificate, number and seal are the unit's agency's.

    Raises StepRefused `credential-not-for-step`, and CredentialUnusable.
    """
    credential = credentials.find(desk, credential_id)
    if step.kind == StepKind.SIGNATURE.value:
        fits = credential.kind == "official" and credential.holder_id == step.holder_id
    else:
        fits = credential.kind == "agency" and credential.unit == step.unit
    if not fits or (step.kind == StepKind.SIGNATURE.value and actor.holder_id != step.holder_id):
        raise StepRefused("credential-not-for-step")
    credentials.require_usable(desk, credential, now=now)
    return credential


def name_in_unit(desk: Desk, holder_id: str, unit: str) -> str:
    """An official of the unit, as their newest certificate names them.

    Raises StepRefused `step-holder-unknown`, `step-holder-not-of-unit`.
    """
    known = [one for one in credentials.by_holder(desk, holder_id) if one.kind == "official"]
    if not known:
        raise StepRefused("step-holder-unknown", holder=holder_id)
    for one in known:
        if one.unit == unit:
            return one.name
    raise StepRefused("step-holder-not-of-unit", unit=unit)


def signed_by(desk: Desk, steps: Sequence[RouteStepRow]) -> set[int]:
    """The certificates (serial numbers) of the signatures that the steps done so far made."""
    made = {one.credential_id for one in steps if one.state == "done" and one.credential_id}
    return {credentials.find(desk, one).certificate.serial_number for one in made}


def require_signed(desk: Desk, data: bytes, serials: Collection[int], *, now: datetime) -> None:
    """Signatures by all of these certificates are there, every one is valid, nothing else changed.

    Raises OrderRefused `seal-before-signature`, `signature-not-valid`.
    """
    if not serials:
        raise OrderRefused("seal-before-signature")
    report = validate(data, trust=desk.trust, now=now)
    for one in report.signatures:
        if one.indication is not Indication.TOTAL_PASSED:
            raise OrderRefused("signature-not-valid", reason=one.sub_indication or "")
    if set(serials) - {_serial(one.signer_certificate) for one in report.signatures}:
        raise OrderRefused("seal-before-signature")


def require_lines_printed(
    document: Document, lines: Sequence[str], *, name: str, page: int | None
) -> None:
    """Where only the picture is put, the text itself must say by whose authority it is signed.

    Raises StepRefused `authority-lines-missing`; what the anchor search raises.
    """
    number = page or placement.beside_anchor(document, 0, name, 10.0, above=True).page
    with text_of(document) as pages:
        text = pages[number - 1].get_textpage()
        try:
            printed = unicodedata.normalize("NFC", text.get_text_range())
        finally:
            text.close()
    said = [" ".join(line.split()).upper() for line in re.split(r"[\r\n]+", printed)]
    for wanted in lines:
        if not any(_says(line, unicodedata.normalize("NFC", wanted)) for line in said):
            raise StepRefused("authority-lines-missing", lines=" / ".join(lines))


@contextmanager
def refusals_recorded(desk: Desk, document_id: str, actor: Actor, now: datetime) -> Iterator[None]:
    """What was asked and not done leaves a trace, whoever asked."""
    try:
        yield
    except DomainError as refusal:
        if refusal.code != "routed-document-not-found":
            with desk.database.transaction() as session:
                audit.record(
                    session,
                    tag=Tag.ROUTED_STEP_REFUSED,
                    by=actor.by,
                    subject=f"routed-document:{document_id}",
                    details={"code": refusal.code, "for": actor.holder_id or ""},
                    now=now,
                )
        raise


def _says(line: str, wanted: str) -> bool:
    """The title itself, not the end of another one."""
    at = line.find(wanted)
    while at >= 0:
        before = line[:at].rstrip()
        if not before.endswith(_NOT_ALONE):
            return True
        at = line.find(wanted, at + 1)
    return False


def _serial(certificate: bytes | None) -> int | None:
    if certificate is None:
        return None
    return x509.load_der_x509_certificate(certificate).serial_number
