"""What an authenticator is asked: one question for one answer, for exactly these digests.

    question = ask(desk, credential_id, digests=[…], client=…, now=now)

The challenge is a hash over the digests, the client and the credential: what the authenticator
signs says what was authorised, to anybody who looks later (`signer.keys.passkeys`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from signer.errors import ActivationRefused, SignerError
from signer.keys import activation, credentials
from signer.keys.passkey_models import PasskeyUseRow, SigningPasskeyRow

if TYPE_CHECKING:
    from sqlalchemy import Select

    from signer.desk import Desk

QUESTION_LIFE = timedelta(minutes=5)
MOST_PASSKEYS = 10
_UNANSWERED = timedelta(days=1)
ENROL = "enrol"
"""The client of a question whose answer opens nothing yet."""


@dataclass(frozen=True)
class Question:
    """What an authenticator is asked. `passkeys` are those that may answer, with their salts."""

    id: str
    challenge: bytes
    passkeys: tuple[tuple[bytes, bytes], ...]
    expires_at: datetime


def ask(
    desk: Desk, credential_id: str, *, digests: Sequence[bytes], client: str, now: datetime
) -> Question:
    """The question for exactly these digests, good for one answer within five minutes.

    Raises ActivationRefused `passkey-none`, and for senseless digests as `activation.authorize`.
    """
    activation.require_sensible(digests, 1)
    credentials.require_usable(desk, credentials.find(desk, credential_id), now=now)
    with desk.database.reading() as session:
        wanted = living(credential_id).order_by(SigningPasskeyRow.created_at)
        known = tuple((row.passkey, row.salt) for row in session.scalars(wanted))
    if not known:
        raise ActivationRefused("passkey-none")
    return _asked(desk, credential_id, known, digests=digests, client=client, now=now)


def ask_to_enrol(desk: Desk, credential_id: str, passkey: bytes, *, now: datetime) -> Question:
    """The question that a passkey answers to become a key's; its salt is made here."""
    credentials.require_usable(desk, credentials.find(desk, credential_id), now=now)
    with desk.database.reading() as session:
        count = len(session.scalars(living(credential_id)).all())
    if count >= MOST_PASSKEYS:
        raise SignerError("passkey-too-many", limit=MOST_PASSKEYS)
    return _asked(desk, credential_id, (), digests=(passkey,), client=ENROL, now=now)


def challenge_of(use: PasskeyUseRow) -> bytes:
    """The 32 bytes that the authenticator signs: what, with which key, for whom, until when."""
    parts = (
        use.credential_id.encode(),
        use.client.encode(),
        bytes(use.nonce),
        bytes(use.digests),
        str(use.documents).encode(),
        use.expires_at.isoformat().encode(),
    )
    whole = hashlib.sha256(b"dauso passkey challenge v1")
    for part in parts:
        whole.update(len(part).to_bytes(4, "big") + part)
    return whole.digest()


def _asked(
    desk: Desk,
    credential_id: str,
    known: tuple[tuple[bytes, bytes], ...],
    *,
    digests: Sequence[bytes],
    client: str,
    now: datetime,
) -> Question:
    use = PasskeyUseRow(
        id=secrets.token_hex(16),
        credential_id=credential_id,
        client=client,
        nonce=secrets.token_bytes(32),
        digests=_together(digests),
        documents=len(digests),
        state="asked",
        created_at=now,
        expires_at=now + QUESTION_LIFE,
    )
    challenge = challenge_of(use)
    question = Question(
        use.id, challenge, known or ((bytes(digests[0]), use.nonce),), use.expires_at
    )
    with desk.database.transaction() as session:
        # Questions that nobody answered prove nothing; they go when the next one comes.
        session.execute(
            delete(PasskeyUseRow).where(
                PasskeyUseRow.expires_at < now - _UNANSWERED, PasskeyUseRow.state == "asked"
            )
        )
        session.add(use)
    return question


def take(
    desk: Desk,
    question: str,
    credential_id: str,
    digests: Sequence[bytes],
    client: str,
    *,
    now: datetime,
) -> PasskeyUseRow:
    """The question, which no other answer will find open."""
    with desk.database.transaction() as session:
        row = session.get(PasskeyUseRow, question[:64], with_for_update=True)
        good = (
            row is not None
            and row.state == "asked"
            and row.credential_id == credential_id
            and row.client == client
            and row.expires_at > now
            and row.documents == len(digests)
            and bytes(row.digests) == _together(digests)
        )
        if row is None or not good:
            raise ActivationRefused("passkey-question-over")
        row.state = "answered"
        session.flush()
        session.expunge(row)
        return row


def living(credential_id: str) -> Select[SigningPasskeyRow]:
    """The passkeys of a credential that are in use."""
    return select(SigningPasskeyRow).where(
        SigningPasskeyRow.credential_id == credential_id, SigningPasskeyRow.ended_at.is_(None)
    )


def _together(digests: Sequence[bytes]) -> bytes:
    return hashlib.sha256(b"".join(digests)).digest()
