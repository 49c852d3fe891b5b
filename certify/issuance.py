"""Certify a copy: from a recorded finding to a copy that counts as the original.

    copy = certify_copy(office, case.id, person=(credential_id, pin), seal=(seal_id, pin),
                        now=now, by="official:0388…")
    copy.number, copy.book, copy.code       # "01", "01/2026-SCTĐT/BS", "K7QF-2M9X-…"

docs/flows/certify.md has the same numbered steps.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import update

from certify.counter.cases import close
from certify.errors import CertifyError
from certify.intention import Intention, intend, release
from certify.models import (
    CaseRow,
    CaseState,
    CopyRow,
    CopyStatus,
    EntryRow,
    EntryState,
    ItemRow,
)
from certify.office import Office
from certify.pages.assembly import PERSON_FIELD, SEAL_FIELD, Assembled, assemble
from certify.pages.kept_assembly import kept
from certify.pages.offline_code import version_of, with_code
from certify.pages.statement import draw
from certify.scans.capture_data import capture_data
from certify.stores import deliveries
from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.keys import activation, credentials
from signer.keys.activation import Authorization
from signer.keys.credentials import Credential
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.signing import SignatureRequest, SignedDocument, document_digest, sign_pdf
from signer.verdicts.report import Report
from signer.verdicts.validation import validate

Hand = tuple[str, str | Callable[[Sequence[bytes]], Authorization]]
"""Who signs: a credential, and its PIN or what gives an authorisation for exactly those digests."""

Keep = Callable[[SignedDocument], object]

FILL_AND_SIGN_ONLY = 2
"""DocMDP after the person's signature: the seal's field may be filled, nothing else
(docs/decisions/0401); the seal's own lock then ends that too."""


@dataclass(frozen=True)
class CertifiedCopy:
    """What was issued. `data` is the file; `register` is the register's symbol."""

    copy_id: str
    item_id: str
    number: str
    register: str
    book: str
    code: str
    digest: str
    pages: int
    address: str
    data: bytes = field(repr=False)


def certify_copy(
    office: Office, case_id: str, *, person: Hand, seal: Hand, now: datetime, by: str
) -> CertifiedCopy:
    """Issue the certified copy of a compared original.

    Raises `CertifyError` and `SignerError`; after step 2 the number is kept for the next attempt
    of the same day, or voided with its reason.
    """
    # 1. Who signs: both credentials exist and may sign now.
    official, agency = usable(office, person, now=now), usable(office, seal, now=now)
    # 2. The case is compared, paid and theirs to certify: inputs frozen, number taken, committed.
    intention = intend(office, case_id, person=official, seal=agency, now=now, by=by)
    try:
        # 3. Assemble pages, statement and footers into one PDF/A-2b.
        assembled = prepare(office, intention, now=now, by=by)
        # 4. The certifying person signs, and certifies that only the seal may follow.
        by_person = authorise(office, person, [document_digest(assembled.pdf)], now=now, by=by)
        signed = sign_as_person(office, assembled, by_person, now=now, by=by)
        # 5. The unit seals: one third over the person's signature, and everything is locked.
        by_unit = authorise(office, seal, [document_digest(signed)], now=now, by=by)
        sealed = seal_for_unit(office, assembled, signed, by_unit, now=now, by=by)
        # 6. Check as any receiver would; what does not pass is not issued.
        report = counter_check(office, sealed, official, agency, now=now)
        # 7. The bytes are on disk before anything says they exist.
        digest = office.blobs.put(sealed)
        # 8. Outcome, store, status and audit in one transaction.
        return issue(office, intention, sealed, digest, assembled, report, now=now, by=by)
    except DomainError as error:
        record_failure(office, intention, error, now=now, by=by)
        raise
    finally:
        # 9. Whoever comes next may take an unfinished number up (no effect on an issued one).
        release(office, intention)


def prepare(office: Office, intention: Intention, *, now: datetime, by: str) -> Assembled:
    """The PDF to sign: what was shown before, or the same but for the code's signature."""
    shown = kept(office, intention.frozen)
    if shown is not None:
        return shown
    statement, frozen = intention.statement(office), intention.frozen
    with_data = bool(frozen.get("capture_data"))
    assembled = assemble(
        intention.pages,
        read=office.blobs.get,
        draw=lambda pages: draw(statement, pages=pages, sealed_code=True),
        title=f"Bản sao điện tử có chứng thực số {statement.number}, quyển số {statement.book}",
        made_at=intention.taken_at,
        code_version=version_of(statement.address),
        text_layers={int(n): one for n, one in frozen.get("text_layers", {}).items()},
        capture_data=capture_data(office, frozen["capture"]) if with_data else None,
    )
    return with_code(office, intention, assembled, now=now, by=by)


def sign_as_person(
    office: Office,
    assembled: Assembled,
    given: Authorization,
    *,
    keep: Keep | None = None,
    now: datetime,
    by: str,
) -> bytes:
    """The certifying person's PAdES B-LTA signature, with its image between title and name.

    `keep` stores the result before the signature counts as made (`signer.signing.sign_pdf`).
    """
    request = SignatureRequest(
        level=Level.B_LTA,
        appearance=Appearance.person(page=assembled.statement_page, box=assembled.signature_box),
        reason="Chứng thực bản sao đúng với bản chính",
        field_name=PERSON_FIELD,
        certify=FILL_AND_SIGN_ONLY,
    )
    signed = sign_pdf(
        office.desk, assembled.pdf, request, authorization=given, now=now, by=by, keep=keep
    )
    return signed.data


def seal_for_unit(
    office: Office,
    assembled: Assembled,
    signed: bytes,
    given: Authorization,
    *,
    keep: Keep | None = None,
    now: datetime,
    by: str,
) -> bytes:
    """The agency's PAdES B-LTA seal on the signed copy; all fields are locked with it."""
    request = SignatureRequest(
        level=Level.B_LTA,
        appearance=Appearance.seal(page=assembled.statement_page, box=assembled.seal_box),
        field_name=SEAL_FIELD,
        lock_fields=(PERSON_FIELD, SEAL_FIELD),
    )
    sealed = sign_pdf(office.desk, signed, request, authorization=given, now=now, by=by, keep=keep)
    return sealed.data


def counter_check(
    office: Office, data: bytes, person: Credential, seal: Credential, *, now: datetime
) -> Report:
    """Validate the finished file; the two signatures must be those two, in that order."""
    report = validate(data, trust=office.desk.trust, now=now)
    if not report.passed:
        reason = report.sub_indication.value if report.sub_indication else "-"
        raise CertifyError("copy-check-failed", reason=reason)
    expected = [person.certificate, seal.certificate]
    found = [verdict.signer_certificate for verdict in report.signatures]
    if found != [_der(certificate) for certificate in expected]:
        raise CertifyError("copy-check-failed", reason="signers")
    return report


def record_failure(
    office: Office, intention: Intention, error: DomainError, *, now: datetime, by: str
) -> None:
    """Say in the audit log why a taken number has not become a copy yet."""
    with office.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.COPY_REFUSED,
            by=by,
            subject=f"entry:{intention.entry_id}",
            details={"reason": error.code},
            now=now,
        )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def usable(office: Office, hand: Hand, *, now: datetime) -> Credential:
    """The credential of a hand, if it may sign at this moment."""
    credential = credentials.find(office.desk, hand[0])
    credentials.require_usable(office.desk, credential, now=now)
    return credential


def authorise(
    office: Office, hand: Hand, digests: Sequence[bytes], *, now: datetime, by: str
) -> Authorization:
    """The holder's leave to sign exactly these digests."""
    credential_id, secret = hand
    if callable(secret):
        given = secret(digests)
    else:
        given = activation.authorize(
            office.desk,
            credential_id=credential_id,
            pin=secret,
            digests=digests,
            client=office.client,
            now=now,
            by=by,
        )
    if given.credential_id != credential_id:
        raise CertifyError("authorization-of-another-credential")
    return given


def issue(
    office: Office,
    intention: Intention,
    data: bytes,
    digest: str,
    assembled: Assembled,
    report: Report,
    *,
    now: datetime,
    by: str,
) -> CertifiedCopy:
    """Commit the outcome. Raises `CertifyError` `copy-claim-lost` when another worker took over."""
    copy_id, item_id = uuid.uuid4().hex, uuid.uuid4().hex
    with office.database.transaction() as session:
        ended = session.execute(
            update(EntryRow)
            .where(
                EntryRow.id == intention.entry_id,
                EntryRow.state == EntryState.OPEN.value,
                EntryRow.claim == intention.claim,
            )
            .values(state=EntryState.ISSUED.value, claim=None, claimed_until=None, ended_at=now)
            .returning(EntryRow.id)
        ).one_or_none()
        if ended is None:
            raise CertifyError("copy-claim-lost")
        case = session.get_one(CaseRow, intention.case_id, with_for_update=True)
        close(case, CaseState.ISSUED, None, now=now)
        copy = CopyRow(
            id=copy_id,
            entry_id=intention.entry_id,
            code=intention.code,
            digest=digest,
            size=len(data),
            unit=intention.unit,
            document_kind=case.document_kind,
            owner_id=case.requester_id,
            issued_on=intention.day,
            issued_at=now,
            status=CopyStatus.IN_FORCE.value,
            status_at=now,
            evidence={
                "validation": report.to_json(),
                "frozen": intention.frozen,
                "captured": [page.digest for page in intention.pages],
                "pages": assembled.pages,
                "statement_page": assembled.statement_page,
                "code": assembled.code,
            },
        )
        session.add(copy)
        session.flush()
        session.add(
            ItemRow(
                id=item_id,
                owner_id=case.requester_id,
                kind="certified-copy",
                title=str(intention.frozen["original"]),
                digest=digest,
                size=len(data),
                copy_id=copy_id,
                added_at=now,
                unit=intention.unit,
            )
        )
        deliveries.copy_issued(
            session,
            office,
            copy,
            item_id,
            told_by=by,
            requester=case.requester,
            dossier_code=case.dossier_code,
            now=now,
        )
        audit.record(
            session,
            tag=Tag.COPY_CERTIFIED,
            by=by,
            subject=f"copy:{copy_id}",
            details={
                "entry": intention.entry_id,
                "unit": intention.unit,
                "number": intention.number,
                "year": intention.year,
                "digest": digest,
            },
            now=now,
        )
    return CertifiedCopy(
        copy_id=copy_id,
        item_id=item_id,
        number=office.register.number(intention.number),
        register=office.register.symbol,
        book=office.register.book(intention.volume, intention.year),
        code=intention.code,
        digest=digest,
        pages=assembled.pages,
        address=str(intention.frozen["address"]),
        data=data,
    )
