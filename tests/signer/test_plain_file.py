"""The file's own text of a dictionary: taken only where it can be nothing else."""

from __future__ import annotations

import io
import random
import re

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.errors import DocumentRefused, SignerError
from signer.looks.appearance import Appearance
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.plain_file import PlainFile
from signer.pdf.plain_pages import PlainPages
from signer.signature import SignatureRequest
from tests.signer import paper
from tests.signer.paper import SHAPES
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


TREE = (
    b"<</Type/Catalog/Pages 2 0 R>>",
    b"<</Type/Pages/Kids[3 0 R 6 0 R]/Count 3/MediaBox[0 0 300 400]/Rotate 90>>",
    b"<</Type/Pages/Parent 2 0 R/Kids[4 0 R 5 0 R]/Count 2/CropBox[10 10 200 300]>>",
    b"<</Type/Page/Parent 3 0 R>>",
    b"<</Type/Page/Parent 3 0 R/Rotate -90/CropBox[0 0 100.5 50]>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[400 300 0 0]/Rotate 0>>",
)


def tree(changed: dict[int, bytes]) -> bytes:
    """TREE with other bodies for some of its objects."""
    bodies = [changed.get(number, body) for number, body in enumerate(TREE, start=1)]
    return made(*bodies, trailer=b"/Root 1 0 R/Size 7")


@pytest.mark.parametrize(
    "data", [tree({}), paper.decision(), paper.decision(pages=3), paper.decision(pdfa="a-2b")]
)
def test_the_pages_are_those_that_qpdf_finds(data: bytes) -> None:
    """ISO 32000-1 §7.7.3: the pages in order, box and rotation inherited where a page has none."""
    with Document.open(Original.of(data)) as document:
        plain, by_qpdf = document.plain_pages, Document.open(Original.of(data))
        assert plain is not None
        assert [one.dictionary.objgen for one in plain.leaves] == [
            one.obj.objgen for one in document.page_objects
        ]
        by_qpdf.plain_pages = None  # the same file as if it were not plain
        for number in range(1, document.pages + 1):
            assert document.geometry(number) == by_qpdf.geometry(number)
        assert document.pdfa_part == by_qpdf.pdfa_part
        by_qpdf.close()


@pytest.mark.parametrize(
    "changed",
    [
        {2: b"<</Type/Pages/Kids[3 0 R 6 0 R]/Count 4>>"},
        {2: b"<</Type/Pages/Kids[3 0 R 6 0 R 6 0 R]/Count 4>>"},
        {2: b"<</Type/Pages/Kids[3 0 R 6 0 R]/Count 3/Parent 2 0 R>>"},
        {3: b"<</Type/Pages/Parent 2 0 R/Kids[4 0 R 2 0 R]/Count 2>>"},
        {3: b"<</Type/Pages/Parent 1 0 R/Kids[4 0 R 5 0 R]/Count 2>>"},
        {3: b"<</Type/Pages/Parent 2 0 R/Kids 4 0 R/Count 2>>"},
        {4: b"<</Parent 3 0 R/MediaBox[0 0 9 9]>>"},
        {4: b"<</Type/Page/Parent 3 0 R/MediaBox[0 0 9 9]/Kids[5 0 R]>>"},
        {2: b"<</Type/Page/Kids[3 0 R 6 0 R]/Count 1>>"},
        {4: b"<</Type/Page/Type/Pages/Parent 3 0 R>>"},
        {1: b"<</Type/Catalog/Pages 2 0 R/Pages 3 0 R>>"},
        {1: b"<</Type/Catalog/Names<</Pages 2 0 R>>>>"},
    ],
)
def test_a_tree_that_two_readers_could_see_differently_is_left_to_qpdf(
    changed: dict[int, bytes],
) -> None:
    """A reader that believes /Count, /Parent or the second of two keys sees other pages."""
    data = tree(changed)
    assert PlainFile.of(data, data.rindex(b"xref\n0 ")).trailer is not None
    found = PlainPages.of(PlainFile.of(data, data.rindex(b"xref\n0 ")))
    assert found is None


BASES = (tree({}), paper.decision(), paper.decision(pages=3), paper.decision(pdfa="a-2b"))
SPOTS = re.compile(rb"obj|xref|trailer|/Type|/Kids|/Count|/Parent|/Root|/Size|/MediaBox")
PIECES = b"/ << >> [ ] ( ) < > % R 0 1 - . \\ f n obj endobj stream xref /Type /Page /Kids #41 null"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_what_the_grammar_takes_qpdf_takes_too(seed: int) -> None:
    """Two readers, one document: the same pages and the same revision, or qpdf decides alone."""
    data = changed_somewhere(random.Random(seed))
    try:
        document = Document.open(Original.of(data))
    except DocumentRefused:
        return
    with document:
        if document.plain_pages is None:
            return
        leaves = [one.dictionary.objgen for one in document.plain_pages.leaves]
        assert [one.obj.objgen for one in document.page_objects] == leaves
    assert revision_of(data, by_qpdf=False) == revision_of(data, by_qpdf=True)


def changed_somewhere(chance: random.Random) -> bytes:
    """A plain file with one to three changes in its structure."""
    data = bytearray(chance.choice(BASES))
    spots = [found.start() for found in SPOTS.finditer(data)]
    for _ in range(chance.randint(1, 3)):
        at = min(len(data) - 1, max(0, chance.choice(spots) + chance.randint(-8, 40)))
        piece = chance.choice(PIECES.split())
        match chance.randrange(5):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] = chance.choice(b"0123456789")
            case 2:
                data[at : at + len(piece)] = piece
            case 3:
                data[at:at] = piece
            case _:
                del data[at]
    return bytes(data)


def revision_of(data: bytes, *, by_qpdf: bool) -> bytes | str:
    try:
        return sign(data, by_qpdf=by_qpdf)
    except SignerError as refusal:
        return refusal.code


@pytest.mark.parametrize(
    ("row", "taken"),
    [
        (b"%010d 00000 f \n", True),
        (b"%010d 00000 n\r\n", False),  # unlike the other rows: qpdf's affair
        (b"%010d 00000 n\t\n", False),
        (b"%010d 0000 n  \n", False),
        (b"%09d 00000 n  \n", False),
    ],
)
def test_rows_are_twenty_octets(row: bytes, taken: bool) -> None:
    """ISO 32000-1 §7.5.4: ten digits, five digits, f or n, and a two-character end of line."""
    data = made(b"<</Type/Catalog/Pages 2 0 R>>", PAGES, PAGE, b"<</Unused true>>")
    data = data.replace(b"/Size 4", b"/Size 5")
    at = data.index(b"4 0 obj")
    changed = data.replace(b"%010d 00000 n \n" % at, row % at)
    assert (PlainFile.of(changed, data.rindex(b"xref\n0 ")).trailer is not None) == taken


@pytest.mark.parametrize("end", [b"\r\n", b" \r", b"\r\r", b"\n\r"])
def test_rows_end_in_one_of_three_ways(end: bytes) -> None:
    """ISO 32000-1 §7.5.4: SP CR, SP LF, or CR LF."""
    data = made(b"<</Type/Catalog/Pages 2 0 R>>", PAGES, PAGE)
    at = data.rindex(b"xref\n0 ")
    changed = data[:at] + re.sub(rb"( 65535 f| 00000 n) \n", rb"\g<1>" + end, data[at:])
    taken = PlainFile.of(changed, at).trailer is not None
    assert taken == (end in (b"\r\n", b" \r"))


@pytest.mark.parametrize("visible", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_both_readers_sign_to_the_same_octets(shape: str, visible: bool) -> None:
    """Whoever reads the file, the revision is the same."""
    data = paper.shaped(shape)
    look = Appearance(page=1, box=(4, 4, 69, 52), lines=("CHỦ TỊCH",)) if visible else None
    request = SignatureRequest(appearance=look, reason="kiểm tra")
    assert sign(data, request, by_qpdf=True) == sign(data, request)


@pytest.mark.parametrize("turned", [b"45", b"1.5", b"/A", b"[90]"])
def test_a_page_turned_by_half_is_refused(turned: bytes) -> None:
    """§7.7.3.3 table 30: /Rotate is a multiple of 90."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Rotate %s>>" % turned
    data = made(b"<</Type/Catalog/Pages 2 0 R>>", PAGES, page)
    look = Appearance(page=1, box=(10, 10, 90, 90), lines=("CHỦ TỊCH",))
    for by_qpdf in (False, True):
        with pytest.raises(DocumentRefused, match=r"/Rotate|damaged"):
            sign(data, SignatureRequest(appearance=look), by_qpdf=by_qpdf)
