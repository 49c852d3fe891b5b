"""The key ceremony, seen from the service: requests go to the root, certificates come back.

    plan = load_plan(Path("ca/plans/province.yaml"))
    result = run_ceremony(plan, root_settings=RootSettings(home / "root"), token=token,
                          database=database, base_url="https://ca.example", witnesses=witnesses,
                          now=now, by="operator:ceremony")

The same call makes the first hierarchy, a new issuing CA beside the old, a new root with its links
and every new root CRL: it makes what the plan names and the tables lack. Interrupted, it is simply
run again. The steps are those of docs/flows/ceremony.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ca import crl, crl_encoding, issuance, key_policy, lint, root_side, status_changes
from ca import signature_algorithms as algorithms
from ca.authority import Authority
from ca.errors import CaError
from ca.issuer import Issuer
from ca.models import (
    CeremonyRow,
    CertificateRow,
    CertificateStatus,
    IssuerRow,
    ServiceKeyRow,
    serial_text,
)
from ca.plan import IssuingPlan, Plan, RevokedPlan, ServicePlan
from ca.profiles import PROFILES
from ca.root_secret import Witness, check_witnesses
from ca.root_side import RootAnswer, RootWork
from ca.status_models import CrlRow
from hsm.mechanisms import KeyAlgorithm
from hsm.token import Token
from records import audit
from records.database import Database
from records.tags import Tag


@dataclass(frozen=True)
class RootSettings:
    """Where the root's own token and its sealed PIN are: a directory the service never opens."""

    directory: Path
    module: Path | None = None


@dataclass(frozen=True)
class CeremonyResult:
    """What was signed (or, in a dry run, would be), the log, and the log's signature."""

    dry_run: bool
    certificates: dict[str, x509.Certificate]
    crls: dict[str, bytes]
    log: tuple[str, ...]
    record: str = field(repr=False, default="")
    signature: bytes = field(repr=False, default=b"")
    signed_by: str = ""


@dataclass(frozen=True)
class _Existing:
    """What the tables have already."""

    roots: dict[str, bytes]
    issuers: frozenset[str]
    services: frozenset[str]
    cross: frozenset[bytes]
    linked: frozenset[str]
    crl_numbers: dict[str, int]


def run_ceremony(
    plan: Plan,
    *,
    root_settings: RootSettings,
    token: Token,
    database: Database,
    base_url: str,
    witnesses: Sequence[Witness],
    now: datetime,
    by: str,
    dry_run: bool = False,
) -> CeremonyResult:
    """Make what the plan names and the tables lack; returns everything that was signed.

    A dry run works with throw-away software keys, needs no witness and leaves nothing behind.
    Raises `CaError`: `witnesses-refused`, `request-not-planned`, `lint-finding`, …
    """
    now = now.astimezone(UTC).replace(microsecond=0)
    authority = Authority(database, token, base_url=base_url)
    existing = _existing(database, plan)
    keys = _SoftwareKeys() if dry_run else _TokenKeys(token)
    log = [f"plan {plan.digest}: {plan.title}"]

    # 1. The witnesses of the plan are here, and what is going to happen is written down.
    if not dry_run:
        check_witnesses(witnesses, plan.witnesses)
        log += [f"witness present: {witness.name}" for witness in witnesses]
        _record_start(database, plan, now=now, by=by)

    # 2. Keys on the service token for all that is new, and a request for each a root certifies.
    requests: dict[str, bytes] = {}
    wanted: list[IssuingPlan | ServicePlan] = [*plan.issuing, *plan.services]
    for one in wanted:
        if one.name in existing.issuers | existing.services:
            log.append(f"{one.name} exists already")
            continue
        log.append(f"key {one.name} ({one.key.value}) {keys.made(one.name, one.key)}")
        if not isinstance(one, ServicePlan) or plan.root_of(one.issuer):
            requests[one.name] = _request(one.subject.to_x509(), keys.private(one.name))

    # 3. The root's side: it checks the requests against the plan, lints, and signs.
    revoked = _newly_revoked(database, plan)
    work = RootWork(
        plan_text=plan.text,
        base_url=authority.base_url,
        now=now,
        requests=requests,
        roots=existing.roots,
        linked=existing.linked,
        cross=frozenset(
            cross.name
            for cross in plan.cross
            if key_policy.spki(key_policy.accepted_type(cross.certificate.public_key()))
            in existing.cross
        ),
        crl_numbers={root.name: existing.crl_numbers.get(root.name, 0) + 1 for root in plan.roots},
        crl_entries=_entries(authority, plan, existing, revoked, now),
    )
    if dry_run:
        answer = root_side.sign_plan(plan, work, keys.root)
    else:
        answer = root_side.in_own_process(
            work, root_settings.directory, witnesses, module=root_settings.module
        )
    log += answer.log

    # 4. What came back is what was asked for, signed by the root it names.
    certificates = _checked(answer, requests, existing)
    if dry_run:
        certificates |= _rehearsed(plan, existing, certificates, keys, authority.base_url, now, log)
        return CeremonyResult(True, certificates, answer.crls, tuple(log))

    # 5. Store issuers, certificates, status changes and the roots' CRLs, with their audit entries.
    with database.transaction() as session:
        _store(session, plan, answer, certificates, keys, revoked, now=now, by=by)
    authority.refresh()

    # 6. The new issuing CAs certify the services under them, by the ordinary way of issuing.
    certificates |= _issue_services(authority, plan, keys, log, now=now, by=by)

    # 7. Every issuer's first CRL.
    for issuing in plan.issuing:
        if crl.current(authority, issuing.name) is None:
            crl.publish(authority, issuing.name, now=now, by=by)
            log.append(f"crl {issuing.name} published")

    # 8. The log, signed with the audit key and kept.
    return _concluded(authority, plan, answer, certificates, log, witnesses, now=now, by=by)


def verify_log(authority: Authority, row: CeremonyRow) -> None:
    """Raises `InvalidSignature` when a kept log is not what the audit key signed."""
    service = authority.service(row.signed_by)
    public_key = service.certificate.public_key()
    digest = algorithms.digest_for(public_key)
    algorithms.verify(public_key, row.signature, row.log.encode(), digest)


class _TokenKeys:
    """The service token's resident keys by label; a key left by an interrupted ceremony is used."""

    def __init__(self, token: Token) -> None:
        self._token = token
        self._ids = {key.label: key.key_id for key in token.resident_keys()}

    def made(self, name: str, algorithm: KeyAlgorithm) -> str:
        if name in self._ids:
            return "was on the token already"
        self._ids[name] = self._token.generate(algorithm, label=name).key_id
        return "made on the token"

    def key_id(self, name: str) -> bytes:
        return self._ids[name]

    def private(self, name: str) -> Any:
        return self._token.key(self._ids[name])

    def root(self, name: str, algorithm: KeyAlgorithm) -> Any:
        raise CaError("root-is-offline")


class _SoftwareKeys(_TokenKeys):
    """Throw-away keys for a dry run."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def made(self, name: str, algorithm: KeyAlgorithm) -> str:
        if algorithm.is_rsa:
            self._made[name] = rsa.generate_private_key(65537, algorithm.bits)
        else:
            self._made[name] = ec.generate_private_key(algorithm.curve)
        return "would be made on the token"

    def key_id(self, name: str) -> bytes:
        return b""

    def private(self, name: str) -> Any:
        return self._made[name]

    def root(self, name: str, algorithm: KeyAlgorithm) -> Any:
        self.made(name, algorithm)
        return self._made[name]


def _existing(database: Database, plan: Plan) -> _Existing:
    with database.reading() as session:
        issuers = session.scalars(select(IssuerRow)).all()
        services = session.scalars(select(ServiceKeyRow.name)).all()
        crosses = session.scalars(
            select(CertificateRow.der).where(CertificateRow.profile == "cross")
        ).all()
        newest = select(CrlRow.issuer, func.max(CrlRow.number)).group_by(CrlRow.issuer)
        numbers = {issuer: number for issuer, number in session.execute(newest)}
    roots = {row.name: row.certificate for row in issuers if row.key_id is None}
    crossed = frozenset(lint.spki_of(x509.load_der_x509_certificate(one)) for one in crosses)
    linked = frozenset(
        root.name
        for root in plan.roots
        if root.name in roots
        and lint.spki_of(x509.load_der_x509_certificate(roots[root.name])) in crossed
    )
    return _Existing(
        roots=roots,
        issuers=frozenset(row.name for row in issuers),
        services=frozenset(services),
        cross=crossed,
        linked=linked,
        crl_numbers=numbers,
    )


def _request(name: x509.Name, key: Any) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = builder.sign(key, algorithms.digest_for(key.public_key()))
    return request.public_bytes(Encoding.DER)


def _newly_revoked(database: Database, plan: Plan) -> list[tuple[RevokedPlan, str]]:
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


def _entries(
    authority: Authority,
    plan: Plan,
    existing: _Existing,
    revoked: Sequence[tuple[RevokedPlan, str]],
    now: datetime,
) -> dict[str, list[bytes]]:
    entries: dict[str, list[bytes]] = {}
    for root in plan.roots:
        if root.name in existing.roots:
            view = authority.revoked.view(authority.database, root.name, now=now)
            entries[root.name] = list(view.entries())
    for one, issuer in revoked:
        entry = crl_encoding.entry(one.serial, revoked_at=one.on, reason=one.reason)
        entries.setdefault(issuer, []).append(entry)
    return entries


def _checked(
    answer: RootAnswer, requests: dict[str, bytes], existing: _Existing
) -> dict[str, x509.Certificate]:
    certificates: dict[str, x509.Certificate] = {}
    roots = {
        name: x509.load_der_x509_certificate(encoded) for name, encoded in existing.roots.items()
    }
    for name, issuer, profile, encoded in answer.certificates:
        certificate = x509.load_der_x509_certificate(encoded)
        if profile == "root":
            roots[name] = certificate
        elif profile != "cross":
            request = x509.load_der_x509_csr(requests[name])
            asked = key_policy.spki(key_policy.accepted_type(request.public_key()))
            if lint.spki_of(certificate) != asked or certificate.subject != request.subject:
                raise CaError("signed-other-than-intended", serial=name)
        # In a dry run an existing root's key is stood in for, so its signature proves nothing.
        certificate.verify_directly_issued_by(roots[issuer])
        certificates[name] = certificate
    missing = requests.keys() - certificates.keys()
    if missing:
        raise CaError("root-side-incomplete", missing=", ".join(sorted(missing)))
    return certificates


def _store(
    session: Session,
    plan: Plan,
    answer: RootAnswer,
    certificates: dict[str, x509.Certificate],
    keys: _TokenKeys,
    revoked: Sequence[tuple[RevokedPlan, str]],
    *,
    now: datetime,
    by: str,
) -> None:
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
            session.add(_service_row(name, profile, issuer, certificate, keys, now))
        rows.append(
            issuance.certificate_values(certificate, issuer=issuer, profile=profile, now=now, by=by)
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
    for values in rows:
        issuance.record_issued(session, values, now=now, by=by)
    for one, _ in revoked:
        audit.record(
            session,
            tag=Tag.CERTIFICATE_REVOKED,
            by=by,
            subject=f"certificate:{serial_text(one.serial)}",
            details={"reason": one.reason.value, "revoked_at": one.on},
            now=now,
        )


def _issue_services(
    authority: Authority,
    plan: Plan,
    keys: _TokenKeys,
    log: list[str],
    *,
    now: datetime,
    by: str,
) -> dict[str, x509.Certificate]:
    issued: dict[str, x509.Certificate] = {}
    with authority.database.reading() as session:
        there = set(session.scalars(select(ServiceKeyRow.name)))
    for one in plan.services:
        if one.name in there or plan.root_of(one.issuer):
            continue
        public_key = key_policy.accepted_type(keys.private(one.name).public_key())
        certificate = _certified_before(authority, public_key, one) or issuance.issue(
            authority,
            profile=one.profile,
            subject=one.subject,
            public_key=public_key,
            issuer=one.issuer,
            now=now,
            by=by,
        )
        with authority.database.transaction() as session:
            session.add(_service_row(one.name, one.profile, one.issuer, certificate, keys, now))
        issued[one.name] = certificate
        log.append(f"{one.name} certified by {one.issuer}")
    authority.refresh()
    return issued


def _certified_before(
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


def _rehearsed(
    plan: Plan,
    existing: _Existing,
    certificates: dict[str, x509.Certificate],
    keys: _TokenKeys,
    base_url: str,
    now: datetime,
    log: list[str],
) -> dict[str, x509.Certificate]:
    """What step 6 would issue, built and linted with the throw-away keys."""
    made: dict[str, x509.Certificate] = {}
    for one in plan.services:
        if one.name in existing.services or plan.root_of(one.issuer):
            continue
        if one.issuer not in certificates:
            log.append(f"{one.name} would be certified by {one.issuer}")
            continue
        issuer = Issuer(one.issuer, certificates[one.issuer], None, None, (), base_url)
        profile = PROFILES[one.profile]
        public_key = key_policy.accepted_type(keys.private(one.name).public_key())
        unsigned = issuance.unsigned_certificate(
            profile=profile,
            issuer=issuer,
            subject=one.subject,
            public_key=public_key,
            serial=issuance.new_serial(),
            not_before=now,
            not_after=min(profile.not_after(now), issuer.certificate.not_valid_after_utc),
        )
        lint.stop_on_findings(
            unsigned, profile=profile, issuer=issuer, subject=one.subject, public_key=public_key
        )
        made[one.name] = x509.load_der_x509_certificate(unsigned.sign(keys.private(one.issuer)))
        log.append(f"{one.name} would be certified by {one.issuer}")
    return made


def _concluded(
    authority: Authority,
    plan: Plan,
    answer: RootAnswer,
    certificates: dict[str, x509.Certificate],
    log: list[str],
    witnesses: Sequence[Witness],
    *,
    now: datetime,
    by: str,
) -> CeremonyResult:
    auditor = authority.service("audit")
    record = json.dumps(
        {
            "plan": plan.title,
            "plan_sha256": plan.digest,
            "held_at": now.isoformat(),
            "by": by,
            "witnesses": [witness.name for witness in witnesses],
            "steps": log,
            "certificates": {
                name: hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
                for name, certificate in certificates.items()
            },
            "crls": {name: hashlib.sha256(one).hexdigest() for name, one in answer.crls.items()},
        },
        ensure_ascii=False,
        indent=1,
    )
    digest = algorithms.digest_for(auditor.certificate.public_key())
    signature = algorithms.sign(auditor.key, record.encode(), digest)
    algorithms.verify(auditor.certificate.public_key(), signature, record.encode(), digest)
    with authority.database.transaction() as session:
        session.add(
            CeremonyRow(
                plan_name=plan.title,
                plan=plan.text,
                log=record,
                signature=signature,
                signed_by=auditor.name,
                held_at=now,
            )
        )
        audit.record(
            session,
            tag=Tag.CEREMONY_COMPLETED,
            by=by,
            subject=f"ceremony:{plan.digest}",
            details={"log_sha256": hashlib.sha256(record.encode()).digest()},
            now=now,
        )
    return CeremonyResult(
        False, certificates, answer.crls, tuple(log), record, signature, auditor.name
    )


def _record_start(database: Database, plan: Plan, *, now: datetime, by: str) -> None:
    with database.transaction() as session:
        audit.record(
            session,
            tag=Tag.CEREMONY_STARTED,
            by=by,
            subject=f"ceremony:{plan.digest}",
            details={"plan": plan.title, "witnesses": list(plan.witnesses)},
            now=now,
        )


def _service_row(
    name: str,
    profile: str,
    issuer: str,
    certificate: x509.Certificate,
    keys: _TokenKeys,
    now: datetime,
) -> ServiceKeyRow:
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
