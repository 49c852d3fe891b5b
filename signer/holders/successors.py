"""A new key and certificate in the place of the old: a lost PIN, a doubted key, another unit.

    rekey(desk, credential_id, pin=new_pin, now=, by=)            # a new credential takes its place
    transfer(desk, credential_id, subject=…, unit=…, pin=…, …)    # another unit or title

The new one exists before the old one ends; the approved picture of the signature carries on.
docs/flows/life-cycle.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from ca.errors import CaError
from ca.names import Subject
from ca.status.revocation import RevocationReason
from hsm.mechanisms import KeyAlgorithm
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.holders import holder_images, keepers, lifecycle
from signer.holders.lifecycle_models import SuccessionRow
from signer.keys import credentials

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential


def rekey(
    desk: Desk,
    credential_id: str,
    *,
    pin: str | None = None,
    activation_code: str | None = None,
    algorithm: KeyAlgorithm | None = None,
    keeper: str | None = None,
    reason: RevocationReason = RevocationReason.SUPERSEDED,
    now: datetime,
    by: str,
) -> Credential:
    """A new key, certificate and credential for the same holder; the old ones end.

    Needs no old PIN: this is also what a lost one leads to, after the holder has proved who they
    are. `reason` is keyCompromise when somebody else may have had the key. An agency's seal whose
    keeper left needs the next `keeper` (`keeper-left`).
    """
    former = lifecycle.require_living(desk, credential_id)
    keeper = keepers.successor_of(former, keeper)
    return _succeed(
        desk,
        former,
        former.holder,
        former.unit,
        "rekey",
        reason,
        keeper=keeper,
        pin=pin,
        activation_code=activation_code,
        algorithm=algorithm,
        now=now,
        by=by,
    )


def transfer(
    desk: Desk,
    credential_id: str,
    *,
    subject: Subject,
    unit: str | None,
    pin: str | None = None,
    activation_code: str | None = None,
    now: datetime,
    by: str,
) -> Credential:
    """The holder's particulars changed (DOMAIN.md §2): new name, new key, the old ones end.

    The person or agency stays the same: `transfer-other-holder`.
    """
    former = lifecycle.require_living(desk, credential_id)
    if former.holder.uids != subject.uids:
        raise CaError("transfer-other-holder")
    return _succeed(
        desk,
        former,
        subject,
        unit,
        "transfer",
        RevocationReason.AFFILIATION_CHANGED,
        keeper=keepers.successor_of(former, None),
        pin=pin,
        activation_code=activation_code,
        algorithm=None,
        now=now,
        by=by,
    )


def successor(desk: Desk, credential_id: str) -> str | None:
    """The credential that took this one's place, if one did."""
    wanted = select(SuccessionRow.credential_id).where(SuccessionRow.former_id == credential_id)
    with desk.database.reading() as session:
        return session.scalar(wanted)


def _succeed(
    desk: Desk,
    former: Credential,
    subject: Subject,
    unit: str | None,
    kind: str,
    reason: RevocationReason,
    *,
    keeper: str | None,
    pin: str | None,
    activation_code: str | None,
    algorithm: KeyAlgorithm | None,
    now: datetime,
    by: str,
) -> Credential:
    """The new one exists before the old one ends, so that nobody is left without."""
    made = credentials.enrol(
        desk,
        profile=former.profile,
        subject=subject,
        holder_id=former.holder_id,
        keeper=keeper,
        unit=unit,
        pin=pin,
        activation_code=activation_code,
        algorithm=algorithm or former.algorithm,
        now=now,
        by=by,
    )
    tag = Tag.CREDENTIAL_REKEYED if kind == "rekey" else Tag.CREDENTIAL_TRANSFERRED

    def also(session: Session) -> None:
        holder_images.inherit(session, former.id, made.id)
        session.add(
            SuccessionRow(credential_id=made.id, former_id=former.id, kind=kind, at=now, by=by)
        )
        audit.record(
            session,
            tag=tag,
            by=by,
            subject=f"credential:{made.id}",
            details={"former": former.id},
            now=now,
        )

    serials = lifecycle.serials_of_key(desk, [former.public_key])
    try:
        lifecycle.end_together(desk, [former.id], serials, reason, None, now=now, by=by, also=also)
    except DomainError:
        lifecycle.end(desk, made.id, reason=RevocationReason.CESSATION_OF_OPERATION, now=now, by=by)
        raise
    return made
