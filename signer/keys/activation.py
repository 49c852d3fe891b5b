"""Activation: who opens which key, for whom, for exactly which documents, and for how long.

    authorization = authorize(desk, credential_id=…, pin=…, digests=[document_digest(data)],
                              client="client:procedure-system", now=now, by="official:…")

The holder's PIN opens the key once; the result is bound to holder, client, key and digests (the
SAD of CSC API v2 and EN 419 241-1 SRA_SAP), lives for minutes, and each digest is good for one
signature. Every attempt and every refusal is audited. Five wrong PINs lock the credential: an
attempt is counted *before* the PIN is tried, so that guessing in parallel gains nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from hsm.custody import WrappedKey
from hsm.errors import SealDamaged
from hsm.sealing import unseal_with_pin
from records import audit
from records.tags import Tag
from signer.errors import ActivationRefused, SignerError
from signer.keys import credentials, pins
from signer.models import AuthorizationRow, AuthorizedDigestRow, CredentialRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from signer.desk import Desk

MOST_DIGESTS = 10_000
LONGEST_MINUTES = 60
_OPENED_KEYS = 1_000
UNASSIGNED = b""
"""The digest of a signature authorised before its document existed (`signer.keys.extension`)."""


@dataclass(frozen=True)
class Authorization:
    """An open authorisation. `token` is the SAD: shown once, only its hash is kept."""

    id: str
    token: str = field(repr=False)
    credential_id: str
    client: str
    expires_at: datetime


def authorize(
    desk: Desk,
    *,
    credential_id: str,
    pin: str,
    digests: Sequence[bytes],
    client: str,
    now: datetime,
    by: str,
    minutes: int = 5,
) -> Authorization:
    """Open a holder's key for exactly these document digests.

    Raises ActivationRefused `pin-wrong` (with the attempts left), `digests-missing`,
    `too-many-digests`; CredentialUnusable when the credential or its certificate must not sign.
    """
    try:
        require_sensible(digests, minutes)
        blob = open_key(desk, credential_id, pin, now=now)
    except SignerError as refusal:
        record_refusal(desk, f"credential:{credential_id}", client, refusal, now=now, by=by)
        raise
    return open_authorization(
        desk, credential_id, blob, digests, client, minutes=minutes, now=now, by=by
    )


def present(desk: Desk, *, token: str, client: str, now: datetime) -> Authorization:
    """The authorisation behind a SAD, for the client it was given to.

    Raises ActivationRefused `authorization-unknown` or `authorization-expired`.
    """
    with desk.database.reading() as session:
        row = session.scalar(
            select(AuthorizationRow).where(AuthorizationRow.token_hash == token_hash(token))
        )
        if row is None or not hmac.compare_digest(row.client.encode(), client.encode()):
            raise ActivationRefused("authorization-unknown")
        if row.ended or row.expires_at <= now:
            raise ActivationRefused("authorization-expired")
        return Authorization(row.id, token, row.credential_id, row.client, row.expires_at)


def reserve(
    session: Session, authorization: Authorization, digests: Sequence[bytes], *, now: datetime
) -> list[int]:
    """Take these digests for signing, all of them or none; their positions, in order.

    Raises ActivationRefused `authorization-unknown`, `authorization-expired`,
    `digest-not-authorized` (never authorised) and `digest-already-used`.
    """
    row = require_open(session, authorization, now=now)
    wanted = select(AuthorizedDigestRow).where(
        AuthorizedDigestRow.authorization_id == row.id, AuthorizedDigestRow.digest.in_(digests)
    )
    known = {one.digest: one for one in session.scalars(wanted)}
    positions = []
    for digest in digests:
        named = known.get(digest)
        if named is None:
            raise ActivationRefused("digest-not-authorized")
        if named.state != "open":  # used before, or twice in this request
            raise ActivationRefused("digest-already-used")
        named.state = "reserved"
        positions.append(named.position)
    session.flush()
    return positions


def require_open(
    session: Session, authorization: Authorization, *, now: datetime
) -> AuthorizationRow:
    """The row behind an authorisation in hand, locked, if it may still be used."""
    row = session.get(AuthorizationRow, authorization.id, with_for_update=True)
    if (
        row is None
        or not hmac.compare_digest(row.token_hash, token_hash(authorization.token))
        or row.client != authorization.client
        or row.credential_id != authorization.credential_id
    ):
        raise ActivationRefused("authorization-unknown")
    if row.ended or row.expires_at <= now:
        raise ActivationRefused("authorization-expired")
    return row


def settle(session: Session, authorization_id: str, position: int, *, used: bool) -> bool:
    """`settle_all` for one digest."""
    return settle_all(session, authorization_id, [position], used=used)


def settle_all(
    session: Session, authorization_id: str, positions: Sequence[int], *, used: bool
) -> bool:
    """Reserved digests were used, or are free again because nothing was signed.

    Returns whether the authorisation is thereby used up; its key is then erased.
    """
    session.execute(
        update(AuthorizedDigestRow)
        .where(
            AuthorizedDigestRow.authorization_id == authorization_id,
            AuthorizedDigestRow.position.in_(positions),
        )
        .values(state="used" if used else "open")
    )
    left = session.scalar(
        select(AuthorizedDigestRow.position)
        .where(
            AuthorizedDigestRow.authorization_id == authorization_id,
            AuthorizedDigestRow.state != "used",
        )
        .limit(1)
    )
    if left is not None:
        return False
    _end(session, [authorization_id])
    return True


def opened_key(desk: Desk, authorization: Authorization, *, now: datetime) -> WrappedKey:
    """The wrapped key of an open authorisation; `custody.kept` makes a key of it."""
    known = desk.opened.get(authorization.id)
    if known is not None and authorization.expires_at > now:
        return known
    with desk.database.reading() as session:
        row = session.get_one(AuthorizationRow, authorization.id)
        credential = session.get_one(CredentialRow, row.credential_id)
        if row.sealed_key is None:
            raise ActivationRefused("authorization-expired")
        sealed, expires_at = row.sealed_key, row.expires_at
        public = credentials.find_in(session, credential.id)
    blob = desk.activation_seal.unseal(
        sealed, authorization_id=authorization.id, expires_at=expires_at, now=now
    )
    wrapped = WrappedKey(blob, public.algorithm, public.public_key)
    desk.opened[authorization.id] = wrapped
    while len(desk.opened) > _OPENED_KEYS:
        desk.opened.popitem(last=False)
    return wrapped


def close(desk: Desk, authorization: Authorization, *, now: datetime, by: str) -> None:
    """End an authorisation before its time: recall, cancelled batch."""
    with desk.database.transaction() as session:
        _end(session, [authorization.id])
        _record_end(session, authorization.id, "closed", now=now, by=by)
    forget(desk, authorization.id)


def expire(desk: Desk, *, now: datetime, by: str = "system:signer") -> int:
    """Erase the keys of authorisations whose time is over; a schedule calls it each minute."""
    wanted = select(AuthorizationRow.id).where(
        AuthorizationRow.expires_at <= now, AuthorizationRow.ended.is_(False)
    )
    with desk.database.transaction() as session:
        late = list(session.scalars(wanted))
        if late:
            _end(session, late)
        for one in late:
            _record_end(session, one, "expired", now=now, by=by)
    for one in late:
        forget(desk, one)
    return len(late)


def forget(desk: Desk, authorization_id: str) -> None:
    """Drop what this process holds of an ended authorisation."""
    desk.opened.pop(authorization_id, None)
    desk.custody.forget(authorization_id)


def open_key(desk: Desk, credential_id: str, pin: str, *, now: datetime) -> bytes:
    """The wrapped key under a PIN, counting attempts; for authorisations and mandates.

    Raises ActivationRefused `pin-wrong`, `activation-pending` (a credential from bulk enrolment
    whose holder has not chosen a PIN yet); CredentialUnusable.
    """
    try:
        return pins.unseal(desk, credential_id, pin, unseal_with_pin, now=now)
    except SealDamaged:
        raise ActivationRefused("activation-pending") from None


def open_authorization(
    desk: Desk,
    credential_id: str,
    blob: bytes,
    digests: Sequence[bytes],
    client: str,
    *,
    minutes: int,
    now: datetime,
    by: str,
    mandate_id: str | None = None,
    spare: int = 0,
) -> Authorization:
    """Seal the opened key for its short life and write down what it may be used for.

    `spare` signatures more are authorised whose digests `signer.keys.extension` will name.
    """
    authorization = Authorization(
        id=secrets.token_hex(16),
        token=secrets.token_urlsafe(32),
        credential_id=credential_id,
        client=client,
        expires_at=now + timedelta(minutes=minutes),
    )
    sealed = desk.activation_seal.seal(
        blob, authorization_id=authorization.id, expires_at=authorization.expires_at
    )
    unique = list(dict.fromkeys(digests))
    planned = [*unique, *[UNASSIGNED] * spare]
    with desk.database.transaction() as session:
        session.add(
            AuthorizationRow(
                id=authorization.id,
                credential_id=credential_id,
                mandate_id=mandate_id,
                client=client,
                token_hash=token_hash(authorization.token),
                created_at=now,
                created_by=by,
                expires_at=authorization.expires_at,
                sealed_key=sealed,
                ended=False,
            )
        )
        session.flush()
        session.add_all(
            AuthorizedDigestRow(
                authorization_id=authorization.id, position=position, digest=digest, state="open"
            )
            for position, digest in enumerate(planned)
        )
        audit.record(
            session,
            tag=Tag.AUTHORIZATION_GIVEN,
            by=by,
            subject=f"authorization:{authorization.id}",
            details={
                "credential": credential_id,
                "client": client,
                "mandate": mandate_id or "",
                "expires_at": authorization.expires_at,
                "documents": len(planned),
                "digests": hashlib.sha256(b"".join(unique)).digest(),
            },
            now=now,
        )
    return authorization


def require_sensible(digests: Sequence[bytes], minutes: int, *, spare: int = 0) -> None:
    if not digests and spare < 1:
        raise ActivationRefused("digests-missing")
    if len(digests) + spare > MOST_DIGESTS:
        raise ActivationRefused("too-many-digests", limit=MOST_DIGESTS)
    if any(len(one) != 32 for one in digests):
        raise ActivationRefused("digest-malformed")
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise ActivationRefused("authorization-too-long", limit=LONGEST_MINUTES)


def _end(session: Session, ids: Sequence[str]) -> None:
    session.execute(
        update(AuthorizationRow)
        .where(AuthorizationRow.id.in_(ids))
        .values(ended=True, sealed_key=None)
    )


def _record_end(
    session: Session, authorization_id: str, how: str, *, now: datetime, by: str
) -> None:
    audit.record(
        session,
        tag=Tag.AUTHORIZATION_ENDED,
        by=by,
        subject=f"authorization:{authorization_id}",
        details={"how": how},
        now=now,
    )


def record_refusal(
    desk: Desk,
    subject: str,
    client: str,
    refusal: SignerError,
    *,
    now: datetime,
    by: str,
) -> None:
    """Every attempt leaves a trace, the refused ones first of all."""
    with desk.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.AUTHORIZATION_REFUSED,
            by=by,
            subject=subject,
            details={"code": refusal.code, "client": client},
            now=now,
        )


def token_hash(token: str) -> bytes:
    """What is kept of a SAD."""
    return hashlib.sha256(token.encode()).digest()
