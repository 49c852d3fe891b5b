"""ASiC-E (EN 319 162-1): containers as they must be, and ZIP files that hide something."""

from __future__ import annotations

import io
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from signer.files.asic import CADES_SIGNATURE, MANIFEST, MEDIA_TYPE, XADES_SIGNATURE
from signer.files.file_signing import FileRequest, Format
from signer.files.xml_names import XADES
from signer.levels import Level
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from signer.verdicts.verdict import SubIndication
from tests.signer.signed_files import REPORT, TABLE, Official
from tests.world import World

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
BOTH = [Format.ASIC_E_CADES, Format.ASIC_E_XADES]


def judged(world: World, data: bytes) -> Report:
    return validate(data, trust=world.trust, now=world.now)


def made(world: World, chosen: Format = Format.ASIC_E_CADES) -> bytes:
    return Official.of(world).sign(FileRequest(chosen, level=Level.B_LTA)).data


def entries(data: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(one, archive.read(one)) for one in archive.infolist()]


def packed(items: list[tuple[zipfile.ZipInfo | str, bytes]]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for info, data in items:
            archive.writestr(info, data)
    return written.getvalue()


@pytest.mark.parametrize("chosen", BOTH)
def test_the_container_is_built_as_the_standard_says(world: World, chosen: Format) -> None:
    """Annex A.1: "mimetype" first, stored, no extra field; §4.4: what is in META-INF."""
    data = made(world, chosen)
    assert data[30:38] == b"mimetype"
    assert data[38 : 38 + len(MEDIA_TYPE)] == MEDIA_TYPE.encode()
    names = [info.filename for info, _ in entries(data)]
    inside = (
        [MANIFEST, CADES_SIGNATURE]
        if chosen is Format.ASIC_E_CADES
        else ["META-INF/manifest.xml", XADES_SIGNATURE]
    )
    assert names == ["mimetype", REPORT.name, TABLE.name, *inside]


def test_other_judges_read_what_is_inside(world: World, tmp_path: Path) -> None:
    """openssl over the manifest, xmlsec1 over the files, each from the unpacked container."""
    root = world.authority.issuer("root").certificate.public_bytes(Encoding.PEM)
    for chosen in BOTH:
        folder = tmp_path / chosen.value
        with zipfile.ZipFile(io.BytesIO(made(world, chosen))) as archive:
            archive.extractall(folder)
        (folder / "root.pem").write_bytes(root)
    cades = subprocess.run(
        [
            "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in",
            CADES_SIGNATURE, "-content", MANIFEST, "-CAfile", "root.pem", "-purpose", "any",
            "-out", "/dev/null",
        ],
        cwd=tmp_path / "asic-e-cades", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "CAdES Verification successful" in cades.stderr
    xml = subprocess.run(
        [
            "xmlsec1", "--verify", "--trusted-pem", "root.pem", "--enabled-key-data", "x509",
            "--id-attr:Id", f"{XADES}:SignedProperties", XADES_SIGNATURE,
        ],
        cwd=tmp_path / "asic-e-xades", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert xml.returncode == 0, xml.stderr


@pytest.mark.parametrize("chosen", BOTH)
def test_changed_added_and_removed_files(world: World, chosen: Format) -> None:
    """Each signature must cover every file, and every file be what it was."""
    data = made(world, chosen)
    whole = entries(data)
    assert judged(world, packed([*whole])).passed
    changed = [(i, d + b" " if i.filename == TABLE.name else d) for i, d in whole]
    assert judged(world, packed([*changed])).sub_indication is SubIndication.HASH_FAILURE
    removed = [(i, d) for i, d in whole if i.filename != TABLE.name]
    report = judged(world, packed([*removed]))
    assert report.sub_indication is SubIndication.SIGNED_DATA_NOT_FOUND
    added = judged(world, packed([*whole, ("thêm.txt", b"not signed")]))
    assert added.sub_indication is SubIndication.SIG_CONSTRAINTS_FAILURE
    assert not added.signatures[0].covers_whole_file


def test_a_second_manifest_for_one_signature(world: World) -> None:
    """Which list a signature is over must not be a choice."""
    whole = entries(made(world))
    manifest = next(data for info, data in whole if info.filename == MANIFEST)
    data = packed([*whole, ("META-INF/ASiCManifest002.xml", manifest)])
    assert not judged(world, data).passed


def test_no_signature_and_no_container(world: World) -> None:
    """A plain ZIP is no container; a container without a signature proves nothing."""
    assert judged(world, packed([("a.txt", b"a")])).exit_code == 3
    unsigned = packed([("mimetype", MEDIA_TYPE.encode()), ("a.txt", b"a")])
    assert judged(world, unsigned).sub_indication is SubIndication.NO_SIGNATURE_FOUND


def _bomb() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), MEDIA_TYPE)
        for number in range(6):
            archive.writestr(f"{number}.bin", bytes(60 << 20))
    return written.getvalue()


def _named(name: str) -> bytes:
    return packed([("mimetype", MEDIA_TYPE.encode()), (name, b"x")])


def _link() -> bytes:
    info = zipfile.ZipInfo("a.txt")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return packed([("mimetype", MEDIA_TYPE.encode()), (info, b"/etc/passwd")])


def _doubled() -> bytes:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return packed([("mimetype", MEDIA_TYPE.encode()), ("a.txt", b"1"), ("a.txt", b"2")])


def _lying_size() -> bytes:
    """The directory announces less than there is."""
    data = bytearray(_named("a.txt"))
    place = data.rindex(b"PK\x01\x02")
    data[place + 24] += 1
    return bytes(data)


def _other_local_name() -> bytes:
    data = bytearray(_named("a.txt"))
    place = data.index(b"a.txt")
    data[place] = ord("b")
    return bytes(data)


def _overlapping() -> bytes:
    """Two entries of the directory lead to the same data (Fifield's bomb)."""
    data = packed([("mimetype", MEDIA_TYPE.encode()), ("a.txt", b"x"), ("b.txt", b"x")])
    place = data.rindex(b"PK\x01\x02")
    first = data.index(b"PK\x03\x04", 40)
    return data[: place + 42] + first.to_bytes(4, "little") + data[place + 46 :]


def _many() -> bytes:
    return packed([("mimetype", MEDIA_TYPE.encode()), *((f"{i}", b"") for i in range(5_000))])


HOSTILE = {
    "bomb": _bomb,
    "upwards": lambda: _named("../../etc/cron.d/x"),
    "absolute": lambda: _named("/etc/passwd"),
    "drive": lambda: _named("C:evil.exe"),
    "backslash": lambda: _named("..\\x"),
    "direction": lambda: _named("a\u202egpj.exe"),
    "link": _link,
    "doubled": _doubled,
    "folded": lambda: packed([("mimetype", MEDIA_TYPE.encode()), ("A.txt", b"1"), ("a.TXT", b"2")]),
    "lying size": _lying_size,
    "other local name": _other_local_name,
    "overlapping": _overlapping,
    "many": _many,
    "before": lambda: b"PK\x00\x00" + _named("a.txt"),
    "after": lambda: _named("a.txt") + b"MZ\x90",
    "cut": lambda: _named("a.txt")[:-10],
    "nothing": lambda: b"PK",
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_zips_are_unreadable_at_once(world: World, name: str) -> None:
    """Hostile ZIP "refused in bounded time and memory"."""
    data = HOSTILE[name]()
    began = time.monotonic()
    report = judged(world, data)
    assert report.exit_code == 3, report.to_text("en")
    assert time.monotonic() - began < 20


def test_every_octet_counts(world: World) -> None:
    """No single flipped bit of a container passes, wherever it is, but for what no file holds."""
    data = made(world)
    passed = []
    for place in range(0, len(data), 61):
        mutant = bytearray(data)
        mutant[place] ^= 0x04
        if judged(world, bytes(mutant)).passed:
            passed.append(place)
    # A ZIP holds times and attributes that no signature is about, and the last octet of what is
    # deflated has bits that nobody reads (RFC 1951 §3.2.3).
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        directory = archive.start_dir
        starts = [one.header_offset for one in archive.infolist()]
    empty = [range(start - 1, start + 30) for start in starts]
    assert all(
        place >= directory - 1 or any(place in octets for octets in empty) for place in passed
    ), passed
