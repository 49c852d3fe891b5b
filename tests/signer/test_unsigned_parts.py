"""Octets that nobody signs: each is checked by its own rule, told of, or truly nobody's claim.

Found by flipping every bit of signed files (`./dauso campaign attacks`); each test is one place
where a single bit once went unseen.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.serialization import Encoding

from signer.files.file_signing import FileRequest, Format
from signer.levels import Level
from signer.trust.certificates import Certificate, read_certificate
from signer.trust.revocation_status import read_ocsp, vouched
from signer.verdicts.report import Changes
from signer.verdicts.unsigned_end import _strange
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Indication, SubIndication
from tests.pdf_surgery import contents, gaps, patched, with_contents
from tests.signed_samples import pki, signed
from tests.signer.signed_files import REPORT, Official
from tests.signer.test_validation import judged
from tests.small_pki import Party
from tests.world import World

Edit = Callable[[cms.SignedData], None]


def _other_version(data: cms.SignedData) -> None:
    data["version"] = "v3" if data["version"].native == "v1" else "v1"


def _other_signer_version(data: cms.SignedData) -> None:
    data["signer_infos"][0]["version"] = "v3"


def _edited(value: bytes, edit: Edit, *, token: bool) -> bytes:
    """A CMS after the edit, or after the same edit of the time-stamp token that it holds."""
    info = cms.ContentInfo.load(value)
    data = info["content"]
    if not token:
        edit(data)
        return bytes(info.dump(force=True))
    attributes = data["signer_infos"][0]["unsigned_attrs"]
    for one in attributes:
        if one["type"].native == "signature_time_stamp_token":
            inner = one["values"][0]
            edit(inner["content"])
            made = cms.ContentInfo.load(inner.dump(force=True))
            one["values"] = cms.SetOfContentInfo([made])
    data["signer_infos"][0]["unsigned_attrs"] = attributes
    return bytes(info.dump(force=True))


@pytest.mark.parametrize("token", [False, True], ids=["signature", "time-stamp"])
@pytest.mark.parametrize("edit", [_other_version, _other_signer_version])
def test_version_numbers_are_those_of_the_standard(edit: Edit, token: bool) -> None:
    """RFC 5652, 5.1 and 5.3: "the version MUST be 1" with issuerAndSerialNumber, and so on."""
    data = signed("LT")
    gap = gaps(data)[0]
    assert judged(with_contents(data, gap, contents(data, gap))).passed
    forged = _edited(contents(data, gap), edit, token=token)
    report = judged(with_contents(data, gap, forged))
    assert report.indication is Indication.INDETERMINATE
    codes = {one.code for each in report.signatures for one in each.findings}
    assert codes & {"validation-cms-version", "validation-signature-timestamp-broken"}


@pytest.mark.parametrize("algorithm", ["digests", "digest", "signature"])
def test_algorithms_take_no_parameters(algorithm: str) -> None:
    """RFC 5754, 2: "MUST be absent" or NULL; what else stands there nobody signed."""
    data = signed("LT")
    gap = gaps(data)[0]
    value = contents(data, gap)
    info = cms.ContentInfo.load(value)["content"]
    held = {
        "digests": info["digest_algorithms"][0],
        "digest": info["signer_infos"][0]["digest_algorithm"],
        "signature": info["signer_infos"][0]["signature_algorithm"],
    }[algorithm]
    whole = held.dump()
    assert whole.endswith(b"\x05\x00")
    sid = info["signer_infos"][0]["sid"].dump()
    start = 0 if algorithm == "digests" else value.index(sid)
    place = value.index(whole, start)
    forged = patched(value, place + len(whole) - 2, b"\x85")
    assert not judged(with_contents(data, gap, forged)).passed


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_version_of_an_archive_time_stamps_signer(world: World) -> None:
    """RFC 5652, 5.3. The newest archive time-stamp of a CAdES file is covered by nothing."""
    request = FileRequest(Format.CADES_ENVELOPING, level=Level.B_LTA)
    data = Official.of(world).sign(request, REPORT).data
    info = cms.ContentInfo.load(data)
    for one in info["content"]["signer_infos"][0]["unsigned_attrs"]:
        if one["type"].dotted == "0.4.0.1733.2.4":
            token = bytes(one["values"][0].dump())
    serial = cms.ContentInfo.load(token)["content"]["signer_infos"][0].dump()
    head = serial[: serial.index(b"\x02\x01\x01") + 3]
    at = data.index(head, data.index(token)) + len(head) - 1
    for place in (25, at):
        forged = patched(data, place, bytes([data[place] ^ 2]))
        report = validate(forged, trust=world.trust, now=world.now)
        assert report.indication is Indication.INDETERMINATE, place
    assert validate(data, trust=world.trust, now=world.now).passed


def test_certificates_beside_an_answer_are_whole() -> None:
    """RFC 6960, 4.2.1: `certs` stands outside what a responder signs."""
    made = pki()
    answer = made.ocsp(made.official).public_bytes(Encoding.DER)
    known = [_read(one) for one in (made.root, made.issuing, made.responder)]
    assert vouched(answer, known)
    end = answer.index(made.responder.der) + len(made.responder.der)
    assert not vouched(patched(answer, end - 40, bytes([answer[end - 40] ^ 1])), known)


def _read(party: Party) -> Certificate:
    found = read_certificate(party.der)
    assert found is not None
    return found


def test_signatures_have_whole_octets() -> None:
    """X.690, 11.2.1: the count of unused bits is no part of what was signed."""
    made = pki()
    whole = made.tsa.der
    bits = len(whole) - len(made.tsa.certificate.signature) - 1
    assert whole[bits] == 0
    assert read_certificate(whole)
    assert not any(read_certificate(patched(whole, bits, bytes([count]))) for count in range(1, 8))
    answer = made.ocsp(made.official).public_bytes(Encoding.DER)
    response = read_ocsp(answer)
    assert response is not None
    place = answer.index(response.signature) - 1
    assert not any(read_ocsp(patched(answer, place, bytes([count]))) for count in range(1, 8))


@pytest.mark.parametrize(
    ("what", "pattern", "forged"),
    [
        ("the end of an entry", rb"(?<=00000 n) \n", b"`\n"),
        ("where free entries lead", rb"0000000000(?= 65535 f)", b"0000080000"),
        ("the generation of entry zero", rb"65535(?= f)", b"65534"),
        ("a vertical tab between words", rb"(?<=0 obj)\n(?=<<\n/ModDate)", b"\x0b"),
        ("a NUL between words", rb"(?<=0) (?=obj\n<<\n/ModDate)", b"\0"),
        ("a key of the extensions", rb"/BaseVersion", b"/JaseVersion"),
    ],
)
def test_what_follows_a_signature_is_read_to_the_letter(
    what: str, pattern: bytes, forged: bytes
) -> None:
    """ISO 32000-2, 7.2.3, 7.5.4, 7.12: readers forgive these, and each its own way."""
    data = signed("LT")
    end = max(covered for _start, _end, covered in gaps(data))
    place = list(re.compile(pattern).finditer(data, end))[-1].start()
    report = judged(patched(data, place, forged))
    assert not report.passed, what
    assert judged(data).passed


def test_nothing_strange_stands_between_any_two_streams() -> None:
    """ISO 32000-2, 7.2.3. One in two was passed over: `endstream` ends like the word that opens."""
    data = signed("LT", 3)
    end = max(covered for _start, _end, covered in gaps(data))
    places = [one.start() for one in re.finditer(rb"(?<=0 obj)\n(?=<<)", data) if one.start() > end]
    assert len(places) > 4
    for place in places:
        assert not judged(patched(data, place, b"\x0b")).passed, place


@pytest.mark.parametrize("token", [False, True], ids=["signature", "time-stamp"])
def test_certificates_do_not_pass_for_revocation_lists(token: bool) -> None:
    """RFC 5652, 5.1: [0] certificates, [1] crls. With one bit the certificates became lists that
    nobody read, and those of the DSS served in their place."""
    data = signed("LT")
    gap = gaps(data)[0]
    value = contents(data, gap)
    info = cms.ContentInfo.load(value)["content"]
    if token:
        (one,) = info["signer_infos"][0]["unsigned_attrs"]
        info = one["values"][0]["content"]
    held = info["certificates"].dump()
    assert held[0] == 0xA0
    forged = value.replace(held, b"\xa1" + held[1:])
    (signature,) = judged(with_contents(data, gap, forged)).signatures
    assert signature.sub_indication in (
        SubIndication.FORMAT_FAILURE,
        SubIndication.SIG_CONSTRAINTS_FAILURE,
    )


@pytest.mark.parametrize("place", ["signature", "time-stamp"])
def test_the_issuer_is_named_letter_for_letter(place: str) -> None:
    """RFC 5652, 5.3: sid is not signed, and DNs match in any case; no honest program changes it."""
    data = signed("LT")
    gap = gaps(data)[0]
    value = contents(data, gap)
    info = cms.ContentInfo.load(value)["content"]
    if place == "time-stamp":
        (one,) = info["signer_infos"][0]["unsigned_attrs"]
        info = one["values"][0]["content"]
    sid = info["signer_infos"][0]["sid"].dump()
    forged = value.replace(sid, sid.replace(b"Issuing", b"issuing"))
    assert forged != value
    assert not judged(with_contents(data, gap, forged)).passed


def test_an_attribute_made_unreadable_is_told_and_counts_for_nothing() -> None:
    """EN 319 102-1, 5.5.4: without its time-stamp a signature is judged as of now."""
    data = signed("LT")
    gap = gaps(data)[0]
    value = contents(data, gap)
    stamp = bytes.fromhex("060b2a864886f70d010910020e")
    forged = value.replace(stamp, stamp[:-1] + b"\x7f")
    (signature,) = judged(with_contents(data, gap, forged)).signatures
    assert signature.level == "PAdES-BASELINE-B"
    assert "validation-unknown-attribute" in {one.code for one in signature.findings}


def test_what_is_nobodys_claim_changes_nothing() -> None:
    """ISO 32000-2, 14.3.3 and 14.4: date of the last saving, identifier of this saving."""
    data = signed("LT")
    end = max(covered for _start, _end, covered in gaps(data))
    place = data.index(b"/ModDate (D\\072", end) + 15
    report = judged(patched(data, place, b"2001"))
    assert report.passed
    assert report.signatures[0].changes is Changes.ARCHIVE_DATA_ONLY


@pytest.mark.parametrize(
    "filling", [b"%stream\n", b"(", b"(a", b"(\\", b"stream\nendstream"], ids=repr
)
def test_what_follows_is_looked_at_once(filling: bytes) -> None:
    """Whoever sends the file chooses what follows: four times as much costs four times the time."""

    def spent(count: int) -> float:
        data = filling * count
        began = time.process_time()
        assert not _strange(data, 0, len(data))
        return time.process_time() - began

    small, large = (min(spent(count) for _each in range(5)) for count in (5_000, 40_000))
    assert large < 40 * max(small, 1e-4)
