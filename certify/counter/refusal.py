"""The written refusal: reasoned, signed by the certifying person, delivered to the requester.

    refusal = issue_refusal(office, case.id, person=(credential_id, pin), explanation="…",
                            now=now, by=by)
    refusal.data                 # PDF/A-2b with one B-LTA signature

DOMAIN.md §4 *Refuse*: "A refusal is written and reasoned". It takes no register number: nothing was
certified. A frozen case (suspected forgery) gets none, its facts go to the authority in charge.
docs/flows/certify.md, *Refusing*, has the same numbered steps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.orm import Session

from certify import codes
from certify.competence import competent
from certify.counter.cases import as_case, locked_case
from certify.counter.viewers import SERVICE, Viewer
from certify.counter.visit_models import ActState, RefusalRow
from certify.errors import CertifyError, NotFound
from certify.issuance import Hand, authorise, usable
from certify.models import CaseRow, CaseState
from certify.office import Office
from certify.pages.statement import TEMPLATES, day_text, render
from certify.scans.comparison import Ground
from certify.stores import store
from certify.units import unit as find_unit
from records import audit
from records.errors import DomainError
from records.errors import text as catalogue_text
from records.tags import Tag
from signer.keys.credentials import Credential
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.routing.working_days import local
from signer.signing import SignatureRequest, document_digest, sign_pdf
from signer.verdicts.report import Report
from signer.verdicts.validation import validate

LONGEST_EXPLANATION = 2000


@dataclass(frozen=True)
class RefusalTemplate:
    """One version of the wording, with the clause each ground stands in."""

    version: str
    effective_from: str
    effective_to: str | None
    template: str
    basis: str
    clauses: dict[str, str]


@cache
def templates() -> tuple[RefusalTemplate, ...]:
    """Every version, oldest first."""
    rows = json.loads((TEMPLATES / "refusals.json").read_text("utf-8"))["refusals"]
    return tuple(sorted((RefusalTemplate(**row) for row in rows), key=lambda t: t.effective_from))


def template_on(day: date) -> RefusalTemplate:
    """The version in force that day. Raises `CertifyError`: `statement-template-missing`."""
    text = day.isoformat()
    for found in reversed(templates()):
        if found.effective_from <= text and (found.effective_to or "9999") >= text:
            return found
    raise CertifyError("statement-template-missing", day=text)


@dataclass(frozen=True)
class Refusal:
    """What was signed; `item_id` is where the requester finds it."""

    case_id: str
    code: str
    digest: str
    item_id: str
    made_at: datetime
    grounds: tuple[Ground, ...]
    data: bytes = field(repr=False)


def issue_refusal(
    office: Office,
    case_id: str,
    *,
    person: Hand,
    explanation: str = "",
    shown: str | None = None,
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> Refusal:
    """Sign and deliver the refusal of a refused case; made once, asked again it is the same.

    `shown` is the digest of the draft the signer has read; another draft is not signed.
    Raises `CertifyError`: `case-state-wrong`, `not-competent`, `refusal-check-failed`,
    and `SignerError`.
    """
    made = find_refusal(office, case_id, viewer=viewer)
    if made is not None:
        return made
    # 1. Who signs: an official delegated to certify for this unit, now.
    official = usable(office, person, now=now)
    # 2. Intention: the grounds and the words are frozen and committed.
    frozen, code = _intend(office, case_id, official, explanation, viewer, now=now, by=by)
    try:
        # 3. The same frozen words always give the same document.
        document = render(frozen["template"], frozen["words"])
        if shown is not None and document_digest(document).hex() != shown:
            raise CertifyError("shown-not-current")
        # 4. The person signs, with their image above their name; nothing may follow.
        given = authorise(office, person, [document_digest(document)], now=now, by=by)
        request = SignatureRequest(
            level=Level.B_LTA,
            appearance=Appearance.person(anchor=str(frozen["words"]["signer"])),
            reason="Từ chối chứng thực",
            certify=1,
        )
        signed = sign_pdf(office.desk, document, request, authorization=given, now=now, by=by).data
        # 5. Check as the requester will.
        report = _checked(office, signed, official, now=now)
        # 6. Bytes, then 7. the outcome: delivered to the requester's store.
        digest = office.blobs.put(signed)
        return _deliver(office, case_id, code, signed, digest, report, now=now, by=by)
    except DomainError as error:
        _record(office, Tag.REFUSAL_FAILED, case_id, {"reason": error.code}, now=now, by=by)
        raise


def draft_refusal(
    office: Office,
    case_id: str,
    *,
    person_id: str,
    explanation: str = "",
    viewer: Viewer = SERVICE,
    now: datetime,
    by: str,
) -> bytes:
    """Steps 1 to 3: the document to read before it is signed; the same words, the same bytes."""
    official = usable(office, (person_id, ""), now=now)
    frozen, _ = _intend(office, case_id, official, explanation, viewer, now=now, by=by)
    return render(frozen["template"], frozen["words"])


def find_refusal(office: Office, case_id: str, *, viewer: Viewer = SERVICE) -> Refusal | None:
    """The signed refusal of a case, for its unit and its requester; None when there is none."""
    with office.database.reading() as session:
        case = session.get(CaseRow, case_id)
        if case is None:
            raise NotFound("case-unknown")
        viewer.require_sight(unit=case.unit, owner_id=case.requester_id)
        row = session.get(RefusalRow, case_id)
        if row is None or row.state != ActState.MADE.value:
            return None
        assert row.digest is not None
        digest = row.digest
    return _as_refusal(row, office.blobs.get(digest))


def _intend(
    office: Office,
    case_id: str,
    official: Credential,
    explanation: str,
    viewer: Viewer,
    *,
    now: datetime,
    by: str,
) -> tuple[dict[str, Any], str]:
    with office.database.transaction() as session:
        case = locked_case(session, case_id, CaseState.REFUSED, viewer=viewer)
        if official.kind != "official":
            raise CertifyError("signer-not-official")
        delegation = competent(session, unit=case.unit, holder_id=official.holder_id, now=now)
        row = session.get(RefusalRow, case_id, with_for_update=True)
        if row is None:
            row = RefusalRow(
                case_id=case_id,
                code=codes.new(),
                unit=case.unit,
                owner_id=case.requester_id,
                state=ActState.INTENDED.value,
                intended_at=now,
                intended_by=by,
            )
            session.add(row)
        template = template_on(local(now).date())
        row.frozen = {
            "version": template.version,
            "template": template.template,
            "person": official.id,
            "delegation": delegation.id,
            "grounds": (case.closing_reason or "").split(","),
            "words": _words(
                case,
                row.code,
                template,
                explanation.strip()[:LONGEST_EXPLANATION],
                authority=list(delegation.authority_lines),
                signer=delegation.name,
                now=now,
            ),
        }
        session.flush()
        audit.record(
            session,
            tag=Tag.REFUSAL_INTENDED,
            by=by,
            subject=f"case:{case_id}",
            details={"grounds": row.frozen["grounds"], "person": official.id},
            now=now,
        )
        return row.frozen, row.code


def _words(
    row: CaseRow,
    code: str,
    template: RefusalTemplate,
    explanation: str,
    *,
    authority: list[str],
    signer: str,
    now: datetime,
) -> dict[str, Any]:
    case = as_case(row)
    unit = find_unit(row.unit)
    found = [Ground(code) for code in (row.closing_reason or "").split(",") if code]
    if not found:
        raise CertifyError("nothing-to-refuse")
    return {
        "title": f"Từ chối chứng thực – {code}",
        "unit_upper": unit.name.upper(),
        "unit": unit.committee,
        "place": unit.place,
        "day": day_text(local(now).date()).replace("Ngày", "ngày"),
        "requester": case.requester.name,
        "original": case.original.sentence(),
        "received": f"{local(case.received_at):%H giờ %M, ngày %d/%m/%Y}",
        "grounds": [
            {
                "text": catalogue_text(one.value, {}, "vi"),
                "clause": f"{template.clauses[one.value]} {template.basis}",
            }
            for one in found
        ],
        "explanation": explanation,
        "code": code,
        "authority": authority,
        "signer": signer,
    }


def _checked(office: Office, data: bytes, official: Credential, *, now: datetime) -> Report:
    report = validate(data, trust=office.desk.trust, now=now)
    if not report.passed or len(report.signatures) != 1:
        reason = report.sub_indication.value if report.sub_indication else "-"
        raise CertifyError("refusal-check-failed", reason=reason)
    if report.signatures[0].signer_certificate != _der(official):
        raise CertifyError("refusal-check-failed", reason="signer")
    return report


def _deliver(
    office: Office,
    case_id: str,
    code: str,
    data: bytes,
    digest: str,
    report: Report,
    *,
    now: datetime,
    by: str,
) -> Refusal:
    with office.database.transaction() as session:
        row = session.get_one(RefusalRow, case_id, with_for_update=True)
        if row.state == ActState.MADE.value:  # somebody else was quicker: theirs counts
            assert row.digest is not None
            return _as_refusal(row, office.blobs.get(row.digest))
        item = store.put_result(
            session,
            owner_id=row.owner_id,
            title=f"Văn bản từ chối chứng thực: {row.frozen['words']['original']}",
            digest=digest,
            size=len(data),
            now=now,
        )
        row.state, row.digest, row.item_id, row.made_at = (
            ActState.MADE.value,
            digest,
            item.id,
            now,
        )
        row.evidence = {"validation": report.to_json()}
        session.flush()
        details = {"digest": digest, "item": item.id, "code": code}
        _write(session, Tag.REFUSAL_ISSUED, case_id, details, now=now, by=by)
        return _as_refusal(row, data)


def _as_refusal(row: RefusalRow, data: bytes) -> Refusal:
    assert row.digest is not None
    assert row.item_id is not None
    assert row.made_at is not None
    found = tuple(Ground(one) for one in row.frozen["grounds"])
    return Refusal(row.case_id, row.code, row.digest, row.item_id, row.made_at, found, data)


def _der(credential: Credential) -> bytes:
    return credential.certificate.public_bytes(Encoding.DER)


def _record(
    office: Office, tag: Tag, case_id: str, details: Mapping[str, object], *, now: datetime, by: str
) -> None:
    with office.database.transaction() as session:
        _write(session, tag, case_id, details, now=now, by=by)


def _write(
    session: Session,
    tag: Tag,
    case_id: str,
    details: Mapping[str, object],
    *,
    now: datetime,
    by: str,
) -> None:
    audit.record(session, tag=tag, by=by, subject=f"case:{case_id}", details=details, now=now)
