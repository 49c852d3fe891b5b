"""A ceremony and the tables: what is there before, what is stored after."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ca import issuance_rows, key_policy, lint
from ca.authority import Authority
from ca.ceremonies.ceremony_keys import TokenKeys
from ca.ceremonies.plan import Plan, RevokedPlan, ServicePlan
from ca.ceremonies.root_side import RootAnswer
from ca.errors import CaError
from ca.models import CertificateRow, CertificateStatus, IssuerRow, ServiceKeyRow, serial_text
from ca.status import crl, crl_encoding, status_changes
from ca.status.status_models import CrlRow
from records import audit
from records.database import Database
from records.tags import Tag


@dataclass(frozen=True)
class Existing:
    """What the tables have already."""

    roots: dict[str, bytes]
    issuers: frozenset[str]
    services: frozenset[str]
    linked: frozenset[str]
    crossed: frozenset[str]
    crl_numbers: dict[str, int]


def existing(database: Database, plan: Plan) -> Existing:
    """Read it before anything is made."""
    with database.reading() as session:
        issuers = session.scalars(select(IssuerRow)).all()
        services = session.scalars(select(ServiceKeyRow.name)).all()
        crosses = session.scalars(
            select(CertificateRow.der).where(CertificateRow.profile == "cross")
        ).all()
        newest = select(CrlRow.issuer, func.max(CrlRow.number)).group_by(CrlRow.issuer)
        numbers = {row[0]: row[1] for row in session.execute(newest)}
    roots = {row.name: row.certificate for row in issuers if row.key_id is None}
    known = frozenset(lint.spki_of(x509.load_der_x509_certificate(one)) for one in crosses)
    linked = frozenset(
        root.name
        for root in plan.roots
        if root.name in roots
        and lint.spki_of(x509.load_der_x509_certificate(roots[root.name])) in known
    )
    return Existing(
        roots=roots,
        issuers=frozenset(row.name for row in issuers),
        services=frozenset(services),
        linked=linked,
        crossed=frozenset(one.name for one in plan.cross if lint.spki_of(one.certificate) in known),
        crl_numbers=numbers,
    )


def newly_revoked(database: Database, plan: Plan) -> list[tuple[RevokedPlan, str]]:
    """What the plan takes back and the tables still call good, with its issuer's name."""
    found = []
    with database.reading() as session:
        for one in plan.revoked:
            row = session.get(CertificateRow, serial_text(one.serial))
            if row is None or not plan.root_of(row.issuer):
                raise CaError("revoked-not-by-root", serial=serial_text(one.serial))
            if row.status != CertificateStatus.REVOKED.value:
                found.append((one, row.issuer))
    return found


def crl_entries(
    authority: Authority,
    plan: Plan,
    before: Existing,
    revoked: Sequence[tuple[RevokedPlan, str]],
    now: datetime,
) -> dict[str, list[bytes]]:
    """The entries of each root's next CRL: those there are, and what the plan takes back."""
    entries: dict[str, list[bytes]] = {}
    for root in plan.roots:
        if root.name in before.roots:
            view = authority.revoked.view(authority.database, root.name, now=now)
            entries[root.name] = list(view.entries())
    for one, issuer in revoked:
        entry = crl_encoding.entry(one.serial, revoked_at=one.on, reason=one.reason)
        entries.setdefault(issuer, []).append(entry)
    return entries


def store(
    session: Session,
    plan: Plan,
    answer: RootAnswer,
    certificates: dict[str, x509.Certificate],
    keys: TokenKeys,
    revoked: Sequence[tuple[RevokedPlan, str]],
    *,
    now: datetime,
    by: str,
) -> None:
    """Issuers, certificates, status changes and root CRLs, with their audit entries."""
    issuing = {one.name: one for one in plan.issuing}
    rows = []
    for name, issuer, profile, encoded in answer.certificates:
        certificate = certificates[name]
        if profile in ("root", "issuing"):
            planned = issuing.get(name)
            session.add(
                IssuerRow(
                    name=name,
                    parent=None if planned is None else planned.under,
                    generation=1 if planned is None else planned.generation,
                    profiles=["issuing"] if planned is None else list(planned.profiles),
                    certificate=encoded,
                    subject_key=_subject_key(certificate),
                    key_id=None if planned is None else keys.key_id(name),
                    active=True,
                    created_at=now,
                )
            )
        elif profile != "cross":
            session.flush()
            session.add(service_row(name, profile, issuer, certificate, keys, now))
        rows.append(
            issuance_rows.certificate_values(
                certificate, issuer=issuer, profile=profile, now=now, by=by
            )
        )
    session.flush()
    session.add_all(CertificateRow(**row) for row in rows)
    session.flush()
    roots = {row.name: row for row in session.scalars(select(IssuerRow))}
    for name, encoded in answer.crls.items():
        root = x509.load_der_x509_certificate(roots[name].certificate)
        crl.adopt(session, name, root, encoded, now=now)
    for one, issuer in revoked:
        row = session.get_one(CertificateRow, serial_text(one.serial))
        row.status = CertificateStatus.REVOKED.value
        row.revoked_at, row.reason, row.status_changed_at = one.on, one.reason.value, now
        status_changes.append(
            session, issuer=issuer, serial=one.serial, reason=one.reason, revoked_at=one.on, now=now
        )
    issuance_rows.record_issued(session, rows, now=now, by=by)
    for one, _ in revoked:
        audit.record(
            session,
            tag=Tag.CERTIFICATE_REVOKED,
            by=by,
            subject=f"certificate:{serial_text(one.serial)}",
            details={"reason": one.reason.value, "revoked_at": one.on},
            now=now,
        )


def certified_before(
    authority: Authority, public_key: key_policy.PublicKey, plan: ServicePlan
) -> x509.Certificate | None:
    """The certificate that an interrupted ceremony issued but did not yet put to use."""
    digest = hashlib.sha256(key_policy.spki(public_key)).digest()
    with authority.database.reading() as session:
        encoded = session.scalars(
            select(CertificateRow.der).where(
                CertificateRow.spki_sha256 == digest, CertificateRow.profile == plan.profile
            )
        ).first()
    return None if encoded is None else x509.load_der_x509_certificate(encoded)


def record_start(database: Database, plan: Plan, *, now: datetime, by: str) -> None:
    """Who is about to do what, committed before any key is touched."""
    with database.transaction() as session:
        audit.record(
            session,
            tag=Tag.CEREMONY_STARTED,
            by=by,
            subject=f"ceremony:{plan.digest}",
            details={"plan": plan.title, "witnesses": list(plan.witnesses)},
            now=now,
        )


def service_row(
    name: str,
    profile: str,
    issuer: str,
    certificate: x509.Certificate,
    keys: TokenKeys,
    now: datetime,
) -> ServiceKeyRow:
    """The row that puts a service key to use."""
    return ServiceKeyRow(
        name=name,
        profile=profile,
        issuer=issuer,
        certificate=certificate.public_bytes(Encoding.DER),
        key_id=keys.key_id(name),
        active=True,
        created_at=now,
    )


def _subject_key(certificate: x509.Certificate) -> bytes:
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
