"""The revision writer on every shape of file, before judges that nobody here wrote."""

from __future__ import annotations

import io
import random
import re
import tracemalloc
from pathlib import Path

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.cms import CmsTemplate
from signer.errors import DocumentRefused, SignerError
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender, SignatureDictionary
from signer.pdf.syntax import closed_stream
from signer.signature import Pen, SignatureRequest, place_signature
from tests.signer import paper
from tests.signer.paper import SHAPES
from tests.signer.software_ca import NOW, holder
from tests.signer.software_desk import pdfsig, pyhanko_verdicts, qpdf_check, sign


@pytest.mark.parametrize("shape", SHAPES)
def test_three_judges_accept_a_signature_on_any_shape(shape: str, tmp_path: Path) -> None:
    """ISO 32000-1 §7.5.6: the original bytes stay; the update follows the file's own manner."""
    data = paper.shaped(shape)
    signed = sign(data)
    assert signed.startswith(data)
    (verdict,) = pyhanko_verdicts(signed)
    assert verdict.bottom_line, verdict.summary()
    (tmp_path / "s.pdf").write_bytes(signed)
    assert qpdf_check(tmp_path / "s.pdf") == ""
    said = pdfsig(tmp_path / "s.pdf")
    assert "Signature is Valid" in said
    assert "Total document signed" in said


@pytest.mark.parametrize("shape", SHAPES)
def test_a_second_signature_leaves_the_first_whole(shape: str) -> None:
    """EN 319 142-1 §5.1: each signature covers everything before it."""
    twice = sign(sign(paper.shaped(shape)))
    first, second = pyhanko_verdicts(twice)
    assert first.bottom_line, first.summary()
    assert second.bottom_line, second.summary()


def test_a_newline_parts_the_revisions() -> None:
    """A file may end in %%EOF without a newline; the next object must not touch it."""
    data = paper.shaped("no-newline")
    assert data.endswith(b"%%EOF")
    assert sign(data)[len(data) :].startswith(b"\n")
    assert sign(data).endswith(b"%%EOF\n")


def test_the_cross_reference_follows_the_files_manner() -> None:
    """A stream after a stream, a table after a table (ISO 32000-1 §7.5.8)."""
    for shape, stream in (("classic", False), ("hybrid", False), ("object-streams", True)):
        data = paper.shaped(shape)
        appended = sign(data)[len(data) :]
        assert (b"/Type/XRef" in appended) is stream
        assert (b"\ntrailer\n" in appended) is not stream
        assert b"/XRefStm" not in appended


def test_what_was_there_is_kept() -> None:
    """Tags, XMP, /ID and existing annotations are neither rewritten nor lost."""
    data = paper.shaped("annots")
    with pikepdf.open(io.BytesIO(data)) as before, pikepdf.open(io.BytesIO(sign(data))) as after:
        assert after.trailer.ID[0] == before.trailer.ID[0]
        assert after.Root.Metadata.read_raw_bytes() == before.Root.Metadata.read_raw_bytes()
        assert after.Root.Metadata.objgen == before.Root.Metadata.objgen
        assert after.Root.StructTreeRoot.objgen == before.Root.StructTreeRoot.objgen
        assert after.Root.MarkInfo.Marked is True
        old, new = before.pages[0].obj, after.pages[0].obj
        assert new.Annots[0].objgen == old.Annots[0].objgen
        assert len(new.Annots) == len(old.Annots) + 1
        assert new.Contents.objgen == old.Contents.objgen
        assert new.StructParents == old.StructParents


def test_a_name_taken_by_another_field_is_not_taken_twice() -> None:
    """ISO 32000-1 §12.7.3.2: fully qualified names are unique in a form."""
    signed = sign(paper.shaped("form"))
    with pikepdf.open(io.BytesIO(signed)) as pdf:
        names = [str(one.T) for one in pdf.Root.AcroForm.Fields]
    assert names == ["Signature1", "Signature2"]


def test_an_empty_field_of_the_author_is_filled() -> None:
    """ISO 32000-1 §12.7.4.5: the value goes into the field that was made for it."""
    data = paper.signature_field(paper.decision())
    signed = sign(data, SignatureRequest(field_name="Lãnh đạo"))
    (verdict,) = pyhanko_verdicts(signed)
    assert verdict.bottom_line, verdict.summary()
    with pikepdf.open(io.BytesIO(signed)) as pdf:
        assert len(pdf.Root.AcroForm.Fields) == 1
    with pytest.raises(DocumentRefused, match="signed already"):
        sign(signed, SignatureRequest(field_name="Lãnh đạo"))


@pytest.mark.parametrize("permission", [1, 2, 3])
def test_certification_says_what_may_still_change(permission: int) -> None:
    """ISO 32000-1 §12.8.2.2: DocMDP P 1, 2, 3; with 1 nothing more may be signed."""
    certified = sign(paper.decision(), SignatureRequest(certify=permission))
    (verdict,) = pyhanko_verdicts(certified)
    assert verdict.bottom_line
    with Document.open(Original.of(certified)) as document:
        assert document.doc_mdp == permission
    if permission == 1:
        with pytest.raises(DocumentRefused) as refusal:
            sign(certified)
        assert refusal.value.code == "document-certified"
    else:
        first, second = pyhanko_verdicts(sign(certified))
        assert first.bottom_line, first.summary()
        assert second.bottom_line, second.summary()


def test_certification_comes_first() -> None:
    """ISO 32000-1 §12.8.2.2.1: the certification signature is the first one."""
    with pytest.raises(DocumentRefused) as refusal:
        sign(sign(paper.decision()), SignatureRequest(certify=2))
    assert refusal.value.code == "certification-not-first"


@pytest.mark.parametrize(
    ("request_", "action", "fields"),
    [
        (SignatureRequest(lock_fields=()), "/All", None),
        (SignatureRequest(lock_fields=("Họ tên",)), "/Include", ["Họ tên"]),
        (SignatureRequest(lock_fields_except=("Ghi chú",)), "/Exclude", ["Ghi chú"]),
        (SignatureRequest(lock_fields_except=()), "/All", None),
    ],
)
def test_every_kind_of_lock(
    request_: SignatureRequest, action: str, fields: list[str] | None
) -> None:
    """ISO 32000-1 table 233: All, Include, Exclude; the same in /Lock and in the transform."""
    signed = sign(paper.shaped("form"), request_)
    (verdict,) = pyhanko_verdicts(signed)
    assert verdict.bottom_line, verdict.summary()
    with pikepdf.open(io.BytesIO(signed)) as pdf:
        field = pdf.Root.AcroForm.Fields[1]
        (transform,) = field.V.Reference
        assert transform.TransformMethod == "/FieldMDP"
        for one in (field.Lock, transform.TransformParams):
            assert one.Action == action
            found = [str(name) for name in one.Fields] if "/Fields" in one else None
            assert found == fields


def test_the_lock_of_a_prepared_field_is_honoured() -> None:
    """ISO 32000-1 §12.7.4.5: /Lock says what "shall be locked when this signature is provided"."""
    data = paper.signature_field(paper.decision())
    with pikepdf.open(io.BytesIO(data)) as pdf:
        pdf.Root.AcroForm.Fields[0].Lock = pikepdf.Dictionary(
            Type=pikepdf.Name.SigFieldLock, Action=pikepdf.Name.Exclude, Fields=["Ghi chú"]
        )
        out = io.BytesIO()
        pdf.save(out)
    signed = sign(out.getvalue(), SignatureRequest(field_name="Lãnh đạo"))
    (verdict,) = pyhanko_verdicts(signed)
    assert verdict.bottom_line, verdict.summary()
    with pikepdf.open(io.BytesIO(signed)) as pdf:
        (transform,) = pdf.Root.AcroForm.Fields[0].V.Reference
        assert transform.TransformParams.Action == "/Exclude"


def test_two_locks_are_refused() -> None:
    """Only these, and all but those, cannot both be meant."""
    with pytest.raises(SignerError) as refused:
        sign(paper.decision(), SignatureRequest(lock_fields=(), lock_fields_except=()))
    assert refused.value.code == "lock-ambiguous"


def test_fields_can_be_locked() -> None:
    """ISO 32000-1 §12.8.2.4 FieldMDP: the lock and the transform say the same."""
    signed = sign(paper.shaped("form"), SignatureRequest(lock_fields=("Signature1",)))
    (verdict,) = pyhanko_verdicts(signed)
    assert verdict.bottom_line, verdict.summary()
    with pikepdf.open(io.BytesIO(signed)) as pdf:
        field = pdf.Root.AcroForm.Fields[1]
        assert [str(one) for one in field.Lock.Fields] == ["Signature1"]
        (reference,) = field.V.Reference
        assert reference.TransformMethod == "/FieldMDP"
        assert reference.TransformParams.Action == "/Include"


def test_vietnamese_reasons_are_unicode() -> None:
    """ISO 32000-1 §7.9.2.2: text strings beyond PDFDocEncoding are UTF-16BE with a mark."""
    signed = sign(
        paper.decision(), SignatureRequest(reason="Ký duyệt (lần 2)", location="Thanh Hóa")
    )
    with pikepdf.open(io.BytesIO(signed)) as pdf:
        value = pdf.Root.AcroForm.Fields[0].V
        assert str(value.Reason) == "Ký duyệt (lần 2)"
        assert str(value.Location) == "Thanh Hóa"
        assert str(value.M) == "D:20260302153000+07'00'"
        assert str(value.SubFilter) == "/ETSI.CAdES.detached"


def test_the_byte_range_is_everything_but_the_hole() -> None:
    """EN 319 142-1 §6.3 (g): ByteRange covers the whole file except Contents."""
    signed = sign(paper.decision())
    first, length, second, rest = map(
        int, re.findall(rb"ByteRange\[(\d+) +(\d+) +(\d+) +(\d+)", signed)[-1]
    )
    assert (first, second + rest) == (0, len(signed))
    assert signed[length : length + 1] == b"<"
    assert signed[second - 1 : second] == b">"


def test_too_long_a_signature_is_noticed() -> None:
    """No dry run: the reserve is fixed, and nothing is ever cut."""
    with Document.open(Original.of(paper.decision())) as document:
        appender = Appender(document)
        pending = appender.commit(SignatureDictionary(appender.allocate(), b"<</Type/Sig", 64))
        with pytest.raises(SignerError) as refusal:
            pending.fill(bytes(33))
    assert refusal.value.code == "signature-too-long"


def test_memory_is_bounded_for_a_big_file(tmp_path: Path) -> None:
    """Only the tail and the needed objects are read; 24 MB signs in 2 MB of Python."""
    path = tmp_path / "big.pdf"
    path.write_bytes(paper.padded(paper.decision(), 24))
    template, key = CmsTemplate(holder().certificate, holder().chain), holder().key
    original = Original.at(path)
    tracemalloc.start()
    with Document.open(original) as document:
        document.require_signable()
        appender = Appender(document)
        pen = Pen(template, key, "x")
        place_signature(appender, pen, SignatureRequest(), stamp=None, time_stamper=None, now=NOW)
        revisions = b"".join(appender.revisions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20
    (verdict,) = pyhanko_verdicts(path.read_bytes() + revisions)
    assert verdict.bottom_line


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(SHAPES))
def test_a_mangled_file_is_refused_or_signed_well(seed: int, shape: str) -> None:
    """One clear refusal, or a signature that holds, whoever reads it; never another exception."""
    chance, data = random.Random(seed), bytearray(paper.shaped(shape))
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(max(0, len(data) - 4000), len(data))
        data[at] = chance.randrange(256)
    mangled = bytes(data[: len(data) - chance.choice([0, 0, 0, 1, 40, 600])])
    signed = _outcome(mangled)
    assert _outcome(mangled, by_qpdf=True) == signed
    if isinstance(signed, bytes):
        assert signed.startswith(mangled)
        with pikepdf.open(io.BytesIO(signed)) as pdf:
            assert "/AcroForm" in pdf.Root


def _outcome(data: bytes, *, by_qpdf: bool = False) -> bytes | str:
    try:
        return sign(data, by_qpdf=by_qpdf)
    except SignerError as refusal:
        return refusal.code


def test_a_name_need_not_be_text() -> None:
    """ISO 32000-1 §7.3.5: any octet but null, written as itself or as `#` and two digits."""
    data = paper.shaped("classic")
    before, trailer, after = data.rpartition(b"trailer <<")
    odd = before + trailer + b"/X#a2#20#2f(y)" + after
    signed = sign(odd)
    assert signed[len(odd) :].count(b"/X#A2#20#2F") == 1
    assert pyhanko_verdicts(signed)[0].valid


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n", b"\n\r"])
def test_a_stream_is_as_long_as_it_says(end: bytes) -> None:
    """ISO 19005-2 §6.1.7.1: /Length matches the octets between the two end-of-line markers."""
    written = closed_stream(b"data" + end)
    assert written.endswith(b"endstream")
    body = written.removesuffix(b"endstream")
    marker = b"\r\n" if body.endswith(b"\r\n") else b"\n"
    if end != b"\r\n":  # ends in LF: CR LF may also be read as data and a marker
        assert body.removesuffix(marker) == b"data" + end
