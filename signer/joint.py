"""Several signatures as one act: all digests reserved or none, all results or none.

    prepared = hash_signing.prepare(desk, request, authorization=…, now=now, by=by)  # intention
    values = carry_out(desk, prepared, now=now, by=by)                               # act, outcome

`intend` commits one intention per signature together with the reservation of its digest; an
unauthorised, used or repeated digest refuses all of them. `carry_out` signs outside any
transaction and commits the outcome of all in one; whatever fails before that voids all, and what
was signed is thrown away unseen. `signing.recover` voids what a crash left.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.errors import ActivationRefused
from signer.keys import activation, credentials
from signer.models import SignatureRow

if TYPE_CHECKING:
    from hsm.private_key import PrivateKey
    from signer.desk import Desk
    from signer.keys.activation import Authorization
    from signer.keys.credentials import Credential


@dataclass(frozen=True)
class Part:
    """One signature of the act. `digest` is what the authorisation names."""

    digest: bytes
    subject: str
    level: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """One result. `result` is the SHA-256 of a signed file in hex, where a file was made."""

    value: bytes = field(repr=False)
    field_name: str | None = None
    result: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """What has been promised and not yet done; `act` gives one `Made` per part, in order."""

    authorization: Authorization
    parts: tuple[Part, ...]
    ids: tuple[str, ...]
    positions: tuple[int, ...]
    act: Callable[[], Sequence[Made]] = field(repr=False)


def intend(
    desk: Desk,
    parts: Sequence[Part],
    act: Callable[[], Sequence[Made]],
    *,
    authorization: Authorization,
    now: datetime,
    by: str,
) -> Prepared:
    """Reserve every digest and commit every intention, in one transaction.

    Raises what `activation.reserve` raises, and ActivationRefused `digests-missing`.
    """
    ids = tuple(secrets.token_hex(16) for _ in parts)
    with desk.database.transaction() as session:
        positions = activation.reserve(
            session, authorization, [part.digest for part in parts], now=now
        )
        session.add_all(
            SignatureRow(
                id=made,
                authorization_id=authorization.id,
                position=position,
                credential_id=authorization.credential_id,
                document=part.digest.hex(),
                level=part.level,
                details=dict(part.details),
                state="intended",
                intended_at=now,
                intended_by=by,
            )
            for made, position, part in zip(ids, positions, parts, strict=True)
        )
        same = {
            "credential": authorization.credential_id,
            "authorization": authorization.id,
            "client": authorization.client,
        }
        acts = [
            (part.subject, {**same, "signature": made, "level": part.level, **part.details})
            for made, part in zip(ids, parts, strict=True)
        ]
        audit.record_all(session, tag=Tag.SIGNATURE_INTENDED, by=by, acts=acts, now=now)
    return Prepared(authorization, tuple(parts), ids, tuple(positions), act)


def carry_out(
    desk: Desk,
    prepared: Prepared,
    *,
    now: datetime,
    by: str,
    keep: Callable[[list[bytes]], object] | None = None,
) -> list[bytes]:
    """Sign everything, check everything, commit everything; the values in the order asked for.

    `keep` is called with the values before the outcome is committed: whoever stores them there
    loses nothing when the process ends between the two.
    """
    try:
        made = list(prepared.act())
        values = [one.value for one in made]
        if len(made) != len(prepared.parts):
            raise RuntimeError("an act must give one result for each of its parts")
        if keep is not None:
            keep(values)
    except Exception as failure:
        void(desk, prepared, failure, now=now, by=by)
        raise
    _commit(desk, prepared, made, now=now, by=by)
    return values


def void(desk: Desk, prepared: Prepared, failure: Exception, *, now: datetime, by: str) -> None:
    """Nothing was delivered: every intention is void and its digest free again."""
    reason = failure.code if isinstance(failure, DomainError) else type(failure).__name__
    with desk.database.transaction() as session:
        rows = session.scalars(
            select(SignatureRow).where(SignatureRow.id.in_(prepared.ids)).with_for_update()
        ).all()
        acts, freed = [], []
        for row in rows:
            if row.state != "intended":
                continue  # recovery was quicker
            row.state, row.finished_at, row.failure = "void", now, reason
            freed.append(row.position)
            details = {"signature": row.id, "failure": reason}
            acts.append((_subject(prepared, row.id), details))
        activation.settle_all(session, prepared.authorization.id, freed, used=False)
        audit.record_all(session, tag=Tag.SIGNATURE_VOIDED, by=by, acts=acts, now=now)


def record_refusal(
    desk: Desk,
    subject: str,
    authorization: Authorization,
    refusal: DomainError,
    *,
    now: datetime,
    by: str,
) -> None:
    """What was asked and not done leaves a trace too."""
    with desk.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.SIGNATURE_REFUSED,
            by=by,
            subject=subject,
            details={
                "code": refusal.code,
                "credential": authorization.credential_id,
                "client": authorization.client,
            },
            now=now,
        )


def usable_credential(desk: Desk, authorization: Authorization, *, now: datetime) -> Credential:
    """The credential of an authorisation, good at this moment."""
    credential = credentials.find(desk, authorization.credential_id)
    credentials.require_usable(desk, credential, now=now)
    return credential


def key_of(desk: Desk, authorization: Authorization, *, now: datetime) -> PrivateKey:
    """The holder's key in the token, kept while the authorisation is open."""
    wrapped = activation.opened_key(desk, authorization, now=now)
    return desk.custody.kept(
        wrapped, handle=authorization.id, until=authorization.expires_at, now=now
    )


def _commit(
    desk: Desk, prepared: Prepared, made: Sequence[Made], *, now: datetime, by: str
) -> None:
    with desk.database.transaction() as session:
        wanted = select(SignatureRow).where(SignatureRow.id.in_(prepared.ids)).with_for_update()
        rows = {row.id: row for row in session.scalars(wanted)}
        acts = []
        for identifier, part, one in zip(prepared.ids, prepared.parts, made, strict=True):
            row = rows[identifier]
            if row.state != "intended":
                # Recovery voided it while this process was thought dead: its digest may be signed
                # again, so this result must never be seen.
                raise ActivationRefused("intention-lost")
            row.state, row.finished_at = "made", now
            row.field, row.result = one.field_name, one.result
            details = {
                "signature": row.id,
                "credential": row.credential_id,
                "level": row.level,
                **one.facts,
            }
            acts.append((part.subject, details))
        ended = activation.settle_all(
            session, prepared.authorization.id, prepared.positions, used=True
        )
        audit.record_all(session, tag=Tag.SIGNATURE_MADE, by=by, acts=acts, now=now)
    if ended:
        activation.forget(desk, prepared.authorization.id)


def _subject(prepared: Prepared, identifier: str) -> str:
    return prepared.parts[prepared.ids.index(identifier)].subject
