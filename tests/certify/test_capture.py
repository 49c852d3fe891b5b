"""What a scan must be before it may stand for the original."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image, ImageFilter

from certify.errors import CaptureRejected
from certify.pages.occupancy import Occupancy
from certify.scans.capture import read_scans
from certify.scans.jpeg_file import plain
from tests.certify.town_hall import scans


def scan(number: int = 0) -> Image.Image:
    return Image.open(io.BytesIO(scans()[number]))


def saved(image: Image.Image, kind: str = "JPEG", dpi: int | None = 200, **more: object) -> bytes:
    out = io.BytesIO()
    if dpi is not None:
        more["dpi"] = (dpi, dpi)
    image.save(out, kind, **more)
    return out.getvalue()


def test_a_good_scan_is_kept_byte_for_byte() -> None:
    """Decoding and encoding again would change what was captured: the JPEG stays as it is."""
    pages = read_scans(scans(), declared_pages=2)
    assert [page.jpeg for page in pages] == list(scans())
    assert all(page.warnings == () for page in pages)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_other_images_become_jpeg(kind: str) -> None:
    """ "upload of scans (JPEG, PNG, TIFF, PDF)"."""
    (page,) = read_scans([saved(scan().reduce(1), kind)], declared_pages=1)
    assert page.jpeg.startswith(b"\xff\xd8")
    assert (page.width, page.height, page.kept_bytes) == (1654, 2339, False)


def test_a_scanners_pdf_gives_its_own_jpegs() -> None:
    """A PDF whose pages are one upright JPEG each: the very bytes are taken out."""
    import pikepdf

    with pikepdf.new() as pdf:
        for data in scans():
            page = pdf.add_blank_page(page_size=(1654 * 0.36, 2339 * 0.36))
            image = pikepdf.Stream(
                pdf, data, Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image, Width=1654,
                Height=2339, ColorSpace=pikepdf.Name.DeviceRGB, BitsPerComponent=8,
                Filter=pikepdf.Name.DCTDecode,
            )  # fmt: skip
            page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(I=image))
            page.Contents = pikepdf.Stream(pdf, b"q 595.44 0 0 842.04 0 0 cm /I Do Q")
        out = io.BytesIO()
        pdf.save(out)
    pages = read_scans([out.getvalue()], declared_pages=2)
    assert [page.jpeg for page in pages] == list(scans())
    assert pages[0].dpi == pytest.approx(200, abs=0.1)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (lambda: saved(scan(), dpi=150), "scan-resolution-low"),
        (lambda: saved(scan(), dpi=None), "scan-resolution-low"),
        (lambda: saved(scan().convert("L")), "scan-not-colour"),
        (lambda: saved(scan().resize((4000, 5600)), dpi=200), "scan-page-too-large"),
        (lambda: b"GIF89a", "scan-unreadable"),
        (lambda: scans()[0][:-200000], "scan-unreadable"),
        (lambda: b"%PDF-1.7 nothing", "scan-unreadable"),
        (lambda: saved(scan())[:0], "scan-unreadable"),
    ],
)
def test_what_cannot_become_a_copy(data: Callable[[], bytes], code: str) -> None:
    """DOMAIN.md §4 *Capture*: "colour, ≥ 200 dpi, true size"."""
    with pytest.raises(CaptureRejected) as caught:
        read_scans([data()], declared_pages=1)
    assert caught.value.code == code


def a_pdf(content: bytes, size: tuple[float, float] = (595, 842)) -> bytes:
    import pikepdf

    with pikepdf.new() as pdf:
        page = pdf.add_blank_page(page_size=(595, 842))
        page.MediaBox = pikepdf.Array([0, 0, *size])
        page.Contents = pikepdf.Stream(pdf, content)
        out = io.BytesIO()
        pdf.save(out)
    return out.getvalue()


def test_a_pdf_that_asks_for_hours_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded time: a page is drawn in a confined child, which is stopped; ours goes on."""
    from certify.scans import pdf_pages

    monkeypatch.setattr(pdf_pages, "_SECONDS", 0)
    monkeypatch.setattr(pdf_pages, "_SECONDS_PER_PAGE", 1)
    endless = a_pdf(b"0 0 595 842 re 1 0 0 rg f\n" * 300_000)
    with pytest.raises(CaptureRejected) as caught:
        read_scans([endless], declared_pages=1)
    assert caught.value.code == "scan-unreadable"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (lambda: saved(scan(), dpi=65535), "scan-page-too-small"),
        (lambda: saved(Image.new("RGB", (3300, 2), "white")), "scan-page-too-small"),
        (lambda: saved(Image.new("RGB", (8300, 8300)), "PNG", dpi=400), "scan-page-too-large"),
        (lambda: a_pdf(b"", (3, 3)), "scan-page-too-small"),
        (lambda: a_pdf(b"", (14400, 14400)), "scan-too-many-pixels"),
        (lambda: b"%PDF-1.4\n" + scans()[0], "scan-unreadable"),
        (lambda: scans()[0][:50_000], "scan-unreadable"),
        (lambda: b"", "scan-unreadable"),
    ],
)
def test_hostile_files_are_refused(data: Callable[[], bytes], code: str) -> None:
    """Wrong sizes, polyglots, truncated, empty: one clear reason, and nothing decoded first."""
    with pytest.raises(CaptureRejected) as caught:
        read_scans([data()], declared_pages=1)
    assert caught.value.code == code


def test_only_what_every_reader_decodes_is_kept() -> None:
    """ISO 32000-2, 7.4.8: what lies behind a JPEG's end is not the picture and does not go into
    the copy; CMYK and RGB without YCbCr are drawn anew."""
    whole = scans()[0]
    (page,) = read_scans([whole + b"PK\x03\x04" + bytes(100)], declared_pages=1)
    assert (page.jpeg, page.kept_bytes) == (whole, True)
    (page,) = read_scans([saved(scan().convert("CMYK"))], declared_pages=1)
    assert not page.kept_bytes
    arithmetic = whole.replace(b"\xff\xc0", b"\xff\xc9", 1)
    assert (plain(whole), plain(arithmetic)) == (whole, None)
    assert plain(saved(scan(), progressive=True)) is not None
    assert plain(saved(scan(), keep_rgb=True)) is None


def test_page_count_is_the_declared_one() -> None:
    """DOMAIN.md §4 *Capture*: "page count equal to the declared original's"."""
    with pytest.raises(CaptureRejected) as caught:
        read_scans(scans(), declared_pages=3)
    assert caught.value.params == {"declared": 3, "found": 2}


def test_skew_blur_and_blank_pages_are_warned_of() -> None:
    """ "skew and blur warned, blank pages found"; the official decides."""
    skewed = saved(scan().rotate(2, fillcolor="white", resample=Image.Resampling.BICUBIC))
    blurred = saved(scan().filter(ImageFilter.GaussianBlur(2.5)))
    blank = saved(Image.new("RGB", (1654, 2339), (250, 248, 240)))
    pages = read_scans([skewed, blurred, blank], declared_pages=3, clean=False)
    assert [page.warnings for page in pages] == [
        ("page-skewed",),
        ("page-blurred",),
        ("page-blank",),
    ]
    assert pages[0].skew == pytest.approx(2.3, abs=0.3)


def test_occupancy_survives_storage() -> None:
    """The map of blank places is what assembly relies on: it must come back the same."""
    (page,) = read_scans(scans()[:1], declared_pages=1)
    again = Occupancy.from_json(page.occupancy.to_json())
    assert (again.cells == page.occupancy.cells).all()
    assert not again.is_free(x=20, y=100, width=60, height=10)
    assert again.is_free(x=20, y=245, width=60, height=20)
    assert not again.is_free(x=180, y=280, width=60, height=10), "off the page is not free"


def test_a_camera_on_its_side_keeps_its_bytes() -> None:
    """EXIF orientation is undone by the matrix in the copy, not by encoding again."""
    turned = scan().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(turned, exif=exif)
    (page,) = read_scans([data], declared_pages=1)
    assert (page.jpeg, page.orientation) == (data, 6)
    assert page.occupancy.height_mm > page.occupancy.width_mm
    assert not page.occupancy.is_free(x=20, y=100, width=60, height=10)
