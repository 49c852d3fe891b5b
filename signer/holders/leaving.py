"""An official leaves office: everything of theirs stops in one act (DOMAIN.md §2).

    leave(desk, holder_id, decision="123/QĐ-UBND", now=, by=)

What they hold as a citizen stays. `api.departures` adds their account. docs/flows/life-cycle.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

from ca.models import CertificateRow, CertificateStatus
from ca.names import Subject
from ca.status.revocation import RevocationReason
from records import audit
from records.tags import Tag
from signer.errors import CredentialUnusable, SignerError
from signer.holders import keepers, lifecycle
from signer.keys import closing
from signer.models import CredentialRow
from signer.routing import delegations

if TYPE_CHECKING:
    from signer.desk import Desk


@dataclass(frozen=True)
class Departure:
    """What stopped when somebody left; `seals` they kept are held until a next keeper has a key."""

    holder_id: str
    credentials: tuple[str, ...]
    certificates: tuple[str, ...]
    seals: tuple[str, ...]


def leave(
    desk: Desk,
    holder_id: str,
    *,
    decision: str,
    now: datetime,
    by: str,
    also: Callable[[Session], object] | None = None,
) -> Departure:
    """An official leaves office: one act, and nothing they held works from that moment.

    Their credentials as an official, every certificate of those keys and every other official's
    certificate in their name end as cessationOfOperation, in one transaction with their mandates,
    open authorisations, delegations to sign, and whatever `also` ends. Agency seals they keep are
    held until a next keeper has a new key (`rekey`). `decision` is the written one, for the record.
    What they hold as a citizen stays.
    Raises CredentialUnusable `holder-has-nothing`.
    """
    keepers.require_holder(holder_id)
    if not decision.strip():
        raise SignerError("decision-missing")
    with desk.database.reading() as session:
        rows = session.scalars(
            select(CredentialRow).where(
                CredentialRow.holder_id == holder_id,
                CredentialRow.profile == "official",
                CredentialRow.state.in_(closing.LIVING),
            )
        ).all()
        named = _certificates_naming(session, holder_id, now)
    seals = keepers.kept_by(desk, holder_id)
    if not rows and not named and not seals:
        raise CredentialUnusable("holder-has-nothing", holder=holder_id)
    ids = [row.id for row in rows]
    serials = sorted({*named, *lifecycle.serials_of_key(desk, [row.public_key for row in rows])})

    def stop_the_rest(session: Session) -> None:
        keepers.hold_in(session, seals, now=now, by=by)
        delegations.end_all_in(session, holder_id, now=now, by=by)
        if also is not None:
            also(session)
        stopped = {"credentials": ids, "certificates": serials, "seals": list(seals)}
        record_departure(session, holder_id, decision, stopped, now=now, by=by)

    lifecycle.end_together(
        desk,
        ids,
        serials,
        RevocationReason.CESSATION_OF_OPERATION,
        None,
        now=now,
        by=by,
        also=stop_the_rest,
        stopped=[*ids, *seals],
    )
    return Departure(holder_id, tuple(ids), tuple(serials), tuple(seals))


def record_departure(
    session: Session,
    holder_id: str,
    decision: str,
    stopped: Mapping[str, object] | None = None,
    *,
    now: datetime,
    by: str,
) -> None:
    """Who left, by which decision; the number itself is not in the log."""
    audit.record(
        session,
        tag=Tag.HOLDER_LEFT,
        by=by,
        subject=keepers.mark_of(holder_id),
        details={"decision": decision, **(stopped or {})},
        now=now,
    )


def _certificates_naming(session: Session, holder_id: str, now: datetime) -> list[str]:
    """Officials' certificates of exactly this person: not of whose number begins the same, nor of
    whoever has these letters in a title."""
    wanted = select(CertificateRow.serial, CertificateRow.der).where(
        CertificateRow.profile == "official",
        CertificateRow.status != CertificateStatus.REVOKED.value,
        CertificateRow.not_after > now,
        CertificateRow.subject.contains(f"UID={holder_id}", autoescape=True),
    )
    return [
        serial
        for serial, der in session.execute(wanted)
        if holder_id in Subject.from_x509(x509.load_der_x509_certificate(der).subject).uids
    ]
