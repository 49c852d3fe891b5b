"""PDFs that other programs sign: what they leave out, and what they do in another way."""

from __future__ import annotations

import datetime as dt
import io
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from cryptography import x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields

from ca.trust import TrustStore
from signer.verdicts.report import Changes
from signer.verdicts.validation import validate
from signer.verdicts.verdict import SubIndication
from tests.pdf_surgery import append, changed, opened, size_of, stream
from tests.signed_samples import MINUTE, pki, plain_pdf, raised
from tests.small_pki import SIGNED_AT

NOW = SIGNED_AT + 30 * MINUTE


@dataclass(frozen=True)
class Known:
    """A root, and intermediates that are known in advance."""

    anchors: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]


def by_endesive(*, chain: Iterable[x509.Certificate]) -> bytes:
    """A signature as endesive makes it, which many offices' scripts do."""
    # Its verifier loads OpenSSL in a way that newer ones refuse; signing does not need it.
    verifier = types.ModuleType("endesive.pdf.verify")
    verifier.__dict__.update(verify=None, PDFVerifier=None)
    sys.modules.setdefault("endesive.pdf.verify", verifier)
    from endesive.pdf import cms

    made, document = pki(), plain_pdf()
    how = {
        "sigflags": 3, "sigpage": 0, "signingdate": f"{SIGNED_AT:D:%Y%m%d%H%M%S+00'00'}",
        "contact": "vanthu@test.vn", "location": "Thanh Hóa", "reason": "Ban hành",
    }  # fmt: skip
    signed = cms.sign(
        document, how, made.official.key, made.official.certificate, list(chain), "sha256"
    )
    return document + bytes(signed)


def test_endesive_with_the_leaf_alone() -> None:
    """DOMAIN.md: "many signatures carry only the leaf". Without the intermediate there is no chain;
    with one known in advance the same file is judged like any other."""
    made = pki()
    evidence = made.evidence(made.official, at=NOW)
    alone = by_endesive(chain=())
    root = TrustStore((made.root.certificate,))
    unknown = validate(alone, trust=root, now=NOW, revocation=evidence)
    assert unknown.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    known = Known((made.root.certificate,), (made.issuing.certificate,))
    whole = by_endesive(chain=[made.issuing.certificate])
    for data, trust in ((alone, known), (whole, root)):
        report = validate(data, trust=trust, now=NOW, revocation=evidence)
        assert report.passed, report.to_text("en")
        (one,) = report.signatures
        assert (one.level, one.changes) == ("PKCS7-B", Changes.UNTOUCHED)
        assert one.covers_whole_file
    # No authority's word on its revocation: never passed.
    assert validate(alone, trust=known, now=NOW).sub_indication is SubIndication.TRY_LATER


def with_widget_apart(data: bytes, name: str, box: tuple[int, int, int, int]) -> bytes:
    """An empty field whose widget is another object (ISO 32000-2, 12.5.6.19)."""
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    spec = fields.SigFieldSpec(name, box=box, on_page=0, combine_annotation=False)
    fields.append_signature_field(writer, spec)
    out = io.BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]  # untyped in pyHanko
    return out.getvalue()


def two_prepared_fields() -> bytes:
    data = with_widget_apart(plain_pdf(), "Sig1", (100, 100, 300, 160))
    return with_widget_apart(data, "Sig2", (100, 300, 300, 360))


def test_a_field_and_its_widget_apart() -> None:
    """Word processors and other libraries keep field and widget in two objects. Signing the second
    field changes its widget's look: that is the signature's own."""
    made, trust = pki(), TrustStore((pki().root.certificate,))
    data = raised(two_prepared_fields(), made, made.official, 1, SIGNED_AT, "LT", existing=True)
    later = SIGNED_AT + 10 * MINUTE
    data = raised(data, made, made.agency, 2, later, "LTA", existing=True)
    report = validate(data, trust=trust, now=NOW)
    assert report.passed, report.to_text("en")
    assert [one.changes for one in report.signatures] == [
        Changes.PERMITTED,
        Changes.ARCHIVE_DATA_ONLY,
    ]


@pytest.mark.parametrize("parent", [True, False])
def test_the_look_of_an_unsigned_field_may_not_change(parent: bool) -> None:
    """S&P 2021 (SSA): under P=2 an attacker gives the empty second field a look of its own, and
    takes the widget's way to its field away."""
    made, trust = pki(), TrustStore((pki().root.certificate,))
    perms = fields.MDPPerm.FILL_FORMS
    prepared = two_prepared_fields()
    if not parent:
        pdf = opened(prepared)
        kid = pdf.Root.AcroForm.Fields[1].Kids[0]
        prepared = append(prepared, {kid.objgen[0]: changed(kid, Parent=None)})
    data = raised(prepared, made, made.official, 1, SIGNED_AT, "LTA", existing=True, certify=perms)
    assert validate(data, trust=trust, now=NOW).passed
    pdf = opened(data)
    kid, new = pdf.Root.AcroForm.Fields[1].Kids[0], size_of(pdf)
    look = b"<< /N %d 0 R >>" % new
    shape = stream(b"BT /F1 20 Tf 5 5 Td (PAID) Tj ET", {"/BBox": [0, 0, 200, 60]})
    forged = append(data, {kid.objgen[0]: changed(kid, AP=look), new: shape})
    assert not validate(forged, trust=trust, now=NOW + dt.timedelta(minutes=1)).passed
