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
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sqlalchemy import select

from ca import issuance_rows as rows
from ca import key_policy, lint, signature_algorithms, tbs
from ca.authority import Authority
from ca.errors import CaError
from ca.issuer import Issuer
from ca.key_policy import PublicKey
from ca.models import IntentionRow, IntentionState, serial_text
from ca.names import Subject
from ca.profiles import profile_named
from ca.serials import new_serial
from ca.status import crl_shards
from records import audit
from records.errors import DomainError
from records.tags import Tag


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
    chunk: int = 200,
) -> Iterator[list[x509.Certificate]]:
    """Any number of certificates, a chunk at a time, each chunk whole or not at all.

    While the token signs one chunk the next is prepared and the last one stored, so the pace is
    the token's. A failure stops the run; what was yielded is issued, and no intention stays open
    (unless the process dies: then `recover` voids it).
    """
    # Two, so that the token has the next chunk while what it made of this one is checked.
    with ThreadPoolExecutor(2, "issue-in-bulk") as signing:
        under_way: tuple[list[rows.Prepared], Future[list[x509.Certificate]]] | None = None
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
    prepared: list[rows.Prepared],
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
) -> list[rows.Prepared]:
    """Steps 1 to 3: from here on the serials are taken, and known to be."""
    try:
        # 1. Prepare: profile, issuer, key, serial number and the exact bytes to be signed.
        # 2. Lint them; a finding stops here, before the real key is asked for anything.
        issuers = _issuers(authority, orders, now=now, by=by)
        prepared = [_prepare(*pair, now=now) for pair in zip(orders, issuers, strict=True)]
        # 3. Commit the intention, unless the clock went back or a key is already somebody else's.
        with authority.database.transaction() as session:
            rows.intend(session, prepared, now=now, by=by)
    except CaError as refusal:
        rows.record_refusal(authority, orders[0].profile, refusal, now=now, by=by)
        raise
    return prepared


def act(
    authority: Authority, prepared: Sequence[rows.Prepared], *, now: datetime, by: str
) -> list[x509.Certificate]:
    """Steps 4 and 5. What fails here is voided: nothing signed ever leaves."""
    try:
        # 4. Sign on the token, outside any transaction.
        signed = _sign(authority, prepared)
        # 5. Check with the issuer's public key that this is what was intended.
        return [_checked(*pair) for pair in zip(prepared, signed, strict=True)]
    except (DomainError, InvalidSignature) as failure:
        rows.void(authority, prepared, failure, now=now, by=by)
        raise


def conclude(
    authority: Authority,
    prepared: Sequence[rows.Prepared],
    certificates: Sequence[x509.Certificate],
    *,
    now: datetime,
    by: str,
) -> None:
    """Step 6: only now does a certificate exist for anybody."""
    with authority.database.transaction() as session:
        rows.conclude(session, prepared, certificates, now=now, by=by)


def recover(
    authority: Authority,
    now: datetime,
    by: str,
    *,
    older_than: timedelta = timedelta(minutes=10),
) -> list[int]:
    """Void the intentions an interruption left open; return their serials.

    What the token may have signed for an open intention never left the process that asked for it;
    its serial stays taken, so no second certificate can bear it. Whoever wanted the certificate
    asks again and gets a new serial. Younger ones are let be: another process on this database may
    have them in hand (`older_than=0` when there is none). One that was thought dead and comes back
    cannot store its outcome.
    """
    with authority.database.transaction() as session:
        left = session.scalars(
            select(IntentionRow)
            .where(
                IntentionRow.state == IntentionState.OPEN.value,
                IntentionRow.made_at <= now - older_than,
            )
            .with_for_update()
        ).all()
        for row in left:
            row.state, row.resolved_at = IntentionState.VOID.value, now
        acts = [
            (f"certificate:{row.serial}", {"issuer": row.issuer, "tbs_sha256": row.tbs_sha256})
            for row in left
        ]
        audit.record_all(session, tag=Tag.CERTIFICATE_VOIDED, by=by, acts=acts, now=now)
    return [int(row.serial, 16) for row in left]


def _issuers(
    authority: Authority, orders: Sequence[Order], *, now: datetime, by: str
) -> list[Issuer]:
    """Who issues each, and which part of the issuer's list it will name."""
    wanted = []
    for order in orders:
        profile = profile_named(order.profile)
        if order.issuer is None:
            wanted.append((authority.issuer_for(order.profile), profile))
        else:
            wanted.append((authority.issuer(order.issuer), profile))
    return crl_shards.named(authority, wanted, now=now, by=by)


def _prepare(order: Order, issuer: Issuer, *, now: datetime) -> rows.Prepared:
    profile = profile_named(order.profile)
    key_policy.check(order.public_key, profile)
    not_before = now.astimezone(UTC).replace(microsecond=0)
    not_after = min(profile.not_after(not_before), issuer.certificate.not_valid_after_utc)
    if order.not_after is not None:
        not_after = min(not_after, order.not_after.astimezone(UTC).replace(microsecond=0))
    if not_after <= not_before:
        raise CaError("validity-empty", not_after=not_after.isoformat())
    serial = new_serial()
    unsigned = tbs.unsigned_certificate(
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
    return rows.Prepared(serial, profile, issuer, order.subject, unsigned, digest, order.renews)


def _sign(authority: Authority, prepared: Sequence[rows.Prepared]) -> list[bytes]:
    keys = [authority.key(one.issuer) for one in prepared]

    def work() -> list[bytes]:
        return [one.unsigned.sign(key) for one, key in zip(prepared, keys, strict=True)]

    return authority.token.on_token_thread(work)


def _checked(prepared: rows.Prepared, encoded: bytes) -> x509.Certificate:
    certificate = x509.load_der_x509_certificate(encoded)
    unsigned, issuer = prepared.unsigned, prepared.issuer
    signature_algorithms.verify(
        issuer.public_key, certificate.signature, unsigned.tbs, unsigned.digest
    )
    if certificate.tbs_certificate_bytes != unsigned.tbs:
        raise CaError("signed-other-than-intended", serial=serial_text(prepared.serial))
    return certificate
