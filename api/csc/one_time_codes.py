"""One-time codes: what the holder has, beside the PIN they know (EN 419 241-1 SRA_SAP.1.1).

A code is for one credential at one client, six digits, five minutes, five attempts. Attempts are
counted before comparing. It is used up when the whole authorisation succeeds, so that a slip in
the PIN does not cost a new message.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete

from api.csc.errors import CscRefusal
from api.csc.models import OneTimeCode
from api.csc.outbox import Message, Outbox
from api.errors import RateLimited
from records import audit
from records.database import Database
from records.tags import Tag
from signer.keys.credentials import Credential

LIFE = timedelta(minutes=5)
ATTEMPTS = 5
PAUSE = timedelta(seconds=30)
DIGITS = 6


def channel(credential: Credential) -> str | None:
    """Where a person's codes go: the address in their certificate. Seals have a PIN alone."""
    if credential.kind == "agency":
        return None
    return credential.holder.email or None


def needs_code(credential: Credential) -> bool:
    """A person's key opens with PIN and code; never with the PIN alone because a code cannot be
    sent. CscRefusal `csc-no-channel`."""
    if credential.kind == "agency":
        return False
    if channel(credential) is None:
        raise CscRefusal("csc-no-channel")
    return True


class OneTimeCodes:
    """Sends and checks; the database keeps an HMAC that nobody can guess without the key."""

    def __init__(self, database: Database, outbox: Outbox, *, secret: str) -> None:
        self._database = database
        self._outbox = outbox
        self._secret = hashlib.sha256(b"one-time code\0" + secret.encode()).digest()

    def send(
        self, credential: Credential, *, client_id: str, client_name: str, now: datetime, by: str
    ) -> None:
        """A new code to the holder; the one before is worth nothing.

        CscRefusal `csc-no-channel`; RateLimited when one was sent just now.
        """
        address = channel(credential)
        if address is None:
            raise CscRefusal("csc-no-channel")
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
        with self._database.transaction() as session:
            row = session.get(OneTimeCode, (credential.id, client_id), with_for_update=True)
            if row is not None and now - row.sent_at < PAUSE:
                raise RateLimited(int(PAUSE.total_seconds()))
            if row is None:
                row = OneTimeCode(credential_id=credential.id, client_id=client_id)
                session.add(row)
            row.code_hash = self._hash(credential.id, client_id, code)
            row.attempts, row.sent_at, row.expires_at = 0, now, now + LIFE
            audit.record(
                session,
                tag=Tag.ONE_TIME_CODE_SENT,
                by=by,
                subject=f"credential:{credential.id}",
                details={"client": client_id},
                now=now,
            )
        text = (
            f"{code} là mã dùng một lần để ký qua {client_name}. Không đưa mã này cho ai.\n"
            f"{code} is your one-time code to sign through {client_name}. Tell it to nobody."
        )
        self._outbox.send(Message(address, "Dấu Số", text, now + LIFE), now=now)

    def check(
        self, credential: Credential, code: str, *, client_id: str, now: datetime, by: str
    ) -> None:
        """CscRefusal `csc-otp-invalid`; every attempt counts, before it is compared."""
        with self._database.transaction() as session:
            row = session.get(OneTimeCode, (credential.id, client_id), with_for_update=True)
            known = row.code_hash if row is not None else b""
            alive = row is not None and row.expires_at > now and row.attempts < ATTEMPTS
            if row is not None:
                row.attempts += 1
        given = self._hash(credential.id, client_id, code)
        if alive and hmac.compare_digest(known, given):
            return
        with self._database.transaction() as session:
            audit.record(
                session,
                tag=Tag.ONE_TIME_CODE_REFUSED,
                by=by,
                subject=f"credential:{credential.id}",
                details={"client": client_id},
                now=now,
            )
        raise CscRefusal("csc-otp-invalid")

    def spend(self, credential: Credential, *, client_id: str) -> None:
        """The authorisation succeeded: the code is good for nothing more."""
        with self._database.transaction() as session:
            session.execute(
                delete(OneTimeCode).where(
                    OneTimeCode.credential_id == credential.id,
                    OneTimeCode.client_id == client_id,
                )
            )

    def _hash(self, credential_id: str, client_id: str, code: str) -> bytes:
        said = f"{credential_id}\0{client_id}\0{code}".encode()
        return hmac.digest(self._secret, said, "sha256")
