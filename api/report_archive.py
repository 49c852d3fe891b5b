"""Validation reports that are kept: what was found then, sealed, for as long as the house keeps.

kept = keep(house, judged, client_id=…, name=…, language="vi", now=now)
read(house, kept.id, client_id=…)      # the report as JSON, every form in it
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api.errors import ApiError
from api.house import House
from api.report_forms import paper_of, papers_of
from api.report_models import ValidationReportRow
from api.verdicts import Judged
from records import audit
from records.tags import Tag
from signer.verdicts.report import Report


@dataclass(frozen=True)
class Kept:
    """One kept report: its row, the verdict as it was, and every form."""

    row: ValidationReportRow
    report: Report

    @property
    def id(self) -> str:
        return self.row.id


def keep(
    house: House, judged: Judged, *, client_id: str, name: str, language: str, now: datetime
) -> str:
    """Store report and sealed PDF, then the row that names them; the id to ask for them by."""
    papers = judged.report.papers or papers_of(judged.report, name, language)
    report = replace(judged.report, papers=papers)
    whole = {**report.details(), "papers": papers}
    paper = paper_of(house, replace(judged, report=report), name=name, language=language, now=now)
    row = ValidationReportRow(
        id=f"val_{secrets.token_urlsafe(18)}",
        client_id=client_id,
        document=judged.digest,
        name=name,
        policy=report.policy_id,
        indication=report.indication.value,
        report=house.blobs.put(json.dumps(whole, ensure_ascii=False).encode()),
        paper=house.blobs.put(paper),
        created_at=now,
    )
    identifier, stored = row.id, row.report
    with house.database.transaction() as session:
        session.add(row)
        audit.record(
            session,
            tag=Tag.VALIDATION_KEPT,
            by=f"client:{client_id}",
            subject=f"validation:{identifier}",
            details={"document": judged.digest, "report": stored},
            now=now,
        )
    return identifier


def read(house: House, identifier: str, *, client_id: str) -> Kept:
    """A client's own; raises ApiError `validation-report-unknown`."""
    with house.database.reading() as session:
        row = session.get(ValidationReportRow, identifier)
        if row is None or row.client_id != client_id:
            raise ApiError("validation-report-unknown")
        session.expunge(row)
    whole: dict[str, Any] = json.loads(house.blobs.get(row.report))
    report = replace(Report.from_details(whole), papers=whole["papers"])
    return Kept(row, report)
