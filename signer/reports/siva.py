"""The simple report of SiVa (open-eid/SiVa, interface v3), for clients that already read it."""

from __future__ import annotations

from cryptography.x509.oid import NameOID

from records.errors import text
from signer.reports.diagnostic import DiagnosticData, scope_of
from signer.reports.naming import Json, encoded, instant, signature_uri
from signer.reports.processes import Processes
from signer.trust.certificates import Certificate
from signer.trust.chain import Chain
from signer.verdicts.examination import Examination
from signer.verdicts.time_stamps import Stamp, sub_indication
from signer.verdicts.verdict import Indication, Weight, indication_of

_FIELDS = (
    ("serialNumber", NameOID.SERIAL_NUMBER),
    ("commonName", NameOID.COMMON_NAME),
    ("givenName", NameOID.GIVEN_NAME),
    ("surname", NameOID.SURNAME),
)


def siva_report(examination: Examination, facts: DiagnosticData, language: str) -> Json:
    """`validationReport` with its one member, `validationConclusion`."""
    report, policy = examination.report, examination.policy
    made: Json = {
        "policy": {
            "policyName": policy.id,
            "policyDescription": policy.description(language),
            "policyUrl": f"/api/v1/validation-policies/{policy.id}",
        },
        "signaturesCount": len(report.signatures),
        "validSignaturesCount": sum(
            one.indication is Indication.TOTAL_PASSED for one in report.signatures
        ),
        "validationLevel": "ARCHIVAL_DATA",
        "validationTime": instant(report.validation_time) if report.validation_time else None,
        "validationWarnings": [
            {"content": text(one.code, one.params, language)} for one in report.findings
        ],
        "validatedDocument": {"filename": facts.name},
        "signatures": [_signature(one, language) for one in facts.judged],
    }
    if not facts.judged and examination.stamps:
        made["timeStampTokens"] = [_token(one) for one in examination.stamps if one.info]
    return {"validationReport": {"validationConclusion": made}}


def _signature(processes: Processes, language: str) -> Json:
    one, signed, verdict = processes.one, processes.one.signed, processes.one.verdict
    scope = scope_of(processes)
    made: Json = {
        "id": processes.id,
        "signatureFormat": (verdict.level or "UNKNOWN").replace("-", "_"),
        "signatureLevel": "NA",
        "signedBy": verdict.signer or "",
        "indication": verdict.indication.value.replace("_", "-"),
        "signatureScopes": [
            {"name": scope["Name"], "scope": scope["Scope"], "content": scope["Description"]}
        ],
        "claimedSigningTime": instant(verdict.signing_time) if verdict.signing_time else "",
        "errors": _told(processes, Weight.FAILS, language),
        "warnings": _told(processes, Weight.WARNS, language),
        "info": _info(processes),
    }
    if verdict.sub_indication is not None:
        made["subIndication"] = verdict.sub_indication.value
    if signed is not None:
        key = signed.certificate.x509.public_key()
        made["signatureMethod"] = signature_uri(key, signed.digest)
        made["signedBy"] = _signed_by(signed.certificate)
        made["subjectDistinguishedName"] = _subject(signed.certificate)
        made["certificates"] = [_certificate(one.chain, "SIGNING")]
        for kind, stamps in (("SIGNATURE", one.own), ("ARCHIVE", one.archives)):
            made["certificates"] += [
                _certificate(stamp.chain, f"{kind}_TIMESTAMP") for stamp in stamps if stamp.chain
            ]
    return made


def _told(processes: Processes, weight: Weight, language: str) -> list[Json]:
    return [
        {"content": text(one.code, one.params, language)}
        for one in processes.final
        if one.weight is weight
    ]


def _info(processes: Processes) -> Json:
    one, best = processes.one, processes.one.verdict.best_signature_time
    made: Json = {"bestSignatureTime": instant(best) if best else ""}
    first = next((stamp for stamp in one.own if stamp.info), None)
    if first is not None and first.info is not None:
        made["timestampCreationTime"] = instant(first.info.time)
        made["timeAssertionMessageImprint"] = encoded(first.info.imprint)
    if one.archives:
        made["archiveTimestamps"] = [
            {
                "signedTime": instant(stamp.info.time),
                "indication": _indication(stamp).removeprefix("TOTAL-"),
                "signedBy": stamp.signed.certificate.common_name(),
                "country": _country(stamp.signed.certificate),
            }
            for stamp in one.archives
            if stamp.info and stamp.signed
        ]
    return made


def _token(stamp: Stamp) -> Json:
    assert stamp.info is not None
    sub = sub_indication(stamp)
    made: Json = {
        "indication": _indication(stamp),
        "signedBy": stamp.signed.certificate.common_name() if stamp.signed else "",
        "signedTime": instant(stamp.info.time),
        "certificates": [_certificate(stamp.chain, "CONTENT_TIMESTAMP")] if stamp.chain else [],
    }
    return {**made, "subIndication": sub.value} if sub else made


def _indication(stamp: Stamp) -> str:
    return indication_of(sub_indication(stamp)).value.replace("_", "-")


def _certificate(chain: Chain | None, kind: str) -> Json:
    """The certificate with its issuers nested up to the anchor."""
    listed = chain.certificates if chain else ()
    above: Json | None = None
    for one in reversed(listed):
        made: Json = {"commonName": one.common_name(), "content": encoded(one.der)}
        if above is not None:
            made["issuer"] = above
        above = made
    return {**(above or {}), "type": kind}


def _subject(one: Certificate) -> Json:
    found: Json = {}
    for member, oid in _FIELDS:
        values = one.x509.subject.get_attributes_for_oid(oid)
        if values:
            found[member] = str(values[-1].value)
    return found


def _signed_by(one: Certificate) -> str:
    """ "surname, givenName, serialNumber" where the certificate has all three, else its name."""
    subject = _subject(one)
    parts = [subject.get(name) for name in ("surname", "givenName", "serialNumber")]
    return ",".join(map(str, parts)) if all(parts) else one.common_name()


def _country(one: Certificate) -> str:
    values = one.x509.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)
    return str(values[0].value) if values else ""
