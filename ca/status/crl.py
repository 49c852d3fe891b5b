"""Certificate revocation lists: complete, delta and sharded, always current (RFC 5280 §5).

    publish(authority, "persons-g1", now=now, by="system:crl")      # all lists of an issuer
    publish_after_change(authority, "persons-g1", now=now, by=by)   # at once after a revocation
    publish_due(authority, now=now, by="system:crl")                # the schedule calls this
    current(authority, "persons-g1")                                # DER to serve, or None

The steps are those of docs/flows/crl.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from ca import signature_algorithms as algorithms
from ca.errors import CaError
from ca.status.crl_contents import CrlPolicy, Prepared, newest_of, prepare
from ca.status.crl_encoding import CrlTemplate
from ca.status.crl_scope import COMPLETE, DELTA, Scope, shards_in_use
from ca.status.status_lint import check_crl_shape
from ca.status.status_models import CrlRow, CrlState, StatusChangeRow
from records import audit
from records.tags import Tag

if TYPE_CHECKING:
    from ca.authority import Authority

_KEPT = 3
_NUMBER = text(
    "INSERT INTO ca_status_counters (issuer, last_sequence, last_crl_number)"
    " VALUES (:issuer, 0, 1) ON CONFLICT (issuer)"
    " DO UPDATE SET last_crl_number = ca_status_counters.last_crl_number + 1"
    " RETURNING last_crl_number"
)


def publish(
    authority: Authority, issuer: str, *, now: datetime, by: str, policy: CrlPolicy | None = None
) -> bytes:
    """Make every list of the issuer anew; returns the complete one."""
    policy = policy or authority.crl_policy
    with authority.database.reading() as session:
        scopes = _scopes(session, issuer, policy)
    return publish_scopes(authority, issuer, scopes, now=now, by=by, policy=policy)[0]


def publish_after_change(
    authority: Authority,
    issuer: str,
    *,
    now: datetime,
    by: str,
    shard: int | None = None,
    policy: CrlPolicy | None = None,
) -> bytes:
    """Make the lists anew that a change of one certificate's status touches."""
    scopes = [COMPLETE, DELTA] + ([Scope.of_shard(shard)] if shard is not None else [])
    return publish_scopes(authority, issuer, scopes, now=now, by=by, policy=policy)[0]


def publish_due(
    authority: Authority, *, now: datetime, by: str, policy: CrlPolicy | None = None
) -> dict[str, list[str]]:
    """Renew what has lived half its life, was never made, or was overtaken by a change whose own
    publishing failed; names of the lists per issuer."""
    policy = policy or authority.crl_policy
    made: dict[str, list[str]] = {}
    for issuer in authority.issuers():
        if issuer.key_id is None:
            continue  # the root's list is made in ceremonies
        with authority.database.reading() as session:
            newest = newest_of(session, issuer.name)
            changed = _changed_since(session, issuer.name, newest.values())
            scopes = [
                scope
                for scope in _scopes(session, issuer.name, policy)
                if _is_due(newest.get(scope.name), scope, changed, now, policy)
            ]
        if scopes:
            publish_scopes(authority, issuer.name, scopes, now=now, by=by, policy=policy)
            made[issuer.name] = [scope.name for scope in scopes]
    return made


def current(authority: Authority, issuer: str, scope: Scope = COMPLETE) -> bytes | None:
    """The newest list, as served."""
    with authority.database.reading() as session:
        return session.execute(
            select(CrlRow.der)
            .where(
                CrlRow.issuer == issuer,
                CrlRow.scope == scope.name,
                CrlRow.state == CrlState.ISSUED.value,
            )
            .order_by(CrlRow.number.desc())
            .limit(1)
        ).scalar_one_or_none()


def adopt(
    session: Session, issuer: str, certificate: x509.Certificate, der: bytes, *, now: datetime
) -> int:
    """Store a list signed elsewhere (the root's, made in a ceremony); returns its number."""
    crl = x509.load_der_x509_crl(der)
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    last = session.execute(
        select(CrlRow.number).where(CrlRow.issuer == issuer).order_by(CrlRow.number.desc()).limit(1)
    ).scalar_one_or_none()
    key = certificate.public_key()
    if not isinstance(key, algorithms.PUBLIC_KEYS) or not crl.is_signature_valid(key):
        raise CaError("crl-not-by-issuer", issuer=issuer)
    if last is not None and number <= last:
        raise CaError("crl-number-not-rising", issuer=issuer, number=number, last=last)
    session.add(
        CrlRow(
            issuer=issuer,
            number=number,
            scope=COMPLETE.name,
            sequence=0,
            state=CrlState.ISSUED.value,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc or now,
            entries=len(crl),
            tbs_sha256=hashlib.sha256(crl.tbs_certlist_bytes).digest(),
            der=der,
        )
    )
    return number


def publish_scopes(
    authority: Authority,
    name: str,
    scopes: Sequence[Scope],
    *,
    now: datetime,
    by: str,
    policy: CrlPolicy | None = None,
) -> list[bytes]:
    """Make just these lists, in their order; a delta with nothing to build on is left out."""
    policy = policy or authority.crl_policy
    issuer = authority.issuer(name)
    if issuer.key_id is None:
        raise CaError("root-is-offline", issuer=name)
    public_key = issuer.certificate.public_key()
    digest = algorithms.digest_for(public_key)
    template = CrlTemplate.of(issuer.certificate, algorithms.identifier(public_key, digest))

    # 1. Lint each shape of list, signed with a throw-away key, before the real key signs.
    for scope in scopes:
        check_crl_shape(template, scope, address=scope.address(issuer))

    # 2. Intention: numbers taken, contents frozen, both committed. From the counter on, no
    #    change of this issuer's can be committed beside us, so a higher number knows more.
    authority.revoked.view(authority.database, name, now=now)
    with authority.database.transaction() as session:
        number: int = session.execute(_NUMBER, {"issuer": name}).scalar_one()
        view = authority.revoked.caught_up(session, name, now=now)
        prepared = prepare(session, template, issuer, view, number, scopes, now, policy)

    # 3. Act, outside any transaction; 4. check with the public key what the token made.
    key = authority.key(issuer)
    lists: list[bytes] = []
    for one in prepared:
        signature = algorithms.sign(key, one.tbs, digest)
        algorithms.verify(public_key, signature, one.tbs, digest)
        lists.append(template.signed(one.tbs, signature))

    # 5. Outcome: the lists are what is served from here on; older bodies are let go.
    with authority.database.transaction() as session:
        for one, encoded in zip(prepared, lists, strict=True):
            _store(session, name, one, encoded)
        for one, encoded in zip(prepared, lists, strict=True):
            audit.record(
                session,
                tag=Tag.CRL_PUBLISHED,
                by=by,
                subject=f"crl:{name}/{one.scope.name}",
                details={
                    "number": one.number,
                    "base": one.base,
                    "entries": one.entries,
                    "next_update": one.next_update,
                    "sha256": hashlib.sha256(encoded).digest(),
                },
                now=now,
            )
    return lists


def _scopes(session: Session, issuer: str, policy: CrlPolicy) -> list[Scope]:
    """A shard once listed is listed for ever, also where no new ones are opened any more."""
    shards = {
        int(name.removeprefix("shard-"))
        for name in newest_of(session, issuer)
        if name.startswith("shard-")
    }
    if policy.shard_size is not None:
        shards.update(shards_in_use(session, issuer, size=policy.shard_size))
    return [COMPLETE, DELTA, *map(Scope.of_shard, sorted(shards))]


def _changed_since(
    session: Session, issuer: str, lists: Collection[CrlRow]
) -> dict[int | None, int]:
    """The last change of each shard that is newer than the oldest of these lists."""
    oldest = min((row.sequence for row in lists), default=0)
    wanted = (
        select(StatusChangeRow.shard, func.max(StatusChangeRow.sequence))
        .where(StatusChangeRow.issuer == issuer, StatusChangeRow.sequence > oldest)
        .group_by(StatusChangeRow.shard)
    )
    return {row[0]: row[1] for row in session.execute(wanted)}


def _is_due(
    row: CrlRow | None,
    scope: Scope,
    changed: Mapping[int | None, int],
    now: datetime,
    policy: CrlPolicy,
) -> bool:
    if row is None or now >= row.this_update + policy.life_of(scope) / 2:
        return True
    if scope.shard is None:
        return max(changed.values(), default=0) > row.sequence
    return changed.get(scope.shard, 0) > row.sequence


def _store(session: Session, issuer: str, one: Prepared, encoded: bytes) -> None:
    mine = (CrlRow.issuer == issuer, CrlRow.scope == one.scope.name)
    session.execute(
        update(CrlRow)
        .where(*mine, CrlRow.number == one.number)
        .values(state=CrlState.ISSUED.value, der=encoded)
    )
    kept = (
        select(CrlRow.number)
        .where(*mine, CrlRow.der.is_not(None))
        .order_by(CrlRow.number.desc())
        .limit(_KEPT)
    )
    oldest_kept = min(session.scalars(kept))
    session.execute(
        update(CrlRow)
        .where(*mine, CrlRow.number < oldest_kept, CrlRow.der.is_not(None))
        .values(der=None)
    )
