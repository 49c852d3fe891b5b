"""From captured pages to the PDF that will be signed."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import numpy as np
import page as page_validation
import pikepdf
import pypdfium2
import pytest
import zxingcpp
from PIL import Image, ImageDraw

from certify.pages.assembly import Assembled, ScanPage, assemble
from certify.pages.statement import Statement, draw
from certify.scans.capture import read_scans
from tests.certify.town_hall import scans

ADDRESS = "https://dauso.vn/v/K7QF-2M9X-H4TB-0DVW-C6RE"
STATEMENT = Statement(
    number="01",
    book="01/2026-SCTĐT/BS",
    day=date(2026, 11, 23),
    unit="Ủy ban nhân dân phường Hạc Thành",
    original="Bảng điểm tốt nghiệp đại học số VD-TEST 2026/00388 do Trường Đại học Ví Dụ cấp",
    original_pages=2,
    security_elements=("hình bóng chìm", "dấu nổi"),
    authority_lines=("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"),
    signer="Lê Văn Thử",
    code="K7QF-2M9X-H4TB-0DVW-C6RE",
    address=ADDRESS,
)


def put_together(*images: bytes, statement: Statement = STATEMENT) -> Assembled:
    pages = read_scans(images, declared_pages=len(images))
    bytes_of = {page.digest: page.jpeg for page in pages}
    facts = [ScanPage.from_json(page.to_json(n)) for n, page in enumerate(pages, 1)]
    return assemble(
        facts,
        read=bytes_of.__getitem__,
        draw=lambda count: draw(statement, pages=count),
        title="Bản sao điện tử",
        made_at=datetime(2026, 11, 23, 2, 0, tzinfo=UTC),
    )


@cache
def two_pages() -> Assembled:
    return put_together(*scans())


def rendered(data: bytes, number: int, dpi: int = 200) -> Image.Image:
    document = pypdfium2.PdfDocument(data)
    image: Image.Image = document[number - 1].render(scale=dpi / 72).to_pil().convert("RGB")
    document.close()
    return image


def written(data: bytes, tmp_path: Path) -> str:
    path = tmp_path / "copy.pdf"
    path.write_bytes(data)
    return subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True
    ).stdout


def test_pdfa(tmp_path: Path) -> None:
    """ "PDF/A-2b"; judged by page-validation, as claimed by the file itself."""
    report = page_validation.validate_pdf_bytes(two_pages().pdf)
    assert (report.profile, report.is_compliant) == (
        page_validation.ValidationProfile.PDF_A_2B,
        True,
    )


def test_the_captured_bytes_are_in_the_file() -> None:
    """What was captured is what is shown: every JPEG is in the copy byte for byte."""
    with pikepdf.open(io.BytesIO(two_pages().pdf)) as pdf:
        found = [bytes(page.Resources.XObject.Scan.read_raw_bytes()) for page in pdf.pages]
        sizes = [tuple(round(float(v)) for v in page.MediaBox) for page in pdf.pages]
    assert found == list(scans())
    assert sizes == [(0, 0, 595, 842)] * 2


def test_size() -> None:
    """Issue, figures: "file size within 1.3 × the JPEG bytes" (without signatures here)."""
    assert len(two_pages().pdf) <= 1.3 * sum(map(len, scans()))


def test_same_input_same_bytes() -> None:
    """Recovery takes an interrupted certification up with the same frozen inputs: same digest."""
    assert put_together(*scans()).pdf == two_pages().pdf


def test_statement_on_the_last_page_when_it_fits() -> None:
    """DOMAIN.md §4: "On the last page if it fits without covering anything"."""
    made = two_pages()
    assert (made.pages, made.statement_page, made.statement_added) == (2, 2, False)


def test_statement_on_an_added_page_when_it_does_not() -> None:
    """DOMAIN.md §4: "else on an added page"; page 1 of the demonstration is full of marks."""
    made = put_together(scans()[0])
    assert (made.pages, made.statement_page, made.statement_added) == (2, 2, True)


@pytest.mark.parametrize("images", [scans(), scans()[:1]])
def test_nothing_of_the_original_is_covered(images: tuple[bytes, ...]) -> None:
    """ "never over content": every dark pixel of the scan is as dark in the copy."""
    made = put_together(*images)
    for number, image in enumerate(images, 1):
        scan = Image.open(io.BytesIO(image)).convert("L")
        page = rendered(made.pdf, number).convert("L").resize(scan.size)
        before, after = np.asarray(scan, dtype=int), np.asarray(page, dtype=int)
        lost = (before < 110) & (after > before + 90)
        assert lost.mean() < 0.0002, f"page {number}"


def test_a_page_without_blank_strips_is_made_smaller() -> None:
    """A page full to its edges leaves no place for the footer: it is drawn a little smaller."""
    rows, columns = np.mgrid[0:2339, 0:1654]
    full = np.where(((rows // 30 + columns // 30) % 2)[..., None], 245, 30).astype("uint8")
    out = io.BytesIO()
    Image.fromarray(np.repeat(full, 3, axis=2)).save(out, "JPEG", dpi=(200, 200))
    made = put_together(out.getvalue())
    assert made.statement_added
    page = np.asarray(rendered(made.pdf, 1, 50).convert("L"))
    assert page[10:500].std() > 60
    codes = [found.text for found in zxingcpp.read_barcodes(rendered(made.pdf, 1))]
    assert codes == [ADDRESS]


@pytest.mark.parametrize("dpi", [150, 200, 300])
def test_every_page_carries_the_code(dpi: int) -> None:
    """ "a QR and a short code on every page footer"; read back by another library."""
    made = two_pages()
    for number in (1, 2):
        found = {code.text for code in zxingcpp.read_barcodes(rendered(made.pdf, number, dpi))}
        assert found == {ADDRESS}


def test_vietnamese_extracts(tmp_path: Path) -> None:
    """ "Vietnamese extracts correctly"; judged by poppler."""
    text = written(two_pages().pdf, tmp_path)
    for words in (
        "CHỨNG THỰC BẢN SAO ĐÚNG VỚI BẢN CHÍNH",
        "Số chứng thực: 01",
        "Quyển số: 01/2026-SCTĐT/BS",
        "Ngày 23 tháng 11 năm 2026",
        "Người thực hiện chứng thực",
        "KT. CHỦ TỊCH",
        "Lê Văn Thử",
        "hình",
        "K7QF-2M9X-H4TB-0DVW-C6RE",
        "trang 2/2",
    ):
        assert words in text, words


def test_a_long_title_gets_smaller_letters(tmp_path: Path) -> None:
    """Nothing of the statement is cut off, however long the original's name is."""
    title = "Quyết định về việc công nhận kết quả " * 9 + "KẾT THÚC"
    made = put_together(scans()[0], statement=replace(STATEMENT, original=title))
    assert "THÚC" in written(made.pdf, tmp_path)


def test_landscape_and_larger_sheets() -> None:
    """A4 lying down stays lying down; A3 is reduced to A4."""
    image = Image.open(io.BytesIO(scans()[0])).rotate(90, expand=True)
    for dpi, width in ((200, 842), (141, 842)):
        out = io.BytesIO()
        scale = round(image.width * 200 / dpi), round(image.height * 200 / dpi)
        image.resize(scale).save(out, "JPEG", dpi=(200, 200))
        with pikepdf.open(io.BytesIO(put_together(out.getvalue()).pdf)) as pdf:
            assert round(float(pdf.pages[0].MediaBox[2])) == width


def sheet(width_mm: float, height_mm: float, *, frame_mm: float, lines: float) -> bytes:
    """A scan of a sheet with a frame along its edge and writing in its upper part."""
    mm = 200 / 25.4
    image = Image.new("RGB", (round(width_mm * mm), round(height_mm * mm)), (252, 250, 240))
    pen = ImageDraw.Draw(image)
    inner = frame_mm * mm
    pen.rectangle((inner, inner, image.width - inner, image.height - inner), outline=0, width=4)
    for line in range(round(10 * mm), round(height_mm * lines * mm), round(6 * mm)):
        pen.rectangle((10 * mm, line, image.width - 10 * mm, line + 8), fill=0)
    out = io.BytesIO()
    image.save(out, "JPEG", dpi=(200, 200))
    return out.getvalue()


@pytest.mark.parametrize(("width", "height"), [(85.6, 54), (210, 148)])
def test_under_a_small_sheet_is_room_for_the_statement(width: float, height: float) -> None:
    """DOMAIN.md §4: "On the last page if it fits": a card and half a sheet stand upright on A4."""
    made = put_together(sheet(width, height, frame_mm=2, lines=0.9))
    with pikepdf.open(io.BytesIO(made.pdf)) as pdf:
        widths = [round(float(page.MediaBox[2])) for page in pdf.pages]
    assert widths == [595]
    codes = {found.text for found in zxingcpp.read_barcodes(rendered(made.pdf, 1))}
    assert codes == {ADDRESS}


def test_the_frame_along_a_smaller_sheets_edge_is_not_covered() -> None:
    """ "never over content": a sheet of letter size ends inside the page, and so does its frame."""
    made = put_together(sheet(216, 279, frame_mm=1.5, lines=0.7))
    dark = np.asarray(rendered(made.pdf, 1, 100).convert("L")) < 140
    lower = dark[dark.shape[0] * 3 // 4 :, 20:-20].mean(axis=1)
    assert lower.max() > 0.99, "the frame's lower line goes from side to side"


def test_two_empty_fields_wait_for_the_signatures() -> None:
    """After certification no field may be added, only filled; the seal's lock ends all change."""
    with pikepdf.open(io.BytesIO(two_pages().pdf)) as pdf:
        person, seal = pdf.Root.AcroForm.Fields
        assert [str(person.T), str(seal.T)] == ["Person", "Seal"]
        assert "/Lock" not in person
        assert (seal.Lock.Action, seal.Lock.P) == (pikepdf.Name.Include, 1)
        mine, theirs = [[float(v) for v in field.Rect] for field in (person, seal)]
    overlap = (theirs[2] - mine[0]) / (mine[2] - mine[0])
    assert overlap == pytest.approx(1 / 3, abs=0.02), "DOMAIN.md §3: about one third, on its left"
    assert theirs[2] - theirs[0] == pytest.approx(36 * 72 / 25.4, abs=0.1), "Ø 36 mm"


def test_no_stream_ends_with_a_carriage_return() -> None:
    """ISO 19005-2 §6.1.7.1: with the line feed before `endstream` it would read as one line end,
    and /Length as wrong; one file in twenty would be refused by strict readers."""
    for number in range(15):
        made = put_together(scans()[0], statement=replace(STATEMENT, number=f"{number:02d}"))
        assert b"\r\nendstream" not in made.pdf
