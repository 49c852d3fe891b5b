"""A passkey instead of the PIN: the same sole control, and a proof of what was authorised.

    question = passkey_questions.ask(desk, credential_id, digests=…, client=…, now=)
    authorization = authorize(desk, credential_id=…, question=question.id, answer=answer,
                              party=party, digests=…, client=…, now=, by=)

A second copy of the wrapped key is sealed under a secret that only the authenticator can make (the
WebAuthn PRF extension, W3C WebAuthn Level 3 §10.1.4): as with the PIN, neither database nor token
nor administrator can sign without it. The challenge that the authenticator signs is a hash over
the digests, the client and the credential, so that its signature proves afterwards that these
documents were authorised. docs/decisions/0240-passkeys-open-keys.md says what was weighed.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from hsm.errors import HsmError, PinWrong
from hsm.sealing import seal_with_secret, unseal_with_secret
from records import audit
from records.tags import Tag
from signer.errors import ActivationRefused, SignerError
from signer.keys import activation, assertions, credentials, pins
from signer.keys import passkey_questions as questions
from signer.keys.assertions import Assertion, Party
from signer.keys.passkey_models import PasskeyUseRow, SigningPasskeyRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from signer.desk import Desk
    from signer.keys.activation import Authorization

_LONGEST_NAME = 100


@dataclass(frozen=True)
class Answer:
    """What came back: the assertion as the browser writes it, and the PRF's 32 bytes."""

    assertion: str = field(repr=False)
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class SigningPasskey:
    """A passkey that opens a credential's key, as its holder's page lists it."""

    id: str
    name: str
    created_at: datetime
    used_at: datetime | None


def enrol(
    desk: Desk,
    credential_id: str,
    *,
    pin: str,
    question: str,
    passkey: bytes,
    public_key: bytes,
    answer: Answer,
    party: Party,
    name: str,
    now: datetime,
    by: str,
) -> SigningPasskey:
    """The PIN, once more: the key is sealed a second time, for this authenticator.

    Raises ActivationRefused `passkey-question-over`, `passkey-not-recognised`, `pin-wrong`;
    SignerError `passkey-already-enrolled`; CredentialUnusable.
    """
    try:
        # 1. The authenticator is here, and its person proved themselves to it.
        use = questions.take(desk, question, credential_id, (passkey,), questions.ENROL, now=now)
        found = _checked(answer.assertion, use, public_key, 0, party)
        if found.passkey != passkey:
            raise PinWrong
        # 2. So is the one who knows the PIN; attempts are counted as ever.
        credential = credentials.find(desk, credential_id)
        blob = activation.open_key(desk, credential_id, pin, now=now)
    except PinWrong:
        unknown = ActivationRefused("passkey-not-recognised")
        _refused(desk, credential_id, questions.ENROL, unknown, now=now, by=by)
        raise unknown from None
    except SignerError as refusal:
        _refused(desk, credential_id, questions.ENROL, refusal, now=now, by=by)
        raise
    # 3. A second seal beside the first; the salt is what the authenticator was asked with.
    sealed = seal_with_secret(blob, answer.secret, context=_context(credential_id, passkey))
    with desk.database.transaction() as session:
        credentials.require_unchanged(session, credential)
        known = session.scalars(
            select(SigningPasskeyRow).where(
                SigningPasskeyRow.credential_id == credential_id,
                SigningPasskeyRow.passkey == passkey,
            )
        ).one_or_none()
        if known is not None and known.ended_at is None:
            raise SignerError("passkey-already-enrolled")
        row = known or SigningPasskeyRow(
            id=secrets.token_hex(16), credential_id=credential_id, passkey=passkey
        )
        row.public_key, row.sign_count = public_key, found.sign_count
        row.salt, row.sealed_key = use.nonce, sealed
        row.name = " ".join(name.split())[:_LONGEST_NAME] or "passkey"
        row.created_at, row.created_by = now, by
        row.used_at, row.ended_at = None, None
        session.add(row)
        session.flush()
        _record(session, Tag.SIGNING_PASSKEY_ADDED, row, {}, now=now, by=by)
        return _shown(row)


def authorize(
    desk: Desk,
    *,
    credential_id: str,
    question: str,
    answer: Answer,
    party: Party,
    digests: Sequence[bytes],
    client: str,
    now: datetime,
    by: str,
    minutes: int = 5,
) -> Authorization:
    """Open a holder's key for exactly the digests that their authenticator signed for.

    Raises ActivationRefused `passkey-question-over` (used, late, or for other digests),
    `passkey-wrong` with the attempts left; CredentialUnusable. Wrong answers count as wrong PINs.
    """
    try:
        activation.require_sensible(digests, minutes)
        # 1. The question is spent by any answer: a replay finds none.
        use = questions.take(desk, question, credential_id, digests, client, now=now)
        # 2. Count, check the assertion, open the seal; the fifth failure locks.
        blob = _opened(desk, credential_id, use, answer, party, now=now)
    except SignerError as refusal:
        _refused(desk, credential_id, client, refusal, now=now, by=by)
        raise
    # 3. From here on as with a PIN.
    made = activation.open_authorization(
        desk, credential_id, blob, digests, client, minutes=minutes, now=now, by=by
    )
    # 4. The answer is kept beside the authorisation that it led to.
    with desk.database.transaction() as session:
        kept = session.get_one(PasskeyUseRow, question, with_for_update=True)
        kept.authorization_id = made.id
        row = session.get_one(SigningPasskeyRow, kept.passkey_id)
        details = {"authorization": made.id, "answer": _fingerprint(kept)}
        _record(session, Tag.SIGNING_PASSKEY_USED, row, details, now=now, by=by)
    return made


def of_credential(desk: Desk, credential_id: str) -> list[SigningPasskey]:
    """The passkeys that open this credential's key."""
    with desk.database.reading() as session:
        wanted = questions.living(credential_id).order_by(SigningPasskeyRow.created_at)
        return [_shown(row) for row in session.scalars(wanted)]


def remove(desk: Desk, credential_id: str, passkey_id: str, *, now: datetime, by: str) -> None:
    """The passkey opens nothing any more: its seal is erased."""
    with desk.database.transaction() as session:
        row = session.get(SigningPasskeyRow, passkey_id, with_for_update=True)
        if row is None or row.credential_id != credential_id or row.ended_at is not None:
            raise SignerError("passkey-unknown")
        row.sealed_key, row.ended_at = b"", now
        session.flush()
        _record(session, Tag.SIGNING_PASSKEY_REMOVED, row, {}, now=now, by=by)


def _opened(
    desk: Desk,
    credential_id: str,
    use: PasskeyUseRow,
    answer: Answer,
    party: Party,
    *,
    now: datetime,
) -> bytes:
    def opener(_sealed: bytes, assertion: str, *, context: bytes) -> bytes:
        del context
        with desk.database.reading() as session:
            rows = {
                bytes(row.passkey): row for row in session.scalars(questions.living(credential_id))
            }
        row = rows.get(assertions.passkey_of(assertion))
        if row is None:
            raise PinWrong
        found = _checked(assertion, use, row.public_key, row.sign_count, party)
        try:
            blob = unseal_with_secret(
                row.sealed_key, answer.secret, context=_context(credential_id, row.passkey)
            )
        except HsmError:
            raise PinWrong from None
        _keep(desk, use, row.id, found, now=now)
        return blob

    try:
        return pins.unseal(desk, credential_id, answer.assertion, opener, now=now)
    except ActivationRefused as refusal:
        if refusal.code != "pin-wrong":
            raise
        raise ActivationRefused("passkey-wrong", **refusal.params) from None


def _checked(
    assertion: str, use: PasskeyUseRow, public_key: bytes, sign_count: int, party: Party
) -> Assertion:
    return assertions.check(
        assertion,
        challenge=questions.challenge_of(use),
        party=party,
        public_key=bytes(public_key),
        sign_count=sign_count,
    )


def _keep(
    desk: Desk, use: PasskeyUseRow, passkey_id: str, found: Assertion, *, now: datetime
) -> None:
    """The counter moves on and the proof is kept, together; a counter that stands is a clone."""
    with desk.database.transaction() as session:
        row = session.get_one(SigningPasskeyRow, passkey_id, with_for_update=True)
        if row.ended_at is not None or (row.sign_count and found.sign_count <= row.sign_count):
            raise PinWrong
        row.sign_count, row.used_at = found.sign_count, now
        session.execute(
            update(PasskeyUseRow)
            .where(PasskeyUseRow.id == use.id)
            .values(
                state="proved",
                passkey_id=passkey_id,
                client_data=found.client_data,
                authenticator_data=found.authenticator_data,
                signature=found.signature,
            )
        )


def _context(credential_id: str, passkey: bytes) -> bytes:
    return credentials.seal_context(credential_id) + b" passkey " + bytes(passkey)


def _shown(row: SigningPasskeyRow) -> SigningPasskey:
    return SigningPasskey(row.id, row.name, row.created_at, row.used_at)


def _fingerprint(use: PasskeyUseRow) -> bytes:
    parts = (use.client_data, use.authenticator_data, use.signature)
    return hashlib.sha256(b"".join(bytes(part or b"") for part in parts)).digest()


def _refused(
    desk: Desk, credential_id: str, client: str, refusal: SignerError, *, now: datetime, by: str
) -> None:
    subject = f"credential:{credential_id}"
    activation.record_refusal(desk, subject, client, refusal, now=now, by=by)


def _record(
    session: Session,
    tag: Tag,
    row: SigningPasskeyRow,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(
        session,
        tag=tag,
        by=by,
        subject=f"credential:{row.credential_id}",
        details={"passkey": row.id, **details},
        now=now,
    )
