"""Open and inspect before touching: each way a file can be unfit has its own code and words."""

from __future__ import annotations

import io
import time
import zlib

import pikepdf
import pytest

from signer.errors import DocumentRefused
from signer.pdf.document import Document
from signer.pdf.original import Limits, Original
from tests.signer import paper
from tests.signer.software_desk import sign


def refusal(data: bytes, limits: Limits | None = None) -> str:
    with (
        pytest.raises(DocumentRefused) as caught,
        Document.open(Original.of(data), limits or Limits()) as document,
    ):
        document.require_signable()
    for language in ("vi", "en"):
        assert caught.value.message(language) != caught.value.code
    return caught.value.code


def with_form(**entries: object) -> bytes:
    with pikepdf.open(io.BytesIO(paper.decision())) as pdf:
        pdf.Root.AcroForm = pikepdf.Dictionary(Fields=[], **entries)
        out = io.BytesIO()
        pdf.save(out)
    return out.getvalue()


def test_each_unfit_file_has_its_reason() -> None:
    """A damaged, encrypted, non-PDF or oversized file gives one clear message."""
    good = paper.decision()
    assert refusal(b"") == "document-empty"
    assert refusal(b"PK\x03\x04 a spreadsheet") == "document-not-pdf"
    assert refusal(b"\n" + good) == "document-not-pdf"
    assert refusal(good[:-600]) == "document-damaged"
    assert refusal(good.replace(b"startxref", b"startxxxx")) == "document-damaged"
    assert refusal(paper.encrypted(good)) == "document-encrypted"
    assert refusal(good, Limits(bytes=1000)) == "document-too-large"
    assert refusal(paper.decision(pages=3), Limits(pages=2)) == "document-too-many-pages"
    assert refusal(with_form(XFA=pikepdf.String("x"))) == "document-xfa"


def test_an_encrypted_file_with_an_empty_password_is_refused_too() -> None:
    """It opens for anybody, and yet a new revision would have to be encrypted."""
    with pikepdf.open(io.BytesIO(paper.decision())) as pdf:
        out = io.BytesIO()
        pdf.save(out, encryption=pikepdf.Encryption(owner="x", user=""))
    assert refusal(out.getvalue()) == "document-encrypted"


def test_a_repairable_file_is_not_repaired() -> None:
    """A reader that repairs sees another document than the next one."""
    good = paper.shaped("classic")
    moved = good.replace(b"%PDF-1", b"%PDF-1", 1).replace(b"\nendobj", b"\n\n\n\nendobj", 3)
    assert refusal(moved) == "document-damaged"


def test_a_small_bomb_costs_no_memory() -> None:
    """A few kilobytes of Flate can claim gigabytes; opening stays quick either way."""
    bomb = zlib.compress(bytes(64 << 20), 9)
    bomb = zlib.compress(bomb, 9)
    with pikepdf.open(io.BytesIO(paper.decision())) as pdf:
        pdf.Root.Metadata = pikepdf.Stream(pdf, bomb)
        pdf.Root.Metadata.Filter = pikepdf.Array([pikepdf.Name.FlateDecode] * 2)
        out = io.BytesIO()
        pdf.save(out, stream_decode_level=pikepdf.StreamDecodeLevel.none)
    began = time.perf_counter()
    with Document.open(Original.of(out.getvalue())) as document:
        document.require_signable()
    assert time.perf_counter() - began < 20


def test_a_page_tree_without_end_is_refused() -> None:
    """A loop in the page tree must not hang whoever inspects it."""
    data = paper.shaped("classic")
    with pikepdf.open(io.BytesIO(data)) as pdf:
        pdf.Root.Pages.Kids = pikepdf.Array([pdf.Root.Pages])
        out = io.BytesIO()
        try:
            pdf.save(out)
        except pikepdf.PdfError:
            pytest.skip("this qpdf does not write such a file")
    began = time.perf_counter()
    assert refusal(out.getvalue()) in ("document-damaged", "document-without-pages")
    assert time.perf_counter() - began < 20


def test_claims_are_read() -> None:
    """What the stamp must respect: PDF/A part and output intent."""
    with Document.open(Original.of(paper.decision(pdfa="a-2b"))) as document:
        assert document.pdfa_part == 2
        assert document.output_intent_components == 3
    with Document.open(Original.of(paper.decision())) as document:
        assert document.pdfa_part is None


def test_signature_fields_are_told_apart() -> None:
    """Filled and empty fields, with their full names."""
    empty = paper.signature_field(paper.decision())
    with Document.open(Original.of(empty)) as document:
        (field,) = document.fields
        assert (field.name, field.signed) == ("Lãnh đạo", False)
    with Document.open(Original.of(sign(paper.decision()))) as document:
        (field,) = document.signatures
        assert field.sub_filter == "ETSI.CAdES.detached"


def test_pages_are_counted_from_both_ends() -> None:
    """1 is the first page, -1 the last; 0 and beyond are nobody's."""
    with Document.open(Original.of(paper.decision(pages=3))) as document:
        assert document.page(3).objgen == document.page(-1).objgen
        for number in (0, 4, -4):
            with pytest.raises(DocumentRefused, match="3"):
                document.page(number)
