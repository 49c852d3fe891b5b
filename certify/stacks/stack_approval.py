"""The one authorisation of a stack: what is approved, by whom, and how the keys are opened.

    approved = chosen_digests(office, stack_id)          # what the page shows
    authorize(office, stack_id, person=pin, seal=pin, now=now, by=by)

The person approves exactly the digests of the prepared files, by PIN or by passkey (the challenge
is over these digests, docs/decisions/0240). The seal signs what the person has signed: its digests
exist later: as many signatures are opened for it, each named before it is used
(`signer.keys.extension`), under the seal's PIN or the clerk's standing mandate for this service.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from certify.errors import CertifyError, NotFound
from certify.office import Office
from certify.stacks.stack_jobs import (
    LineState,
    Stack,
    StackState,
    lines_of,
    look,
    record,
    require_state,
    stack_row,
)
from certify.stacks.stack_models import StackLineRow
from records.tags import Tag
from signer.errors import SignerError
from signer.keys import activation, mandates
from signer.keys.activation import Authorization

AUTHORIZED_MINUTES = 60

Opening = str | Callable[[Sequence[bytes]], Authorization]
"""A PIN, or what gives an authorisation for exactly those digests (a passkey's answer)."""


def chosen_digests(office: Office, stack_id: str) -> list[bytes]:
    """The SHA-256 digests that the person approves, in the list's order."""
    with office.database.reading() as session:
        stack_row(session, stack_id)
        return _digests(session, stack_id)


def prepared_file(office: Office, stack_id: str, position: int) -> bytes:
    """A line's copy as it will be signed. Raises `NotFound` `stack-line-not-prepared`."""
    with office.database.reading() as session:
        row = session.get(StackLineRow, (stack_id, position))
        if row is None or row.state != LineState.PREPARED.value or row.prepared is None:
            raise NotFound("stack-line-not-prepared", line=position + 1)
        digest = str(row.prepared["pdf"])
    return office.blobs.get(digest)


def authorize(
    office: Office,
    stack_id: str,
    *,
    person: Opening,
    seal: str | None,
    now: datetime,
    by: str,
) -> Stack:
    """Both keys are opened for an hour, and the work begins. `seal` None: under the mandate.

    Raises `CertifyError` `stack-state-wrong`, `seal-pin-missing`; ActivationRefused as PIN, passkey
    and mandate are refused. Whatever is refused, no key stays open.
    """
    # 1. What is approved: the prepared files of a stack that waits for it.
    with office.database.reading() as session:
        row = stack_row(session, stack_id)
        require_state(row, StackState.READY)
        person_id, seal_id = str(row.person_id), str(row.seal_id)
        digests = _digests(session, stack_id)
    # 2. The person, for exactly these digests.
    by_person = _of_person(office, person_id, person, digests, now=now, by=by)
    opened = [by_person]
    try:
        # 3. The seal, for as many signatures.
        by_seal = _of_seal(office, seal_id, seal, len(digests), now=now, by=by)
        opened.append(by_seal)
        # 4. From here on the workers go on without anybody.
        with office.database.transaction() as session:
            row = stack_row(session, stack_id, lock=True)
            require_state(row, StackState.READY)
            row.authorizations = {"person": by_person.id, "seal": by_seal.id}
            row.state = StackState.RUNNING.value
            row.failure = None
            details = {"documents": len(digests), **row.authorizations}
            record(session, Tag.STACK_AUTHORIZED, stack_id, details, now=now, by=by)
    except Exception:
        for one in opened:
            activation.close(office.desk, one, now=now, by=by)
        raise
    return look(office, stack_id)


def _digests(session: Session, stack_id: str) -> list[bytes]:
    lines = session.scalars(lines_of(stack_id, LineState.PREPARED))
    return [bytes.fromhex(line.prepared["pdf"]) for line in lines if line.prepared is not None]


def _of_person(
    office: Office,
    credential_id: str,
    opening: Opening,
    digests: Sequence[bytes],
    *,
    now: datetime,
    by: str,
) -> Authorization:
    if callable(opening):
        given = opening(digests)
        if given.credential_id != credential_id:
            activation.close(office.desk, given, now=now, by=by)
            raise CertifyError("authorization-of-another-credential")
        return given
    return activation.authorize(
        office.desk,
        credential_id=credential_id,
        pin=opening,
        digests=digests,
        client=office.client,
        minutes=AUTHORIZED_MINUTES,
        now=now,
        by=by,
    )


def _of_seal(
    office: Office, credential_id: str, pin: str | None, count: int, *, now: datetime, by: str
) -> Authorization:
    desk, client = office.desk, office.client
    if pin is None:
        mandate = mandates.standing(desk, credential_id=credential_id, client=client, now=now)
        if mandate is None:
            raise CertifyError("seal-pin-missing")
        return mandates.authorize(
            desk,
            mandate_id=mandate.id,
            digests=(),
            spare=count,
            client=client,
            minutes=AUTHORIZED_MINUTES,
            now=now,
            by=by,
        )
    try:
        blob = activation.open_key(desk, credential_id, pin, now=now)
    except SignerError as refusal:
        subject = f"credential:{credential_id}"
        activation.record_refusal(desk, subject, client, refusal, now=now, by=by)
        raise
    return activation.open_authorization(
        desk,
        credential_id,
        blob,
        (),
        client,
        minutes=AUTHORIZED_MINUTES,
        spare=count,
        now=now,
        by=by,
    )
