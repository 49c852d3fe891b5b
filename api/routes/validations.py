"""Verdicts by file and by code, for programs; people use the pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Header, Path, Request, Security, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import Response

from api import report_archive
from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.report_forms import ReportForm, answer, form_for
from api.routes.shapes import problems
from api.transit import safe_name
from api.verdicts import Judged, judge
from certify.verification import PublicStatus, verify_code
from signer.long_life.evidence_records import Evidence
from signer.verdicts.originals import MOST_ORIGINALS, Original
from signer.verdicts.policy import CURRENT

router = APIRouter(prefix="/api/v1", tags=["validation"])
Validator = Annotated[Client, Security(caller, scopes=["validate"])]
MOST_COMPANIONS = 20


class SignatureShape(BaseModel):
    """One signature, in the words of ETSI EN 319 102-1."""

    indication: str = Field(examples=["TOTAL_PASSED"])
    sub_indication: str | None = Field(examples=[None])
    signer: str | None = Field(examples=["Lê Văn Thử"])
    level: str | None = Field(examples=["PAdES-BASELINE-LTA"])
    signing_time: datetime | None
    best_signature_time: datetime | None = Field(description="Proven by a time-stamp")
    covers_whole_file: bool
    changes: str = Field(description="untouched, archive_data_only, permitted or not_allowed")


class CopyStatusShape(BaseModel):
    """All that is public about a certified copy: nothing personal."""

    code: str = Field(examples=["K7QF-2M9X-H4TB-0DVW-C6RE"])
    status: str = Field(description="in-force, cancelled or replaced", examples=["in-force"])
    status_name: dict[str, str]
    unit: str = Field(examples=["14797"])
    unit_name: str = Field(examples=["Ủy ban nhân dân phường Hạc Thành"])
    document_kind: str = Field(examples=["transcript"])
    document_kind_name: dict[str, str]
    issued_on: str = Field(examples=["2026-11-23"])
    cancelled_on: str | None
    replaced_by: str | None
    address: str = Field(description="The page that the QR code leads to")

    @classmethod
    def of(cls, status: PublicStatus) -> CopyStatusShape:
        return cls(
            code=status.code,
            status=status.status.value,
            status_name={one: status.status_name(one) for one in ("vi", "en")},
            unit=status.unit,
            unit_name=status.unit_name,
            document_kind=status.document_kind,
            document_kind_name={one: status.kind_name(one) for one in ("vi", "en")},
            issued_on=status.issued_on.isoformat(),
            cancelled_on=status.cancelled_on.isoformat() if status.cancelled_on else None,
            replaced_by=status.replaced_by,
            address=status.address,
        )


class ValidationShape(BaseModel):
    """The report of one file. `verdict` is the one answer; `text` says it in words."""

    id: str | None = Field(None, description="When the report was kept: ask for it again by this")
    file: str | None
    verdict: str = Field(description="valid, invalid or undecided", examples=["valid"])
    verdict_name: dict[str, str] = Field(examples=[{"vi": "Hợp lệ", "en": "Valid"}])
    indication: str = Field(examples=["TOTAL_PASSED"])
    sub_indication: str | None
    signatures: list[SignatureShape]
    certified_copy: CopyStatusShape | None = Field(
        description="When this exact file is a certified copy of ours"
    )
    digest: str = Field(description="SHA-256 in hex")
    text: dict[str, str]
    details: dict[str, Any] | None = Field(None, description="Every finding, with `details=true`")

    @classmethod
    def of(cls, judged: Judged, *, details: bool) -> ValidationShape:
        report = judged.report.to_json()
        return cls.model_validate(
            {
                **report,
                "verdict": judged.verdict.value.removeprefix("verdict-"),
                "verdict_name": {one: judged.verdict.words(one) for one in ("vi", "en")},
                "certified_copy": CopyStatusShape.of(judged.status) if judged.status else None,
                "digest": judged.digest,
                "text": {one: _words(judged, one) for one in ("vi", "en")},
                "details": judged.report.details() if details else None,
            }
        )


@router.post(
    "/validations",
    summary="Validate a signed document",
    response_model=ValidationShape,
    responses=problems(404),
)
def validate(
    wired: Wired,
    now: Now,
    client: Validator,
    file: Annotated[
        UploadFile, File(description="A signed PDF, CAdES, XAdES or ASiC file, or a signature")
    ],
    content: Annotated[
        list[UploadFile] | None,
        File(
            description="What a detached signature is about; each file by its name where a XAdES "
            "is about several"
        ),
    ] = None,
    evidence: Annotated[
        UploadFile | None,
        File(description="An evidence record about `file` (RFC 4998, DER): since when it exists"),
    ] = None,
    companions: Annotated[
        list[UploadFile] | None,
        File(description="The other objects of the record's data group, if it has any"),
    ] = None,
    at: Annotated[
        str,
        Form(description="Judge as of this time (ISO 8601); now when empty", max_length=40),
    ] = "",
    details: Annotated[bool, Form(description="Every finding and the policy")] = False,
    policy: Annotated[
        str, Form(max_length=60, description="See /api/v1/validation-policies")
    ] = CURRENT,
    report: Annotated[
        str,
        Form(
            max_length=20,
            description="summary, or as EU DSS: simple, detailed, diagnostic; etsi (TS 119 102-2, "
            "XML); siva; all; pdf (sealed). The Accept header may ask for XML or PDF.",
        ),
    ] = "",
    language: Annotated[str, Form(pattern="^(vi|en)$", description="Of the reports' words")] = "vi",
    archive: Annotated[bool, Form(description="Keep the report, sealed; see `id`")] = False,
    accept: Annotated[str, Header(alias="accept", max_length=400)] = "",
) -> ValidationShape | Response:
    """A file that is damaged, hostile or not signed gets a verdict too: that is the answer."""
    form, name = form_for(report, accept), safe_name(file.filename)
    judged = judge(
        wired.house,
        file.file.read(),
        name=name,
        now=now,
        at=moment_of(at),
        by=client.by,
        content=originals_of(content or []),
        evidence=_evidence(evidence, companions or []),
        policy=policy,
        reports=language if archive or form is not ReportForm.SUMMARY else None,
    )
    identifier = None
    if archive:
        identifier = report_archive.keep(
            wired.house,
            judged,
            client_id=client.client_id,
            name=name,
            language=language,
            now=now,
        )
    if form is ReportForm.SUMMARY:
        shape = ValidationShape.of(judged, details=details)
        return shape.model_copy(update={"id": identifier})
    made = answer(wired.house, judged, form, name=name, accept=accept, language=language, now=now)
    if identifier is not None:
        made.headers["Location"] = f"/api/v1/validations/{identifier}"
    return made


@router.get(
    "/verifications/{code}",
    summary="The public status of a certified copy",
    response_model=CopyStatusShape,
    responses={
        key: value for key, value in problems(404).items() if key not in {400, 401, 403, 413}
    },
)
def by_code(
    code: Annotated[str, Path(max_length=64, examples=["K7QF-2M9X-H4TB-0DVW-C6RE"])],
    request: Request,
    wired: Wired,
    now: Now,
) -> CopyStatusShape:
    """Without an account. Codes hold 100 random bits, and guessing is rate-limited."""
    wired.rates.take("code", request.client.host if request.client else "unknown")
    return CopyStatusShape.of(verify_code(wired.house.office, code, now=now))


def originals_of(files: list[UploadFile]) -> list[Original]:
    """Raises ApiError `validation-files-too-many`."""
    if len(files) > MOST_ORIGINALS:
        raise ApiError("validation-files-too-many", limit=MOST_ORIGINALS)
    return [Original(one.filename or "", one.file.read()) for one in files]


def _evidence(record: UploadFile | None, companions: list[UploadFile]) -> Evidence | None:
    """Raises ApiError `evidence-record-missing` or `validation-files-too-many`."""
    if record is None:
        if companions:
            raise ApiError("evidence-record-missing")
        return None
    if len(companions) > MOST_COMPANIONS:
        raise ApiError("validation-files-too-many", limit=MOST_COMPANIONS)
    return Evidence(record.file.read(), tuple(one.file.read() for one in companions))


def _words(judged: Judged, language: str) -> str:
    """The report in words; that a copy was cancelled comes before its valid signatures."""
    warning = judged.status.warning(language) if judged.status else ""
    report = judged.report.to_text(language)
    return f"{warning}\n\n{report}" if warning else report


def moment_of(text: str) -> datetime | None:
    """The time a caller asks about; raises ApiError `time-unreadable`."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError("time-unreadable", value=text) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
