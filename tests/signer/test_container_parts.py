"""What is in a container beside files and signatures is told; a lost list of files is refused."""

from __future__ import annotations

import pytest

from signer.files.asic import MEDIA_TYPE, asic_manifest
from signer.files.file_signing import FileRequest, Format
from signer.levels import Level
from signer.verdicts.container_parts import LIST
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from signer.verdicts.verdict import SubIndication
from tests.signer.signed_files import REPORT, TABLE, Official
from tests.signer.test_asic import entries, packed
from tests.world import World

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
DIFFERS, FOREIGN = "validation-container-list-differs", "validation-container-foreign"
NO_LIST, OTHER = "validation-container-list-unreadable", "validation-container-list-kind"


def warnings_of(report: Report) -> list[str]:
    (one,) = report.signatures
    return [f.code for f in one.findings if f.code.startswith("validation-container-")]


def test_what_no_signature_is_over_is_told(world: World) -> None:
    """EN 319 162-1 §4.4: META-INF may hold other files, and nobody signs them or the list.

    EU DSS 6 was asked about these containers: where it warns (a list that is empty or names other
    files) we warn, what it refuses (no list) we refuse; of foreign files it says nothing.
    """
    official = Official.of(world)

    def honest(chosen: Format) -> dict[str, bytes]:
        data = official.sign(FileRequest(chosen, level=Level.B_LT)).data
        return {info.filename: content for info, content in entries(data)}

    cades, xades = honest(Format.ASIC_E_CADES), honest(Format.ASIC_E_XADES)
    listed = xades[LIST]
    row = listed[listed.index(b"<manifest:file-entry", listed.index(TABLE.name.encode()) - 60) :]
    row = row[: row.index(b"/>") + 2]
    cases = {
        "cades": (cades, []),
        "foreign": ({**cades, "META-INF/x.exe": b"MZ"}, [FOREIGN]),
        "below": ({**cades, "META-INF/signatures/signature002.p7s": b"MZ"}, [FOREIGN]),
        "stray-stamp": ({**cades, "META-INF/timestamp.tst": b"MZ"}, [FOREIGN]),
        "stray-list": (
            {
                **cades,
                "META-INF/ASiCManifest002.xml": asic_manifest([REPORT]).replace(b"e001", b"e9"),
            },
            [FOREIGN],
        ),
        "odf": ({**cades, LIST: listed}, []),
        "xades": (xades, []),
        "foreign-xades": ({**xades, "META-INF/x.exe": b"MZ"}, [FOREIGN]),
        "empty": ({**xades, LIST: b""}, [NO_LIST]),
        "other-xml": ({**xades, LIST: b"<a/>"}, [NO_LIST]),
        "short": ({**xades, LIST: listed.replace(row, b"")}, [DIFFERS]),
        "double": ({**xades, LIST: listed.replace(row, row + row)}, [DIFFERS]),
        "ghost": ({**xades, LIST: listed.replace(TABLE.name.encode(), b"ma.exe")}, [DIFFERS]),
        "kind": ({**xades, LIST: listed.replace(MEDIA_TYPE.encode(), b"text/plain")}, [OTHER]),
    }
    for name, (parts, wanted) in cases.items():
        report = validate(packed(list(parts.items())), trust=world.trust, now=world.now)
        assert report.passed, (name, report.to_text("en"))
        assert warnings_of(report) == wanted, (name, report.to_text("en"))
    for comment, told in ((b"VOID", ["validation-container-comment"]), (MEDIA_TYPE.encode(), None)):
        said = comment if told else b"mimetype=" + comment
        whole = packed(list(cades.items()))
        size = len(said).to_bytes(2, "little")
        report = validate(whole[:-2] + size + said, trust=world.trust, now=world.now)
        assert report.passed
        assert warnings_of(report) == (told or [])
    without = packed([(name, data) for name, data in xades.items() if name != LIST])
    lost = validate(without, trust=world.trust, now=world.now)
    assert lost.sub_indication is SubIndication.FORMAT_FAILURE
