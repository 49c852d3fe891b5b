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

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from ca import issuance, key_policy
from ca import signature_algorithms as algorithms
from ca.authority import Authority
from ca.ceremonies import root_side
from ca.ceremonies.ceremony_keys import TokenKeys
from ca.ceremonies.ceremony_requests import checked, requested, root_work
from ca.ceremonies.ceremony_store import (
    certified_before,
    existing,
    newly_revoked,
    record_start,
    service_row,
    store,
)
from ca.ceremonies.plan import Plan
from ca.ceremonies.rehearsal import rehearse
from ca.ceremonies.root_secret import Witness, check_witnesses
from ca.ceremonies.root_side import RootAnswer
from ca.models import CeremonyRow, ServiceKeyRow
from ca.status import crl
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
    before = existing(database, plan)
    log = [f"plan {plan.digest}: {plan.title}"]
    if dry_run:
        answer, certificates = rehearse(authority, plan, before, now=now, log=log)
        return CeremonyResult(True, certificates, answer.crls, tuple(log))

    # 1. The witnesses of the plan are here, and what is going to happen is written down.
    check_witnesses(witnesses, plan.witnesses)
    log += [f"witness present: {witness.name}" for witness in witnesses]
    record_start(database, plan, now=now, by=by)

    # 2. Keys on the service token for all that is new, and a request for each a root certifies.
    keys = TokenKeys(token)
    requests = requested(plan, before, keys, log)

    # 3. The root's side: it checks the requests against the plan, lints, and signs.
    revoked = newly_revoked(database, plan)
    work = root_work(authority, plan, before, requests, revoked, roots=before.roots, now=now)
    answer = root_side.in_own_process(
        work, root_settings.directory, witnesses, module=root_settings.module
    )
    log += answer.log

    # 4. What came back is what was asked for, signed by the root it names.
    certificates = checked(answer, requests, before.roots)

    # 5. Store issuers, certificates, status changes and the roots' CRLs, with their audit entries.
    with database.transaction() as session:
        store(session, plan, answer, certificates, keys, revoked, now=now, by=by)
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


def _issue_services(
    authority: Authority,
    plan: Plan,
    keys: TokenKeys,
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
        certificate = certified_before(authority, public_key, one) or issuance.issue(
            authority,
            profile=one.profile,
            subject=one.subject,
            public_key=public_key,
            issuer=one.issuer,
            now=now,
            by=by,
        )
        with authority.database.transaction() as session:
            session.add(service_row(one.name, one.profile, one.issuer, certificate, keys, now))
        issued[one.name] = certificate
        log.append(f"{one.name} certified by {one.issuer}")
    authority.refresh()
    return issued


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
