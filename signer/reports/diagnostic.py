"""The diagnostic data: what is in the file, without any policy. Two policies, one set of facts."""

from __future__ import annotations

from itertools import chain as chained

from signer.pdf.signature_objects import SignatureObject
from signer.reports.certificate_facts import basic_signature, certificate_facts
from signer.reports.detailed import used_revocations
from signer.reports.naming import (
    Json,
    certificate_id,
    digest_name,
    encoded,
    hashed,
    instant,
    token_id,
)
from signer.reports.processes import Processes, all_stamps, stamp_id
from signer.reports.revocation_facts import RevocationFacts
from signer.trust.certificates import Certificate, read_certificate
from signer.trust.chain import Chain
from signer.verdicts.examination import Examination, ExaminedSignature
from signer.verdicts.time_stamps import Stamp
from signer.verdicts.verdict import SubIndication

_PERMISSIONS = {
    1: "NO_CHANGE_PERMITTED",
    2: "MINIMAL_CHANGES_PERMITTED",
    3: "CHANGES_PERMITTED",
}


class DiagnosticData:
    """Collects the tokens of one examination, each once."""

    def __init__(self, examination: Examination, name: str) -> None:
        self.examination, self.name = examination, name
        self.judged = [Processes(examination, one) for one in examination.signatures]
        self.stamps = all_stamps(examination)
        self.revocations = used_revocations(examination)
        self.chains = self._chains()
        self.known = self._known()

    def report(self) -> Json:
        """The members of DSS's DiagnosticData."""
        moment = self.examination.report.validation_time
        return {
            "DocumentName": self.name,
            "ValidationDate": instant(moment) if moment else None,
            "Signature": [self._signature(one) for one in self.judged],
            "Certificate": [self._certificate(one) for one in self.known],
            "Revocation": [self._revocation(one) for one in self.revocations],
            "Timestamp": [self._stamp(one) for one in self.stamps if one.info],
            "SignerData": [self._data(one) for one in self.judged],
        }

    # -- tokens --------------------------------------------------------------------------

    def _signature(self, processes: Processes) -> Json:
        one, signed = processes.one, processes.one.signed
        verdict = one.verdict
        intact = signed is not None
        facts: Json = {"Id": processes.id, "SignatureFilename": self.name}
        if verdict.signing_time is not None:
            facts["ClaimedSigningTime"] = instant(verdict.signing_time)
        facts["SignatureFormat"] = verdict.level or "UNKNOWN"
        facts["StructuralValidation"] = {"valid": intact}
        facts["DigestMatcher"] = self._matchers(one)
        facts["BasicSignature"] = (
            basic_signature(signed.certificate.x509.public_key(), signed.digest, intact=True)
            if signed
            else {"SignatureIntact": False, "SignatureValid": False}
        )
        if signed is not None:
            facts["SigningCertificate"] = {"Certificate": certificate_id(signed.certificate)}
            facts["ChainItem"] = _items(one.chain)
        if one.place is not None:
            facts["PDFRevision"] = _revision(one.place)
        facts["SignerDocumentRepresentations"] = {"HashOnly": False, "DocHashOnly": False}
        carried = [each for each in self.known if each.der in one.certificates]
        bag = [each for each in self.known if signed and each.der in signed.bag]
        facts["FoundCertificates"] = self._found_certificates(bag, carried, one)
        facts["FoundRevocations"] = self._found_revocations(one)
        facts["FoundTimestamp"] = [
            {"Timestamp": stamp_id(each)} for each in [*one.own, *one.archives] if each.info
        ]
        facts["SignatureScope"] = [scope_of(processes)]
        digest_of = one.place.contents if one.place else (signed.signature if signed else b"")
        facts["SignatureDigestReference"] = hashed(digest_of)
        if signed is not None:
            facts["SignatureValue"] = encoded(signed.signature)
        return facts

    def _matchers(self, one: ExaminedSignature) -> list[Json]:
        failed = {found.sub for found in one.verdict.findings}
        rows = []
        for each in one.references:
            row: Json = {
                "DigestMethod": digest_name(each.digest),
                "DigestValue": encoded(each.value),
                "DataFound": each.found and SubIndication.SIGNED_DATA_NOT_FOUND not in failed,
                "DataIntact": each.intact,
                "type": each.kind,
            }
            rows.append({**row, "uri": each.name} if each.name else row)
        return rows

    def _found_certificates(
        self, bag: list[Certificate], carried: list[Certificate], one: ExaminedSignature
    ) -> Json:
        kept = "DSS_DICTIONARY" if one.place else "CERTIFICATE_VALUES"
        rows: dict[str, list[str]] = {}
        for each in bag:
            rows.setdefault(certificate_id(each), []).append("SIGNED_DATA")
        for each in carried:
            rows.setdefault(certificate_id(each), []).append(kept)
        return {
            "RelatedCertificate": [
                {"Origin": origins, "Certificate": each} for each, origins in rows.items()
            ]
        }

    def _found_revocations(self, one: ExaminedSignature) -> Json:
        kept = "DSS_DICTIONARY" if one.place else "REVOCATION_VALUES"
        inside = one.signed.revocation if one.signed else ()
        rows = []
        for each in self.revocations:
            origins = [kept] if each.der in one.revocation else []
            origins += ["CMS_SIGNED_DATA"] if each.der in inside else []
            if origins:
                rows.append({"Type": each.kind, "Origin": origins, "Revocation": each.id})
        return {"RelatedRevocation": rows}

    def _certificate(self, one: Certificate) -> Json:
        anchors = self.examination.first.paths.anchors if self.examination.first else frozenset()
        return certificate_facts(
            one,
            self.chains.get(one, ()),
            source=self._source(one),
            trusted=one in anchors,
        )

    def _source(self, one: Certificate) -> str:
        if any(each.signer == one for each in self.revocations):
            return "OCSP_RESPONSE"
        signers = [each.signed.certificate for each in self.stamps if each.signed]
        return "TIMESTAMP" if one in signers else "SIGNATURE"

    def _revocation(self, one: RevocationFacts) -> Json:
        inside = any(one.der in each.one.revocation for each in self.judged)
        facts: Json = {
            "Id": one.id,
            "Origin": "INPUT_DOCUMENT" if inside else "EXTERNAL",
            "Type": one.kind,
            "ProductionDate": instant(one.produced),
            "ThisUpdate": instant(one.this_update),
        }
        if one.next_update is not None:
            facts["NextUpdate"] = instant(one.next_update)
        if one.number is not None:
            facts["CRLNumber"] = one.number
        if one.signer is not None:
            key = one.signer.x509.public_key()
            facts["BasicSignature"] = basic_signature(key, one.digest, intact=True)
            facts["SigningCertificate"] = {"Certificate": certificate_id(one.signer)}
            whole = (one.signer, *self.chains.get(one.signer, ()))
            facts["ChainItem"] = [{"Certificate": certificate_id(each)} for each in whole]
        facts["DigestAlgoAndValue"] = hashed(one.der)
        return facts

    def _stamp(self, one: Stamp) -> Json:
        assert one.signed is not None
        assert one.info is not None
        covered = [
            each
            for each in self.judged
            if one in each.one.own or (one.end and one in each.one.archives)
        ]
        facts: Json = {
            "Id": stamp_id(one),
            "ProductionTime": instant(one.info.time),
            "DigestMatcher": [
                {
                    "DigestMethod": digest_name(one.info.digest),
                    "DigestValue": encoded(one.info.imprint),
                    "DataFound": True,
                    "DataIntact": True,
                    "type": "MESSAGE_IMPRINT",
                }
            ],
            "BasicSignature": basic_signature(
                one.signed.certificate.x509.public_key(), one.signed.digest, intact=True
            ),
            "SigningCertificate": {"Certificate": certificate_id(one.signed.certificate)},
            "ChainItem": _items(one.chain),
            "FoundCertificates": {
                "RelatedCertificate": [
                    {"Origin": ["SIGNED_DATA"], "Certificate": certificate_id(each)}
                    for each in self.known
                    if each.der in one.signed.bag
                ]
            },
            "FoundRevocations": {},
            "TimestampedObject": [{"Token": each.id, "Category": "SIGNATURE"} for each in covered],
            "DigestAlgoAndValue": hashed(one.signed.signature),
            "Type": _kind(one, covered),
        }
        return facts

    def _data(self, processes: Processes) -> Json:
        scope = scope_of(processes)
        reference = next(iter(processes.one.references), None)
        digest = hashed(b"")
        if reference is not None and reference.value:
            digest = {
                "DigestMethod": digest_name(reference.digest),
                "DigestValue": encoded(reference.value),
            }
        return {
            "Id": scope["SignerData"],
            "ReferencedName": scope["Name"],
            "DigestAlgoAndValue": digest,
        }

    # -- certificates --------------------------------------------------------------------

    def _chains(self) -> dict[Certificate, tuple[Certificate, ...]]:
        found: dict[Certificate, tuple[Certificate, ...]] = {}
        chains = [one.chain for one in self.examination.signatures if one.chain]
        chains += [one.chain for one in self.stamps if one.chain]
        for one in chains:
            for position, certificate in enumerate(one.certificates):
                found.setdefault(certificate, one.certificates[position + 1 :])
        first = self.examination.first
        for told in self.revocations:
            signer = told.signer
            if signer is not None and signer not in found and first is not None:
                path, _sound = first.paths.best(signer, told.produced)
                found[signer] = path[1:]
        return found

    def _known(self) -> list[Certificate]:
        above = chained.from_iterable(self.chains.values())
        carried = {der for one in self.examination.signatures for der in one.certificates}
        for one in self.examination.signatures:
            carried.update(one.signed.bag if one.signed else ())
        read = (read_certificate(der) for der in sorted(carried))
        pool = [*self.chains, *above, *(one for one in read if one is not None)]
        return list(dict.fromkeys(pool))


def _items(chain: Chain | None) -> list[Json]:
    return [{"Certificate": certificate_id(one)} for one in (chain.certificates if chain else ())]


def _kind(one: Stamp, covered: list[Processes]) -> str:
    if any(one in each.one.own for each in covered) or (not covered and not one.end):
        return "SIGNATURE_TIMESTAMP"
    return "DOCUMENT_TIMESTAMP" if one.end else "ARCHIVE_TIMESTAMP"


def _revision(place: SignatureObject) -> Json:
    """What the dictionary says, as the file has it."""
    dictionary: Json = {
        "Type": "DocTimeStamp" if place.is_timestamp else "Sig",
        "SubFilter": place.subfilter.removeprefix("/"),
    }
    start, end = place.gap
    if place.intact:
        span = [0, start, end, place.end - end]
        dictionary["SignatureByteRange"] = {"value": span, "valid": True}
    if place.certification is not None:
        dictionary["DocMDP"] = {"Permissions": _PERMISSIONS.get(place.certification)}
    if place.locked is not None:
        action = place.locked.action.removeprefix("/").upper()
        if action in ("ALL", "INCLUDE", "EXCLUDE"):
            dictionary["FieldMDP"] = {"Action": action, "Field": list(place.locked.fields)}
    return {
        "SignatureField": [{"name": place.field}],
        "PDFSignatureDictionary": {**dictionary, "consistent": place.intact},
    }


def scope_of(processes: Processes) -> Json:
    """What the signature covers, in DSS's words: FULL, or PARTIAL when something follows it."""
    one = processes.one
    whole = one.verdict.covers_whole_file
    value = b"".join(each.value for each in one.references) or processes.id.encode()
    if one.place is not None:
        start, end = one.place.gap
        name = "Full PDF" if whole else "Partial PDF"
        span = f"[0, {start}, {end}, {max(0, one.place.end - end)}]"
        told = f"The document ByteRange : {span}"
    else:
        name = one.verdict.field
        told = "Full document" if whole else "Partial document"
    return {
        "Scope": "FULL" if whole else "PARTIAL",
        "Name": name,
        "Description": told,
        "SignerData": token_id("D", value + one.verdict.field.encode()),
    }
