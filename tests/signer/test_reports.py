"""Reports: what they must say, and that EU DSS's own classes and schemas can read them."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from ca.trust import TrustStore
from records.errors import catalogue
from signer.reports.constraints import CONSTRAINTS, constraint_of
from signer.reports.writing import reports_without_examination, write_reports
from signer.reports.xml_form import Root, to_xml
from signer.verdicts.policy import load_policy, policy_ids
from signer.verdicts.validation import validate
from signer.verdicts.verdict import SubIndication, Weight, fails, warns
from tests.interop import maven_judges
from tests.signed_samples import MINUTE, pki, plain_pdf, raised, signed
from tests.small_pki import SIGNED_AT

NOW = SIGNED_AT + 30 * MINUTE
LATER = SIGNED_AT.replace(year=2029)
_ETSI = {"vr": "http://uri.etsi.org/19102/v1.4.1#"}


def reports(
    data: bytes, *, now: dt.datetime = NOW, language: str = "en", lists: bool = False
) -> dict[str, Any]:
    made = pki()
    found: list[Any] = []
    evidence = made.evidence(made.official, made.agency, made.tsa, at=now) if lists else []
    trust = TrustStore((made.root.certificate,))
    report = validate(data, trust=trust, now=now, revocation=evidence, examined=found.append)
    name = "quyết định.pdf"
    if found:
        return write_reports(found[0], name=name, language=language)
    return reports_without_examination(report, name=name, language=language)


def altered() -> bytes:
    data = bytearray(signed("LTA", 2))
    data[data.index(b"Quyet")] = ord("X")
    return bytes(data)


def blocks(papers: dict[str, Any], kind: str = "SIGNATURE") -> list[dict[str, Any]]:
    return [one for one in papers["DetailedReport"]["BasicBuildingBlocks"] if one["Type"] == kind]


def rows(block: dict[str, Any]) -> dict[str, str]:
    return {one["Name"]["Key"]: one["Status"] for one in block["Constraint"]}


def process(papers: dict[str, Any], name: str) -> dict[str, Any]:
    token = papers["DetailedReport"]["signatureOrTimestampOrEvidenceRecord"][0]
    found: dict[str, Any] = token["Signature"][f"ValidationProcess{name}"]
    return found


def test_every_block_of_a_good_signature() -> None:
    """EN 319 102-1, clause 5.2: format, identification, context, certificate with revocation
    freshness, mathematics, acceptance; then the three processes (5.3, 5.5, 5.6)."""
    papers = reports(signed("LTA", 2))
    for one in blocks(papers):
        assert [one[name]["Conclusion"]["Indication"] for name in one if "Conclusion" in one[name]]
        for name in ("FC", "ISC", "VCI", "XCV", "CV", "SAV"):
            assert set(rows(one[name]).values()) == {"OK"}, name
        leaf, issuing, root = one["XCV"]["SubXCV"]
        assert rows(leaf)["BBB_XCV_RFC"] == "OK"
        assert leaf["RFC"]["Id"] == leaf["CRS"]["LatestAcceptableRevocationId"]
        assert issuing["CRS"]["RAC"]
        assert root["TrustAnchor"] is True
    for name in ("BasicSignature", "LongTermData", "ArchivalData"):
        assert process(papers, name)["Conclusion"]["Indication"] == "PASSED"
    assert process(papers, "LongTermData")["ProofOfExistence"]["TimestampId"].startswith("T-")
    assert len(blocks(papers, "TIMESTAMP")) == 4
    assert blocks(papers, "REVOCATION")


def test_what_failed_is_told_where_it_failed() -> None:
    """A changed octet is the reference data object's (5.2.7), a later annotation the format's
    (5.2.2), missing revocation data the certificate's (5.2.6), each with its words."""
    block = blocks(reports(altered()))[0]
    assert rows(block["CV"])["BBB_CV_IRDOI"] == "NOT OK"
    assert block["Conclusion"]["SubIndication"] == "HASH_FAILURE"
    assert (
        block["Conclusion"]["Errors"][0]["value"] == "The content was changed after it was signed."
    )
    missing = reports(signed("B", 1), language="vi")
    leaf = blocks(missing)[0]["XCV"]["SubXCV"][0]
    assert rows(leaf)["BBB_XCV_IRDPFC"] == "NOT OK"
    assert leaf["RFC"]["Conclusion"]["SubIndication"] == "TRY_LATER"
    simple = missing["SimpleReport"]["signatureOrTimestampOrEvidenceRecord"][0]["Signature"]
    assert simple["Indication"] == "INDETERMINATE"
    assert "thu hồi" in simple["AdESValidationDetails"]["Error"][0]["value"]


def test_after_the_certificate_has_expired() -> None:
    """5.6.2: in 2029 the signer's certificate has expired. Alone the signature is undecided, with
    its time-stamps alone too; the archive's proof decides it (past signature validation)."""
    made = pki()
    data = signed("LTA", 1)
    papers = reports(data, now=LATER, lists=True)
    assert (
        process(papers, "BasicSignature")["Conclusion"]["SubIndication"] == "OUT_OF_BOUNDS_NO_POE"
    )
    assert process(papers, "ArchivalData")["Conclusion"]["Indication"] == "PASSED"
    block = blocks(papers)[0]
    assert rows(block["XCV"]["SubXCV"][0])["BBB_XCV_ICTIVRSC"] == "NOT OK"
    token = papers["DetailedReport"]["signatureOrTimestampOrEvidenceRecord"][0]["Signature"]
    assert token["Conclusion"] == {"Indication": "TOTAL_PASSED"}
    assert made.official.certificate.not_valid_after_utc < LATER


def test_facts_without_an_opinion() -> None:
    """The diagnostic data of one file are the same under every policy."""
    data = signed("LTA", 2)
    found: list[Any] = []
    trust = TrustStore((pki().root.certificate,))
    facts = []
    for name in policy_ids():
        validate(data, trust=trust, now=NOW, policy=load_policy(name), examined=found.append)
        papers = write_reports(found[-1], name="a.pdf", language="en")
        facts.append(papers["DiagnosticData"])
        assert papers["SimpleReport"]["ValidationPolicy"]["PolicyName"] == load_policy(name).title
    assert facts.count(facts[0]) == len(facts) > 2
    tokens = [*facts[0]["Signature"], *facts[0]["Timestamp"], *facts[0]["Revocation"]]
    known = {one["Id"] for one in facts[0]["Certificate"]}
    for one in tokens:
        assert {each["Certificate"] for each in one["ChainItem"]} <= known
    assert facts[0]["Signature"][0]["PDFRevision"]["SignatureField"] == [{"name": "Sig1"}]


def test_what_a_policy_may_weigh() -> None:
    """Which constraint fails, warns or informs is data. A claim of seven hours
    later (local time written as UTC) warns; scripts fail where the archive takes documents in."""
    made = pki()
    late = raised(
        plain_pdf(), made, made.official, 1, SIGNED_AT + 7 * 60 * MINUTE, "T",
        stamped_at=SIGNED_AT,
    )  # fmt: skip
    trust, evidence = (
        TrustStore((made.root.certificate,)),
        made.evidence(made.official, made.tsa, at=NOW),
    )

    def judged(data: bytes, name: str) -> Any:
        rules = load_policy(name)
        return validate(data, trust=trust, now=NOW, revocation=evidence, policy=rules)

    for name in policy_ids():
        one = judged(late, name)
        assert one.passed, one.to_text("en")
        (told,) = [each for each in one.signatures[0].findings if each.sub is None]
        assert (told.code, told.weight) == ("validation-claimed-time-later", Weight.WARNS)
    # Nothing proves when: the general policy lets it pass, the archive's does not.
    bare = signed("B", 1)
    assert judged(bare, "dauso-2026-3").passed
    archive = judged(bare, "dauso-archive-2026-1")
    assert archive.sub_indication is SubIndication.SIG_CONSTRAINTS_FAILURE
    with pytest.raises(Exception, match="no validation policy"):
        load_policy("renewal-2026-1")


def test_every_finding_has_its_constraint_and_every_key_its_words() -> None:
    """Nothing found is left out of a report, whatever code it has."""
    keys = {one.key for one in CONSTRAINTS}
    for sub in SubIndication:
        assert constraint_of(fails("validation-never-heard-of", sub)).key in keys
    assert constraint_of(warns("validation-never-heard-of")).key in keys
    asked = set()
    for path in (Path(__file__).parents[2] / "signer/reports").glob("*.py"):
        pattern = r'"((?:BBB|BSV|LTV|ARCH|ADEST|TSV|PSV|PCV|DAUSO|TITLE|PAPER)_[A-Z_0-9]+|ACCM)"'
        asked |= set(re.findall(pattern, path.read_text("utf-8")))
    for language in ("vi", "en"):
        texts = catalogue(language)
        for key in asked:
            assert f"report-{key.lower().replace('_', '-')}" in texts, key


def test_the_report_of_ts_119_102_2() -> None:
    """TS 119 102-2: one report a signature, every reference leads to an object of the document."""
    root = etree.fromstring(reports(signed("LTA", 2))["ValidationReport"].encode())
    listed = root.findall("vr:SignatureValidationReport", _ETSI)
    assert len(listed) == 2
    for one in listed:
        found = one.find("vr:SignatureValidationStatus/vr:MainIndication", _ETSI)
        assert found is not None
        assert found.text == "urn:etsi:019102:mainindication:total-passed"
    ids = {one.get("id") for one in root.iter("{*}ValidationObject", "{*}SignatureIdentifier")}
    for one in root.iter():
        for reference in (one.get("VOReference") or "").split():
            assert reference in ids, reference
    nothing = etree.fromstring(reports(plain_pdf())["ValidationReport"].encode())
    assert len(nothing.findall("vr:SignatureValidationReport", _ETSI)) == 1


@pytest.mark.skipif(
    maven_judges.why_absent("dss") is not None, reason=str(maven_judges.why_absent("dss"))
)
def test_eu_dss_reads_our_reports(tmp_path: Path) -> None:
    """ "The same member names": DSS's own classes take our JSON without an unknown
    member, its schemas and that of TS 119 102-2 our XML; DSS's verdict on the file is ours."""
    files: list[Path] = []
    cases = {
        "good": reports(signed("LTA", 2), language="vi"),
        "missing": reports(signed("B", 1)),
        "altered": reports(altered()),
        "expired": reports(signed("LTA", 1), now=LATER, lists=True),
        "none": reports(plain_pdf()),
    }
    roots = {"simple": Root.SIMPLE, "detailed": Root.DETAILED, "diagnostic": Root.DIAGNOSTIC}
    for name, papers in cases.items():
        for form, root in roots.items():
            report = papers[root.value]
            (tmp_path / f"{name}.{form}.xml").write_bytes(to_xml(root, report))
            files.append(tmp_path / f"{name}.{form}.xml")
            # DSS's own diagnostic JSON cannot be read back by its classes either.
            if form != "diagnostic":
                (tmp_path / f"{name}.{form}.json").write_text(json.dumps(report), "utf-8")
                files.append(tmp_path / f"{name}.{form}.json")
        (tmp_path / f"{name}.etsi.xml").write_text(papers["ValidationReport"], "utf-8")
        files.append(tmp_path / f"{name}.etsi.xml")
    outcomes = maven_judges.dss_reads(files)
    assert len(outcomes) == len(files)
    assert {name: told for name, told in outcomes.items() if told != "read"} == {}

    (tmp_path / "a.pdf").write_bytes(signed("LTA", 2))
    (tmp_path / "root.cer").write_bytes(pki().root.certificate.public_bytes(Encoding.DER))
    maven_judges.dss_reports(tmp_path / "a.pdf", trust=tmp_path / "root.cer", folder=tmp_path)
    theirs = json.loads((tmp_path / "diagnostic.json").read_text("utf-8"))
    ours = cases["good"]["DiagnosticData"]
    assert _members(ours) <= _members(theirs) | _FACTS_DSS_LACKS_HERE
    for kind in ("Certificate", "Revocation"):
        assert {one["Id"] for one in ours[kind]} & {one["Id"] for one in theirs[kind]}


_FACTS_DSS_LACKS_HERE = frozenset({"uri"})


def _members(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {*value} | {name for one in value.values() for name in _members(one)}
    if isinstance(value, list):
        return {name for one in value for name in _members(one)}
    return set()
