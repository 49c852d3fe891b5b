"""One detached XAdES over several files: each is found, told as missing, altered or not meant."""

from __future__ import annotations

import io
import unicodedata
import zipfile

import pytest

from signer.files.file_signing import FileRequest, Format, SourceFile
from signer.levels import Level
from signer.verdicts import originals
from signer.verdicts.originals import Original
from signer.verdicts.report import Report
from signer.verdicts.sandbox import shared_pool
from signer.verdicts.validation import validate
from signer.verdicts.verdict import SubIndication
from tests.signer.signed_files import REPORT, TABLE, Official
from tests.world import World

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
NOTE = SourceFile("ghi chú/báo cáo quý III.txt", b"trang 1\n", "text/plain")
FILES = (REPORT, TABLE, NOTE)


def taken_out(container: bytes) -> bytes:
    """The signature of a container, which is a detached one over all its files."""
    with zipfile.ZipFile(io.BytesIO(container)) as held:
        (name,) = (one for one in held.namelist() if one.endswith(".xml") and "signatures" in one)
        return held.read(name)


def test_each_file_by_its_name(world: World) -> None:
    """XML Signature 1.1 §4.4.3: "the URI attribute … identifies a data object"; EN 319 102-1
    §5.2.7.4: SIGNED_DATA_NOT_FOUND where it cannot be had, HASH_FAILURE where it is another."""
    request = FileRequest(Format.ASIC_E_XADES, level=Level.B_LTA)
    data = taken_out(Official.of(world).sign(request, *FILES).data)
    whole = [Original(one.name, one.data) for one in FILES]

    def judged(*files: Original) -> Report:
        return validate(data, trust=world.trust, now=world.now, content=files)

    def told(report: Report, code: str) -> str:
        findings = [*report.findings, *(one for each in report.signatures for one in each.findings)]
        assert any(one.code == code for one in findings), report.to_text("en")
        return report.to_text("vi")

    # As they were, in any order, through the confined process too; and at their full level.
    for files in (whole, whole[::-1]):
        report = judged(*files)
        assert report.passed, report.to_text("en")
        assert report.signatures[0].level == "XAdES-BASELINE-LTA"
    confined = shared_pool().validate(data, trust=world.trust, now=world.now, content=whole)
    assert confined.passed

    # Names as other programs keep them: without folder, decomposed, or of a second download.
    bare = [Original(one.name.rsplit("/", 1)[-1], one.source) for one in whole]
    apart = [Original(unicodedata.normalize("NFD", one.name), one.source) for one in whole]
    again = [Original(f"{number} (1)", one.source) for number, one in enumerate(whole)]
    for files in (bare, apart, again):
        assert judged(*files).passed

    # Missing: which.
    report = judged(*whole[:2])
    assert report.sub_indication is SubIndication.SIGNED_DATA_NOT_FOUND
    assert NOTE.name in told(report, "validation-others-missing")
    assert REPORT.name not in report.to_text("vi")
    alone = judged(whole[1])
    assert alone.sub_indication is SubIndication.SIGNED_DATA_NOT_FOUND
    told(alone, "validation-others-missing")
    told(judged(), "validation-others-missing")

    # Altered: which.
    report = judged(*whole[:2], Original(NOTE.name, NOTE.data + b" "))
    assert report.sub_indication is SubIndication.HASH_FAILURE
    assert NOTE.name in told(report, "validation-original-differs")

    # Not meant: nobody takes a verdict for one on it, whatever unsigned part names it.
    other = Original("hợp đồng.txt", b"not signed by anybody")
    named = data.replace(
        b"</xades:UnsignedSignatureProperties>",
        b'<ds:Reference xmlns:ds="http://www.w3.org/2000/09/xmldsig#" URI="other.txt"/>'
        b"</xades:UnsignedSignatureProperties>",
    )
    assert named != data
    for octets in (data, named):
        report = validate(octets, trust=world.trust, now=world.now, content=[*whole, other])
        assert not report.passed
        assert "hợp đồng.txt" in told(report, "validation-original-surplus")
    # The same file twice is not another one.
    assert judged(*whole, Original("copy.txt", NOTE.data)).passed


def test_several_files_beside_what_is_about_one(world: World) -> None:
    """A CMS has one content: which of the files is meant is not guessed. What has its files inside
    has none beside it."""
    official = Official.of(world)
    both = [Original(one.name, one.data) for one in (REPORT, TABLE)]
    for chosen, code in (
        (Format.CADES_DETACHED, "validation-originals-one"),
        (Format.XADES_DETACHED, "validation-original-surplus"),
        (Format.ASIC_E_CADES, "validation-not-detached"),
    ):
        data = official.sign(FileRequest(chosen, level=Level.B_LTA)).data
        report = validate(data, trust=world.trust, now=world.now, content=both)
        assert not report.passed
        assert code in [one.code for one in report.findings]
    many = [Original(str(number), b"") for number in range(originals.MOST_ORIGINALS + 1)]
    report = shared_pool().validate(data, trust=world.trust, now=world.now, content=many)
    assert [one.code for one in report.findings] == ["validation-originals-too-many"]
