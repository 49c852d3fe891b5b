"""What a ceremony asks of the root's side, and whether the answer is what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from ca import key_policy, lint
from ca.authority import Authority
from ca.ceremonies.ceremony_keys import Keys, request
from ca.ceremonies.ceremony_store import Existing, crl_entries
from ca.ceremonies.plan import IssuingPlan, Plan, RevokedPlan, ServicePlan
from ca.ceremonies.root_side import RootAnswer, RootWork
from ca.errors import CaError


def requested(plan: Plan, before: Existing, keys: Keys, log: list[str]) -> dict[str, bytes]:
    """Keys for all that is new, and a PKCS#10 request for each that a root certifies."""
    requests: dict[str, bytes] = {}
    wanted: list[IssuingPlan | ServicePlan] = [*plan.issuing, *plan.services]
    for one in wanted:
        if one.name in before.issuers | before.services:
            log.append(f"{one.name} exists already")
            continue
        log.append(f"key {one.name} ({one.key.value}) {keys.make(one.name, one.key)}")
        if isinstance(one, IssuingPlan) or plan.root_of(one.issuer):
            requests[one.name] = request(one.subject.to_x509(), keys.private(one.name))
    return requests


def root_work(
    authority: Authority,
    plan: Plan,
    before: Existing,
    requests: dict[str, bytes],
    revoked: Sequence[tuple[RevokedPlan, str]],
    *,
    roots: dict[str, bytes],
    now: datetime,
) -> RootWork:
    """All the root's side needs to know; it gets nothing else."""
    return RootWork(
        plan_text=plan.text,
        base_url=authority.base_url,
        now=now,
        requests=requests,
        roots=roots,
        linked=before.linked,
        cross=before.crossed,
        crl_numbers={root.name: before.crl_numbers.get(root.name, 0) + 1 for root in plan.roots},
        crl_entries=crl_entries(authority, plan, before, revoked, now),
    )


def checked(
    answer: RootAnswer, requests: dict[str, bytes], known_roots: dict[str, bytes]
) -> dict[str, x509.Certificate]:
    """The certificates by name, each for the key and the name that were asked for."""
    certificates: dict[str, x509.Certificate] = {}
    roots = {name: x509.load_der_x509_certificate(encoded) for name, encoded in known_roots.items()}
    for name, issuer, profile, encoded in answer.certificates:
        certificate = x509.load_der_x509_certificate(encoded)
        if profile == "root":
            roots[name] = certificate
        elif profile != "cross":
            request = x509.load_der_x509_csr(requests[name])
            asked = key_policy.spki(key_policy.accepted_type(request.public_key()))
            if lint.spki_of(certificate) != asked or certificate.subject != request.subject:
                raise CaError("signed-other-than-intended", serial=name)
        certificate.verify_directly_issued_by(roots[issuer])
        certificates[name] = certificate
    missing = requests.keys() - certificates.keys()
    if missing:
        raise CaError("root-side-incomplete", missing=", ".join(sorted(missing)))
    return certificates
