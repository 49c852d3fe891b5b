"""Is this person who the request says: asked of the population registry, answered with a record.

The registry (cơ sở dữ liệu quốc gia về dân cư) is somebody else's system. `PopulationRegistry` is
the seam: `api.adapters.population_registry` asks over HTTP, tests ask a simulator that is a real
server. An answer is kept with the request it was asked for; anything but a match refuses, and a
registry that does not answer decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from ca.authority import Authority
from ca.errors import CaError
from ca.identity_models import IdentityCheckRow
from ca.names import Subject
from records import audit
from records.tags import Tag

MOST_CLAIMS = 100


class Outcome(StrEnum):
    """What the registry says of a claim."""

    MATCH = "match"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"
    DECEASED = "deceased"


class RegistryUnavailable(CaError):
    """No answer: ask again later. `params["retry_after"]` is in whole seconds."""

    code_told = "registry-unavailable"

    def __init__(self, reason: str, *, retry_after: int = 30) -> None:
        super().__init__(self.code_told, reason=reason, retry_after=retry_after)


class RegistryAnswerMalformed(RegistryUnavailable):
    """What came is no answer. The registry's fault or that of our connection to it, never the
    request's: nothing is to be corrected in it, and asking at once again would not help."""

    code_told = "registry-answer-malformed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retry_after=300)


@dataclass(frozen=True)
class Claim:
    """Who somebody is said to be. Without `born` only number and name are compared."""

    citizen_id: str
    name: str
    born: date | None = None


@dataclass(frozen=True)
class Answer:
    """`differs` names the fields that do not match, never what the registry has in them."""

    outcome: Outcome
    differs: tuple[str, ...] = ()
    reference: str = ""


class PopulationRegistry(Protocol):
    """What enrolment needs of the registry."""

    @property
    def name(self) -> str: ...

    def check(self, claims: Sequence[Claim]) -> list[Answer]:
        """An answer for each of at most `MOST_CLAIMS` claims, in their order.

        Raises RegistryUnavailable.
        """
        ...


def check_request(
    authority: Authority,
    registry: PopulationRegistry,
    request_id: str,
    *,
    born: date | None = None,
    now: datetime,
    by: str,
) -> Answer:
    """Ask for the person a pending or approved request names, and keep the answer with it.

    Raises RegistryUnavailable; CaError `identity-not-a-person` for a request that names none.
    """
    from ca import enrolment  # which asks this module whether it may issue

    request = enrolment.find(authority, request_id)
    claim = claim_of(request.subject, born=born)
    answer = registry.check([claim])[0]
    with authority.database.transaction() as session:
        session.add(
            IdentityCheckRow(
                request_id=request_id,
                asked=registry.name,
                outcome=answer.outcome.value,
                differs=list(answer.differs),
                reference=answer.reference,
                checked_at=now,
                checked_by=by,
            )
        )
        audit.record(
            session,
            tag=Tag.IDENTITY_CHECKED,
            by=by,
            subject=f"certificate-request:{request_id}",
            details={"outcome": answer.outcome.value, "differs": list(answer.differs)},
            now=now,
        )
    return answer


def claim_of(subject: Subject, *, born: date | None = None) -> Claim:
    if not subject.citizen_id:
        raise CaError("identity-not-a-person")
    return Claim(subject.citizen_id, subject.common_name, born)


def require_not_refused(session: Session, request_id: str) -> None:
    """A request whose newest check is no match is not issued: `identity-mismatch` and its kin."""
    newest = session.scalars(
        select(IdentityCheckRow)
        .where(IdentityCheckRow.request_id == request_id)
        .order_by(IdentityCheckRow.id.desc())
        .limit(1)
    ).one_or_none()
    if newest is not None and newest.outcome != Outcome.MATCH.value:
        raise refusal(Answer(Outcome(newest.outcome), tuple(newest.differs)))


def refusal(answer: Answer) -> CaError:
    """What a person is told about an answer that is no match."""
    if answer.outcome is Outcome.UNKNOWN:
        return CaError("identity-unknown")
    if answer.outcome is Outcome.DECEASED:
        return CaError("identity-deceased")
    return CaError("identity-mismatch", differs=", ".join(answer.differs))
