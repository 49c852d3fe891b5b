"""The second half of a stack's work: signed, sealed, checked, issued, each line by itself.

    Run(office, stack_id, clock=…, by=…).go(stop)

Whatever was signed is kept before it counts as signed, so that a killed worker's line goes on where
it was; a digest that was reserved and not signed is free again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from certify import issuance
from certify.intention import intend, release
from certify.models import CopyRow, EntryRow, EntryState
from certify.office import Office
from certify.pages.assembly import Assembled
from certify.stacks.stack_ending import end_case
from certify.stacks.stack_failures import passes
from certify.stacks.stack_jobs import LineState, StackState, read_lines, release_ended, set_line
from certify.stacks.stack_models import StackLineRow, StackRow
from records.errors import DomainError
from signer import signing
from signer.errors import ActivationRefused
from signer.keys import credentials, extension
from signer.keys.activation import Authorization
from signer.models import AuthorizedDigestRow, SignatureRow
from signer.signing import SignedDocument, document_digest

CHUNK = 10
_AGAIN = {"authorization-expired", "authorization-unknown", "digest-already-used"}


class Run:
    """A stack under its authorisation, taken up by this worker."""

    def __init__(
        self, office: Office, stack_id: str, *, clock: Callable[[], datetime], by: str
    ) -> None:
        self.office, self.stack_id, self.clock, self.by = office, stack_id, clock, by
        self.row, _ = read_lines(office, stack_id, LineState.PREPARED)
        self.official = credentials.find(office.desk, str(self.row.person_id))
        self.agency = credentials.find(office.desk, str(self.row.seal_id))

    def go(self, stop: Callable[[], bool]) -> int:
        done = 0
        try:
            person, seal = (self._taken_over(name) for name in ("person", "seal"))
            while not stop():
                _, lines = read_lines(self.office, self.stack_id, LineState.PREPARED, limit=CHUNK)
                if not lines:
                    self._end()
                    return done
                for line in lines:
                    seal = self._line(line, person, seal)
                    done += 1
        except DomainError as refusal:
            if passes(refusal):
                return done
            if refusal.code not in _AGAIN:
                raise
            # What is left waits for another authorisation; nothing is lost.
            with self.office.database.transaction() as session:
                kept = session.get_one(StackRow, self.stack_id, with_for_update=True)
                kept.state, kept.failure = StackState.READY.value, refusal.code
        return done

    def _end(self) -> None:
        """Finished, or once more to be prepared: lines whose number was of another day."""
        again = read_lines(self.office, self.stack_id, LineState.LISTED, limit=1)[1]
        with self.office.database.transaction() as session:
            kept = session.get_one(StackRow, self.stack_id, with_for_update=True)
            if again:
                kept.state = StackState.PREPARING.value
            else:
                release_ended(session, kept, now=self.clock(), by=self.by)

    def _taken_over(self, name: str) -> Authorization:
        """The authorisation in this worker's hand; what a dead one had begun is free again."""
        desk, now = self.office.desk, self.clock()
        authorization_id = str(self.row.authorizations[name])
        signing.recover(
            desk, now=now, by=self.by, older_than=timedelta(0), authorization_id=authorization_id
        )
        return extension.hand_over(desk, authorization_id, client=self.office.client, now=now)

    def _line(
        self, line: StackLineRow, person: Authorization, seal: Authorization
    ) -> Authorization:
        office, now = self.office, self.clock()
        values: dict[str, Any] = {}
        intention = failure = None
        try:
            intention = intend(
                office,
                str(line.case_id),
                person=self.official,
                seal=self.agency,
                now=now,
                by=self.by,
            )
            assembled = _assembled(office, line.prepared or {})
            signed = self._by_person(line, assembled, person, now)
            seal = self._named(seal, signed, now)
            sealed = self._by_seal(line, assembled, signed, seal, now)
            report = issuance.counter_check(office, sealed, self.official, self.agency, now=now)
            digest = office.blobs.put(sealed)
            copy = issuance.issue(
                office, intention, sealed, digest, assembled, report, now=now, by=self.by
            )
            values = {
                "state": LineState.ISSUED.value,
                "number": copy.number,
                "code": copy.code,
                "finished_at": now,
            }
        except ActivationRefused:
            raise
        except DomainError as error:
            if passes(error):
                raise
            if error.code == "number-of-another-day":
                values = {"state": LineState.LISTED.value, "prepared": None}
            elif not self._issued_before(line, values):
                failure = error
                values = {
                    "state": LineState.FAILED.value,
                    "failure": error.code,
                    "finished_at": now,
                }
        finally:
            if intention is not None:
                release(office, intention)
        if failure is not None:
            reason = failure.message("vi")
            end_case(office, str(line.case_id), reason=reason, now=now, by=self.by)
        with office.database.transaction() as session:
            set_line(session, self.stack_id, line.position, **values)
        self._tidy(line)
        return seal

    def _by_person(
        self,
        line: StackLineRow,
        assembled: Assembled,
        given: Authorization,
        now: datetime,
    ) -> bytes:
        kept = self._kept(line, "signed", given, assembled.pdf)
        if kept is not None:
            return kept
        return issuance.sign_as_person(
            self.office, assembled, given, keep=self._keeper(line, "signed"), now=now, by=self.by
        )

    def _by_seal(
        self,
        line: StackLineRow,
        assembled: Assembled,
        signed: bytes,
        given: Authorization,
        now: datetime,
    ) -> bytes:
        kept = self._kept(line, "sealed", given, signed)
        if kept is not None:
            return kept
        return issuance.seal_for_unit(
            self.office,
            assembled,
            signed,
            given,
            keep=self._keeper(line, "sealed"),
            now=now,
            by=self.by,
        )

    def _keeper(self, line: StackLineRow, name: str) -> Callable[[SignedDocument], object]:
        """Stores a signed file before its signature counts as made."""

        def keep(signed: SignedDocument) -> None:
            prepared = {**(line.prepared or {}), name: self.office.blobs.put(signed.data)}
            with self.office.database.transaction() as session:
                set_line(session, self.stack_id, line.position, prepared=prepared)
            line.prepared = prepared

        return keep

    def _kept(
        self, line: StackLineRow, name: str, given: Authorization, before: bytes
    ) -> bytes | None:
        """The file of a signature that an earlier worker finished, or None."""
        digest = (line.prepared or {}).get(name)
        if digest is None:
            return None
        with self.office.database.reading() as session:
            made = session.scalar(
                select(SignatureRow.id).where(
                    SignatureRow.authorization_id == given.id,
                    SignatureRow.document == document_digest(before).hex(),
                    SignatureRow.result == digest,
                    SignatureRow.state == "made",
                )
            )
        return self.office.blobs.get(digest) if made is not None else None

    def _named(self, seal: Authorization, signed: bytes, now: datetime) -> Authorization:
        """The seal's authorisation with this file's digest named to it."""
        digest = document_digest(signed)
        with self.office.database.reading() as session:
            known = session.scalar(
                select(AuthorizedDigestRow.position).where(
                    AuthorizedDigestRow.authorization_id == seal.id,
                    AuthorizedDigestRow.digest == digest,
                )
            )
        if known is not None:
            return seal
        return extension.extend(self.office.desk, seal, [digest], now=now, by=self.by)

    def _issued_before(self, line: StackLineRow, values: dict[str, Any]) -> bool:
        """A worker that died after the outcome and before its line: the copy is there."""
        with self.office.database.reading() as session:
            found = session.execute(
                select(EntryRow.number, CopyRow.code, CopyRow.issued_at)
                .join(CopyRow, CopyRow.entry_id == EntryRow.id)
                .where(EntryRow.case_id == line.case_id, EntryRow.state == EntryState.ISSUED.value)
            ).first()
        if found is None:
            return False
        number, code, at = found
        values.update(
            state=LineState.ISSUED.value,
            number=self.office.register.number(number),
            code=code,
            finished_at=at,
        )
        return True

    def _tidy(self, line: StackLineRow) -> None:
        """Files on the way are nobody's any more; the copy itself is kept under its own digest."""
        prepared = line.prepared or {}
        for name in ("pdf", "signed"):
            if name in prepared:
                self.office.blobs.delete(prepared[name])


def _assembled(office: Office, prepared: dict[str, Any]) -> Assembled:
    def box(name: str) -> tuple[float, float, float, float]:
        left, bottom, right, top = (float(value) for value in prepared[name])
        return left, bottom, right, top

    return Assembled(
        pdf=office.blobs.get(str(prepared["pdf"])),
        pages=int(prepared["pages"]),
        statement_page=int(prepared["statement_page"]),
        statement_added=bool(prepared["statement_added"]),
        signature_box=box("signature_box"),
        seal_box=box("seal_box"),
        code=str(prepared["code"]),
    )
