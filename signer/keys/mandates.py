"""A mandate: the clerk's recorded leave for one system client to activate an agency seal.

The văn thư keeps the seal (DOMAIN.md §2: hand-over only by written permission, with a record). A
mandate names one client and ends on a day; until then the key is sealed under the token's
activation key, bound to the mandate. People's keys can never be given this way.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from records import audit
from records.tags import Tag
from signer.errors import ActivationRefused, SignerError
from signer.keys import activation, credentials
from signer.models import MandateRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from signer.desk import Desk
    from signer.keys.activation import Authorization

LONGEST = timedelta(days=366)


@dataclass(frozen=True)
class Mandate:
    """Who may activate which seal, until when."""

    id: str
    credential_id: str
    client: str
    expires_at: datetime


def give(
    desk: Desk,
    *,
    credential_id: str,
    pin: str,
    client: str,
    until: datetime,
    now: datetime,
    by: str,
) -> Mandate:
    """The holder of the seal's PIN lets `client` activate it until `until`."""
    credential = credentials.find(desk, credential_id)
    if credential.kind != "agency":
        raise SignerError("mandate-only-for-seals")
    if not now < until <= now + LONGEST:
        raise SignerError("mandate-too-long", days=LONGEST.days)
    blob = activation.open_key(desk, credential_id, pin, now=now)
    mandate = Mandate(secrets.token_hex(16), credential_id, client, until)
    sealed = desk.activation_seal.seal(blob, authorization_id=mandate.id, expires_at=until)
    with desk.database.transaction() as session:
        credentials.require_unchanged(session, credential)
        session.add(
            MandateRow(
                id=mandate.id,
                credential_id=credential_id,
                client=client,
                granted_at=now,
                granted_by=by,
                expires_at=until,
                sealed_key=sealed,
            )
        )
        audit.record(
            session,
            tag=Tag.MANDATE_GIVEN,
            by=by,
            subject=f"credential:{credential_id}",
            details={"mandate": mandate.id, "client": client, "until": until},
            now=now,
        )
    return mandate


def authorize(
    desk: Desk,
    *,
    mandate_id: str,
    digests: Sequence[bytes],
    client: str,
    now: datetime,
    by: str,
    minutes: int = 5,
    spare: int = 0,
) -> Authorization:
    """The client opens the seal's key for these digests, under its mandate.

    `spare` signatures more may be made, whose digests `signer.keys.extension` will name. Raises
    ActivationRefused `mandate-unknown`, `mandate-ended`; CredentialUnusable.
    """
    try:
        activation.require_sensible(digests, minutes, spare=spare)
        with desk.database.reading() as session:
            row = session.get(MandateRow, mandate_id)
        if row is None or row.client != client:
            raise ActivationRefused("mandate-unknown")
        if row.ended_at is not None or row.sealed_key is None or row.expires_at <= now:
            raise ActivationRefused("mandate-ended")
        credential = credentials.find(desk, row.credential_id)
        credentials.require_usable(desk, credential, now=now)
    except SignerError as refusal:
        activation.record_refusal(desk, f"mandate:{mandate_id}", client, refusal, now=now, by=by)
        raise
    blob = desk.activation_seal.unseal(
        row.sealed_key, authorization_id=row.id, expires_at=row.expires_at, now=now
    )
    return activation.open_authorization(
        desk,
        row.credential_id,
        blob,
        digests,
        client,
        minutes=minutes,
        now=now,
        by=by,
        mandate_id=mandate_id,
        spare=spare,
    )


def standing(desk: Desk, *, credential_id: str, client: str, now: datetime) -> Mandate | None:
    """The mandate under which this client may activate this seal now, if there is one."""
    query = (
        select(MandateRow)
        .where(
            MandateRow.credential_id == credential_id,
            MandateRow.client == client,
            MandateRow.ended_at.is_(None),
            MandateRow.expires_at > now,
        )
        .order_by(MandateRow.expires_at.desc(), MandateRow.id)
        .limit(1)
    )
    with desk.database.reading() as session:
        row = session.scalars(query).one_or_none()
    return None if row is None else Mandate(row.id, credential_id, client, row.expires_at)


def end(desk: Desk, mandate_id: str, *, now: datetime, by: str) -> None:
    """Withdraw a mandate; its sealed key is erased at once."""
    with desk.database.transaction() as session:
        row = session.get(MandateRow, mandate_id, with_for_update=True)
        if row is None:
            raise ActivationRefused("mandate-unknown")
        if row.ended_at is not None:
            raise ActivationRefused("mandate-ended")
        row.sealed_key, row.ended_at, row.ended_by = None, now, by
        audit.record(
            session,
            tag=Tag.MANDATE_ENDED,
            by=by,
            subject=f"credential:{row.credential_id}",
            details={"mandate": mandate_id},
            now=now,
        )
