"""In which form a validation is answered: the form asked for, as JSON, XML or a sealed PDF.

The form is chosen by the `report` parameter; between JSON and XML, and for the PDF, the Accept
header may choose too. What a form holds is decided in `signer.reports`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from starlette.responses import JSONResponse, Response

from api.errors import ApiError
from api.house import House
from api.verdicts import Judged
from ca.names import PROVINCE_AUTHORITY
from signer.reports.paper import Subject, sealed_report
from signer.reports.xml_form import Root, to_xml
from signer.verdicts.report import Report

_XML = "application/xml"
_PDF = "application/pdf"


class ReportForm(StrEnum):
    """`summary` is this service's own; the others are those of EU DSS, ETSI and SiVa."""

    SUMMARY = "summary"
    SIMPLE = "simple"
    DETAILED = "detailed"
    DIAGNOSTIC = "diagnostic"
    ETSI = "etsi"
    SIVA = "siva"
    ALL = "all"
    PDF = "pdf"


_ROOTS = {
    ReportForm.SIMPLE: Root.SIMPLE,
    ReportForm.DETAILED: Root.DETAILED,
    ReportForm.DIAGNOSTIC: Root.DIAGNOSTIC,
}


def form_for(asked: str, accept: str) -> ReportForm:
    """Raises ApiError `report-form-unknown`. `Accept: application/pdf` alone asks for the PDF."""
    if not asked:
        wants = accept.partition(";")[0].strip()
        if wants == _PDF:
            return ReportForm.PDF
        return ReportForm.ETSI if wants == _XML else ReportForm.SUMMARY
    try:
        return ReportForm(asked.lower())
    except ValueError:
        raise ApiError("report-form-unknown", form=asked[:20]) from None


def answer(
    house: House,
    judged: Judged,
    form: ReportForm,
    *,
    name: str,
    accept: str,
    language: str,
    now: datetime,
) -> Response:
    """The response in one of the forms that need the report's papers."""
    papers = judged.report.papers
    if papers is None:
        # A worker that died has no papers: the forms are made of the verdict alone.
        papers = papers_of(judged.report, name, language)
    if form is ReportForm.PDF:
        pdf = paper_of(house, judged, name=name, language=language, now=now)
        return Response(pdf, media_type=_PDF, headers=_download("validation-report.pdf"))
    if form is ReportForm.ETSI:
        return Response(papers["ValidationReport"].encode(), media_type=_XML)
    if form is ReportForm.ALL:
        return JSONResponse(dict(papers))
    if form is ReportForm.SIVA:
        return JSONResponse({"validationReport": papers["validationReport"]})
    root = _ROOTS[form]
    if _XML in accept:
        return Response(to_xml(root, papers[root.value]), media_type=_XML)
    return JSONResponse(papers[root.value])


def paper_of(house: House, judged: Judged, *, name: str, language: str, now: datetime) -> bytes:
    """The sealed PDF."""
    subject = Subject(name, judged.digest, PROVINCE_AUTHORITY)
    return sealed_report(house.desk, judged.report, subject, language=language, now=now)


def papers_of(report: Report, name: str, language: str) -> dict[str, Any]:
    """Every form of a report that carries none."""
    from signer.reports.writing import reports_without_examination

    return reports_without_examination(report, name=name, language=language)


def _download(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
