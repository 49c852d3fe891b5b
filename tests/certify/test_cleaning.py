"""Clean-up of scans: straightened, cropped to the page, and never at the cost of the evidence."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from certify.counter.viewers import Viewer
from certify.errors import CertifyError, NotFound
from certify.scans import scan_page
from certify.scans.capture import read_scans
from certify.scans.captures import captured_pages, page_image, record_capture
from certify.stores import store
from tests.api.conftest import ONLY_SQLITE
from tests.certify.test_capture import saved, scan
from tests.certify.town_hall import BY, MAU, UNIT, TownHall


def leaning(degrees: float) -> bytes:
    turned = scan().rotate(degrees, fillcolor="white", resample=Image.Resampling.BICUBIC)
    return saved(turned)


@pytest.mark.parametrize("degrees", [2.0, -3.5])
def test_a_crooked_page_is_straightened_at_true_size(degrees: float) -> None:
    """ "clean-up"; DOMAIN.md §4 *Capture*: "true size"."""
    (page,) = read_scans([leaning(degrees)], declared_pages=1)
    assert page.warnings == page.cleaning == ("page-straightened",)
    assert abs(page.skew) <= 0.4
    assert page.occupancy.width_mm == pytest.approx(210, abs=8)
    assert (page.untouched, page.kept_bytes, page.orientation) == (leaning(degrees), False, 1)
    # What is written is where it is on the straight original.
    (straight,) = read_scans([saved(scan())], declared_pages=1)
    rows = (page.occupancy.cells.sum(axis=1) > 0)[20:-20]
    wanted = (straight.occupancy.cells.sum(axis=1) > 0)[20:-20]
    size = min(len(rows), len(wanted))
    assert np.mean(rows[:size] == wanted[:size]) > 0.8


def test_the_scanners_dark_bed_is_cut_away() -> None:
    """The page is kept to its edges; a page without a bed keeps its bytes."""
    bed = Image.new("RGB", (2100, 2900), (28, 27, 30))
    bed.paste(scan(), (180, 240))
    (page,) = read_scans([saved(bed)], declared_pages=1)
    assert page.cleaning == ("page-cropped",)
    assert (page.width, page.height) == (pytest.approx(1654, abs=12), pytest.approx(2339, abs=12))
    both = bed.rotate(1.8, fillcolor=(28, 27, 30), resample=Image.Resampling.BICUBIC)
    (page,) = read_scans([saved(both)], declared_pages=1)
    assert page.cleaning == ("page-straightened", "page-cropped")
    assert (page.width, page.height) == (pytest.approx(1654, abs=16), pytest.approx(2339, abs=16))
    (page,) = read_scans([saved(scan())], declared_pages=1)
    assert (page.cleaning, page.kept_bytes, page.untouched) == ((), True, None)


def sixteen_bits(image: Image.Image) -> bytes:
    """A PNG with 16 bits a channel: 8 bits twice (ISO 15948 §13.12)."""
    pixels = np.asarray(image)
    rows = np.repeat(pixels.reshape(pixels.shape[0], -1), 2, axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    dots = round(200 / 0.0254)

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0)),
            chunk(b"pHYs", struct.pack(">IIB", dots, dots, 1)),
            chunk(b"IDAT", zlib.compress(raw, 1)),
            chunk(b"IEND", b""),
        )
    )


def test_every_kind_of_colour_becomes_ordinary_colour() -> None:
    """CMYK, 16 bits a channel, palette, transparency: as seen; grey is refused or warned of."""
    part = scan().crop((0, 0, 1654, 700))
    cmyk, palette = saved(part.convert("CMYK")), saved(part.quantize(64), "PNG")
    clear = saved(part.convert("RGBA"), "PNG")
    pages = read_scans([cmyk, sixteen_bits(part), palette, clear], declared_pages=4)
    paper = np.asarray(part)[:300].mean()
    for page in pages:
        image = Image.open(io.BytesIO(page.jpeg))
        assert image.mode == "RGB"
        assert np.asarray(image)[:300].mean() == pytest.approx(paper, abs=4)
        assert page.untouched is not None
    (grey,) = read_scans([saved(part.convert("L").convert("RGB"))], declared_pages=1)
    assert grey.warnings == ("page-colourless",)


def test_too_many_pages_stop_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a thousand frames is not decoded to its end to learn that two were declared."""
    seen = []
    real = scan_page.measured
    monkeypatch.setattr(
        scan_page, "measured", lambda *given, **more: seen.append(1) or real(*given, **more)
    )
    frames = [Image.new("RGB", (1654, 400), (250, 248, n)) for n in range(6)]
    out = io.BytesIO()
    frames[0].save(
        out,
        "TIFF",
        save_all=True,
        compression="tiff_deflate",
        append_images=frames[1:],
        dpi=(200, 200),
    )
    with pytest.raises(CertifyError) as caught:
        read_scans([out.getvalue()], declared_pages=2)
    assert caught.value.code == "scan-page-count"
    pages = scan_page.pages_of(out.getvalue(), number=1, page=1, most=3, clean=True)
    assert (len(list(pages)), len(seen)) == (3, 3)


@ONLY_SQLITE
def test_the_untouched_scan_stays_beside_the_cleaned_one(hall: TownHall) -> None:
    """Evidence: what the scanner saw; every look by an official is logged (DOMAIN.md §6)."""
    case = hall.opened()
    untouched = leaning(2.0)
    made = record_capture(hall.office, case.id, [untouched, saved(scan(1))], now=hall.now, by=BY)
    assert made.warnings == ((1, "page-straightened"),)
    clerk = Viewer.official(unit=UNIT, by=BY)
    _, pages = captured_pages(hall.office, case.id, viewer=clerk)
    assert pages[0].untouched == hashlib.sha256(untouched).hexdigest()
    look = {"viewer": clerk, "now": hall.now, "by": BY}
    own = store.add(
        hall.office, owner_id=MAU.owner_id, kind="own-paper", title="trang 1", data=untouched,
        now=hall.now, by=BY,
    )  # fmt: skip
    store.purge(hall.office, own.id, owner_id=MAU.owner_id, now=hall.now, by=BY)
    assert page_image(hall.office, case.id, 1, untouched=True, **look) == untouched
    assert (
        hashlib.sha256(page_image(hall.office, case.id, 1, **look)).hexdigest() == made.digests[0]
    )
    with pytest.raises(NotFound):
        page_image(hall.office, case.id, 3, **look)
    elsewhere = Viewer.official(unit="14758", by="official:x")
    with pytest.raises(NotFound):
        page_image(hall.office, case.id, 1, viewer=elsewhere, now=hall.now, by="official:x")
