"""The file's own text of a dictionary: taken only where it can be nothing else."""

from __future__ import annotations

import io

import pikepdf
import pytest

from signer.pdf.document import Document, Original
from signer.pdf.plain_file import PlainFile
from signer.signature import SignatureRequest
from tests.signer import paper
from tests.signer.software_desk import pyhanko_verdicts, sign


def made(*objects: bytes, trailer: bytes = b"/Root 1 0 R/Size 4") -> bytes:
    """A small PDF of these bodies, object 1 the catalog, 2 the pages, 3 the page."""
    data, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj%s\nendobj\n" % (number, body)
    at = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % one for one in places)
    return data + b"trailer\n<<%s>>\nstartxref\n%d\n%%%%EOF\n" % (trailer, at)


PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>"


@pytest.mark.parametrize(
    ("catalog", "taken"),
    [
        (b"<</Type/Catalog/Pages 2 0 R>>", True),
        (b"\n<< /Type /Catalog /Pages 2 0 R /Lang (vi) >> ", True),
        (b"<</Type/Catalog/Pages 2 0 R%>>\n>>", False),
        (b"<</Type/Catalog/Pages 2 0 R/Lang(v\\)i)>>", False),
        (b"<</Type/Catalog/Pages 2 0 R/Lang(x >> endobj y)>>", False),
        (b"<</Type/Catalog/Pages 2 0 R/Acro#46orm null>>", False),
        (b"<</Type/Catalog/Pages 2 0 R/Lang<3e3e>>>", True),
    ],
)
def test_only_what_is_certain(catalog: bytes, taken: bool) -> None:
    """ISO 32000-1 §7.3: comments, strings and names can hide where a dictionary ends."""
    data = made(catalog, PAGES, PAGE)
    with Document.open(Original.of(data)) as document:
        text = document.plain.dictionary(1, 0)
        assert (text is not None) == taken
        assert document.plain.dictionary(9, 0) is None
        assert document.plain.dictionary(1, 1) is None
    (verdict,) = pyhanko_verdicts(sign(data))
    assert verdict.intact
    assert verdict.valid


def test_a_key_that_is_null_is_not_doubled() -> None:
    """§7.3.9: null is the same as absence, and qpdf does not count it; a second one would stay."""
    data = made(b"<</Type/Catalog/Pages 2 0 R/AcroForm null>>", PAGES, PAGE)
    signed = sign(data, SignatureRequest(reason="kiểm tra"))
    newest = signed[len(data) :]
    assert newest.count(b"/AcroForm") == 1
    with pikepdf.open(io.BytesIO(signed)) as pdf:
        assert len(pdf.Root.AcroForm.Fields) == 1


@pytest.mark.parametrize(
    ("shape", "plain"),
    [("classic", True), ("object-streams", False), ("hybrid", False), ("updated", False)],
)
def test_which_files_are_plain(shape: str, plain: bool) -> None:
    """One classic table and nothing before it; everything else is qpdf's to write."""
    data = paper.shaped(shape)
    with Document.open(Original.of(data)) as document:
        assert (document.plain.trailer is not None) == plain
        root = document.pdf.Root
        text = document.plain.dictionary(*root.objgen)
        assert (text is not None) == plain
    assert pyhanko_verdicts(sign(data))[0].valid


def test_a_trailer_that_says_more_is_not_plain() -> None:
    """/Encrypt, /Prev or anything unknown: the whole trailer is qpdf's to repeat."""
    for more in (b"/Prev 0", b"/XRefStm 9", b"/Extra(1)", b"/Root 1 0 R"):
        data = made(b"<</Type/Catalog/Pages 2 0 R>>", PAGES, PAGE, trailer=b"/Root 1 0 R" + more)
        found = PlainFile.of(data, data.rindex(b"xref\n0 "))
        assert found.trailer is None
