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

import base64
import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import page as page_validation
import pikepdf
import pikepdf.pdfa
from pikepdf import Array, Dictionary, Name, Pdf, Stream, String

from certify import code_image
from certify.errors import CertifyError
from certify.occupancy import Occupancy
from certify.statement import Box, Drawn

MM = 72 / 25.4
A4 = (210.0, 297.0)
MARGIN = 7.0
GAP = 5.0
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
class Placement:
    """How a scan lies on its A4 page, in millimetres from the page's upper left corner."""

    page_mm: tuple[float, float]
    x: float
    y: float
    scale: float

    def is_free(self, grid: Occupancy, *, x: float, y: float, width: float, height: float) -> bool:
        """Whether a box of the page is blank: off the scan, or on a blank part of it."""
        if x < 0 or y < 0 or x + width > self.page_mm[0] or y + height > self.page_mm[1]:
            return False
        left = max(0.0, (x - self.x) / self.scale)
        top = max(0.0, (y - self.y) / self.scale)
        right = min(grid.width_mm, (x + width - self.x) / self.scale)
        bottom = min(grid.height_mm, (y + height - self.y) / self.scale)
        if right <= left or bottom <= top:
            return True
        return grid.is_free(x=left, y=top, width=right - left, height=bottom - top)


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
) -> Assembled:
    """Put the copy together. `draw(n)` draws the statement and n footers.

    With `code_version` the statement has a blank for a QR code of that version
    (`certify.code_image`).

    Raises `CertifyError`: `copy-not-pdfa` when the judge of PDF/A does not accept the result.
    """
    placements = [_placement(page.occupancy) for page in pages]
    first_guess = draw(len(pages))
    block, footer = first_guess.template.block_mm, first_guess.template.footer_mm
    spots = [
        _footer_spot(page.occupancy, placed, footer)
        for page, placed in zip(pages, placements, strict=True)
    ]
    for index, spot in enumerate(spots):
        if spot is None:
            placements[index] = _smaller(pages[index].occupancy, footer)
            spots[index] = _bottom_right(placements[index].page_mm, footer)
    where = _statement_spot(pages[-1].occupancy, placements[-1], block, _on_page(spots[-1]), footer)
    added = where is None
    drawn = draw(len(pages) + 1) if added else first_guess
    if where is None:
        placements.append(Placement(A4, 0, 0, 1))
        spots.append(_bottom_right(A4, footer))
        where = ((A4[0] - block[0]) / 2, 22.0)

    with Pdf.new() as pdf, Pdf.open(io.BytesIO(drawn.pdf)) as drawing:
        for index, placed in enumerate(placements):
            scan = pages[index] if index < len(pages) else None
            _add_page(pdf, placed, scan, read)
        for index, (placed, spot) in enumerate(zip(placements, spots, strict=True)):
            _overlay(pdf, index, drawing.pages[index + 1], _on_page(spot), footer, placed)
        last = placements[-1]
        _overlay(pdf, len(placements) - 1, drawing.pages[0], where, block, last)
        base_x = where[0] * MM
        base_y = (last.page_mm[1] - where[1] - block[1]) * MM
        person = _shifted(drawn.template.signature_mm, base_x, base_y)
        seal = _shifted(drawn.template.seal_mm, base_x, base_y)
        if code_version is not None:
            code = _shifted(drawn.template.code_mm, base_x, base_y)
            _add_code(pdf, len(placements) - 1, code, code_version)
        _add_fields(pdf, len(placements) - 1, person, seal)
        data = _as_pdfa(pdf, title=title, made_at=made_at)
    _judge(data)
    return Assembled(data, len(placements), len(placements), added, person, seal)


def _placement(grid: Occupancy) -> Placement:
    """True size, centred on A4 in the scan's orientation; a larger sheet is reduced to fit."""
    paper = A4 if grid.height_mm >= grid.width_mm else (A4[1], A4[0])
    scale = min(1.0, paper[0] / grid.width_mm, paper[1] / grid.height_mm)
    x = (paper[0] - grid.width_mm * scale) / 2
    y = (paper[1] - grid.height_mm * scale) / 2
    return Placement(paper, x, y, scale)


def _smaller(grid: Occupancy, footer: tuple[float, float]) -> Placement:
    """The scan above a strip that is left for the footer."""
    plain = _placement(grid)
    room = plain.page_mm[1] - footer[1] - MARGIN - 1.0
    scale = min(plain.scale, room / grid.height_mm)
    x = (plain.page_mm[0] - grid.width_mm * scale) / 2
    return Placement(plain.page_mm, x, 0.0, scale)


def _bottom_right(page: tuple[float, float], size: tuple[float, float]) -> tuple[float, float]:
    return (page[0] - size[0] - MARGIN, page[1] - size[1] - MARGIN)


def _footer_spot(
    grid: Occupancy, placed: Placement, size: tuple[float, float]
) -> tuple[float, float] | None:
    """The first blank place: along the bottom, right before left, then along the top."""
    width, height = placed.page_mm
    right, bottom = _bottom_right(placed.page_mm, size)
    for y in (bottom, bottom - 4, height - size[1] - 5, MARGIN):
        for x in (right, MARGIN, (width - size[0]) / 2):
            if placed.is_free(grid, x=x, y=y, width=size[0], height=size[1]):
                return (x, y)
    return None


def _statement_spot(
    grid: Occupancy,
    placed: Placement,
    block: tuple[float, float],
    footer_at: tuple[float, float],
    footer: tuple[float, float],
) -> tuple[float, float] | None:
    """The highest place below which nothing of the original stands beside or under the block."""
    page_width, page_height = placed.page_mm
    x = (page_width - block[0]) / 2
    lowest = page_height - MARGIN - block[1]
    free = []
    y = MARGIN
    while y <= lowest:
        overlaps_footer = y < footer_at[1] + footer[1] + 1 and footer_at[1] - 1 < y + block[1]
        if not overlaps_footer and placed.is_free(
            grid, x=x, y=y - 1, width=block[0], height=block[1] + 2
        ):
            free.append(y)
        y += 1.0
    if not free:
        return None
    # The lowest run of free places, begun a little below what stands above it.
    start = free[-1]
    while start - 1.0 in free:
        start -= 1.0
    return (x, min(start + GAP, free[-1]))


def _on_page(spot: tuple[float, float] | None) -> tuple[float, float]:
    if spot is None:
        raise CertifyError("copy-not-assembled")
    return spot


def _shifted(box: Box, x: float, y: float) -> Box:
    """A box in mm on the block → the corners in points on the page."""
    left, bottom, width, height = (value * MM for value in box)
    return (x + left, y + bottom, x + left + width, y + bottom + height)


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


def _as_pdfa(pdf: Pdf, *, title: str, made_at: datetime) -> bytes:
    pdf.Root.Lang = String("vi-VN")
    stamp = made_at.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    with pdf.open_metadata(set_pikepdf_as_editor=False) as metadata:
        metadata["dc:title"] = title
        metadata["dc:language"] = ["vi-VN"]
        metadata["xmp:CreatorTool"] = "Dấu Số"
        metadata["xmp:CreateDate"] = stamp
        metadata["xmp:ModifyDate"] = stamp
    pikepdf.pdfa.prepare(pdf, "2b")
    with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as metadata:
        metadata["xmp:MetadataDate"] = stamp
    _settle_streams(pdf)
    out = io.BytesIO()
    pdf.save(
        out,
        compress_streams=False,
        deterministic_id=True,
        object_stream_mode=pikepdf.ObjectStreamMode.disable,
        stream_decode_level=pikepdf.StreamDecodeLevel.none,
        fix_metadata_version=False,
    )
    data = out.getvalue()
    # Signatures append: without this line end the next revision would start on the %%EOF line.
    return data if data.endswith(b"\n") else data + b"\n"


def _settle_streams(pdf: Pdf) -> None:
    """See that no stream's data ends with a carriage return.

    With the line feed before `endstream` that would read as one line end, and /Length as one too
    long (ISO 19005-2 §6.1.7.1): strict readers refuse one file in twenty for it. Deflated data end
    with their checksum, so another level does not help; one more filter does.
    """
    for item in pdf.objects:
        if not isinstance(item, Stream) or item.get("/Type") == Name.Metadata:
            continue
        if not item.read_raw_bytes():
            continue
        packed = item.read_raw_bytes() if "/Filter" in item else zlib.compress(item.read_bytes(), 9)
        if packed.endswith(b"\r"):
            text = base64.a85encode(packed) + b"~>"
            item.write(text, filter=Array([Name.ASCII85Decode, Name.FlateDecode]))
        elif "/Filter" not in item:
            item.write(packed, filter=Name.FlateDecode)


def _judge(data: bytes) -> None:
    report = page_validation.validate_pdf_bytes(data, profile="2b")
    if not report.is_compliant:
        rules = sorted({failure.rule_id for failure in report.failures})
        raise CertifyError("copy-not-pdfa", rules=", ".join(rules))
