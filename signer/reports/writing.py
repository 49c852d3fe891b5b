"""All reports on one examination, as plain JSON that can leave the process that read the file."""

from __future__ import annotations

from signer.reports.detailed import detailed_report
from signer.reports.diagnostic import DiagnosticData
from signer.reports.etsi import etsi_report
from signer.reports.naming import Json
from signer.reports.simple import simple_report
from signer.reports.siva import siva_report
from signer.verdicts.examination import Examination
from signer.verdicts.policy import load_policy
from signer.verdicts.report import Report


def write_reports(examination: Examination, *, name: str, language: str = "vi") -> Json:
    """SimpleReport, DetailedReport, DiagnosticData (members as in EU DSS), ValidationReport (ETSI
    TS 119 102-2, XML as text) and validationReport (SiVa). Steps as in docs/flows/reports.md."""
    # 1. What the validation looked at is in hand; 2. each signature is judged thrice (`processes`).
    collected = DiagnosticData(examination, name)
    # 3. The facts.
    facts = collected.report()
    # 4. Every building block and process.
    detailed = detailed_report(examination, language)
    # 5. For people, for archives and courts, for SiVa's clients.
    return {
        "SimpleReport": simple_report(examination, collected, language),
        "DetailedReport": detailed,
        "DiagnosticData": facts,
        "ValidationReport": etsi_report(examination, collected, detailed),
        **siva_report(examination, collected, language),
    }


def reports_without_examination(report: Report, *, name: str, language: str = "vi") -> Json:
    """The same forms for a file that nobody could look into: no signature in any of them."""
    policy = load_policy(report.policy_id) if report.policy_id else load_policy()
    return write_reports(Examination(report, policy), name=name, language=language)
