"""XAdES (EN 319 132-1): canonicalisation, xmlsec1 and signxml as judges, wrapping and bombs."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml import InvalidSignature, SignatureConfiguration, XMLVerifier

from hsm.mechanisms import KeyAlgorithm
from signer import joint
from signer.cms import Scheme
from signer.errors import DocumentRefused
from signer.files import xades, xades_levels
from signer.files.file_signing import FileRequest, Format, SourceFile
from signer.files.formats import Canonicalization
from signer.files.xml_names import DS, XADES, ds
from signer.files.xml_references import Document
from signer.levels import Level
from signer.long_life import augmentation
from signer.signature import Pen
from signer.signing import template_for
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from signer.verdicts.verdict import SubIndication
from tests.signer.holders import OFFICIAL_PIN, authorizer
from tests.signer.signed_files import DOSSIER, REPORT, Official
from tests.world import World

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
ENVELOPED = Format.XADES_ENVELOPED
PLAIN = SourceFile("phi.xml", b"<phi xmlns:b='urn:b'><b:thu>2000</b:thu></phi>", "text/xml")


def judged(world: World, data: bytes, content: bytes | None = None) -> Report:
    return validate(data, trust=world.trust, now=world.now, content=content)


def xmlsec1(world: World, folder: Path, data: bytes) -> bool:
    """Whether xmlsec1 verifies it, trusting the root alone."""
    (folder / "signed.xml").write_bytes(data)
    root = world.authority.issuer("root").certificate.public_bytes(Encoding.PEM)
    (folder / "root.pem").write_bytes(root)
    (folder / REPORT.name).write_bytes(REPORT.data)
    run = subprocess.run(
        [
            "xmlsec1", "--verify", "--trusted-pem", "root.pem", "--enabled-key-data", "x509",
            "--id-attr:Id", f"{XADES}:SignedProperties", "signed.xml",
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.returncode == 0 and "OK" in run.stderr + run.stdout


@pytest.mark.parametrize("form", list(Canonicalization))
@pytest.mark.parametrize("more", [False, True])
def test_each_canonicalisation_verifies_under_xmlsec1(
    world: World, tmp_path: Path, form: Canonicalization, more: bool
) -> None:
    """ "Inclusive and exclusive canonicalisation both verified by xmlsec1"; with `xml:lang`
    above, CDATA, a processing instruction beside the root, a comment and a carriage return."""
    request = FileRequest(ENVELOPED, level=Level.B_LTA, canonicalization=form, more_may_follow=more)
    data = Official.of(world).sign(request).data
    assert xmlsec1(world, tmp_path, data)
    report = judged(world, data)
    assert report.passed, report.to_text("en")
    assert report.signatures[0].covers_whole_file


@pytest.mark.parametrize(
    ("algorithm", "scheme"),
    [
        (KeyAlgorithm.RSA_2048, None),
        (KeyAlgorithm.RSA_2048, Scheme.RSA_PSS),
        (KeyAlgorithm.P_384, None),
    ],
)
def test_every_scheme_verifies(
    world: World, tmp_path: Path, algorithm: KeyAlgorithm, scheme: Scheme | None
) -> None:
    """RFC 9231: RSA with PKCS#1 v1.5 and PSS, ECDSA; under xmlsec1 and signxml.

    xmlsec1 1.2 does not know PSS, signxml and EU DSS do; signxml forgets instructions beside the
    root, so the document has none.
    """
    official = Official.of(world, algorithm)
    request = FileRequest(ENVELOPED, level=Level.B_LTA, scheme=scheme)
    data = official.sign(request, PLAIN).data
    assert judged(world, data).passed
    certificate = official.holders.official.certificate
    found = XMLVerifier().verify(
        data, x509_cert=certificate, expect_config=SignatureConfiguration(expect_references=2)
    )
    assert found[0].signature_xml.tag == ds("Signature")
    with pytest.raises(InvalidSignature):
        XMLVerifier().verify(
            data.replace(b"2000", b"9000", 1),
            x509_cert=certificate,
            expect_config=SignatureConfiguration(expect_references=2),
        )
    if scheme is not Scheme.RSA_PSS:
        assert xmlsec1(world, tmp_path, data)


@pytest.mark.parametrize("chosen", [Format.XADES_ENVELOPING, Format.XADES_DETACHED])
def test_any_file_by_xml(world: World, tmp_path: Path, chosen: Format) -> None:
    """§4: enveloping (in base64) and detached, under xmlsec1 too."""
    data = Official.of(world).sign(FileRequest(chosen, level=Level.B_LT), REPORT).data
    assert xmlsec1(world, tmp_path, data)
    detached = chosen is Format.XADES_DETACHED
    assert judged(world, data, REPORT.data if detached else None).passed
    wrong = judged(world, data, b"another file")
    assert not wrong.passed
    if detached:
        missing = judged(world, data)
        assert missing.sub_indication is SubIndication.SIGNED_DATA_NOT_FOUND


def test_two_people_sign_one_document(world: World, tmp_path: Path) -> None:
    """With room left for more, a second signature breaks no earlier one."""
    official = Official.of(world)
    request = FileRequest(ENVELOPED, level=Level.B_LTA, more_may_follow=True)
    one = official.sign(request, DOSSIER).data
    two = official.sign(request, SourceFile("ho-so.xml", one, "text/xml")).data
    report = judged(world, two)
    assert report.passed, report.to_text("en")
    assert len(report.signatures) == 2
    assert xmlsec1(world, tmp_path, two)


def test_a_signature_that_would_break_an_earlier_one_is_refused(world: World) -> None:
    """enveloped-signature leaves out its own signature alone (XML Signature §6.6.4)."""
    official = Official.of(world)
    one = official.sign(FileRequest(ENVELOPED), DOSSIER).data
    for more in (False, True):
        with pytest.raises(DocumentRefused) as refused:
            official.sign(FileRequest(ENVELOPED, more_may_follow=more), SourceFile("a.xml", one))
        assert refused.value.code == "xml-already-signed"


def test_what_has_no_canonical_form_is_refused_before_anything_is_signed(world: World) -> None:
    """Canonical XML 1.0 §1.3: "implementations MUST report an operation failure on documents
    containing relative namespace URIs". Nothing is half done: the digest is not used up."""
    relative = SourceFile("phi.xml", b"<phi xmlns:b='b'/>", "text/xml")
    with pytest.raises(DocumentRefused) as refused:
        Official.of(world).sign(FileRequest(ENVELOPED), relative)
    assert refused.value.code == "xml-not-canonical"


Change = Callable[[etree._Element], None]


def _content(root: etree._Element) -> None:
    root[2].set("tien", "9000")


def _doubled(root: etree._Element) -> None:
    """The signature twice: every Id is borne twice."""
    root.append(etree.fromstring(etree.tostring(root[-1])))


def _hidden_object(root: etree._Element) -> None:
    etree.SubElement(root[-1], ds("Object")).text = "nobody signed this"


def _foreign_child(root: etree._Element) -> None:
    etree.SubElement(root[-1], "{urn:x}extra")


def _second_properties(root: etree._Element) -> None:
    holder = root[-1].find(ds("Object"))
    holder.append(etree.fromstring(etree.tostring(holder[0])))


def _earlier(root: etree._Element) -> None:
    root.find(f".//{{{XADES}}}SigningTime").text = "2020-01-01T00:00:00Z"


def _xslt(root: etree._Element) -> None:
    transform = root.find(f".//{ds('Transform')}")
    transform.set("Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116")


def _free_xpath(root: etree._Element) -> None:
    transform = root.find(f".//{ds('Transform')}")
    transform.set("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
    etree.SubElement(transform, ds("XPath")).text = "count(//.|//@*|//namespace::*)>0"


def _remote(root: etree._Element) -> None:
    root.find(f".//{ds('Reference')}").set("URI", "http://169.254.169.254/latest")


def _local(root: etree._Element) -> None:
    root.find(f".//{ds('Reference')}").set("URI", "file:///etc/passwd")


def _xpointer(root: etree._Element) -> None:
    root.find(f".//{ds('Reference')}").set("URI", "#xpointer(/)")


def _no_evidence(root: etree._Element) -> None:
    values = root.find(f".//{{{XADES}}}RevocationValues")
    values.getparent().remove(values)


def _other_time_stamp(root: etree._Element) -> None:
    stamps = root.findall(f".//{{{XADES}}}EncapsulatedTimeStamp")
    stamps[0].text, stamps[1].text = stamps[1].text, stamps[0].text


@pytest.mark.parametrize(
    "change",
    [
        _content, _doubled, _hidden_object, _foreign_child, _second_properties, _earlier, _xslt,
        _free_xpath, _remote, _local, _xpointer, _no_evidence, _other_time_stamp,
    ],
)  # fmt: skip
def test_no_forgery_passes(world: World, change: Change) -> None:
    """McIntosh & Austel 2005, "XML signature element wrapping attacks", and its kin."""
    data = Official.of(world).sign(FileRequest(ENVELOPED, level=Level.B_LTA)).data
    root = etree.fromstring(data)
    assert judged(world, etree.tostring(root.getroottree())).passed
    change(root)
    report = judged(world, etree.tostring(root.getroottree()))
    assert not report.passed, report.to_text("en")


def wrapped(signed: bytes, how: str) -> bytes:
    """The signed element moved aside, and another in the place where readers look."""
    root = etree.fromstring(signed)
    inner = root.find("part")
    signature = root.find(ds("Signature"))
    fake = etree.fromstring("<part><money>999999999</money></part>")
    if how == "aside":
        root.append(inner)
        root.insert(0, fake)
    elif how == "in an object":
        etree.SubElement(signature, ds("Object")).append(inner)
        root.insert(0, fake)
    elif how == "same id":
        fake.set("Id", inner.get("Id"))
        root.insert(0, fake)
    else:  # in a copy of the frame
        outer = etree.Element("frame")
        outer.append(inner)
        root.insert(0, fake)
        root.append(outer)
    return etree.tostring(root.getroottree())


@pytest.mark.parametrize("how", ["aside", "in an object", "same id", "in a frame"])
def test_signature_wrapping(world: World, how: str) -> None:
    """Only an element is signed, as in electronic invoices: what stands beside it is looked at."""
    data = signed_part(Official.of(world))
    honest = judged(world, data)
    assert honest.passed, honest.to_text("en")
    assert not honest.signatures[0].covers_whole_file
    report = judged(world, wrapped(data, how))
    assert not report.passed, report.to_text("en")


def signed_part(official: Official) -> bytes:
    """A document of which one element is signed, as others make them (we sign whole ones)."""
    world, credential = official.world, official.holders.official
    frame = etree.fromstring('<frame><part Id="p1"><money>1</money></part></frame>')
    document = Document(etree.ElementTree(frame))
    signature = etree.SubElement(frame, ds("Signature"), nsmap={"ds": DS, "xades": XADES})
    given = authorizer(world, credential, OFFICIAL_PIN)([bytes(32)])
    pen = Pen(
        template_for(world.desk, credential),
        joint.key_of(world.desk, given, now=world.now),
        credential.name,
    )
    target = xades.Target("#p1", (Canonicalization.EXCLUSIVE.value,), "text/xml")
    xades.build(
        document, signature, [target], FileRequest(ENVELOPED), pen.template,
        now=world.now, seed="1",
    )  # fmt: skip
    xades.sign(signature, pen)
    path = (credential.certificate, *credential.chain)
    xades_levels.raise_level(
        document, signature, Level.B_LT,
        evidence=lambda: augmentation.evidence(world.desk, path, now=world.now),
        time_stamper=world.tsa, now=world.now,
    )  # fmt: skip
    return xades.write(document)


BOMBS = {
    "entities": b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><a>&b;</a>',
    "outside": b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    "parameter": b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/"> %x;]><a/>',
    "deep": b"<a>" * 100_000 + b"</a>" * 100_000,
    "wide": b"<r>" + b"<a/>" * 600_000 + b"</r>",
    "attributes": b"<a " + b" ".join(b'b%d="1"' % i for i in range(5_000)) + b"/>",
    "prefixes": b"<a " + b" ".join(b'xmlns:p%d="u:%d"' % (i, i) for i in range(5_000)) + b"/>",
    "prefixes at every element": b"<a "
    + b" ".join(b'xmlns:p%d="u:%d"' % (i, i) for i in range(60))
    + b">"
    + b"<b/>" * 300_000
    + b"</a>",
    "encoding": b'<?xml version="1.0" encoding="EBCDIC-CP-US"?><a/>',
    "cut": b"<a><b>",
    "not xml": b"<<<<>>>>",
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_bombs_are_unreadable_at_once(world: World, name: str) -> None:
    """ "Bombs, cycles, deep trees, huge counts …: a verdict … within seconds"."""
    began = time.monotonic()
    assert judged(world, BOMBS[name]).exit_code == 3
    assert time.monotonic() - began < 20


def test_many_references_cost_little(world: World) -> None:
    """A signature with a thousand references to a large document is refused, not computed."""
    data = Official.of(world).sign(FileRequest(ENVELOPED), DOSSIER).data
    root = etree.fromstring(data)
    info = root.find(f".//{ds('SignedInfo')}")
    one = etree.tostring(info.find(ds("Reference")))
    for _ in range(2_000):
        info.append(etree.fromstring(one))
    began = time.monotonic()
    assert not judged(world, etree.tostring(root)).passed
    assert time.monotonic() - began < 20


def test_xml_without_a_signature(world: World) -> None:
    """Nothing signed is never passed."""
    report = judged(world, DOSSIER.data)
    assert report.sub_indication is SubIndication.NO_SIGNATURE_FOUND


def test_base64_with_a_comment_inside(world: World) -> None:
    """What is hashed and what a reader sees must be the same text."""
    data = Official.of(world).sign(FileRequest(Format.XADES_ENVELOPING, level=Level.B_LT)).data
    root = etree.fromstring(data)
    held = root[-1]
    held.insert(0, etree.Comment("x"))
    held[0].tail, held.text = held.text, base64.b64encode(b"pay 9000").decode()
    assert not judged(world, etree.tostring(root)).passed
