"""Where a captured page is blank: so that nothing we add ever covers what the original says.

    grid = occupancy(image, width_mm=210, height_mm=297)
    grid.is_free(x=120, y=280, width=80, height=12)     # millimetres from the top left

The page is cut into cells of 2 mm; a cell is taken when it holds ink darker than the paper round
it. Shadows along the scanner's edges (4 mm) do not count, nor do pale background watermarks.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

CELL_MM = 2.0
EDGE_MM = 4.0
CONTRAST = 34
"""Grey levels below the paper from which a pixel is ink; pale security printing stays below."""
_WORKING_DPI = 100


@dataclass(frozen=True)
class Occupancy:
    """A page's cells, true where there is content."""

    width_mm: float
    height_mm: float
    cells: npt.NDArray[np.bool_]

    def is_free(self, *, x: float, y: float, width: float, height: float) -> bool:
        """Whether the box lies on the page and touches no content."""
        if x < 0 or y < 0 or x + width > self.width_mm or y + height > self.height_mm:
            return False
        left, top = int(x / CELL_MM), int(y / CELL_MM)
        right = int(np.ceil((x + width) / CELL_MM))
        bottom = int(np.ceil((y + height) / CELL_MM))
        return not bool(self.cells[top:bottom, left:right].any())

    @property
    def ink(self) -> float:
        """Share of the page that carries content."""
        return float(self.cells.mean())

    def to_json(self) -> dict[str, object]:
        """Packed for a capture's row: an A4 page takes about 2 kB."""
        return {
            "width_mm": round(self.width_mm, 2),
            "height_mm": round(self.height_mm, 2),
            "rows": int(self.cells.shape[0]),
            "columns": int(self.cells.shape[1]),
            "bits": base64.b64encode(np.packbits(self.cells).tobytes()).decode("ascii"),
        }

    @classmethod
    def from_json(cls, data: dict[str, object]) -> Occupancy:
        rows, columns = int(str(data["rows"])), int(str(data["columns"]))
        packed = np.frombuffer(base64.b64decode(str(data["bits"])), dtype=np.uint8)
        cells = np.unpackbits(packed, count=rows * columns).astype(bool).reshape(rows, columns)
        return cls(float(str(data["width_mm"])), float(str(data["height_mm"])), cells)


def ink_mask(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Pixels clearly darker than the paper near them (uneven light makes one level useless)."""
    block = 32
    height, width = grey.shape
    rows, columns = -(-height // block), -(-width // block)
    padded = np.pad(grey, ((0, rows * block - height), (0, columns * block - width)), mode="edge")
    tiles = padded.reshape(rows, block, columns, block).swapaxes(1, 2).reshape(rows, columns, -1)
    paper = np.percentile(tiles, 85, axis=2)
    # A tile full of ink would call itself paper: nothing far darker than the sheet is paper.
    paper = np.maximum(paper, float(np.median(paper)) - 20)
    level = np.asarray(
        Image.fromarray(paper.astype(np.float32)).resize(
            (columns * block, rows * block), Image.Resampling.BILINEAR
        )
    )[:height, :width]
    mask: npt.NDArray[np.bool_] = grey.astype(np.float32) < level - CONTRAST
    return mask


def occupancy(grey: Image.Image, *, width_mm: float, height_mm: float) -> Occupancy:
    """The occupancy of a page given as a grey image of any resolution."""
    columns, rows = round(width_mm / CELL_MM), round(height_mm / CELL_MM)
    scale = _WORKING_DPI / 25.4
    size = (max(columns, round(width_mm * scale)), max(rows, round(height_mm * scale)))
    if grey.size[0] > size[0] * 1.5:
        grey = grey.resize(size, Image.Resampling.BOX)
    pixels = np.asarray(grey, dtype=np.uint8)
    mask = ink_mask(pixels)
    edge_y = max(1, round(EDGE_MM / height_mm * mask.shape[0]))
    edge_x = max(1, round(EDGE_MM / width_mm * mask.shape[1]))
    mask[:edge_y] = mask[-edge_y:] = False
    mask[:, :edge_x] = mask[:, -edge_x:] = False
    y = np.minimum(np.arange(mask.shape[0]) * rows // mask.shape[0], rows - 1)
    x = np.minimum(np.arange(mask.shape[1]) * columns // mask.shape[1], columns - 1)
    down = np.add.reduceat(mask.astype(np.int32), np.searchsorted(y, np.arange(rows)), axis=0)
    counts = np.add.reduceat(down, np.searchsorted(x, np.arange(columns)), axis=1)
    # One dark pixel is dust; a full stop or a hair line is more.
    return Occupancy(width_mm, height_mm, counts >= 2)
