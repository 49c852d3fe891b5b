"""One holder whose key the service keeps: identity checked, then enrolled.

    made = register(desk, profile="official", subject=subject, unit="14797", born=day,
                    registry=registry, activation_code=code, now=now, by="client:ra-system")

The same questions as for a line of a list (docs/flows/enrol-in-bulk.md): does the person have a
credential already, and does the population registry know them as the request names them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from ca import identity
from ca.identity import Outcome, PopulationRegistry
from ca.names import Subject
from hsm.mechanisms import KeyAlgorithm
from records import audit
from records.tags import Tag
from signer.errors import SignerError
from signer.holders import keepers
from signer.holders.present_holders import holders_with_credentials
from signer.keys import credentials

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential


def register(
    desk: Desk,
    *,
    profile: str,
    subject: Subject,
    unit: str | None = None,
    born: date | None = None,
    registry: PopulationRegistry | None,
    pin: str | None = None,
    activation_code: str | None = None,
    algorithm: KeyAlgorithm | None = None,
    now: datetime,
    by: str,
) -> Credential:
    """A credential for one person, sealed under their PIN or a one-time activation code.

    Raises SignerError `holder-has-credential`; CaError `identity-not-a-person`,
    `identity-unknown`, `identity-mismatch`, `identity-deceased`; RegistryUnavailable; and what
    `credentials.enrol` raises.
    """
    claim = identity.claim_of(subject, born=born)
    holder_id = f"CCCD:{claim.citizen_id}"
    # 1. Nobody has two keys of one kind: a lost one is re-keyed, and the old one ends with it.
    with desk.database.reading() as session:
        if holders_with_credentials(session, profile, [holder_id]):
            raise SignerError("holder-has-credential")
    # 2. The registry's answer is recorded before anything is made of it.
    if registry is not None:
        answer = registry.check([claim])[0]
        with desk.database.transaction() as session:
            audit.record(
                session,
                tag=Tag.IDENTITY_CHECKED,
                by=by,
                subject=keepers.mark_of(holder_id),
                details={
                    "asked": registry.name,
                    "outcome": answer.outcome.value,
                    "differs": list(answer.differs),
                    "reference": answer.reference,
                },
                now=now,
            )
        if answer.outcome is not Outcome.MATCH:
            raise identity.refusal(answer)
    # 3. Key, seal, certificate (docs/flows/enrol.md).
    return credentials.enrol(
        desk,
        profile=profile,
        subject=subject,
        holder_id=holder_id,
        unit=unit,
        pin=pin,
        activation_code=activation_code,
        algorithm=algorithm,
        now=now,
        by=by,
    )
