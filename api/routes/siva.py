"""SiVa's requests (open-eid/SiVa, interface v3), for clients that already send them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Security
from pydantic import BaseModel, ConfigDict, Field

from api.auth.clients import Client
from api.auth.guard import Now, Wired, caller
from api.errors import ApiError
from api.routes.shapes import problems
from api.routes.validation_reports import DigestShape, digests_of, octets_of
from api.transit import safe_name
from api.verdicts import Judged, judge
from signer.verdicts.policy import CURRENT
from signer.verdicts.report import Report

router = APIRouter(prefix="/api/v1/siva", tags=["validation"])
Validator = Annotated[Client, Security(caller, scopes=["validate"])]


class SivaRequest(BaseModel):
    """SiVa's `POST /validate` (interface v3); members that mean nothing here are let be."""

    model_config = ConfigDict(extra="ignore")

    document: str = Field(description="Base64")
    filename: str = Field(max_length=260)
    signaturePolicy: str = Field("", max_length=60)
    reportType: str = Field("Simple", max_length=20)


class SivaDatafile(BaseModel):
    filename: str = Field(max_length=400)
    hashAlgo: str = Field(max_length=20)
    hash: str = Field(max_length=200)


class SivaSignatureFile(BaseModel):
    signature: str
    datafiles: list[SivaDatafile] = Field(min_length=1, max_length=1000)


class SivaHashcodeRequest(BaseModel):
    """SiVa's `POST /validateHashcode`: signatures and the digests of what they are about."""

    model_config = ConfigDict(extra="ignore")

    signatureFiles: list[SivaSignatureFile] = Field(min_length=1, max_length=50)
    signaturePolicy: str = Field("", max_length=60)
    reportType: str = Field("Simple", max_length=20)


@router.post("/validate", summary="SiVa's validation request", responses=problems(404))
def siva_validate(
    request: SivaRequest, wired: Wired, now: Now, client: Validator
) -> dict[str, Any]:
    """For clients of SiVa: the same request, the same simple report. `Detailed` and `Diagnostic`
    add EU DSS's reports under SiVa's names."""
    judged = judge(
        wired.house,
        octets_of(request.document, "document"),
        name=safe_name(request.filename),
        now=now,
        by=client.by,
        policy=_siva_policy(request.signaturePolicy),
        reports="en",
    )
    return _siva(judged, request.reportType)


@router.post("/validateHashcode", summary="SiVa's validation by hashes", responses=problems(404))
def siva_hashcode(
    request: SivaHashcodeRequest, wired: Wired, now: Now, client: Validator
) -> dict[str, Any]:
    """Detached signatures with the hashes of their data files; the conclusions are joined."""
    found = []
    for one in request.signatureFiles:
        digests = [
            DigestShape(name=each.filename, algorithm=each.hashAlgo, value=each.hash)
            for each in one.datafiles
        ]
        judged = judge(
            wired.house,
            octets_of(one.signature, "signature"),
            name="signature",
            now=now,
            by=client.by,
            digests=digests_of(digests),
            policy=_siva_policy(request.signaturePolicy),
            reports="en",
        )
        found.append(_siva(judged, request.reportType))
    whole = found[0]
    conclusion = whole["validationReport"]["validationConclusion"]
    for other in found[1:]:
        added = other["validationReport"]["validationConclusion"]
        conclusion["signatures"] += added["signatures"]
        for member in ("signaturesCount", "validSignaturesCount"):
            conclusion[member] += added[member]
    return whole


def _siva(judged: Judged, kind: str) -> dict[str, Any]:
    papers = judged.report.papers
    if papers is None:
        raise ApiError("validation-no-report", reason=_reason(judged.report))
    report = dict(papers["validationReport"])
    if kind in ("Detailed", "Diagnostic"):
        report["validationProcess"] = papers["DetailedReport"]
    if kind == "Diagnostic":
        report["diagnosticData"] = papers["DiagnosticData"]
    return {"validationReport": report}


def _siva_policy(asked: str) -> str:
    """SiVa's own names (POLv3, POLv4) stand for the policy in force here."""
    return CURRENT if not asked or asked.startswith("POLv") else asked


def _reason(report: Report) -> str:
    return ", ".join(one.code for one in report.findings) or report.indication.value
