"""The verdict on a file from outside: judged in a confined process, then matched with the register.

Our own revocation lists are given to the validator, so that a document that carries none can
still be judged when our hierarchy issued its certificates. Addresses in a stranger's file are asked
only when DAUSO_FETCH says so, and then behind a guard (`adapters.guarded_fetch`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.house import House
from api.trust_sources import asked
from ca.trust import TrustStore
from certify.verification import PublicStatus, Verdict, status_of_digest, verdict
from records import audit
from records.tags import Tag
from signer.long_life.evidence_records import Evidence
from signer.long_life.evidence_store import evidence_of
from signer.verdicts.document_digests import DocumentDigests
from signer.verdicts.originals import Content
from signer.verdicts.policy import CURRENT
from signer.verdicts.report import Report
from signer.verdicts.sandbox import shared_pool


@dataclass(frozen=True)
class Judged:
    """What was found: the signatures' report, and the copy's status if the file is one of ours."""

    report: Report
    status: PublicStatus | None
    digest: str

    @property
    def verdict(self) -> Verdict:
        return verdict(self.report, self.status)


def judge(
    house: House,
    data: bytes,
    *,
    name: str,
    now: datetime,
    at: datetime | None = None,
    by: str,
    content: Content = None,
    evidence: Evidence | None = None,
    digests: DocumentDigests | None = None,
    policy: str = CURRENT,
    reports: str | None = None,
) -> Judged:
    """Judge ``data``; a hostile file gets a verdict too. The audit entry holds no name.

    ``content`` are the files that a detached signature is about; ``evidence`` an evidence record
    about the file. Without it the one that is kept here is looked for. ``digests`` stand for
    a document that stays with its owner; ``policy`` is the id of one; ``reports`` the language of
    the forms that the report then carries.
    """
    digest = hashlib.sha256(data).hexdigest()
    kept = evidence or evidence_of(house, digest)

    def look(trust: TrustStore, lists: Sequence[bytes]) -> Report:
        return shared_pool().validate(
            data,
            trust=trust,
            now=now,
            at=at,
            revocation=lists,
            content=content,
            evidence=kept,
            digests=digests,
            policy=policy,
            reports=reports,
            name=name,
        )

    report = asked(look, house.believed(now), house.published_lists(), house.fetcher)
    judged = Judged(report.named(name), status_of_digest(house.office, digest), digest)
    with house.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.VALIDATION_MADE,
            by=by,
            subject=f"document:{digest}",
            details={
                "indication": report.indication.value,
                "policy": report.policy_id,
                "copy": judged.status.status.value if judged.status else None,
            },
            now=now,
        )
    return judged
