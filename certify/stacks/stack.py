"""A notary's or school's stack: many compared originals, one authorisation for each signature.

    for result in certify_stack(office, case_ids, person=…, seal=…, now=now, by=by):
        result.copy or result.error

The steps are those of `certify_copy`, taken for a chunk at a time: the person authorises the
digests of all documents of the chunk with one PIN, then the seal's keeper those of the signed ones.
Each case has its own number and its own outcome; one that fails holds up no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from certify import issuance
from certify.intention import Intention, intend, release
from certify.issuance import CertifiedCopy, Hand
from certify.office import Office
from certify.pages.assembly import Assembled
from records.errors import DomainError
from signer.keys.activation import Authorization
from signer.keys.credentials import Credential
from signer.signing import document_digest

CHUNK = 25
"""Documents held in memory at once, and digests authorised together."""


@dataclass(frozen=True)
class Result:
    """What became of one case: a copy, or why not."""

    case_id: str
    copy: CertifiedCopy | None = None
    error: DomainError | None = None


@dataclass
class _Work:
    """One case on its way; `intention` and `assembled` once steps 2 and 3 are behind it."""

    case_id: str
    intention: Intention
    assembled: Assembled
    data: bytes


def certify_stack(
    office: Office, case_ids: Sequence[str], *, person: Hand, seal: Hand, now: datetime, by: str
) -> Iterator[Result]:
    """Certify every case; results come in the order of the cases, chunk by chunk.

    Raises when nobody may sign at all (credential unknown, revoked, locked).
    """
    # 1. Who signs.
    official = issuance.usable(office, person, now=now)
    agency = issuance.usable(office, seal, now=now)
    for start in range(0, len(case_ids), CHUNK):
        chunk = _Chunk(office, official, agency, now, by)
        try:
            # 2. Numbers taken, inputs frozen. 3. Assembled.
            works = chunk.begin(case_ids[start : start + CHUNK])
            # 4. The person signs all of them, authorised once.
            works = chunk.sign(works, person, chunk.as_person)
            # 5. The unit seals all of them, authorised once.
            works = chunk.sign(works, seal, chunk.for_unit)
            # 6. Checked. 7. Stored. 8. Outcome committed, one by one.
            chunk.each(works, chunk.finish)
        finally:
            # 9. Whoever comes next may take unfinished numbers up.
            chunk.let_go()
        yield from (chunk.results[case_id] for case_id in case_ids[start : start + CHUNK])


class _Chunk:
    """Some cases taken through the steps together; who fails drops out with the reason."""

    def __init__(
        self, office: Office, official: Credential, agency: Credential, now: datetime, by: str
    ) -> None:
        self.office, self.official, self.agency = office, official, agency
        self.now, self.by = now, by
        self.results: dict[str, Result] = {}
        self._taken: list[Intention] = []

    def begin(self, case_ids: Sequence[str]) -> list[_Work]:
        works = []
        for case_id in case_ids:
            try:
                intention = intend(
                    self.office,
                    case_id,
                    person=self.official,
                    seal=self.agency,
                    now=self.now,
                    by=self.by,
                )
                self._taken.append(intention)
                assembled = issuance.prepare(self.office, intention, now=self.now, by=self.by)
                works.append(_Work(case_id, intention, assembled, assembled.pdf))
            except DomainError as error:
                self.results[case_id] = Result(case_id, error=error)
        return works

    def sign(
        self, works: list[_Work], hand: Hand, act: Callable[[_Work, Authorization], bytes]
    ) -> list[_Work]:
        if not works:
            return []
        digests = [document_digest(work.data) for work in works]
        try:
            given = issuance.authorise(self.office, hand, digests, now=self.now, by=self.by)
        except DomainError as error:
            for work in works:
                self.drop(work, error)
            return []

        def signed(work: _Work) -> None:
            work.data = act(work, given)

        return self.each(works, signed)

    def as_person(self, work: _Work, given: Authorization) -> bytes:
        return issuance.sign_as_person(self.office, work.assembled, given, now=self.now, by=self.by)

    def for_unit(self, work: _Work, given: Authorization) -> bytes:
        return issuance.seal_for_unit(
            self.office, work.assembled, work.data, given, now=self.now, by=self.by
        )

    def finish(self, work: _Work) -> None:
        report = issuance.counter_check(
            self.office, work.data, self.official, self.agency, now=self.now
        )
        digest = self.office.blobs.put(work.data)
        copy = issuance.issue(
            self.office,
            work.intention,
            work.data,
            digest,
            work.assembled,
            report,
            now=self.now,
            by=self.by,
        )
        self.results[work.case_id] = Result(work.case_id, copy=copy)

    def each(self, works: list[_Work], step: Callable[[_Work], None]) -> list[_Work]:
        """Take the step for each; those that could not are out, with their reason on record."""
        left = []
        for work in works:
            try:
                step(work)
                left.append(work)
            except DomainError as error:
                self.drop(work, error)
        return left

    def drop(self, work: _Work, error: DomainError) -> None:
        self.results[work.case_id] = Result(work.case_id, error=error)
        issuance.record_failure(self.office, work.intention, error, now=self.now, by=self.by)

    def let_go(self) -> None:
        for intention in self._taken:
            result = self.results.get(intention.case_id)
            if result is None or result.copy is None:
                release(self.office, intention)
