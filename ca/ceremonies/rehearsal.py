"""A ceremony's dry run: the same steps with throw-away keys, and nothing kept."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from ca import key_policy, lint, tbs
from ca.authority import Authority
from ca.ceremonies import root_side
from ca.ceremonies.ceremony_keys import SoftwareKeys
from ca.ceremonies.ceremony_requests import checked, requested, root_work
from ca.ceremonies.ceremony_store import Existing, newly_revoked
from ca.ceremonies.plan import Plan
from ca.ceremonies.root_side import RootAnswer
from ca.issuer import Issuer
from ca.profiles import PROFILES
from ca.serials import new_serial


def rehearse(
    authority: Authority, plan: Plan, before: Existing, *, now: datetime, log: list[str]
) -> tuple[RootAnswer, dict[str, x509.Certificate]]:
    """What would be signed; roots that exist are stood in for by throw-away ones."""
    keys = SoftwareKeys()
    requests = requested(plan, before, keys, log)
    revoked = newly_revoked(authority.database, plan)
    roots = {
        root.name: keys.stand_in(root, now=now) for root in plan.roots if root.name in before.roots
    }
    work = root_work(authority, plan, before, requests, revoked, roots=roots, now=now)
    answer = root_side.sign_plan(plan, work, keys.root)
    log += answer.log
    certificates = checked(answer, requests, roots)
    certificates |= _services(plan, before, certificates, keys, authority.base_url, now, log)
    return answer, certificates


def _services(
    plan: Plan,
    before: Existing,
    certificates: dict[str, x509.Certificate],
    keys: SoftwareKeys,
    base_url: str,
    now: datetime,
    log: list[str],
) -> dict[str, x509.Certificate]:
    """What the new issuing CAs would issue, built and linted with the throw-away keys."""
    made: dict[str, x509.Certificate] = {}
    for one in plan.services:
        if one.name in before.services or plan.root_of(one.issuer):
            continue
        if one.issuer not in certificates:
            log.append(f"{one.name} would be certified by {one.issuer}")
            continue
        issuer = Issuer(one.issuer, certificates[one.issuer], None, None, (), base_url)
        profile = PROFILES[one.profile]
        public_key = key_policy.accepted_type(keys.private(one.name).public_key())
        unsigned = tbs.unsigned_certificate(
            profile=profile,
            issuer=issuer,
            subject=one.subject,
            public_key=public_key,
            serial=new_serial(),
            not_before=now,
            not_after=min(profile.not_after(now), issuer.certificate.not_valid_after_utc),
        )
        lint.stop_on_findings(
            unsigned, profile=profile, issuer=issuer, subject=one.subject, public_key=public_key
        )
        made[one.name] = x509.load_der_x509_certificate(unsigned.sign(keys.private(one.issuer)))
        log.append(f"{one.name} would be certified by {one.issuer}")
    return made
