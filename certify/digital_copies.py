"""SAO Y, SAO LỤC, TRÍCH SAO: an agency's copy of a *digital* document, never *chứng thực*.

    made = make_digital_copy(office, unit="14797", form="SAO Y", source=signed_pdf, title="…",
                             seal=(seal_id, pin), now=now, by=by)

The digital original's signatures are validated and the report is kept. The result carries form,
agency and time at the top right of its first page (decree 30/2020 annex I, DOMAIN.md §3) and the
agency's seal, without a picture. It has its own record and no register number: the certified copy
of a paper original is another act. docs/flows/sao-y.md has the same numbered steps.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pikepdf
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from certify.counter.viewers import SERVICE, Viewer
from certify.counter.visit_models import ActState, DigitalCopyRow
from certify.entries import Entry, write
from certify.errors import CertifyError, NotFound
from certify.issuance import Hand, authorise, usable
from certify.office import Office
from certify.stores import store
from certify.units import unit as find_unit
from records.errors import DomainError
from records.tags import Tag
from signer.keys.credentials import Credential
from signer.levels import Level
from signer.looks.appearance import COPY_FORMS, Appearance
from signer.signing import SignatureRequest, document_digest, sign_pdf
from signer.verdicts.report import Report
from signer.verdicts.validation import validate

EXTRACT = "TRÍCH SAO"
LARGEST_SOURCE = 50 * 1024 * 1024
UNFINISHED = timedelta(minutes=10)
Judge = Callable[[bytes, datetime], Report]


@dataclass(frozen=True)
class DigitalCopy:
    """A made copy; `source_digest` and `report_digest` are what it was made from and why."""

    id: str
    unit: str
    form: str
    title: str
    source_digest: str
    report_digest: str
    digest: str
    made_at: datetime
    data: bytes = field(repr=False)


def make_digital_copy(
    office: Office,
    *,
    unit: str,
    form: str,
    source: bytes,
    title: str,
    seal: Hand,
    pages: Sequence[int] | None = None,
    owner_id: str | None = None,
    judge: Judge | None = None,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> DigitalCopy:
    """Copy a signed digital document; with `owner_id` it is put in that person's store.

    `judge` validates the source (a sandboxed validator where strangers' files come in). Raises
    `CertifyError`: `digital-copy-form-unknown`, `digital-original-unsigned`,
    `digital-original-not-valid`, `extract-pages-invalid`, `seal-not-of-unit`; `SignerError`.
    """
    if not viewer.works_for(unit):
        raise NotFound("unit-unknown", unit=unit)
    found_unit = find_unit(unit)
    if form not in COPY_FORMS:
        raise CertifyError("digital-copy-form-unknown", form=form)
    if not title.strip() or not source:
        raise CertifyError("item-empty")
    if len(source) > LARGEST_SOURCE:
        raise CertifyError("item-too-large", limit=LARGEST_SOURCE)
    # 1. Which seal: the unit's own, usable now.
    agency = usable(office, seal, now=now)
    if agency.kind != "agency" or agency.unit not in (found_unit.code, found_unit.agency_code):
        raise CertifyError("seal-not-of-unit", unit=found_unit.name)
    # 2. The original's signatures must all be valid; its report is archived either way it is used.
    report = judge(source, now) if judge else validate(source, trust=office.desk.trust, now=now)
    _require_valid(office, report, source, now=now, by=by)
    # 3. Intention: source and report are stored, the act is on record.
    row_id = _intend(office, unit, form, title, source, report, owner_id, agency, now=now, by=by)
    try:
        # 4. The document itself where it takes another signature, else its pages anew.
        document = _to_seal(source, form, pages)
        # 5. The agency seals: form, agency and time at the top right, no picture.
        given = authorise(office, seal, [document_digest(document)], now=now, by=by)
        request = SignatureRequest(
            level=Level.B_LTA,
            appearance=Appearance.copy_note(form=form, agency=found_unit.committee.upper()),
            reason=form,
        )
        sealed = sign_pdf(office.desk, document, request, authorization=given, now=now, by=by).data
        # 6. Check as any receiver would.
        checked = _checked(office, sealed, agency, now=now)
        # 7. Bytes, then 8. outcome.
        digest = office.blobs.put(sealed)
        return _conclude(office, row_id, sealed, digest, checked, now=now, by=by)
    except DomainError as error:
        _give_up(office, row_id, error.code, now=now, by=by)
        raise


def find_digital_copy(office: Office, copy_id: str, *, viewer: Viewer) -> DigitalCopy:
    """A made copy, for its unit and its owner. Raises `NotFound`: `digital-copy-unknown`."""
    with office.database.reading() as session:
        row = session.get(DigitalCopyRow, copy_id)
        if row is None or row.state != ActState.MADE.value:
            raise NotFound("digital-copy-unknown")
        viewer.require_sight(
            unit=row.unit, owner_id=row.owner_id or "", code="digital-copy-unknown"
        )
    return _as_copy(row, office.blobs.get(str(row.digest)))


def void_unfinished(office: Office, *, now: datetime, by: str) -> int:
    """After an interruption: what was intended and not made is given up; nobody received it."""
    query = select(DigitalCopyRow.id).where(
        DigitalCopyRow.state == ActState.INTENDED.value,
        DigitalCopyRow.intended_at < now - UNFINISHED,
    )
    with office.database.reading() as session:
        left = list(session.scalars(query))
    for row_id in left:
        _give_up(office, row_id, "stopped", now=now, by=by)
    return len(left)


def _require_valid(
    office: Office, report: Report, source: bytes, *, now: datetime, by: str
) -> None:
    refusal: CertifyError | None = None
    if not report.signatures:
        refusal = CertifyError("digital-original-unsigned")
    elif not report.passed:
        reason = report.sub_indication.value if report.sub_indication else report.indication.value
        refusal = CertifyError("digital-original-not-valid", reason=reason)
    if refusal is None:
        return
    subject = f"document:{document_digest(source).hex()}"
    with office.database.transaction() as session:
        entry = Entry(Tag.DIGITAL_COPY_REFUSED, subject, {"reason": refusal.code})
        write(session, [entry], now=now, by=by)
    raise refusal


def _intend(
    office: Office,
    unit: str,
    form: str,
    title: str,
    source: bytes,
    report: Report,
    owner_id: str | None,
    agency: Credential,
    *,
    now: datetime,
    by: str,
) -> str:
    source_digest = office.blobs.put(source)
    archived = json.dumps(report.details(), ensure_ascii=False, sort_keys=True).encode()
    row = DigitalCopyRow(
        id=uuid.uuid4().hex,
        unit=unit,
        form=form,
        title=title.strip()[:512],
        owner_id=owner_id,
        source_digest=source_digest,
        report_digest=office.blobs.put(archived),
        state=ActState.INTENDED.value,
        frozen={"seal": agency.id, "seal_serial": f"{agency.certificate.serial_number:x}"},
        intended_at=now,
        intended_by=by,
    )
    details = {"unit": unit, "form": form, "source": source_digest, "report": row.report_digest}
    with office.database.transaction() as session:
        session.add(row)
        session.flush()
        entry = Entry(Tag.DIGITAL_COPY_INTENDED, f"digital-copy:{row.id}", details)
        write(session, [entry], now=now, by=by)
    return row.id


def _to_seal(source: bytes, form: str, pages: Sequence[int] | None) -> bytes:
    """A whole copy keeps the original's own signatures; an extract is a document of its own."""
    if form != EXTRACT and pages is None:
        return source
    with pikepdf.open(io.BytesIO(source)) as original, pikepdf.new() as extract:
        count = len(original.pages)
        wanted = list(pages or ())
        if not wanted or len(wanted) > count or any(not 1 <= one <= count for one in wanted):
            raise CertifyError("extract-pages-invalid", pages=count)
        original.flatten_annotations("all")
        for one in wanted:
            extract.pages.append(original.pages[one - 1])
        for page in extract.pages:
            if "/Annots" in page:
                del page.Annots
        out = io.BytesIO()
        extract.save(out, deterministic_id=True)
    data = out.getvalue()
    return data if data.endswith(b"\n") else data + b"\n"


def _checked(office: Office, data: bytes, agency: Credential, *, now: datetime) -> Report:
    report = validate(data, trust=office.desk.trust, now=now)
    last = report.signatures[-1] if report.signatures else None
    own = agency.certificate.public_bytes(Encoding.DER)
    if not report.passed or last is None or last.signer_certificate != own:
        reason = report.sub_indication.value if report.sub_indication else "-"
        raise CertifyError("digital-copy-check-failed", reason=reason)
    return report


def _conclude(
    office: Office,
    row_id: str,
    data: bytes,
    digest: str,
    report: Report,
    *,
    now: datetime,
    by: str,
) -> DigitalCopy:
    with office.database.transaction() as session:
        row = session.get_one(DigitalCopyRow, row_id, with_for_update=True)
        if row.state != ActState.INTENDED.value:
            raise CertifyError("copy-claim-lost")
        if row.owner_id is not None:
            item = store.put_result(
                session,
                owner_id=row.owner_id,
                title=f"{row.form}: {row.title}",
                digest=digest,
                size=len(data),
                now=now,
            )
            row.item_id = item.id
        row.state, row.digest, row.ended_at = ActState.MADE.value, digest, now
        row.evidence = {"validation": report.to_json()}
        session.flush()
        details = {"unit": row.unit, "form": row.form, "digest": digest}
        write(
            session,
            [Entry(Tag.DIGITAL_COPY_MADE, f"digital-copy:{row_id}", details)],
            now=now,
            by=by,
        )
        return _as_copy(row, data)


def _give_up(office: Office, row_id: str, reason: str, *, now: datetime, by: str) -> None:
    with office.database.transaction() as session:
        row = session.get_one(DigitalCopyRow, row_id, with_for_update=True)
        if row.state != ActState.INTENDED.value:
            return
        row.state, row.reason, row.ended_at = ActState.VOID.value, reason, now
        session.flush()
        entry = Entry(Tag.DIGITAL_COPY_REFUSED, f"digital-copy:{row_id}", {"reason": reason})
        write(session, [entry], now=now, by=by)


def _as_copy(row: DigitalCopyRow, data: bytes) -> DigitalCopy:
    assert row.digest is not None
    assert row.ended_at is not None
    return DigitalCopy(
        id=row.id,
        unit=row.unit,
        form=row.form,
        title=row.title,
        source_digest=row.source_digest,
        report_digest=row.report_digest,
        digest=row.digest,
        made_at=row.ended_at,
        data=data,
    )
