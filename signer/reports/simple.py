"""The simple report: who signed what when, whether it holds, and why not; in words for people."""

from __future__ import annotations

from datetime import datetime

from records.errors import text
from signer.reports.constraints import CERTIFICATE_KEYS, constraint_of
from signer.reports.diagnostic import DiagnosticData, scope_of
from signer.reports.naming import Json, certificate_id, instant, message, said
from signer.reports.processes import Processes, all_stamps, stamp_id
from signer.trust.chain import Chain
from signer.verdicts.examination import Examination
from signer.verdicts.time_stamps import Stamp
from signer.verdicts.verdict import Finding, Indication, SubIndication, Weight, indication_of, worst


def simple_report(examination: Examination, facts: DiagnosticData, language: str) -> Json:
    """The members of DSS's SimpleReport. File-level findings are told of every signature."""
    report, policy = examination.report, examination.policy
    valid = [one for one in report.signatures if one.indication is Indication.TOTAL_PASSED]
    tokens: list[Json] = [
        {"Signature": _signature(one, examination, language)} for one in facts.judged
    ]
    if not tokens:
        stamps = all_stamps(examination)
        tokens = [{"Timestamp": _stamp(one, examination, language)} for one in stamps]
    made: Json = {
        "ValidationPolicy": {
            "PolicyName": policy.title,
            "PolicyDescription": policy.description(language),
        },
        "DocumentName": facts.name,
        "ValidSignaturesCount": len(valid),
        "SignaturesCount": len(report.signatures),
        "signatureOrTimestampOrEvidenceRecord": tokens,
    }
    moment = report.validation_time
    return {**made, "ValidationTime": instant(moment)} if moment else made


def _signature(processes: Processes, examination: Examination, language: str) -> Json:
    one, verdict = processes.one, processes.one.verdict
    at = examination.report.validation_time
    assert at is not None
    made = _token(processes.final, one.chain, examination, language, total=True)
    low, high = _extension(processes, at)
    if low is not None and high is not None and verdict.sub_indication is None:
        made["ExtensionPeriodMin"], made["ExtensionPeriodMax"] = instant(low), instant(high)
    if verdict.signing_time is not None:
        made["SigningTime"] = instant(verdict.signing_time)
    made["BestSignatureTime"] = instant(verdict.best_signature_time or at)
    made["SignedBy"] = verdict.signer or said("UNKNOWN_SIGNER", language)
    made["SignatureLevel"] = {"value": "N/A", "description": said("NO_QUALIFICATION", language)}
    made["SignatureScope"] = [_scope(processes)]
    stamps = [each for each in [*one.own, *one.archives] if each.info]
    if stamps:
        made["Timestamps"] = {"Timestamp": [_stamp(each, examination, language) for each in stamps]}
    return {**made, "Id": processes.id, "SignatureFormat": verdict.level or "UNKNOWN"}


def _stamp(stamp: Stamp, examination: Examination, language: str) -> Json:
    made = _token(stamp.findings, stamp.chain, examination, language, total=False)
    if stamp.info is not None:
        made["ProductionTime"] = instant(stamp.info.time)
    made["ProducedBy"] = stamp.signed.certificate.common_name() if stamp.signed else ""
    made["TimestampLevel"] = {"value": "N/A", "description": said("NO_QUALIFICATION", language)}
    return {**made, "Id": stamp_id(stamp)}


def _token(
    findings: tuple[Finding, ...],
    chain: Chain | None,
    examination: Examination,
    language: str,
    *,
    total: bool,
) -> Json:
    """What signatures and time-stamps have in common, in the schema's order."""
    sub = worst([one for one in findings if one.weight is Weight.FAILS])
    indication = indication_of(sub)
    value = indication.value
    if not total and indication is not Indication.INDETERMINATE:
        value = value.removeprefix("TOTAL_")
    made: Json = {}
    if chain is not None:
        anchors = examination.first.paths.anchors if examination.first else frozenset()
        made["CertificateChain"] = {
            "Certificate": [
                {
                    "QualifiedName": one.common_name(),
                    "Id": certificate_id(one),
                    "trusted": one in anchors,
                }
                for one in chain.certificates
            ]
        }
    made["Indication"] = value
    if sub is not None and sub is not SubIndication.UNREADABLE:
        made["SubIndication"] = sub.value
    details = _details(findings, language)
    if details:
        made["AdESValidationDetails"] = details
    return made


def _details(findings: tuple[Finding, ...], language: str) -> Json:
    found: Json = {}
    for weight, member in (
        (Weight.FAILS, "Error"),
        (Weight.WARNS, "Warning"),
        (Weight.INFORMS, "Info"),
    ):
        told = [
            message(
                f"{CERTIFICATE_KEYS.get(one.code) or constraint_of(one).key}_ANS",
                text(one.code, one.params, language),
            )
            for one in findings
            if one.weight is weight
        ]
        if told:
            found[member] = told
    return found


def _scope(processes: Processes) -> Json:
    scope = scope_of(processes)
    return {
        "value": scope["Description"],
        "Id": scope["SignerData"],
        "name": scope["Name"],
        "scope": scope["Scope"],
    }


def _extension(processes: Processes, at: datetime) -> tuple[datetime | None, datetime | None]:
    """When the next archive time-stamp may be added: from now, until the newest one's end."""
    one = processes.one
    chains = [stamp.chain for stamp in [*one.archives, *one.own] if stamp.good and stamp.chain]
    chain = chains[0] if chains else one.chain
    if chain is None:
        return None, None
    ends = [each.not_after for each in chain.certificates[:-1] or chain.certificates]
    return (at, min(ends)) if min(ends) > at else (None, None)
