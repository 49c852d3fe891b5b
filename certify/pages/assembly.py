"""From captured pages to the PDF that will be signed.

    assembled = assemble(pages, read=blobs.get, drawn=drawn, …)
    assembled.pdf                    # A4, PDF/A-2b, two empty signature fields

Every page shows the scan at true size with its JPEG bytes as they were captured. The statement
stands on the last page when there is room for it, else on a page of its own; the footer with QR and
code stands where the page is blank, and a page without any blank strip is drawn a little smaller to
make one: nothing we add ever covers what the original says (DOMAIN.md §4).

The same input gives the same bytes, so that an interrupted certification can be taken up again.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import pikepdf
from pikepdf import Array, Dictionary, Name, Pdf, Stream, String

from certify.errors import CertifyError
from certify.pages import code_image
from certify.pages.archival import as_pdfa, attach, judge
from certify.pages.layout import (
    A4,
    MM,
    Placement,
    bottom_right,
    footer_spot,
    on_page,
    placement,
    shifted,
    smaller,
    statement_spot,
)
from certify.pages.occupancy import Occupancy
from certify.pages.statement import Box, Drawn

CAPTURE_DATA = "du-lieu-chup-quet.json"
PERSON_FIELD = "Person"
SEAL_FIELD = "Seal"
_PRINT_LOCKED = 132  # annotation flags Print and Locked; PDF/A asks for Print


@dataclass(frozen=True)
class ScanPage:
    """A captured page as the assembly needs it."""

    digest: str
    width: int
    height: int
    dpi: float
    orientation: int
    occupancy: Occupancy

    @classmethod
    def from_json(cls, data: dict[str, object]) -> ScanPage:
        grid = data["occupancy"]
        if not isinstance(grid, dict):
            raise CertifyError("capture-incomplete")
        return cls(
            digest=str(data["digest"]),
            width=int(str(data["width"])),
            height=int(str(data["height"])),
            dpi=float(str(data["dpi"])),
            orientation=int(str(data["orientation"])),
            occupancy=Occupancy.from_json(grid),
        )


@dataclass(frozen=True)
class Assembled:
    """The PDF to sign; boxes are PDF points on `statement_page` (1-based); `code` is the QR's."""

    pdf: bytes
    pages: int
    statement_page: int
    statement_added: bool
    signature_box: Box
    seal_box: Box
    code: str = ""


def assemble(
    pages: Sequence[ScanPage],
    *,
    read: Callable[[str], bytes],
    draw: Callable[[int], Drawn],
    title: str,
    made_at: datetime,
    code_version: int | None = None,
    text_layers: Mapping[int, str] = MappingProxyType({}),
    capture_data: bytes | None = None,
) -> Assembled:
    """Put the copy together. `draw(n)` draws the statement and n footers.

    With `code_version` the statement has a blank for a QR code of that version
    (`certify.pages.code_image`). `text_layers` are the digests of recognised pages by number
    (`certify.scans.recognition`). With `capture_data` the file is PDF/A-3b and carries it.

    Raises `CertifyError`: `copy-not-pdfa` when the judge of PDF/A does not accept the result.
    """
    placements = [placement(page.occupancy) for page in pages]
    first_guess = draw(len(pages))
    block, footer = first_guess.template.block_mm, first_guess.template.footer_mm
    spots = [
        footer_spot(page.occupancy, placed, footer)
        for page, placed in zip(pages, placements, strict=True)
    ]
    for index, spot in enumerate(spots):
        if spot is None:
            placements[index] = smaller(pages[index].occupancy, footer)
            spots[index] = bottom_right(placements[index].page_mm, footer)
    where = statement_spot(pages[-1].occupancy, placements[-1], block, on_page(spots[-1]), footer)
    added = where is None
    drawn = draw(len(pages) + 1) if added else first_guess
    if where is None:
        placements.append(Placement(A4, 0, 0, 1))
        spots.append(bottom_right(A4, footer))
        where = ((A4[0] - block[0]) / 2, 22.0)

    with Pdf.new() as pdf, Pdf.open(io.BytesIO(drawn.pdf)) as drawing:
        for index, placed in enumerate(placements):
            scan = pages[index] if index < len(pages) else None
            _add_page(pdf, placed, scan, read)
            if scan is not None and index + 1 in text_layers:
                _add_text(pdf, index, read(text_layers[index + 1]), placed, scan)
        for index, (placed, spot) in enumerate(zip(placements, spots, strict=True)):
            _overlay(pdf, index, drawing.pages[index + 1], on_page(spot), footer, placed)
        last = placements[-1]
        _overlay(pdf, len(placements) - 1, drawing.pages[0], where, block, last)
        base_x = where[0] * MM
        base_y = (last.page_mm[1] - where[1] - block[1]) * MM
        person = shifted(drawn.template.signature_mm, base_x, base_y)
        seal = shifted(drawn.template.seal_mm, base_x, base_y)
        if code_version is not None:
            code = shifted(drawn.template.code_mm, base_x, base_y)
            _add_code(pdf, len(placements) - 1, code, code_version)
        _add_fields(pdf, len(placements) - 1, person, seal)
        flavour = "2b"
        if capture_data is not None:
            flavour = "3b"
            attach(
                pdf,
                capture_data,
                name=CAPTURE_DATA,
                description="Dữ liệu chụp quét bản chính",
                mime_type="application/json",
                made_at=made_at,
            )
        data = as_pdfa(pdf, title=title, made_at=made_at, flavour=flavour)
    judge(data, flavour=flavour)
    return Assembled(data, len(placements), len(placements), added, person, seal)


def _add_page(
    pdf: Pdf, placed: Placement, scan: ScanPage | None, read: Callable[[str], bytes]
) -> None:
    page = pdf.add_blank_page(page_size=(placed.page_mm[0] * MM, placed.page_mm[1] * MM))
    if scan is None:
        return
    image = Stream(
        pdf,
        read(scan.digest),
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=scan.width,
        Height=scan.height,
        ColorSpace=Name.DeviceRGB,
        BitsPerComponent=8,
        Filter=Name.DCTDecode,
    )
    page.Resources = Dictionary(XObject=Dictionary(Scan=pdf.make_indirect(image)))
    grid = scan.occupancy
    width = grid.width_mm * placed.scale * MM
    height = grid.height_mm * placed.scale * MM
    x = placed.x * MM
    y = (placed.page_mm[1] - placed.y) * MM - height
    # EXIF orientations 3, 6, 8: how the camera was held, undone by the matrix, not by re-encoding.
    matrix = {
        1: (width, 0, 0, height, x, y),
        3: (-width, 0, 0, -height, x + width, y + height),
        6: (0, -height, width, 0, x, y + height),
        8: (0, height, -width, 0, x + width, y),
    }[scan.orientation]
    numbers = " ".join(f"{value:.4f}" for value in matrix)
    page.Contents = Stream(pdf, f"q {numbers} cm /Scan Do Q\n".encode("ascii"))


def _add_text(pdf: Pdf, index: int, layer: bytes, placed: Placement, scan: ScanPage) -> None:
    """The recognised words, invisible, exactly over the scan they were read from."""
    page = pdf.pages[index]
    with Pdf.open(io.BytesIO(layer)) as recognised:
        drawing = recognised.pages[0]
        box = drawing.mediabox
        form = pdf.copy_foreign(drawing.as_form_xobject())
        size = float(box[2]) - float(box[0]), float(box[3]) - float(box[1])
    page.Resources.XObject["/Words"] = form
    grid = scan.occupancy
    width, height = (side * placed.scale * MM for side in (grid.width_mm, grid.height_mm))
    x, y = placed.x * MM, (placed.page_mm[1] - placed.y) * MM - height
    matrix = f"{width / size[0]:.6f} 0 0 {height / size[1]:.6f} {x:.4f} {y:.4f}"
    page.contents_add(f"q {matrix} cm /Words Do Q\n".encode("ascii"))


def _overlay(
    pdf: Pdf,
    index: int,
    drawing: pikepdf.Page,
    at: tuple[float, float],
    size: tuple[float, float],
    placed: Placement,
) -> None:
    """Put a drawn page on a page, at its own size (names are fixed: same input, same bytes)."""
    page = pdf.pages[index]
    form = pdf.copy_foreign(drawing.as_form_xobject())
    resources = page.Resources if "/Resources" in page else Dictionary()
    page.Resources = resources
    if "/XObject" not in resources:
        resources.XObject = Dictionary()
    name = f"/Drawn{len(resources.XObject)}"
    resources.XObject[name] = form
    x, y = at[0] * MM, (placed.page_mm[1] - at[1] - size[1]) * MM
    page.contents_add(f"q 1 0 0 1 {x:.4f} {y:.4f} cm {name} Do Q\n".encode("ascii"))


def _add_code(pdf: Pdf, index: int, box: Box, version: int) -> None:
    """The blank for the signed QR code; its quiet zone is part of the image."""
    page = pdf.pages[index]
    page.Resources.XObject["/Code"] = pdf.make_indirect(code_image.blank(pdf, version))
    side = box[2] - box[0]
    page.contents_add(
        f"q {side:.4f} 0 0 {side:.4f} {box[0]:.4f} {box[1]:.4f} cm /Code Do Q\n".encode("ascii")
    )


def _add_fields(pdf: Pdf, index: int, person: Box, seal: Box) -> None:
    """Two empty signature fields: after certification no field may be added, only filled.

    The seal's lock ends all change (ISO 32000-2 table 236, /P 1); archive data stay possible.
    """
    page = pdf.pages[index]
    fields = []
    for name, box in ((PERSON_FIELD, person), (SEAL_FIELD, seal)):
        empty = Stream(pdf, b"", Type=Name.XObject, Subtype=Name.Form)
        # Just what the signature's own appearance will have: then filling changes only the drawing.
        empty.BBox = Array([0, 0, round(box[2] - box[0], 2), round(box[3] - box[1], 2)])
        field = Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Sig,
            T=String(name),
            F=_PRINT_LOCKED,
            P=page.obj,
            Rect=Array([round(value, 3) for value in box]),
            AP=Dictionary(N=pdf.make_indirect(empty)),
        )
        if name == SEAL_FIELD:
            names = Array([String(PERSON_FIELD), String(SEAL_FIELD)])
            field.Lock = Dictionary(Type=Name.SigFieldLock, Action=Name.Include, Fields=names, P=1)
        fields.append(pdf.make_indirect(field))
    page.Annots = Array(fields)
    pdf.Root.AcroForm = Dictionary(Fields=Array(fields), SigFlags=1)
