"""The validation report of ETSI TS 119 102-2 (v1.4.1), the form that archives and courts exchange.

Its constraint identifiers are EU DSS's (`urn:cef:dss:…`): the standard names none.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from records.errors import text
from signer.reports.diagnostic import DiagnosticData, scope_of
from signer.reports.naming import (
    Json,
    certificate_id,
    digest_uri,
    encoded,
    hashed,
    instant,
    signature_uri,
)
from signer.reports.processes import Processes, proof_for, stamp_id
from signer.trust.chain import Chain
from signer.verdicts.examination import Examination
from signer.verdicts.time_stamps import Stamp, sub_indication
from signer.verdicts.verdict import SubIndication, indication_of

VR = "http://uri.etsi.org/19102/v1.4.1#"
DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_XS = "http://www.w3.org/2001/XMLSchema"
_OWN = {SubIndication.NO_SIGNATURE_FOUND, SubIndication.UNREADABLE}
_SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_BLOCKS = (
    ("FC", "formatChecking"),
    ("ISC", "identificationOfTheSigningCertificate"),
    ("VCI", "validationContextInitialization"),
    ("CV", "cryptographicVerification"),
    ("SAV", "signatureAcceptanceValidation"),
    ("XCV", "x509CertificateValidation"),
    ("PSV", "pastSignatureValidation"),
    ("PCV", "pastCertificateValidation"),
    ("VTS", "validationTimeSliding"),
)
_MESSAGES = (("Errors", "error"), ("Warnings", "warning"), ("Infos", "info"))


def etsi_report(examination: Examination, facts: DiagnosticData, detailed: Json) -> str:
    """The document as text. A file without signatures gets one report that says just that."""
    blocks = {one["Id"]: one for one in detailed["BasicBuildingBlocks"]}
    root = etree.Element(f"{{{VR}}}ValidationReport", nsmap={None: VR, "ds": DS, "xades": XADES})
    writer = _EtsiReport(examination, facts, blocks)
    for one in facts.judged:
        writer.signature(_sub(root, "SignatureValidationReport"), one)
    if not facts.judged:
        writer.nothing(_sub(root, "SignatureValidationReport"))
    if facts.judged or facts.known:
        writer.objects(_sub(root, "SignatureValidationObjects"))
    made: bytes = etree.tostring(root, encoding="UTF-8", pretty_print=True)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + made.decode()


class _EtsiReport:
    def __init__(
        self, examination: Examination, facts: DiagnosticData, blocks: dict[str, Json]
    ) -> None:
        self.examination, self.facts, self.blocks = examination, facts, blocks

    def signature(self, report: Any, processes: Processes) -> None:
        """One SignatureValidationReport, in the schema's order."""
        one, signed, verdict = processes.one, processes.one.signed, processes.one.verdict
        identifier = _sub(report, "SignatureIdentifier", id=processes.id)
        _digest(identifier, _reference_digest(processes))
        if signed is not None:
            _sub(identifier, "SignatureValue", encoded(signed.signature), space=DS)
        _sub(identifier, "HashOnly", "false")
        _sub(identifier, "DocHashOnly", "false")
        self._constraints(report, self.blocks[processes.id])
        times = _sub(report, "ValidationTimeInfo")
        at = processes.first.at
        _sub(times, "ValidationTime", instant(at))
        best = verdict.best_signature_time
        stamps = [each for each in [*one.own, *one.archives] if each.good]
        proof = next((each for each in stamps if each.time == best), None)
        _poe(times, "BestSignatureTime", instant(best or at), proof)
        document = _sub(report, "SignersDocument")
        _digest(document, _document_digest(processes))
        scope = scope_of(processes)["SignerData"]
        _sub(document, "SignersDocumentRepresentation", VOReference=scope)
        if signed is not None:
            self._attributes(report, processes)
            signer = _sub(report, "SignerInformation")
            _sub(signer, "SignerCertificate", VOReference=certificate_id(signed.certificate))
            _sub(signer, "Signer", signed.certificate.common_name())
        process = _sub(report, "SignatureValidationProcess")
        _sub(process, "SignatureValidationProcessID", _process_of(processes))
        policy = f"urn:dauso:validation-policy:{self.examination.policy.id}"
        _sub(process, "SignatureValidationServicePolicy", policy)
        status = _sub(report, "SignatureValidationStatus")
        _main(status, verdict.indication.value, verdict.sub_indication)
        self._associated(status, processes.one.chain, processes)

    def nothing(self, report: Any) -> None:
        """No signature was found, or the file cannot be read."""
        status = _sub(report, "SignatureValidationStatus")
        _main(status, self.examination.report.indication.value, None)

    def _constraints(self, report: Any, blocks: Json) -> None:
        evaluation = _sub(report, "ValidationConstraintsEvaluationReport")
        for name, identifier in _BLOCKS:
            constraint = _sub(evaluation, "ValidationConstraint")
            _sub(constraint, "ValidationConstraintIdentifier", f"urn:cef:dss:bbb:{identifier}")
            state = _sub(constraint, "ConstraintStatus")
            block = blocks.get(name)
            applied = "applied" if block is not None else "disabled"
            _sub(state, "Status", f"urn:etsi:019102:constraintStatus:{applied}")
            if block is None:
                continue
            result = block["Conclusion"]
            status = _sub(constraint, "ValidationStatus")
            _indications(status, result["Indication"], result.get("SubIndication"))
            told = [
                (kind, each["value"]) for key, kind in _MESSAGES for each in result.get(key, ())
            ]
            if told:
                data = _sub(status, "AssociatedValidationReportData")
                _messages(data, told)

    def _attributes(self, report: Any, processes: Processes) -> None:
        one, signed = processes.one, processes.one.signed
        assert signed is not None
        attributes = _sub(report, "SignatureAttributes")
        if one.verdict.signing_time is not None:
            claimed = _sub(attributes, "SigningTime", Signed="true")
            _sub(claimed, "Time", instant(one.verdict.signing_time))
        pinned = _sub(attributes, "SigningCertificate", Signed="true")
        _sub(pinned, "AttributeObject", VOReference=certificate_id(signed.certificate))
        for stamp in one.own:
            if stamp.info is not None:
                _stamped(attributes, "SignatureTimeStamp", stamp)
        for reference in one.references:
            if reference.kind == "MESSAGE_DIGEST":
                told = _sub(attributes, "MessageDigest", Signed="true")
                _sub(told, "Digest", encoded(reference.value))
        kind = "DocTimeStamp" if one.place is not None else "ArchiveTimeStamp"
        if one.place is not None:
            self._security_store(attributes, processes)
        for stamp in one.archives:
            if stamp.info is not None:
                _stamped(attributes, kind, stamp)
        if one.place is not None:
            start, end = one.place.gap
            told = _sub(attributes, "SubFilter")
            _sub(told, "SubFilterElement", one.place.subfilter.removeprefix("/"))
            _sub(attributes, "ByteRange", f"0 {start} {end} {one.place.end - end}")

    def _security_store(self, attributes: Any, processes: Processes) -> None:
        one = processes.one
        certificates = [
            certificate_id(each) for each in self.facts.known if each.der in one.certificates
        ]
        told = [each for each in self.facts.revocations if each.der in one.revocation]
        kinds = {
            "Certs": certificates,
            "CRLs": [each.id for each in told if each.kind == "CRL"],
            "OCSPs": [each.id for each in told if each.kind == "OCSP"],
        }
        if any(kinds.values()):
            store = _sub(attributes, "DSS")
            for name, ids in kinds.items():
                if ids:
                    _sub(store, name, VOReference=" ".join(ids))

    def _associated(self, status: Any, chain: Chain | None, processes: Processes) -> None:
        if chain is None:
            return
        data = _sub(status, "AssociatedValidationReportData")
        self._chain(data, chain)
        signed, policy = processes.one.signed, self.examination.policy
        assert signed is not None
        key = signed.certificate.x509.public_key()
        crypto = _sub(data, "CryptoInformation")
        _sub(crypto, "ValidationObjectId", VOReference=processes.id)
        _sub(crypto, "Algorithm", signature_uri(key, signed.digest))
        until = policy.believed_until(key, signed.digest)
        good = until is not None and processes.first.at < until
        _sub(crypto, "SecureAlgorithm", "true" if good else "false")
        if until is not None:
            _sub(crypto, "NotAfter", instant(until))
        _messages(
            data,
            [("policy", self.examination.policy.title)]
            + [
                ("error" if one.sub else "warning", _english(one.code, one.params))
                for one in processes.final
            ],
        )

    def _chain(self, data: Any, chain: Chain) -> None:
        anchors = self.examination.first.paths.anchors if self.examination.first else frozenset()
        listed = list(chain.certificates)
        anchored = listed[-1] in anchors
        if anchored:
            _sub(data, "TrustAnchor", VOReference=certificate_id(listed[-1]))
        holder = _sub(data, "CertificateChain")
        _sub(holder, "SigningCertificate", VOReference=certificate_id(listed[0]))
        for one in listed[1 : -1 if anchored else None]:
            _sub(holder, "IntermediateCertificate", VOReference=certificate_id(one))
        if anchored and len(listed) > 1:
            _sub(holder, "TrustAnchor", VOReference=certificate_id(listed[-1]))

    # -- validation objects --------------------------------------------------------------

    def objects(self, holder: Any) -> None:
        """Everything that reports refer to: certificates, revocation data, time-stamps, data."""
        for one in self.facts.known:
            self._object(holder, certificate_id(one), "certificate", hashed(one.der))
        for told in self.facts.revocations:
            kind = "CRL" if told.kind == "CRL" else "OCSPResponse"
            self._object(holder, told.id, kind, hashed(told.der))
        for stamp in self.facts.stamps:
            if stamp.signed is not None and stamp.info is not None:
                self._stamp(holder, stamp)
        for processes in self.facts.judged:
            scope = scope_of(processes)["SignerData"]
            self._object(holder, scope, "signedData", _document_digest(processes))

    def _object(self, holder: Any, token: str, kind: str, digest: Json) -> Any:
        made = _sub(holder, "ValidationObject", id=token)
        _sub(made, "ObjectType", f"urn:etsi:019102:validationObject:{kind}")
        shown = _sub(made, "ValidationObjectRepresentation")
        _digest(shown, digest)
        return made

    def _stamp(self, holder: Any, stamp: Stamp) -> None:
        assert stamp.signed is not None
        at = self.examination.report.validation_time
        made = self._object(holder, stamp_id(stamp), "timestamp", hashed(stamp.signed.signature))
        over = proof_for(stamp, self.examination.stamps)
        if over is not None:
            _poe(made, "POE", instant(over.time), over)
        elif at is not None:
            _poe(made, "POE", instant(at), None)
        given = _sub(made, "POEProvisioning")
        _sub(given, "POETime", instant(stamp.time))
        for processes in self.facts.judged:
            if stamp in processes.one.own or stamp in processes.one.archives:
                scope = scope_of(processes)["SignerData"]
                _sub(given, "ValidationObject", VOReference=scope)
        report = _sub(made, "ValidationReport")
        self._constraints(report, self.blocks[stamp_id(stamp)])
        signer = _sub(report, "SignerInformation")
        _sub(signer, "SignerCertificate", VOReference=certificate_id(stamp.signed.certificate))
        _sub(signer, "Signer", stamp.signed.certificate.common_name())
        status = _sub(report, "SignatureValidationStatus")
        conclusion = _conclusion_of(stamp)
        _main(status, *conclusion)
        if stamp.chain is not None:
            self._chain(_sub(status, "AssociatedValidationReportData"), stamp.chain)


def _conclusion_of(stamp: Stamp) -> tuple[str, SubIndication | None]:
    sub = sub_indication(stamp)
    return indication_of(sub).value.removeprefix("TOTAL_"), sub


def _process_of(processes: Processes) -> str:
    """Which of the standard's processes gave the verdict (TS 119 102-2, 4.2.11)."""
    level = processes.one.verdict.level or ""
    name = "LTA" if processes.one.archives else ("LTVM" if not level.endswith("B") else "Basic")
    return f"urn:etsi:019102:validationprocess:{name}"


def _main(status: Any, indication: str, sub: SubIndication | None) -> None:
    _indications(status, indication, sub.value if sub is not None and sub not in _OWN else None)


def _indications(status: Any, indication: str, sub: str | None) -> None:
    short = indication.lower().replace("_", "-")
    _sub(status, "MainIndication", f"urn:etsi:019102:mainindication:{short}")
    if sub is not None:
        _sub(status, "SubIndication", f"urn:etsi:019102:subindication:{sub}")


def _messages(data: Any, told: list[tuple[str, str]]) -> None:
    more = _sub(data, "AdditionalValidationReportData")
    for kind, words in told:
        row = _sub(more, "ReportData")
        _sub(row, "Type", f"urn:cef:dss:message:{kind}")
        value = etree.SubElement(row, f"{{{VR}}}Value", nsmap={"xsi": _XSI, "xs": _XS})
        value.set(f"{{{_XSI}}}type", "xs:string")
        value.text = _clean(words)


def _poe(holder: Any, name: str, moment: str, proof: Stamp | None) -> None:
    made = _sub(holder, name)
    _sub(made, "POETime", moment)
    _sub(made, "TypeOfProof", "urn:etsi:019102:poetype:validation")
    if proof is not None:
        _sub(made, "POEObject", VOReference=stamp_id(proof))


def _stamped(attributes: Any, name: str, stamp: Stamp) -> None:
    made = _sub(attributes, name)
    _sub(made, "AttributeObject", VOReference=stamp_id(stamp))
    _sub(made, "TimeStampValue", instant(stamp.time))


def _reference_digest(processes: Processes) -> Json:
    one = processes.one
    if one.place is not None:
        return hashed(one.place.contents)
    return hashed(one.signed.signature if one.signed else b"")


def _document_digest(processes: Processes) -> Json:
    reference = next((one for one in processes.one.references if one.value), None)
    if reference is None:
        return hashed(b"")
    return {"DigestMethod": digest_uri(reference.digest), "DigestValue": encoded(reference.value)}


def _digest(holder: Any, digest: Json) -> None:
    made = _sub(holder, "DigestAlgAndValue")
    method = digest["DigestMethod"]
    uri = method if str(method).startswith("http") else _SHA256
    _sub(made, "DigestMethod", space=DS, Algorithm=uri)
    _sub(made, "DigestValue", digest["DigestValue"], space=DS)


def _sub(holder: Any, name: str, words: str | None = None, *, space: str = VR, **more: str) -> Any:
    made = etree.SubElement(holder, f"{{{space}}}{name}", more)
    if words is not None:
        made.text = _clean(words)
    return made


def _clean(words: str) -> str:
    """XML 1.0 has no place for most control characters; a certificate's name may hold one."""
    return "".join(one if one in "\t\n\r" or one >= " " else "\ufffd" for one in words)


def _english(code: str, params: Any) -> str:
    return text(code, params, "en")
