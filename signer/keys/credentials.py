"""Holders' credentials: a key nobody else can use, its certificate, its state.

    credential = enrol(desk, profile="official", subject=subject, holder_id="CCCD:0388…",
                       unit="H56.DEMO", pin=pin, now=now, by="operator:…")

The key is born on the token, leaves it only wrapped, and is stored only sealed under the holder's
PIN (DESIGN.md §4): database, token and administrator together cannot sign as this person.
docs/flows/enrol.md has the same numbered steps.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlalchemy import select

from ca import issuance
from ca.models import CertificateStatus, serial_text
from ca.names import Subject
from hsm.mechanisms import KeyAlgorithm
from hsm.sealing import seal_with_code, seal_with_pin
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.errors import CredentialUnusable, SignerError
from signer.holders import keepers, unfinished_enrolments
from signer.keys import passkey_seals, pins
from signer.models import CredentialRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from signer.desk import Desk

KINDS = {
    "official": "official",
    "citizen": "citizen",
    "organisation": "agency",
    "agency-seal": "agency",
}


@dataclass(frozen=True)
class Credential:
    """A credential as the rest of the house sees it; the key in it opens only under the PIN."""

    id: str
    kind: str
    profile: str
    holder: Subject
    holder_id: str
    keeper: str | None
    unit: str | None
    certificate: x509.Certificate = field(repr=False)
    chain: tuple[x509.Certificate, ...] = field(repr=False)
    state: str
    algorithm: KeyAlgorithm
    public_key: bytes = field(repr=False)
    sealed_key: bytes = field(repr=False)
    keeper_left: bool = False

    @property
    def name(self) -> str:
        return self.holder.common_name

    @property
    def context(self) -> bytes:
        """What the seal of the key is bound to."""
        return seal_context(self.id)


def seal_context(credential_id: str) -> bytes:
    return b"dauso credential " + credential_id.encode()


def enrol(
    desk: Desk,
    *,
    profile: str,
    subject: Subject,
    holder_id: str,
    keeper: str | None = None,
    unit: str | None = None,
    pin: str | None = None,
    activation_code: str | None = None,
    algorithm: KeyAlgorithm | None = None,
    now: datetime,
    by: str,
) -> Credential:
    """A new key and certificate for a holder, sealed under a PIN or a one-time activation code.

    `keeper` is who keeps an agency's seal (DOMAIN.md §2). Raises SignerError `pin-too-simple`,
    `profile-not-for-holders`, `keeper-only-for-seals`, `holder-malformed`, and whatever issuing
    refuses.
    """
    # 1. Refuse early: a weak PIN or a profile that is no holder's costs no key.
    if profile not in KINDS:
        raise SignerError("profile-not-for-holders", profile=profile)
    if (pin is None) == (activation_code is None):
        raise SignerError("pin-or-code")
    if keeper is not None:
        if KINDS[profile] != "agency":
            raise SignerError("keeper-only-for-seals")
        keepers.require_holder(keeper)
    if pin is not None:
        pins.check(pin)
    # 2. Generate the key pair on the token; it comes out wrapped.
    wrapped = desk.custody.generate(algorithm or KeyAlgorithm.RSA_2048)
    # 3. Seal it under what only the holder knows.
    credential_id = secrets.token_hex(16)
    context = seal_context(credential_id)
    if pin is not None:
        sealed = seal_with_pin(wrapped.blob, pin, context=context, cost=desk.pin_cost)
    else:
        sealed = seal_with_code(wrapped.blob, cast("str", activation_code), context=context)
    # 4. Intention: the row exists before the certificate, so an interruption is found.
    with desk.database.transaction() as session:
        session.add(
            CredentialRow(
                id=credential_id,
                kind=KINDS[profile],
                profile=profile,
                holder_id=holder_id,
                keeper=keeper,
                unit=unit,
                algorithm=wrapped.algorithm.value,
                public_key=wrapped.public_key,
                sealed_key=sealed,
                chain=[],
                state="enrolling",
                wrong_pins=0,
                created_at=now,
                created_by=by,
            )
        )
    # 5. Certificate, after lint, from the issuing CA of the profile.
    public_key: Any = serialization.load_der_public_key(wrapped.public_key)
    try:
        certificate = issuance.issue(
            desk.authority, profile=profile, subject=subject, public_key=public_key, now=now, by=by
        )
    except DomainError:
        unfinished_enrolments.give_up(desk, credential_id, wrapped.public_key, now=now, by=by)
        raise
    # 6. Outcome and audit in one transaction, unless the enrolment was given up meanwhile.
    chain = desk.authority.chain(certificate)
    with unfinished_enrolments.kept(desk, credential_id, certificate, now=now, by=by) as session:
        row = session.get_one(CredentialRow, credential_id)
        row.certificate = certificate.public_bytes(serialization.Encoding.DER)
        row.chain = [base64_of(one) for one in chain]
        row.serial = serial_text(certificate.serial_number)
        row.state = "active"
        audit.record(
            session,
            tag=Tag.CREDENTIAL_ENROLLED,
            by=by,
            subject=f"credential:{credential_id}",
            details={
                "profile": profile,
                "serial": row.serial,
                "unit": unit or "",
                **keepers.noted(keeper),
            },
            now=now,
        )
        return _credential(row)


def find(desk: Desk, credential_id: str) -> Credential:
    """Raises CredentialUnusable `credential-unknown`."""
    with desk.database.reading() as session:
        return find_in(session, credential_id)


def find_in(session: Session, credential_id: str) -> Credential:
    row = session.get(CredentialRow, credential_id)
    if row is None or row.certificate is None:
        raise CredentialUnusable("credential-unknown", credential=credential_id)
    return _credential(row)


def by_holder(desk: Desk, holder_id: str) -> list[Credential]:
    """All of a holder's credentials, newest first."""
    wanted = (
        select(CredentialRow)
        .where(CredentialRow.holder_id == holder_id, CredentialRow.certificate.is_not(None))
        .order_by(CredentialRow.created_at.desc(), CredentialRow.id)
    )
    with desk.database.reading() as session:
        return [_credential(row) for row in session.scalars(wanted)]


def of_unit(desk: Desk, unit: str, kind: str | None = None) -> list[Credential]:
    """The credentials of a unit's people or its seals, newest first."""
    wanted = select(CredentialRow).where(
        CredentialRow.unit == unit, CredentialRow.certificate.is_not(None)
    )
    if kind is not None:
        wanted = wanted.where(CredentialRow.kind == kind)
    with desk.database.reading() as session:
        rows = session.scalars(wanted.order_by(CredentialRow.created_at.desc(), CredentialRow.id))
        return [_credential(row) for row in rows]


def require_usable(desk: Desk, credential: Credential, *, now: datetime) -> None:
    """DOMAIN.md §2: before signing, the certificate's validity and status are checked, now."""
    if credential.state != "active":
        raise CredentialUnusable(f"credential-{credential.state}", credential=credential.id)
    certificate = credential.certificate
    if now < certificate.not_valid_before_utc:
        raise CredentialUnusable("certificate-not-yet-valid", holder=credential.name)
    if now > certificate.not_valid_after_utc:
        raise CredentialUnusable(
            "certificate-expired",
            holder=credential.name,
            until=f"{certificate.not_valid_after_utc:%Y-%m-%d}",
        )
    status = desk.authority.certificate(certificate.serial_number).status
    if status is not CertificateStatus.GOOD:
        raise CredentialUnusable(f"certificate-{status.value}", holder=credential.name)


def require_unchanged(session: Session, credential: Credential) -> CredentialRow:
    """Its row, locked, if nobody ended, held or re-sealed it since it was read.

    Opening a key takes a while; what is written after that must not outlive a hand-over or an end
    that came in between. Raises CredentialUnusable `credential-changed`.
    """
    row = session.get_one(CredentialRow, credential.id, with_for_update=True)
    session.refresh(row)
    if row.state != "active" or row.sealed_key != credential.sealed_key:
        raise CredentialUnusable("credential-changed", credential=credential.id)
    return row


def suspend(desk: Desk, credential_id: str, *, reason: str, now: datetime, by: str) -> None:
    """Put a credential out of use until it is resumed; its certificate is the CA's affair."""
    with desk.database.transaction() as session:
        suspend_in(session, credential_id, reason=reason, now=now, by=by)


def suspend_in(
    session: Session, credential_id: str, *, reason: str, now: datetime, by: str
) -> None:
    _change_state_in(
        session, credential_id, {"active", "locked"}, "suspended", reason, now=now, by=by
    )


def resume(desk: Desk, credential_id: str, *, now: datetime, by: str) -> None:
    with desk.database.transaction() as session:
        resume_in(session, credential_id, now=now, by=by)


def resume_in(session: Session, credential_id: str, *, now: datetime, by: str) -> None:
    """Raises SignerError `keeper-left`: whoever knows the PIN of this seal has left office."""
    row = session.get(CredentialRow, credential_id, with_for_update=True)
    if row is not None and row.state_reason == keepers.KEEPER_LEFT:
        raise SignerError("keeper-left")
    _change_state_in(session, credential_id, {"suspended"}, "active", None, now=now, by=by)


def lock(desk: Desk, credential_id: str, *, reason: str, now: datetime, by: str) -> None:
    _change_state(desk, credential_id, {"active"}, "locked", reason, now=now, by=by)


def unlock(desk: Desk, credential_id: str, *, now: datetime, by: str) -> None:
    """After the holder has proved who they are: five new attempts, the same PIN."""
    _change_state(desk, credential_id, {"locked"}, "active", None, now=now, by=by)


def retire(desk: Desk, credential_id: str, *, reason: str, now: datetime, by: str) -> None:
    """The end: certificate revoked elsewhere, the sealed key erased here."""
    states = {"active", "locked", "suspended"}
    _change_state(desk, credential_id, states, "revoked", reason, now=now, by=by)


def _change_state(
    desk: Desk,
    credential_id: str,
    before: set[str],
    after: str,
    reason: str | None,
    *,
    now: datetime,
    by: str,
) -> None:
    with desk.database.transaction() as session:
        _change_state_in(session, credential_id, before, after, reason, now=now, by=by)


def _change_state_in(
    session: Session,
    credential_id: str,
    before: set[str],
    after: str,
    reason: str | None,
    *,
    now: datetime,
    by: str,
) -> None:
    row = session.get(CredentialRow, credential_id, with_for_update=True)
    if row is None:
        raise CredentialUnusable("credential-unknown", credential=credential_id)
    if row.state not in before:
        raise CredentialUnusable("credential-state", state=row.state, wanted=after)
    row.state, row.state_reason = after, reason
    if after == "active":
        row.wrong_pins = 0
    if after == "revoked":
        row.sealed_key = b""
        passkey_seals.erase_in(session, [row.id], now=now)
    _record_state(session, row, now=now, by=by)


def _record_state(session: Session, row: CredentialRow, *, now: datetime, by: str) -> None:
    tag = Tag.CREDENTIAL_LOCKED if row.state == "locked" else Tag.CREDENTIAL_STATE_CHANGED
    audit.record(
        session,
        tag=tag,
        by=by,
        subject=f"credential:{row.id}",
        details={"state": row.state, "reason": row.state_reason or ""},
        now=now,
    )


def _credential(row: CredentialRow) -> Credential:
    certificate = x509.load_der_x509_certificate(row.certificate or b"")
    return Credential(
        id=row.id,
        kind=row.kind,
        profile=row.profile,
        holder=Subject.from_x509(certificate.subject),
        holder_id=row.holder_id,
        keeper=row.keeper,
        unit=row.unit,
        certificate=certificate,
        chain=tuple(x509.load_der_x509_certificate(base64.b64decode(one)) for one in row.chain),
        state=row.state,
        algorithm=KeyAlgorithm(row.algorithm),
        public_key=row.public_key,
        sealed_key=row.sealed_key,
        keeper_left=row.state_reason == keepers.KEEPER_LEFT,
    )


def base64_of(certificate: x509.Certificate) -> str:
    """How a chain is kept."""
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
