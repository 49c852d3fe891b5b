"""Levels raised later, in every format, and time-stamps that somebody asks for."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from signer.errors import DocumentRefused, SignerError
from signer.files.file_signing import FileRequest, Format, SourceFile
from signer.files.formats import Canonicalization
from signer.files.raising import raise_file
from signer.levels import Level
from signer.long_life import time_stamping
from signer.signature import SignatureRequest
from signer.signing import document_digest, sign_pdf
from signer.verdicts.validation import validate
from tests.countersigner import countersigned
from tests.interop import maven_judges
from tests.signed_samples import pki
from tests.signer import paper
from tests.signer.elsewhere import Citizen
from tests.signer.holders import BY, OFFICIAL_PIN, authorizer
from tests.signer.signed_files import DOSSIER, REPORT, Official, sources
from tests.world import World

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def content_of(chosen: Format) -> bytes | None:
    return sources(chosen)[0].data if chosen.detached else None


def signed_decision(official: Official, level: Level = Level.B_B) -> bytes:
    world, data = official.world, paper.decision()
    give = authorizer(world, official.holders.official, OFFICIAL_PIN)
    return sign_pdf(
        world.desk, data, SignatureRequest(level=level),
        authorization=give([document_digest(data)]), now=world.now, by=BY,
    ).data  # fmt: skip


def test_every_format_upwards_and_before_eu_dss(world: World, tmp_path: Path) -> None:
    """EN 319 122-1, 132-1, 142-1 §6: from B-B step by step to B-LTA, then renewed; DSS agrees."""
    official, later = Official.of(world), world.now + timedelta(minutes=2)
    made: dict[Path, bytes | None] = {}
    for chosen in (*Format, None):
        if chosen is None:
            data, content = signed_decision(official), None
        else:
            content = content_of(chosen)
            data = official.sign(FileRequest(chosen, level=Level.B_B)).data
        for level in (Level.B_T, Level.B_LT, Level.B_LTA, Level.B_LTA):
            data = raise_file(world.desk, data, to=level, content=content, now=later, by=BY)
            report = validate(data, trust=world.trust, now=later, content=content)
            (verdict,) = report.signatures
            assert (verdict.level or "").endswith(f"BASELINE-{level.value[2:]}"), (chosen, level)
            assert report.passed == level.long_term, report.to_text("en")
        path = tmp_path / f"{chosen.value if chosen else 'pades'}.bin"
        path.write_bytes(data)
        made[path] = content
    _ask_dss(world, made, tmp_path)


def _ask_dss(world: World, made: dict[Path, bytes | None], folder: Path) -> None:
    if maven_judges.why_absent("dss") is not None:
        return
    root = folder / "root.cer"
    root.write_bytes(world.authority.issuer("root").certificate.public_bytes(Encoding.DER))
    contents = {}
    for path, content in made.items():
        if content is not None:
            contents[path] = folder / f"{path.name}.content" / REPORT.name
            contents[path].parent.mkdir()
            contents[path].write_bytes(content)
    verdicts = maven_judges.dss(list(made), trust=[root], contents=contents)
    assert len(verdicts) == len(made)
    for one in verdicts:
        assert one.indication == "TOTAL_PASSED", one
        assert one.level.endswith("BASELINE-LTA"), one


def test_straight_to_the_top_and_what_others_signed(world: World, tmp_path: Path) -> None:
    """A CMS that openssl made, with a certificate of ours, in one step; the file stays as it is."""
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    citizen = Citizen.of(world)
    key = citizen.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "k.pem").write_bytes(key)
    (tmp_path / "c.pem").write_bytes(citizen.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "in").write_bytes(REPORT.data)
    run = [
        *("openssl", "cms", "-sign", "-cades", "-binary", "-in", "in", "-signer", "c.pem"),
        *("-inkey", "k.pem", "-outform", "DER", "-out", "cms", "-md", "sha256"),
    ]
    subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
    data = (tmp_path / "cms").read_bytes()
    raised = raise_file(world.desk, data, to=Level.B_LTA, content=REPORT.data, now=world.now, by=BY)
    report = validate(raised, trust=world.trust, now=world.now, content=REPORT.data)
    assert report.passed, report.to_text("en")
    assert report.signatures[0].level == "CAdES-BASELINE-LTA"


def test_two_signatures_in_one_document(world: World) -> None:
    """Each is raised; the one that is higher already is only renewed."""
    official = Official.of(world)
    first = official.sign(
        FileRequest(Format.XADES_ENVELOPED, level=Level.B_LTA, more_may_follow=True)
    )
    both = official.sign(
        FileRequest(
            Format.XADES_ENVELOPED,
            level=Level.B_B,
            more_may_follow=True,
            canonicalization=Canonicalization.INCLUSIVE,
        ),
        SourceFile(DOSSIER.name, first.data, "text/xml"),
    )
    raised = raise_file(world.desk, both.data, to=Level.B_LTA, now=world.now, by=BY)
    report = validate(raised, trust=world.trust, now=world.now)
    assert report.passed, report.to_text("en")
    assert [one.level for one in report.signatures] == ["XAdES-BASELINE-LTA"] * 2


def test_what_cannot_be_raised_says_why(world: World) -> None:
    """Nothing is added to what is not signed, not intact or not whole."""
    official = Official.of(world)
    detached = official.sign(FileRequest(Format.CADES_DETACHED)).data
    broken = bytearray(official.sign(FileRequest(Format.CADES_ENVELOPING)).data)
    broken[broken.index("Báo".encode())] ^= 1
    container = official.sign(FileRequest(Format.ASIC_E_CADES)).data
    out = io.BytesIO(container)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("META-INF/ASiCArchiveManifest001.xml", "<a/>")
    for data, content, code in (
        (paper.decision(), None, "not-signed"),
        (REPORT.data, None, "not-signed"),
        (b"PK\x05\x06" + bytes(18), None, "not-signed"),
        (b"%PDF-1.4 torn", None, "signature-not-intact"),
        (detached, None, "content-needed"),
        (detached, b"another", "signature-not-intact"),
        (bytes(broken), None, "signature-not-intact"),
        (out.getvalue(), None, "archive-manifest"),
    ):
        with pytest.raises((DocumentRefused, SignerError)) as refused:
            raise_file(world.desk, data, to=Level.B_LTA, content=content, now=world.now, by=BY)
        assert refused.value.code == code
        assert refused.value.message("vi") != refused.value.message("en")


def test_time_stamps_asked_for(world: World, tmp_path: Path) -> None:
    """RFC 3161 over a digest, by openssl's judgement; a document time-stamp in a PDF."""
    digest = hashlib.sha256(REPORT.data).digest()
    given = time_stamping.time_stamp_digest(world.desk, digest, now=world.now, by=BY)
    assert abs(given.time - world.now) < timedelta(seconds=2)
    (tmp_path / "token").write_bytes(given.token)
    (tmp_path / "file").write_bytes(REPORT.data)
    root = world.authority.issuer("root").certificate.public_bytes(Encoding.PEM)
    (tmp_path / "root.pem").write_bytes(root)
    run = ["openssl", "ts", "-verify", "-in", "token", "-token_in", "-data", "file"]
    judged = subprocess.run(
        [*run, "-CAfile", "root.pem"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Verification: OK" in judged.stdout + judged.stderr, judged.stderr

    official = Official.of(world)
    for data in (paper.decision(), signed_decision(official, Level.B_LT)):
        stamped = time_stamping.time_stamp_pdf(world.desk, data, now=world.now, by=BY)
        assert stamped.startswith(data)
        report = validate(stamped, trust=world.trust, now=world.now)
        assert [one.covers_file for one in report.timestamps if one.field == "Timestamp1"] == [True]
        assert report.passed == bool(report.signatures)
    locked = paper.encrypted(paper.decision())
    with pytest.raises(DocumentRefused) as refused:
        time_stamping.time_stamp_pdf(world.desk, locked, now=world.now, by=BY)
    assert refused.value.code == "document-encrypted"


def test_a_counter_signature_is_left_as_it_was(world: World) -> None:
    """EN 319 122-1 §5.2.7: it is on the signature, whose level alone is raised; nothing is asked of
    whoever countersigned, and their signature still holds."""
    official, agency = Official.of(world), pki().agency
    plain = official.sign(FileRequest(Format.CADES_ENVELOPING, level=Level.B_B)).data
    data = countersigned(plain, agency)
    lists = pki().evidence(agency, at=world.now)
    for level in (Level.B_T, Level.B_LTA):
        data = raise_file(world.desk, data, to=level, revocation=lists, now=world.now, by=BY)
        report = validate(data, trust=world.trust, now=world.now, revocation=lists)
        document, counter = report.signatures
        assert document.level == f"CAdES-BASELINE-{level.value.removeprefix('B-')}"
        assert document.sub_indication is None or level is Level.B_T
        assert counter.signer == "UBND phường Hạc Thành TEST"
        assert counter.sub_indication == "NO_CERTIFICATE_CHAIN_FOUND"  # not of this world
        assert counter.countersigns
