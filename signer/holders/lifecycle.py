"""What becomes of a credential: renewed, re-keyed, transferred, held, ended; and when people leave.

    renew(desk, credential_id, now=, by=)                         # same key, new certificate
    rekey(desk, credential_id, pin=new_pin, now=, by=)            # a new credential takes its place
    transfer(desk, credential_id, subject=…, unit=…, pin=…, …)    # another unit or title
    leave(desk, holder_id, decision="123/QĐ-UBND", now=, by=)     # everything of theirs stops

A credential and its certificates end in one transaction, with its mandates and whatever was opened
under it: there is no moment at which one half still works. docs/flows/life-cycle.md has the steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select
from sqlalchemy.orm import Session

from ca import renewal
from ca.errors import CaError
from ca.models import CertificateRow, CertificateStatus, serial_text
from ca.names import Subject
from ca.status import revocation
from ca.status.revocation import RevocationReason
from hsm.mechanisms import KeyAlgorithm
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.errors import CredentialUnusable, SignerError
from signer.holders import holder_images, keepers
from signer.holders.lifecycle_models import SuccessionRow
from signer.keys import activation, closing, credentials, passkey_seals
from signer.models import CredentialRow
from signer.routing import delegations

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential


@dataclass(frozen=True)
class Departure:
    """What stopped when somebody left; `seals` they kept are held until a next keeper has a key."""

    holder_id: str
    credentials: tuple[str, ...]
    certificates: tuple[str, ...]
    seals: tuple[str, ...]


def renew(desk: Desk, credential_id: str, *, now: datetime, by: str) -> Credential:
    """A new certificate for the same key; the old one runs out by itself, or ends with the key."""
    credential = _living(desk, credential_id)
    certificate = renewal.renew(
        desk.authority, credential.certificate.serial_number, now=now, by=by
    )
    chain = desk.authority.chain(certificate)
    with desk.database.transaction() as session:
        row = session.get_one(CredentialRow, credential_id, with_for_update=True)
        row.certificate = certificate.public_bytes(Encoding.DER)
        row.chain = [credentials.base64_of(one) for one in chain]
        row.serial = serial_text(certificate.serial_number)
        _record(session, Tag.CREDENTIAL_RENEWED, row.id, {"serial": row.serial}, now=now, by=by)
    return credentials.find(desk, credential_id)


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
    former = _living(desk, credential_id)
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
    former = _living(desk, credential_id)
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


def suspend(desk: Desk, credential_id: str, *, reason: str, now: datetime, by: str) -> None:
    """Out of use until `resume`: the credential and every certificate of its key, in one act.

    A renewed credential has several (certificateHold, RFC 5280 §5.3.1): what is signed with the
    key verifies under each of them.
    """
    credential = credentials.find(desk, credential_id)
    serials = _serials_of_key(desk, [credential.public_key], CertificateStatus.GOOD)
    opened: list[str] = []

    def stop(session: Session) -> None:
        credentials.suspend_in(session, credential_id, reason=reason, now=now, by=by)
        opened.extend(closing.close_in(session, [credential_id], now=now, by=by))

    revocation.suspend_together(desk.authority, _numbers(serials), now=now, by=by, also=stop)
    for one in opened:
        activation.forget(desk, one)


def resume(desk: Desk, credential_id: str, *, now: datetime, by: str) -> None:
    """Into use again: the credential and the certificates that are held, in one act."""
    credential = credentials.find(desk, credential_id)
    serials = _serials_of_key(desk, [credential.public_key], CertificateStatus.HELD)

    def go_on(session: Session) -> None:
        credentials.resume_in(session, credential_id, now=now, by=by)

    revocation.resume_together(desk.authority, _numbers(serials), now=now, by=by, also=go_on)


def end(
    desk: Desk,
    credential_id: str,
    *,
    reason: RevocationReason,
    now: datetime,
    by: str,
    invalidity_date: datetime | None = None,
) -> None:
    """For good: the sealed key is erased, every certificate of the key is revoked."""
    credential = _living(desk, credential_id)
    serials = _serials_of_key(desk, [credential.public_key])
    _end(desk, [credential_id], serials, reason, invalidity_date, now=now, by=by)


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
    serials = sorted({*named, *_serials_of_key(desk, [row.public_key for row in rows])})

    def stop_the_rest(session: Session) -> None:
        keepers.hold_in(session, seals, now=now, by=by)
        delegations.end_all_in(session, holder_id, now=now, by=by)
        if also is not None:
            also(session)
        stopped = {"credentials": ids, "certificates": serials, "seals": list(seals)}
        record_departure(session, holder_id, decision, stopped, now=now, by=by)

    _end(
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
        _record(session, tag, made.id, {"former": former.id}, now=now, by=by)

    serials = _serials_of_key(desk, [former.public_key])
    try:
        _end(desk, [former.id], serials, reason, None, now=now, by=by, also=also)
    except DomainError:
        end(desk, made.id, reason=RevocationReason.CESSATION_OF_OPERATION, now=now, by=by)
        raise
    return made


def _end(
    desk: Desk,
    ids: Sequence[str],
    serials: Sequence[str],
    reason: RevocationReason,
    invalidity_date: datetime | None,
    *,
    now: datetime,
    by: str,
    also: Callable[[Session], object] | None = None,
    stopped: Sequence[str] | None = None,
) -> None:
    opened: list[str] = []

    def stop(session: Session) -> None:
        for credential_id in ids:
            row = session.get_one(CredentialRow, credential_id, with_for_update=True)
            if row.state not in closing.LIVING:  # somebody was quicker
                raise CredentialUnusable(f"credential-{row.state}", credential=credential_id)
            row.state, row.state_reason, row.sealed_key = "revoked", reason.value, b""
            _record(session, Tag.CREDENTIAL_STATE_CHANGED, credential_id,
                    {"state": row.state, "reason": reason.value}, now=now, by=by)  # fmt: skip
        opened.extend(closing.close_in(session, stopped or ids, now=now, by=by))
        passkey_seals.erase_in(session, ids, now=now)
        if also is not None:
            also(session)

    revocation.revoke_together(
        desk.authority,
        _numbers(serials),
        reason=reason,
        invalidity_date=invalidity_date,
        now=now,
        by=by,
        also=stop,
    )
    for one in opened:
        activation.forget(desk, one)


def _serials_of_key(
    desk: Desk, keys: Sequence[bytes], status: CertificateStatus | None = None
) -> list[str]:
    """Every certificate of these keys in this state, or not revoked: a renewed one has several."""
    digests = [hashlib.sha256(key).digest() for key in keys]
    wanted = select(CertificateRow.serial).where(
        CertificateRow.spki_sha256.in_(digests),
        CertificateRow.status != CertificateStatus.REVOKED.value
        if status is None
        else CertificateRow.status == status.value,
    )
    with desk.database.reading() as session:
        return list(session.scalars(wanted))


def _numbers(serials: Sequence[str]) -> list[int]:
    return [int(one, 16) for one in serials]


def _living(desk: Desk, credential_id: str) -> Credential:
    credential = credentials.find(desk, credential_id)
    if credential.state not in closing.LIVING:
        raise CredentialUnusable(f"credential-{credential.state}", credential=credential_id)
    return credential


def _record(
    session: Session,
    tag: Tag,
    credential_id: str,
    details: dict[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(
        session, tag=tag, by=by, subject=f"credential:{credential_id}", details=details, now=now
    )
