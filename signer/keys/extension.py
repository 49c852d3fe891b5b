"""One authorisation for signatures whose digests become known one after the other.

    first = open_authorization(…, digests=[digest_1], spare=1)      # two signatures in all
    …                                                               # sign digest_1
    second = extend(desk, first, [digest_2], now=now, by=by)        # a new SAD for digest_2

A PDF that takes two signatures has its second digest only after the first signature (CSC API v2
§11.9, note 31). How many signatures there may be is fixed when the holder authorises, one row for
each; extending gives names to rows that have none and can never add one. The SAD changes each
time, so an earlier one is worth nothing.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from records import audit
from records.tags import Tag
from signer.errors import ActivationRefused
from signer.keys import activation
from signer.keys.activation import LONGEST_MINUTES, UNASSIGNED, Authorization, token_hash
from signer.models import AuthorizationRow, AuthorizedDigestRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from signer.desk import Desk


def extend(
    desk: Desk,
    authorization: Authorization,
    digests: Sequence[bytes],
    *,
    now: datetime,
    by: str,
    minutes: int = 5,
) -> Authorization:
    """Name the next digests and get a new SAD, good for `minutes` more.

    No authorisation outlives LONGEST_MINUTES from when the holder gave it. Raises ActivationRefused
    `digests-missing`, `digest-already-used` (it was named before), `signatures-exhausted`, and what
    an unknown or expired SAD raises.
    """
    if not digests:
        raise ActivationRefused("digests-missing")
    # The key is sealed anew, because its seal is bound to the old expiry.
    wrapped = activation.opened_key(desk, authorization, now=now)
    with desk.database.reading() as session:
        given = session.get_one(AuthorizationRow, authorization.id).created_at
    expires_at = min(now + timedelta(minutes=minutes), given + timedelta(minutes=LONGEST_MINUTES))
    expires_at = max(expires_at, authorization.expires_at)
    sealed = desk.activation_seal.seal(
        wrapped.blob, authorization_id=authorization.id, expires_at=expires_at
    )
    fresh = _with_new_token(authorization, expires_at)
    with desk.database.transaction() as session:
        row = activation.require_open(session, authorization, now=now)
        _name(session, row.id, digests)
        row.token_hash, row.expires_at, row.sealed_key = (
            token_hash(fresh.token),
            expires_at,
            sealed,
        )
        audit.record(
            session,
            tag=Tag.AUTHORIZATION_EXTENDED,
            by=by,
            subject=f"authorization:{row.id}",
            details={"digests": list(digests), "expires_at": expires_at, "client": row.client},
            now=now,
        )
    activation.forget(desk, authorization.id)
    return fresh


def hand_over(desk: Desk, authorization_id: str, *, client: str, now: datetime) -> Authorization:
    """The SAD of an authorisation that was given before its client could receive anything.

    The holder consents in a browser; the client fetches the SAD with its own secret afterwards.
    Until then nobody knows it. Raises ActivationRefused `authorization-unknown`,
    `authorization-expired`.
    """
    with desk.database.transaction() as session:
        row = session.get(AuthorizationRow, authorization_id, with_for_update=True)
        if row is None or row.client != client:
            raise ActivationRefused("authorization-unknown")
        if row.ended or row.expires_at <= now:
            raise ActivationRefused("authorization-expired")
        given = Authorization(row.id, "", row.credential_id, row.client, row.expires_at)
        fresh = _with_new_token(given, row.expires_at)
        row.token_hash = token_hash(fresh.token)
    return fresh


def _name(session: Session, authorization_id: str, digests: Sequence[bytes]) -> None:
    rows = session.scalars(
        select(AuthorizedDigestRow)
        .where(AuthorizedDigestRow.authorization_id == authorization_id)
        .order_by(AuthorizedDigestRow.position)
    ).all()
    named = {row.digest for row in rows}
    if len(set(digests)) < len(digests) or named & set(digests):
        raise ActivationRefused("digest-already-used")
    free = [row for row in rows if row.digest == UNASSIGNED and row.state == "open"]
    if len(free) < len(digests):
        raise ActivationRefused("signatures-exhausted", left=len(free))
    for row, digest in zip(free, digests, strict=False):
        row.digest = digest


def _with_new_token(authorization: Authorization, expires_at: datetime) -> Authorization:
    return Authorization(
        id=authorization.id,
        token=secrets.token_urlsafe(32),
        credential_id=authorization.credential_id,
        client=authorization.client,
        expires_at=expires_at,
    )
