"""CAdES (EN 319 122-1): schemes, OpenSSL as judge, files of others, and forgeries."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ca import der
from hsm.mechanisms import KeyAlgorithm
from signer.cms import SIGNATURE_TIME_STAMP, Scheme, attribute
from signer.cms_parts import CmsParts, definite
from signer.files import cades
from signer.files.file_signing import FileRequest, Format
from signer.levels import Level
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from signer.verdicts.verdict import SubIndication
from tests.signer.signed_files import REPORT, TABLE, Official
from tests.signer.software_ca import NOW, holder
from tests.world import World

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def judged(world: World, data: bytes, content: bytes | None = REPORT.data) -> Report:
    return validate(data, trust=world.trust, now=world.now, content=content)


def openssl(world: World, folder: Path, data: bytes, content: bytes | None) -> str:
    """What `openssl cms -verify -cades` says, with the root alone."""
    root = world.authority.issuer("root").certificate.public_bytes(Encoding.PEM)
    (folder / "root.pem").write_bytes(root)
    (folder / "s.p7").write_bytes(data)
    command = [
        "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "s.p7",
        "-CAfile", "root.pem", "-purpose", "any", "-out", "content",
    ]  # fmt: skip
    if content is not None:
        (folder / "file").write_bytes(content)
        command += ["-content", "file"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return run.stderr


@pytest.mark.parametrize(
    ("algorithm", "scheme"),
    [
        (KeyAlgorithm.RSA_2048, Scheme.RSA_PKCS1),
        (KeyAlgorithm.RSA_2048, Scheme.RSA_PSS),
        (KeyAlgorithm.P_256, None),
        (KeyAlgorithm.P_384, None),
    ],
)
def test_every_scheme_verifies_under_openssl(
    world: World, tmp_path: Path, algorithm: KeyAlgorithm, scheme: Scheme | None
) -> None:
    """ "RSA (PKCS#1 v1.5 and PSS) and ECDSA"; RFC 5126 §5.7.3 as OpenSSL reads it."""
    official = Official.of(world, algorithm)
    for chosen in (Format.CADES_DETACHED, Format.CADES_ENVELOPING):
        signed = official.sign(FileRequest(chosen, level=Level.B_LTA, scheme=scheme))
        content = REPORT.data if chosen.detached else None
        said = openssl(world, tmp_path, signed.data, content)
        assert "CAdES Verification successful" in said, said
        assert (tmp_path / "content").read_bytes() == REPORT.data
        report = judged(world, signed.data, content)
        assert report.passed, report.to_text("en")


@pytest.fixture
def signed(world: World) -> bytes:
    return Official.of(world).sign(FileRequest(Format.CADES_DETACHED, level=Level.B_LTA)).data


def test_detached_needs_its_file(world: World, signed: bytes) -> None:
    """EN 319 102-1 table 6: SIGNED_DATA_NOT_FOUND "cannot be obtained"; another file fails."""
    assert judged(world, signed, None).sub_indication is SubIndication.SIGNED_DATA_NOT_FOUND
    assert judged(world, signed, TABLE.data).sub_indication is SubIndication.HASH_FAILURE


def test_enveloping_beside_another_file(world: World) -> None:
    """A person who gives a second file asks about that file."""
    made = Official.of(world).sign(FileRequest(Format.CADES_ENVELOPING, level=Level.B_LT)).data
    assert judged(world, made, None).passed
    assert judged(world, made, REPORT.data).passed
    assert judged(world, made, TABLE.data).sub_indication is SubIndication.HASH_FAILURE


def test_what_the_archive_stamp_covers_cannot_change(world: World, signed: bytes) -> None:
    """§5.5.3: a digest in the index without its object makes the archive time-stamp invalid."""
    parts = CmsParts.read(signed)
    root = world.authority.issuer("root").certificate.public_bytes(Encoding.DER)
    for taken in (
        replace(parts, revocation=parts.revocation[1:]),
        replace(parts, certificates=tuple(one for one in parts.certificates if one != root)),
    ):
        report = judged(world, taken.encode())
        assert not report.passed
        codes = {one.code for one in report.signatures[0].findings}
        assert "validation-archive-timestamp-broken" in codes


def test_foreign_evidence_is_not_believed(world: World, signed: bytes) -> None:
    """Anybody can add to what is not signed: what no authority issued is not passed."""
    parts = CmsParts.read(signed)
    stranger = holder().certificate.public_bytes(Encoding.DER)
    added = replace(parts, certificates=(*parts.certificates, stranger)).encode()
    assert not judged(world, added).passed


def test_a_time_stamp_of_another_signature(world: World, signed: bytes) -> None:
    """The token must be over this signature's value (§5.3)."""
    parts = CmsParts.read(signed)
    token = world.tsa.stamp(bytes(32), "sha256", now=world.now)
    signer = replace(parts.signers[0], unsigned=(attribute(SIGNATURE_TIME_STAMP, token),))
    report = judged(world, parts.with_signer(signer).encode())
    assert not report.passed
    assert report.signatures[0].level == "CAdES-BASELINE-B"


def test_every_octet_counts(world: World, signed: bytes) -> None:
    """No single flipped bit in the whole file passes; each has a verdict."""
    for place in range(0, len(signed), 97):
        mutant = bytearray(signed)
        mutant[place] ^= 0x04
        assert not judged(world, bytes(mutant)).passed, place


def test_renewing_the_archive(world: World, signed: bytes) -> None:
    """§5.5.3: a further archive time-stamp covers the earlier one."""
    parts = CmsParts.read(signed)
    digests = cades.digests_of(REPORT.data)
    renewed = cades.archived(parts, 0, digests, world.tsa, now=world.now).encode()
    report = judged(world, renewed)
    assert report.passed, report.to_text("en")
    assert len([one for one in report.timestamps if one.covers_file]) == 2


def test_two_signers_in_one_cms(world: World, tmp_path: Path) -> None:
    """RFC 5652 §5.1: "There may be any number of signers", each judged by itself."""
    official = Official.of(world)
    one = CmsParts.read(official.sign(FileRequest(Format.CADES_DETACHED, level=Level.B_LT)).data)
    two = CmsParts.read(official.sign(FileRequest(Format.CADES_DETACHED, level=Level.B_LT)).data)
    both = replace(one, signers=(*one.signers, *two.signers)).encode()
    report = judged(world, both)
    assert report.passed
    assert len(report.signatures) == 2
    spoilt = replace(
        one, signers=(*one.signers, replace(two.signers[0], signature=der.octet_string(b"x" * 70)))
    )
    assert not judged(world, spoilt.encode()).passed


@pytest.mark.parametrize("form", ["DER", "PEM"])
def test_what_openssl_makes_is_read(world: World, tmp_path: Path, form: str) -> None:
    """BER with indefinite lengths (`-stream`), octet strings in pieces, PEM armour."""
    by = holder()
    key = by.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]  # a software key
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "cert.pem").write_bytes(by.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "file").write_bytes(REPORT.data * 1000)
    subprocess.run(
        [
            "openssl", "cms", "-sign", "-cades", "-binary", "-nodetach", "-stream", "-in", "file",
            "-signer", "cert.pem", "-inkey", "key.pem", "-outform", form, "-out", "made",
        ],
        cwd=tmp_path, check=True,
    )  # fmt: skip

    class Trust:
        anchors = (by.chain[-1],)
        intermediates = ()

    report = validate((tmp_path / "made").read_bytes(), trust=Trust(), now=NOW)
    (verdict,) = report.signatures
    assert verdict.level == "CAdES-BASELINE-B"
    assert verdict.sub_indication is SubIndication.TRY_LATER  # no revocation data in it
    assert verdict.covered_bytes == len(REPORT.data) * 1000


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x30\x80" * 5000,
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x03\x02\x01\x01",
        der.sequence(der.oid("1.2.840.113549.1.7.1")),
        b"-----BEGIN CMS-----\nAAAA\n-----END CMS-----\n",
        b"\x30\x80\x24\x80" + b"\x04\x01a" * 100,
    ],
)
def test_hostile_cms_is_unreadable(world: World, hostile: bytes) -> None:
    """A verdict for everything, at once."""
    assert judged(world, hostile).exit_code == 3


def test_definite_keeps_der(world: World, signed: bytes) -> None:
    """What is DER is returned as it is."""
    assert definite(signed) is signed
    assert CmsParts.read(signed).encode() == signed
