"""What EU DSS writes is read: every format and level, ASiC-S and archive manifests too."""

from __future__ import annotations

import datetime as dt
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml import DigestAlgorithm, SignatureMethod
from signxml.xades import XAdESSigner

from signer.cms_parts import CmsParts
from signer.verdicts.validation import validate
from tests.interop import maven_judges
from tests.signed_samples import MINUTE, pki, plain_pdf
from tests.signer.signed_files import DOSSIER, REPORT
from tests.small_pki import SIGNED_AT, SmallPki, ec_key, issue, rsa_key


class Trust:
    """The root of the software PKI, and nothing else."""

    def __init__(self, pki: SmallPki) -> None:
        self.anchors = (pki.root.certificate,)
        self.intermediates: tuple[x509.Certificate, ...] = ()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trust]:
    """All of them, made once: signing starts a JVM."""
    reason = maven_judges.why_absent("dss")
    if reason is not None:
        pytest.skip(reason)
    out = tmp_path_factory.mktemp("dss")
    pki, folder = SmallPki(), out / "pki"
    folder.mkdir()
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    for name, party in (("signer", pki.official), ("tsa", pki.tsa)):
        key = party.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(key)
        (folder / f"{name}.cer").write_bytes(party.der)
    for name, party in (("root", pki.root), ("issuing", pki.issuing)):
        (folder / f"{name}.cer").write_bytes(party.der)
        (folder / f"{name}.crl").write_bytes(pki.crl(party, now).public_bytes(Encoding.DER))
    file, xml, pdf = out / "bao-cao.txt", out / "ho-so.xml", out / "quyet-dinh.pdf"
    file.write_bytes(REPORT.data)
    xml.write_bytes(DOSSIER.data)
    pdf.write_bytes(plain_pdf())
    maven_judges.dss_writes(folder, out, file, xml, pdf)
    return out, Trust(pki)


@pytest.mark.parametrize("level", ["B", "T", "LT", "LTA"])
def test_every_format_of_dss_is_recognised(written: tuple[Path, Trust], level: str) -> None:
    """ "The answer must be right on documents made by others". LT and LTA pass alone."""
    out, trust = written
    found = [*out.glob(f"cades-*-{level}.p7"), *out.glob(f"xades-*-{level}.xml")]
    found += [*out.glob(f"asic-*-{level}.asic"), *out.glob(f"pades-{level}.pdf")]
    assert len(found) == 10
    for path in found:
        content = REPORT.data if "DETACHED" in path.name else None
        now = dt.datetime.now(dt.UTC)
        report = validate(path.read_bytes(), trust=trust, now=now, content=content)
        (verdict,) = report.signatures
        kinds = {"xades": "XAdES", "pades": "PAdES"}
        family = next((name for key, name in kinds.items() if key in path.name), "CAdES")
        said = (path.name, report.to_text("en"))
        assert verdict.level == f"{family}-BASELINE-{level}", said
        assert report.passed == level.startswith("LT"), said
        assert not any("container" in one.code for one in verdict.findings), said
        # Archive data of a PDF are appended to it; everything else is inside the signature.
        appended = family == "PAdES" and level.startswith("LT")
        assert verdict.covers_whole_file != appended, said


@pytest.mark.parametrize("name", ["unusual-counter.xml", "unusual-counter.p7"])
def test_counter_signatures_are_judged_too(written: tuple[Path, Trust], name: str) -> None:
    """EN 319 132-1 §5.2.7.2, RFC 5652 §11.4: over the value of another signature; DSS lists them
    as signatures of their own. One that is broken does not go unnoticed."""
    out, trust = written
    data, now = (out / name).read_bytes(), dt.datetime.now(dt.UTC)
    lists = [(out / "pki" / f"{one}.crl").read_bytes() for one in ("root", "issuing")]
    report = validate(data, trust=trust, now=now, revocation=lists)
    assert report.passed, report.to_text("en")
    document, counter = report.signatures
    assert (document.countersigns, counter.countersigns) == (False, True)
    assert document.covers_whole_file
    assert not counter.covers_whole_file
    assert [one.code for one in counter.findings] == ["validation-counter-signature"]
    # The last octet of the counter-signature's own value.
    if name.endswith(".xml"):
        start = data.rindex(b"</ds:SignatureValue>") - 20
        other = b"B" if data[start : start + 1] == b"A" else b"A"
        broken = data[:start] + other + data[start + 1 :]
    else:
        signer = cms.ContentInfo.load(data)["content"]["signer_infos"][0]
        (unsigned,) = (
            one for one in signer["unsigned_attrs"] if one["type"].native == "counter_signature"
        )
        value = unsigned["values"][0]["signature"].native
        broken = data.replace(value, value[:-1] + bytes([value[-1] ^ 1]))
    document, counter = validate(broken, trust=trust, now=now, revocation=lists).signatures
    assert document.sub_indication is None
    assert counter.sub_indication == "SIG_CRYPTO_FAILURE"


def test_what_nobody_signs_in_a_counter_signed_file(written: tuple[Path, Trust]) -> None:
    """docs/flows/validate-files.md, "What nobody signs": what nothing refers to says
    nothing; a counter-signature under an unknown name is told of, and shows no more than the file
    without it (RFC 5652 §11.4: an unsigned attribute, which anybody may take away)."""
    out, trust = written
    now = dt.datetime.now(dt.UTC)
    lists = [(out / "pki" / f"{one}.crl").read_bytes() for one in ("root", "issuing")]

    def judged(data: bytes) -> tuple[bool, list[str | None], set[str]]:
        report = validate(data, trust=trust, now=now, revocation=lists)
        told = {one.code for each in report.signatures for one in each.findings}
        return report.passed, [each.level for each in report.signatures], told

    unknown = "validation-unknown-attribute"
    xml = (out / "unusual-counter.xml").read_bytes()
    passed, levels, told = judged(xml)
    assert passed
    assert unknown not in told
    for name in (b"SignatureTimeStamp", b"CounterSignature", b"EncapsulatedTimeStamp"):
        renamed = xml.replace(b'<xades:%s Id="' % name, b'<xades:%s Id="x' % name)
        assert renamed != xml
        assert judged(renamed) == (passed, levels, told)
    # A property in a namespace of no standard; its name alone would be a ds:Signature out of place.
    foreign = xml.replace(
        b"http://uri.etsi.org/01903/v1.4.1#", b"http://uri.etsi.org/01903/v9.4.1#"
    )
    assert judged(foreign) == (passed, levels, told | {unknown})
    assert not judged(xml.replace(b"xades:CounterSignature", b"xades:CounterSignaturf"))[0]

    cms_file = (out / "unusual-counter.p7").read_bytes()
    passed, levels, told = judged(cms_file)
    assert passed
    assert len(levels) == 2
    kind = bytes.fromhex("06092a864886f70d010906")
    for last in (0x07, 0x0E):
        hidden = cms_file.replace(kind, kind[:-1] + bytes([last]))
        again, fewer, found = judged(hidden)
        assert unknown in found or not again
        assert not again or fewer == levels[:1]
    parts = CmsParts.read(cms_file)
    (signer,) = parts.signers
    kept = tuple(one for one in signer.unsigned if kind not in one[:20])
    without = replace(parts, signers=(replace(signer, unsigned=kept),)).encode()
    assert judged(without)[:2] == (True, levels[:1])


def test_what_a_signed_list_names_is_compared(written: tuple[Path, Trust]) -> None:
    """XML Signature 1.1 §5.1: "the application" decides what a ds:Manifest means. Here: whoever
    gives a file beside the signature gets a verdict about that file, never about the list alone."""
    out, trust = written
    now = dt.datetime.now(dt.UTC)

    def judged(name: str, content: bytes | None) -> str | None:
        return validate(
            (out / f"unusual-{name}.xml").read_bytes(), trust=trust, now=now, content=content
        ).sub_indication

    assert judged("manifest-1", REPORT.data) is None
    assert judged("manifest-1", REPORT.data + b" ") == "HASH_FAILURE"
    assert judged("manifest-1", None) == "SIGNED_DATA_NOT_FOUND"
    # Of two files one alone can be given: the other is missing, which accuses nobody.
    for name in ("manifest-2", "two-files"):
        for content in (REPORT.data, DOSSIER.data):
            assert judged(name, content) == "SIGNED_DATA_NOT_FOUND"
        assert judged(name, b"neither") == "HASH_FAILURE"
    # Canonical XML with comments: they count in a file, not in what a reference inside names.
    assert judged("comments", DOSSIER.data) is None
    assert judged("comments", DOSSIER.data.replace(b"<!-- ", b"<!--")) == "HASH_FAILURE"


def test_an_archive_manifest_is_believed_only_whole(written: tuple[Path, Trust]) -> None:
    """EN 319 162-1 annex A.7: what an ASiCArchiveManifest lists must be what it was."""
    out, trust = written
    (path,) = out.glob("asic-cades-ASiC-E-LTA.asic")
    changed = path.with_suffix(".changed")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if "ASiCArchiveManifest" in info.filename:
                data = data.replace(b"</", b" </", 1)
            target.writestr(info, data)
    report = validate(changed.read_bytes(), trust=trust, now=dt.datetime.now(dt.UTC))
    assert not report.passed


@pytest.mark.parametrize("kind", ["ECDSA_SHA3_256", "ECDSA_SHA3_512", "SHA3_384_RSA_MGF1"])
def test_sha3_in_xml(kind: str) -> None:
    """RFC 9231 §2.3.6 and §2.3.10: ecdsa-sha3-… and sha3-…-rsa-MGF1, as signxml writes them."""
    key = ec_key("of others") if kind.startswith("ECDSA") else rsa_key("of others")
    party = issue("Người dùng xml", key, pki().issuing)
    digest = kind.removeprefix("ECDSA_").removesuffix("_RSA_MGF1")
    signer = XAdESSigner(
        signature_algorithm=SignatureMethod[kind], digest_algorithm=DigestAlgorithm[digest]
    )
    made = signer.sign(
        etree.fromstring(b"<phi><thu>2000</thu></phi>"),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        cert=party.certificate.public_bytes(Encoding.PEM).decode(),
    )
    data, trust = etree.tostring(made), Trust(pki())
    trust.intermediates = (pki().issuing.certificate,)

    def judged(octets: bytes) -> str | None:
        at, lists = SIGNED_AT + 30 * MINUTE, pki().evidence(party)
        return validate(octets, trust=trust, now=at, revocation=lists).sub_indication

    assert judged(data) is None
    assert judged(data.replace(b">2000<", b">9000<")) == "HASH_FAILURE"
