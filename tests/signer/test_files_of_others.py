"""What EU DSS writes is read: every format and level, ASiC-S and archive manifests too."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signer.verdicts.validation import validate
from tests.interop import maven_judges
from tests.signed_samples import plain_pdf
from tests.signer.signed_files import DOSSIER, REPORT
from tests.small_pki import SmallPki


class Trust:
    """The root of the software PKI, and nothing else."""

    def __init__(self, pki: SmallPki) -> None:
        self.anchors = (pki.root.certificate,)
        self.intermediates = ()


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
