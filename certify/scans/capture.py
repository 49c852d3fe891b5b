"""What a scan must be before it may stand for the original.

    pages = read_scans([jpeg_bytes, …], declared_pages=2)
    pages[0].warnings            # ("page-straightened",), shown to the official, who decides

DOMAIN.md §4 *Capture*: colour, at least 200 dpi, true size, as many pages as the original was
declared to have. What breaks that is refused; blur and blank pages are only warned of. Nothing of a
scan is decoded in this process: a PDF's pages are taken out by one confined child (`pdf_pages`),
images are decoded, measured and cleaned up by another, kept warm (`scan_pool`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from certify.errors import CaptureRejected
from certify.scans import pdf_pages
from certify.scans.pdf_pages import PdfPage
from certify.scans.scan_page import Page
from certify.scans.scan_pool import Pool, shared_pool

MAXIMUM_SCAN_BYTES = 40 * 1024 * 1024
MAXIMUM_PAGES = 1000


def read_scans(
    scans: Sequence[bytes], *, declared_pages: int, clean: bool = True, pool: Pool | None = None
) -> list[Page]:
    """Every page of every scan, in order (PDF and TIFF may hold several).

    Raises `CaptureRejected`: `scan-unreadable`, `scan-too-large`, `scan-too-many-pixels`,
    `scan-resolution-low`, `scan-not-colour`, `scan-page-too-large`, `scan-page-too-small`,
    `scan-page-count`, each naming the scan or the page.
    """
    pool = pool or shared_pool()
    most = min(MAXIMUM_PAGES, declared_pages)
    pages: list[Page] = []
    for number, scan in enumerate(scans, 1):
        if len(pages) > most:
            break
        if len(scan) > MAXIMUM_SCAN_BYTES:
            raise CaptureRejected("scan-too-large", scan=number, limit=MAXIMUM_SCAN_BYTES >> 20)
        for part in _parts(scan, number, most=most + 1 - len(pages)):
            left, first = most + 1 - len(pages), len(pages) + 1
            pages += pool.pages(part, number=number, page=first, most=left, clean=clean)
    if len(pages) != declared_pages:
        raise CaptureRejected("scan-page-count", declared=declared_pages, found=len(pages))
    return pages


def _parts(scan: bytes, number: int, *, most: int) -> Iterator[bytes | PdfPage]:
    """An image file as it is, a PDF page by page."""
    if not scan.startswith(b"%PDF-"):
        yield scan
        return
    try:
        yield from pdf_pages.pages(scan, most=most)
    except pdf_pages.TooLarge as error:
        raise CaptureRejected("scan-too-many-pixels", scan=number) from error
    except OSError as error:
        raise CaptureRejected("scan-unreadable", scan=number) from error
