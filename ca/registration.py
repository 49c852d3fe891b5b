"""A person who has a key of their own: PKCS#10, identity checked, certificate.

    registered = register(authority, profile="official", csr=pem, born=day, registry=registry,
                          now=now, by="client:ra-system")
    registered.certificate      # None while a second person has not approved

Keys that the service keeps for its holders are enrolled by `signer.holders.registration`, lists of
them by `signer.holders.bulk_enrolment`; all three ask the registry the same question
(`ca.identity`).
"""

from __future__ import annotations

from datetime import date, datetime

from ca import enrolment, identity, requests_again
from ca.authority import Authority
from ca.identity import Outcome, PopulationRegistry
from ca.models import RequestState
from ca.names import Subject
from ca.requests_again import Asked

_UNDECIDED = (RequestState.PENDING, RequestState.APPROVED)


def register(
    authority: Authority,
    *,
    profile: str,
    csr: bytes,
    subject: Subject | None = None,
    born: date | None = None,
    registry: PopulationRegistry | None,
    now: datetime,
    by: str,
) -> Asked:
    """Take the request in, have the person checked, issue what needs no second person.

    Raises `CaError`: what `enrolment.submit_csr` raises, `identity-unknown`, `identity-mismatch`,
    `identity-deceased`, `request-rejected`; RegistryUnavailable. A request that was refused here
    is kept with the registry's answer; made again, it is asked about again.
    """
    # 1. Possession is proven, the name is one the profile knows, the key is acceptable. The same
    #    request made again (after an approval) is the same request.
    parsed, public_key = enrolment.read_csr(csr)
    named = subject if subject is not None else Subject.from_x509(parsed.subject)
    digest = enrolment.request_digest(profile, named, public_key)
    request = requests_again.known(authority, digest, by) or enrolment.submit_csr(
        authority, profile=profile, csr=csr, subject=named, now=now, by=by
    )
    # 2. The registry knows this person as the request names them; the answer stays with it.
    if registry is not None and named.citizen_id and request.state in _UNDECIDED:
        answer = identity.check_request(authority, registry, request.id, born=born, now=now, by=by)
        if answer.outcome is not Outcome.MATCH:
            raise identity.refusal(answer)
    # 3. Issue, unless a second person has to look at it first.
    return requests_again.as_it_stands(authority, request, now)
