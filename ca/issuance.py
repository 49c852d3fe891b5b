"""Issuing a certificate: intention, act, outcome.

    certificate = issue(authority, profile="official", subject=subject, public_key=key,
                        now=now, by="operator:ca")

A rollback cannot unsign. So the serial and the exact bytes to be signed are committed first, the
token signs outside any transaction, the signature is checked with the issuer's public key, and the
outcome is committed with its audit entry. A crash in between leaves an open intention; `recover`
voids it, and its serial is never used again. The steps are those of docs/flows/issue.md.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from ca import extensions, key_policy, lint, tbs
from ca.authority import Authority
from ca.errors import CaError
from ca.issuer import Issuer
from ca.key_policy import PublicKey
from ca.models import CertificateRow, CertificateStatus, IntentionRow, IntentionState, IssuerRow
from ca.models import serial_text as text_of
from ca.names import Subject, display_name
from ca.profiles import Profile, profile_named
from records import audit
from records.errors import DomainError
from records.tags import Tag

CLOCK_TOLERANCE = timedelta(seconds=5)
"""How far the clocks of two machines of one service may lie apart."""

_NEVER_AGAIN = ("keyCompromise", "cACompromise", "aACompromise")


@dataclass(frozen=True)
class Order:
    """One certificate to be issued.

    `renews` is the serial whose key it may carry on; `issuer` is named where several could issue
    the profile (an OCSP responder stands under each).
    """

    profile: str
    subject: Subject
    public_key: PublicKey
    not_after: datetime | None = None
    renews: int | None = None
    issuer: str | None = None


@dataclass(frozen=True)
class Prepared:
    """One certificate between intention and outcome."""

    serial: int
    profile: Profile
    issuer: Issuer
    subject: Subject
    unsigned: tbs.Unsigned
    spki_sha256: bytes
    renews: int | None


def issue(
    authority: Authority,
    *,
    profile: str,
    subject: Subject,
    public_key: PublicKey,
    now: datetime,
    by: str,
    not_after: datetime | None = None,
    renews: int | None = None,
    issuer: str | None = None,
) -> x509.Certificate:
    """One certificate. Raises `CaError` (why it was refused) or the token's own error."""
    order = Order(profile, subject, public_key, not_after, renews, issuer)
    return issue_many(authority, [order], now=now, by=by)[0]


def issue_many(
    authority: Authority, orders: Sequence[Order], *, now: datetime, by: str
) -> list[x509.Certificate]:
    """Several certificates with two commits in all; either each is issued or none.

    A hundred or so at a time: the token serves nobody else while it signs them.
    """
    # 1.–3. Prepare, lint, and commit the intention.
    prepared = intend(authority, orders, now=now, by=by)
    # 4.–5. Sign on the token and check what it made.
    certificates = act(authority, prepared, now=now, by=by)
    # 6. Commit the outcome.
    conclude(authority, prepared, certificates, now=now, by=by)
    return certificates


def issue_in_bulk(
    authority: Authority,
    orders: Iterable[Order],
    *,
    now: datetime,
    by: str,
    chunk: int = 100,
) -> Iterator[list[x509.Certificate]]:
    """Any number of certificates, a chunk at a time, each chunk whole or not at all.

    While the token signs one chunk the next is prepared and the last one stored, so the pace is
    the token's. A failure stops the run; what was yielded is issued, and no intention stays open
    (unless the process dies: then `recover` voids it).
    """
    with ThreadPoolExecutor(1, "issue-in-bulk") as signing:
        under_way: tuple[list[Prepared], Future[list[x509.Certificate]]] | None = None
        try:
            for part in _chunks(orders, chunk):
                prepared = intend(authority, part, now=now, by=by)
                signed = signing.submit(act, authority, prepared, now=now, by=by)
                before, under_way = under_way, (prepared, signed)
                if before is not None:
                    yield _stored(authority, *before, now=now, by=by)
        except BaseException:
            if under_way is not None:
                _stored(authority, *under_way, now=now, by=by)
            raise
        if under_way is not None:
            yield _stored(authority, *under_way, now=now, by=by)


def _stored(
    authority: Authority,
    prepared: list[Prepared],
    signed: Future[list[x509.Certificate]],
    *,
    now: datetime,
    by: str,
) -> list[x509.Certificate]:
    certificates = signed.result()
    conclude(authority, prepared, certificates, now=now, by=by)
    return certificates


def _chunks(orders: Iterable[Order], size: int) -> Iterator[list[Order]]:
    left = iter(orders)
    while part := list(islice(left, size)):
        yield part


def intend(
    authority: Authority, orders: Sequence[Order], *, now: datetime, by: str
) -> list[Prepared]:
    """Steps 1 to 3: from here on the serials are taken, and known to be."""
    try:
        # 1. Prepare: profile, issuer, key, serial number and the exact bytes to be signed.
        # 2. Lint them; a finding stops here, before the real key is asked for anything.
        prepared = [_prepare(authority, order, now=now) for order in orders]
        # 3. Commit the intention, unless the clock went back or a key is already somebody else's.
        with authority.database.transaction() as session:
            _intend(session, prepared, now=now, by=by)
    except CaError as refusal:
        _record_refusal(authority, orders, refusal, now=now, by=by)
        raise
    return prepared


def act(
    authority: Authority, prepared: Sequence[Prepared], *, now: datetime, by: str
) -> list[x509.Certificate]:
    """Steps 4 and 5. What fails here is voided: nothing signed ever leaves."""
    try:
        # 4. Sign on the token, outside any transaction.
        signed = _sign(authority, prepared)
        # 5. Check with the issuer's public key that this is what was intended.
        return [_checked(*pair) for pair in zip(prepared, signed, strict=True)]
    except (DomainError, InvalidSignature) as failure:
        _void(authority, prepared, failure, now=now, by=by)
        raise


def conclude(
    authority: Authority,
    prepared: Sequence[Prepared],
    certificates: Sequence[x509.Certificate],
    *,
    now: datetime,
    by: str,
) -> None:
    """Step 6: only now does a certificate exist for anybody."""
    with authority.database.transaction() as session:
        _conclude(session, prepared, certificates, now=now, by=by)


def recover(authority: Authority, now: datetime, by: str) -> list[int]:
    """Void every open intention older than this moment; return their serials.

    Run at start, before anything is issued. What the token may have signed for an open intention
    never left the process that asked for it; its serial stays taken, so no second certificate can
    bear it. Whoever wanted the certificate asks again and gets a new serial.
    """
    with authority.database.transaction() as session:
        rows = session.scalars(
            select(IntentionRow)
            .where(IntentionRow.state == IntentionState.OPEN.value)
            .with_for_update()
        ).all()
        for row in rows:
            row.state, row.resolved_at = IntentionState.VOID.value, now
        acts = [
            (f"certificate:{row.serial}", {"issuer": row.issuer, "tbs_sha256": row.tbs_sha256})
            for row in rows
        ]
        audit.record_all(session, tag=Tag.CERTIFICATE_VOIDED, by=by, acts=acts, now=now)
    return [int(row.serial, 16) for row in rows]


def new_serial() -> int:
    """126 random bits in 16 octets: positive, of one length, unpredictable (CA/B BR 7.1)."""
    return (secrets.randbits(126) | 1 << 126) & ~(1 << 127)


def unsigned_certificate(
    *,
    profile: Profile,
    issuer: Issuer | None,
    subject: Subject,
    public_key: PublicKey,
    serial: int,
    not_before: datetime,
    not_after: datetime,
) -> tbs.Unsigned:
    """The bytes a certificate of this profile consists of; shared with the ceremony."""
    name = subject.to_x509()
    builder = (
        x509.CertificateBuilder()
        .serial_number(serial)
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.certificate.subject)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .public_key(public_key)
    )
    for extension, critical in extensions.build(profile, subject, public_key, issuer):
        builder = builder.add_extension(extension, critical)
    return tbs.capture(builder, public_key if issuer is None else issuer.public_key)


def _prepare(authority: Authority, order: Order, *, now: datetime) -> Prepared:
    profile = profile_named(order.profile)
    if order.issuer is None:
        issuer = authority.issuer_for(order.profile)
    else:
        issuer = authority.issuer(order.issuer)
    key_policy.check(order.public_key, profile)
    not_before = now.astimezone(UTC).replace(microsecond=0)
    not_after = min(profile.not_after(not_before), issuer.certificate.not_valid_after_utc)
    if order.not_after is not None:
        not_after = min(not_after, order.not_after.astimezone(UTC).replace(microsecond=0))
    if not_after <= not_before:
        raise CaError("validity-empty", not_after=not_after.isoformat())
    serial = new_serial()
    unsigned = unsigned_certificate(
        profile=profile,
        issuer=issuer,
        subject=order.subject,
        public_key=order.public_key,
        serial=serial,
        not_before=not_before,
        not_after=not_after,
    )
    lint.stop_on_findings(
        unsigned,
        profile=profile,
        issuer=issuer,
        subject=order.subject,
        public_key=order.public_key,
    )
    digest = hashlib.sha256(key_policy.spki(order.public_key)).digest()
    return Prepared(serial, profile, issuer, order.subject, unsigned, digest, order.renews)


def _intend(session: Session, prepared: Sequence[Prepared], *, now: datetime, by: str) -> None:
    names = sorted({one.issuer.name for one in prepared})
    # One issuing at a time per issuer decides about clock and keys (a lock on PostgreSQL).
    session.execute(select(IssuerRow.name).where(IssuerRow.name.in_(names)).with_for_update())
    last = session.execute(
        select(func.max(IntentionRow.made_at)).where(IntentionRow.issuer.in_(names))
    ).scalar()
    if last is not None and now < last - CLOCK_TOLERANCE:
        raise CaError("clock-stepped-back", last=last.isoformat(), now=now.isoformat())
    _refuse_reuse(session, prepared)
    rows = [
        {
            "serial": text_of(one.serial),
            "issuer": one.issuer.name,
            "profile": one.profile.name,
            "tbs_sha256": hashlib.sha256(one.unsigned.tbs).digest(),
            "spki_sha256": one.spki_sha256,
            "subject": one.subject.display(),
            "state": IntentionState.OPEN.value,
            "made_at": now,
            "made_by": by,
        }
        for one in prepared
    ]
    session.execute(insert(IntentionRow), rows)
    audit.record(
        session,
        tag=Tag.CERTIFICATE_INTENDED,
        by=by,
        subject=f"certificate:{rows[0]['serial']}",
        details={"serials": [row["serial"] for row in rows]},
        now=now,
    )


def _refuse_reuse(session: Session, prepared: Sequence[Prepared]) -> None:
    """A key belongs to one holder; one known to be compromised belongs to nobody (BR 6.1.1.3)."""
    wanted = {one.spki_sha256: one for one in prepared}
    if len(wanted) < len(prepared):
        raise CaError("key-reused")
    digests = list(wanted)
    for start in range(0, len(digests), 500):
        part = digests[start : start + 500]
        used = select(CertificateRow).where(CertificateRow.spki_sha256.in_(part))
        for row in session.scalars(used):
            one = wanted[row.spki_sha256]
            same_holder = one.renews is not None and (
                row.profile == one.profile.name and row.subject == one.subject.display()
            )
            if not same_holder or row.reason in _NEVER_AGAIN:
                raise CaError("key-reused")
        pending = select(IntentionRow.serial).where(
            IntentionRow.spki_sha256.in_(part), IntentionRow.state == IntentionState.OPEN.value
        )
        if session.execute(pending.limit(1)).first() is not None:
            raise CaError("key-reused")


def _sign(authority: Authority, prepared: Sequence[Prepared]) -> list[bytes]:
    keys = [authority.key(one.issuer) for one in prepared]

    def work() -> list[bytes]:
        return [one.unsigned.sign(key) for one, key in zip(prepared, keys, strict=True)]

    return authority.token.on_token_thread(work)


def _checked(prepared: Prepared, encoded: bytes) -> x509.Certificate:
    certificate = x509.load_der_x509_certificate(encoded)
    certificate.verify_directly_issued_by(prepared.issuer.certificate)
    if certificate.tbs_certificate_bytes != prepared.unsigned.tbs:
        raise CaError("signed-other-than-intended", serial=text_of(prepared.serial))
    return certificate


def _conclude(
    session: Session,
    prepared: Sequence[Prepared],
    certificates: Sequence[x509.Certificate],
    *,
    now: datetime,
    by: str,
) -> None:
    rows = [
        {
            **_values(certificate, one.issuer.name, one.profile.name, now, by),
            "subject": one.subject.display(),
            "spki_sha256": one.spki_sha256,
        }
        for one, certificate in zip(prepared, certificates, strict=True)
    ]
    resolved = session.execute(
        update(IntentionRow)
        .where(
            IntentionRow.serial.in_([row["serial"] for row in rows]),
            IntentionRow.state == IntentionState.OPEN.value,
        )
        .values(state=IntentionState.ISSUED.value, resolved_at=now)
    )
    if resolved.rowcount != len(rows):  # type: ignore[attr-defined]  # an UPDATE has a row count
        raise CaError("intention-voided", serial=rows[0]["serial"])
    session.execute(insert(CertificateRow), rows)
    record_issued(session, rows, now=now, by=by)


def certificate_values(
    certificate: x509.Certificate, *, issuer: str, profile: str, now: datetime, by: str
) -> dict[str, Any]:
    """The row of a certificate that a ceremony brought."""
    return {
        **_values(certificate, issuer, profile, now, by),
        "subject": display_name(certificate.subject),
        "spki_sha256": hashlib.sha256(lint.spki_of(certificate)).digest(),
    }


def _values(
    certificate: x509.Certificate, issuer: str, profile: str, now: datetime, by: str
) -> dict[str, Any]:
    return {
        "serial": text_of(certificate.serial_number),
        "issuer": issuer,
        "profile": profile,
        "der": certificate.public_bytes(Encoding.DER),
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
        "issued_at": now,
        "issued_by": by,
        "status": CertificateStatus.GOOD.value,
    }


def record_issued(
    session: Session, rows: Sequence[Mapping[str, Any]], *, now: datetime, by: str
) -> None:
    """The audit entry of each certificate: what it is, never whom it names."""
    acts = [
        (
            f"certificate:{row['serial']}",
            {
                "issuer": row["issuer"],
                "profile": row["profile"],
                "sha256": hashlib.sha256(row["der"]).digest(),
            },
        )
        for row in rows
    ]
    audit.record_all(session, tag=Tag.CERTIFICATE_ISSUED, by=by, acts=acts, now=now)


def _void(
    authority: Authority,
    prepared: Sequence[Prepared],
    failure: Exception,
    *,
    now: datetime,
    by: str,
) -> None:
    code = failure.code if isinstance(failure, DomainError) else "signature-invalid"
    serials = [text_of(one.serial) for one in prepared]
    with authority.database.transaction() as session:
        session.execute(
            update(IntentionRow)
            .where(IntentionRow.serial.in_(serials))
            .values(state=IntentionState.VOID.value, resolved_at=now)
        )
        acts = [(f"certificate:{serial}", {"code": code}) for serial in serials]
        audit.record_all(session, tag=Tag.CERTIFICATE_VOIDED, by=by, acts=acts, now=now)


def _record_refusal(
    authority: Authority, orders: Sequence[Order], refusal: CaError, *, now: datetime, by: str
) -> None:
    with authority.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.CERTIFICATE_REFUSED,
            by=by,
            subject=f"profile:{orders[0].profile}",
            details={"code": refusal.code, "orders": len(orders)},
            now=now,
        )
