"""Certificates that are not where one looks first: in the store, among the values, nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from ca import der
from ca.trust import TrustStore
from signer.cms import SIGNATURE_TIME_STAMP, attribute
from signer.cms_parts import CmsParts
from signer.files.file_signing import FileRequest, Format
from signer.levels import Level
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from signer.verdicts.verdict import SubIndication, Weight
from tests.signed_samples import MINUTE, pki, signed
from tests.signer.signed_files import REPORT, Official
from tests.small_pki import SIGNED_AT
from tests.world import World

_HEX = re.compile(rb"/Contents <([0-9a-fA-F]+)>")
_KIND = der.oid(SIGNATURE_TIME_STAMP)


def bare(cms: bytes) -> bytes:
    """Without any certificate: as an authority answers whom nobody asked for it (certReq)."""
    return replace(CmsParts.read(cms), certificates=()).encode()


def stamped_bare(cms: bytes, change: Callable[[bytes], bytes] = bare) -> bytes:
    """The CMS whose signature time-stamp was changed so."""
    parts = CmsParts.read(cms)
    (signer,) = parts.signers
    (token,) = signer.values(_KIND)
    others = tuple(one for one in signer.unsigned if _KIND not in one[:20])
    made = replace(signer, unsigned=(*others, attribute(SIGNATURE_TIME_STAMP, change(token))))
    return replace(parts, signers=(made,)).encode()


def in_pdf(data: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    """One /Contents changed; what it loses is filled with zeros, as its signature's gap is."""
    place = list(_HEX.finditer(data))[number]
    made = change(der.Reader(bytes.fromhex(place[1].decode())).raw(der.SEQUENCE)).hex().encode()
    return data[: place.start(1)] + made.ljust(len(place[1]), b"0") + data[place.end(1) :]


def judged(data: bytes) -> Report:
    trust = TrustStore((pki().root.certificate,))
    return validate(data, trust=trust, now=SIGNED_AT + 30 * MINUTE)


def codes(report: Report) -> dict[str, Weight]:
    return {one.code: one.weight for each in report.signatures for one in each.findings}


def test_a_pdf_keeps_certificates_in_its_store() -> None:
    """EN 319 142-1 §5.4.2.2: the DSS holds "certificates … used in the validation" of signatures
    and time-stamps; which of them it was, the token's signed reference says (RFC 5816)."""
    whole = signed("LT")
    found = judged(in_pdf(whole, 0, stamped_bare))
    assert found.passed, found.to_text("en")
    assert found.signatures[0].level == "PAdES-BASELINE-LT"
    assert (
        found.signatures[0].best_signature_time == judged(whole).signatures[0].best_signature_time
    )
    # The signature's own certificate alike.
    assert judged(in_pdf(whole, 0, bare)).passed
    # In the VRI alone, which is one of the store's parts.
    (arrays,) = re.findall(rb"/Certs \[[^\]]*\]\n/OCSPs \[[^\]]*\]", whole)
    certificates, answers = (re.findall(rb"\d+ 0 R", one) for one in arrays.split(b"\n"))
    listed = b"/VRI<</%s<</Cert[%s]>>>>/OCSPs[%s]" % (
        b"A1", b" ".join(certificates[:-1]), b" ".join(answers),
    )  # fmt: skip
    placed = whole.replace(arrays, listed.ljust(len(arrays)))
    assert len(placed) == len(whole)
    found = judged(in_pdf(placed, 0, stamped_bare))
    assert found.passed, found.to_text("en")


def test_a_token_whose_certificate_is_nowhere_accuses_nobody() -> None:
    """EN 319 102-1 §5.2.3: INDETERMINATE / NO_SIGNING_CERTIFICATE_FOUND; §5.5.4: the signature is
    then judged as without it. One with another certificate in its place was altered."""
    stamped = in_pdf(signed("T"), 0, stamped_bare)
    report = judged(stamped)
    (stamp,) = report.timestamps
    assert stamp.sub_indication is SubIndication.NO_SIGNING_CERTIFICATE_FOUND
    assert codes(report)["validation-timestamp-certificate-missing"] is Weight.WARNS
    assert "validation-signature-timestamp-broken" not in codes(report)
    assert report.signatures[0].level == "PAdES-BASELINE-B"
    assert report.signatures[0].best_signature_time is None
    assert "chứng minh được thời điểm" in report.to_text("vi")

    def swapped(token: bytes) -> bytes:
        return replace(CmsParts.read(token), certificates=(pki().official.der,)).encode()

    other = judged(in_pdf(signed("T"), 0, lambda cms: stamped_bare(cms, swapped)))
    assert codes(other)["validation-signature-timestamp-broken"] is Weight.FAILS

    # A document time-stamp: its signature stands by what else there is, and nobody altered it.
    last = judged(in_pdf(signed("LTA"), -1, bare))
    assert "altered" not in last.to_text("en")
    assert last.passed


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_values_of_a_cades(world: World) -> None:
    """EN 319 122-1 §5.4.1: certificate values are "the full set of certificates" used to validate
    the signature and its time-stamps."""
    for level in (Level.B_LT, Level.B_T):
        request = FileRequest(Format.CADES_DETACHED, level=level)
        data = stamped_bare(Official.of(world).sign(request).data)
        report = validate(data, trust=world.trust, now=world.now, content=REPORT.data)
        (signature,) = report.signatures
        held = level is Level.B_LT
        assert signature.level == f"CAdES-BASELINE-{'LT' if held else 'B'}", report.to_text("en")
        assert (signature.best_signature_time is not None) is held
        assert ("validation-timestamp-certificate-missing" in codes(report)) is not held
