"""Draw the demonstration's inputs: a decision, a draft, a scanned original, signatures and a seal.

Run by hand (`python demo/make_inputs.py`); the outputs are committed. Everything is fictional and
every draw of chance is seeded, so the same fonts and libraries give the same bytes.
"""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import typst
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).resolve().parent
FONTS = HERE.parent / "signer" / "fonts"
BOLD = str(FONTS / "Tinos-Bold.ttf")
SCAN_DPI = 200
SEAL_DPI = 300
SEAL_MM = 36.0
BLUE = (24, 52, 150)
RED = (204, 22, 38)
Points = list[tuple[float, float]]


# --- handwriting ---------------------------------------------------------------------------------


def spline(points: Points, per_segment: int = 46) -> npt.NDArray[np.float64]:
    """Centripetal Catmull-Rom through the points: a pen does not stop at its control points."""
    raw = np.array([points[0], *points, points[-1]], dtype=float)
    raw[0] += (raw[1] - raw[2]) * 0.4
    raw[-1] += (raw[-2] - raw[-3]) * 0.4
    curve = []
    for p0, p1, p2, p3 in zip(raw, raw[1:], raw[2:], raw[3:], strict=False):
        for t in np.linspace(0, 1, per_segment, endpoint=False):
            curve.append(
                0.5
                * (
                    2 * p1
                    + (p2 - p0) * t
                    + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
                    + (3 * p1 - p0 - 3 * p2 + p3) * t**3
                )
            )
    return np.array(curve)


def handwriting(strokes: list[Points], size: tuple[int, int], *, pen: float) -> Image.Image:
    """Strokes in a 100 × 50 field; the pen is thin where it moves fast and at both ends."""
    factor = 4
    width, height = size[0] * factor, size[1] * factor
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    scale = width / 100
    for points in strokes:
        curve = spline(points)
        speed = np.linalg.norm(np.diff(curve, axis=0, prepend=curve[:1]), axis=1)
        speed = np.convolve(speed, np.ones(25) / 25, mode="same")
        speed = speed / (speed.max() or 1)
        count = len(curve)
        for i in range(count - 1):
            taper = min(1.0, 0.35 + i / 30, 0.25 + (count - i) / 45)
            radius = pen * scale * (1.12 - 0.62 * speed[i]) * taper
            steps = 1 + int(np.linalg.norm(curve[i + 1] - curve[i]) * scale / 2)
            for s in range(steps):
                x, y = (curve[i] + (curve[i + 1] - curve[i]) * s / steps) * scale
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    mask = mask.resize(size, Image.Resampling.BOX)
    image = Image.new("RGBA", size, (*BLUE, 0))
    image.putalpha(mask)
    return image


# "Thử", "Mẫu" and "VDụ" as a pen might write them: nobody's signature.
SIGNATURE_1: list[Points] = [
    [(8, 17), (15, 11), (27, 9), (40, 8.5), (48, 7)],
    [
        (30, 7),
        (27, 15),
        (23, 26),
        (18, 36),
        (13, 40),
        (10, 36),
        (15, 30),
        (25, 27),
        (33, 22),
        (39, 12),
        (41, 5),
        (38, 4),
        (35, 13),
        (32, 25),
        (30, 34),
        (33, 28),
        (37, 23),
        (40, 25),
        (39, 32),
        (42, 34),
        (46, 28),
        (48, 23),
        (47, 30),
        (49, 34),
        (53, 30),
        (56, 23),
        (56, 30),
        (59, 33),
        (64, 29),
        (69, 23),
        (75, 21),
        (84, 18),
        (93, 11),
    ],
    [(90, 14), (70, 32), (46, 41), (24, 45), (16, 43.5), (26, 41), (52, 38), (78, 36), (95, 33)],
    [(54, 15), (57, 12.5), (58.5, 15), (56, 18)],
]
SIGNATURE_2: list[Points] = [
    [
        (7, 38),
        (12, 27),
        (17, 13),
        (20, 7),
        (21, 12),
        (20, 26),
        (21, 35),
        (26, 24),
        (32, 12),
        (36, 8),
        (36, 17),
        (34, 30),
        (36, 36),
        (42, 31),
        (47, 24),
        (51, 22),
        (48, 27),
        (47, 33),
        (51, 34),
        (55, 28),
        (58, 23),
        (57, 30),
        (60, 34),
        (65, 28),
        (67, 23),
        (66, 31),
        (70, 34),
        (78, 27),
        (88, 15),
        (92, 7),
        (88, 6),
        (80, 18),
        (68, 34),
        (50, 44),
        (32, 46),
        (24, 43),
        (34, 39),
        (60, 38),
        (94, 41),
    ],
    [(46, 17), (50, 13), (54, 16)],
]
SIGNATURE_3: list[Points] = [
    [
        (14, 9),
        (18, 22),
        (22, 36),
        (24, 40),
        (28, 30),
        (36, 15),
        (43, 7),
        (41, 12),
        (36, 26),
        (33, 39),
        (36, 41),
        (48, 39),
        (60, 31),
        (66, 20),
        (60, 10),
        (46, 8),
        (34, 14),
        (38, 20),
        (52, 24),
        (66, 24),
        (70, 27),
        (67, 33),
        (71, 36),
        (76, 31),
        (79, 25),
        (78, 32),
        (82, 36),
        (90, 28),
        (97, 17),
    ],
    [(20, 46), (44, 43), (72, 42), (94, 44)],
]


# --- seals ---------------------------------------------------------------------------------------


def arc_text(
    canvas: Image.Image,
    text: str,
    *,
    radius: float,
    size: int,
    middle: float,
    inward: bool,
    reach: float,
) -> None:
    """Letters on a circle, narrowed to stay within ± `reach` degrees of `middle` (0 = top)."""
    font = ImageFont.truetype(BOLD, size)
    centre = canvas.width / 2
    widths = [font.getlength(c) + size * 0.06 for c in text]
    narrow = min(1.0, 2 * radius * math.radians(reach) / sum(widths))
    widths = [w * narrow for w in widths]
    turn = -1 if inward else 1
    angle = math.radians(middle) - turn * sum(widths) / 2 / radius
    side = size * 3
    for char, width in zip(text, widths, strict=True):
        angle += turn * width / 2 / radius
        tile = Image.new("L", (side, side), 0)
        ImageDraw.Draw(tile).text((side / 2, side / 2), char, 255, font, anchor="ms")
        slim = tile.resize((round(side * narrow), side), Image.Resampling.LANCZOS)
        tile = Image.new("L", (side, side), 0)
        tile.paste(slim, ((side - slim.width) // 2, 0))
        base = size * 0.36
        spin = -math.degrees(angle) + (180 if inward else 0)
        tile = tile.rotate(spin, Image.Resampling.BICUBIC)
        where = radius + (base if inward else -base)
        x = centre + where * math.sin(angle)
        y = centre - where * math.cos(angle)
        canvas.paste(255, (round(x - side / 2), round(y - side / 2)), tile)
        angle += turn * width / 2 / radius


def star(radius: float, centre: tuple[float, float], turn: float = 0) -> Points:
    inner = radius * 0.382
    return [
        (
            centre[0] + (radius if i % 2 == 0 else inner) * math.sin(math.radians(36 * i + turn)),
            centre[1] - (radius if i % 2 == 0 else inner) * math.cos(math.radians(36 * i + turn)),
        )
        for i in range(10)
    ]


def seal(top: str, bottom: str, middle: list[str], *, dpi: int, mm: float = SEAL_MM) -> Image.Image:
    """A round red seal, true to size: two rings, the name round them, TEST where an emblem is."""
    side = round(mm / 25.4 * dpi)
    factor = 4
    big = side * factor
    mask = Image.new("L", (big, big), 0)
    draw = ImageDraw.Draw(mask)
    unit = big / mm

    def ring(radius_mm: float, width_mm: float) -> None:
        r, c = radius_mm * unit, big / 2
        draw.ellipse((c - r, c - r, c + r, c + r), outline=255, width=round(width_mm * unit))

    ring(mm / 2 - 0.15, 0.75)
    ring(mm / 2 - 1.35, 0.22)
    ring(mm / 2 - 6.9, 0.3)
    size = round(3.5 * unit)
    band = (mm / 2 - 4.1) * unit
    arc_text(mask, top, radius=band, size=size, middle=0, inward=False, reach=120)
    arc_text(mask, bottom, radius=band, size=size, middle=180, inward=True, reach=38)
    for side_turn in (-1, 1):
        angle = math.radians(side_turn * 131)
        spot = (big / 2 + band * math.sin(angle), big / 2 - band * math.cos(angle))
        draw.polygon(star(1.25 * unit, spot, side_turn * 131), fill=255)
    draw.polygon(star(4.4 * unit, (big / 2, big / 2 - 2.6 * unit)), fill=255)
    for i, line in enumerate(middle):
        font = ImageFont.truetype(BOLD, round((4.3 if i == 0 else 2.7) * unit))
        draw.text((big / 2, big / 2 + (4.6 + 3.6 * i) * unit), line, 255, font, anchor="mm")
    mask = mask.resize((side, side), Image.Resampling.BOX)
    image = Image.new("RGBA", (side, side), (*RED, 0))
    image.putalpha(mask)
    return image


def worn(image: Image.Image, seed: int) -> Image.Image:
    """Uneven ink: a seal pressed by hand is stronger on one side and has dry spots."""
    chance = np.random.default_rng(seed)
    height, width = image.height, image.width
    alpha = np.asarray(image.getchannel("A"), dtype=float) / 255

    def cloud(blur: float) -> npt.NDArray[np.float64]:
        field = Image.fromarray(chance.integers(0, 255, (height, width), dtype="uint8"))
        soft = np.asarray(field.filter(ImageFilter.GaussianBlur(blur)), dtype=float)
        spread: npt.NDArray[np.float64] = (soft - soft.mean()) / (soft.std() or 1)
        return spread

    slope = (
        np.linspace(-0.5, 0.5, width)[None, :] * 0.28
        + np.linspace(-0.5, 0.5, height)[:, None] * 0.2
    )
    ink = 0.8 + slope + cloud(width / 14) * 0.09 + cloud(1.1) * 0.1
    alpha = np.where(alpha > 0, (alpha * ink).clip(0, 1) ** 1.05, 0)
    result = image.copy()
    result.putalpha(
        Image.fromarray((alpha * 255).astype("uint8")).filter(ImageFilter.GaussianBlur(0.5))
    )
    return result


# --- the scan ------------------------------------------------------------------------------------


def ink_on(paper: Image.Image, ink: Image.Image, at: tuple[int, int], turn: float) -> None:
    """Ink darkens what lies under it (multiply), it does not cover it."""
    ink = ink.rotate(turn, Image.Resampling.BICUBIC, expand=True)
    box = (at[0], at[1], at[0] + ink.width, at[1] + ink.height)
    under = np.asarray(paper.crop(box), dtype=float) / 255
    colour = np.asarray(ink, dtype=float) / 255
    alpha = colour[..., 3:4]
    mixed = under * (1 - alpha) + under * (colour[..., :3] * 0.94 + 0.03) * alpha
    paper.paste(Image.fromarray((mixed * 255).astype("uint8")), box)


def scanned(page: Image.Image, seed: int, turn: float) -> bytes:
    """What a flat-bed scanner makes of a sheet: paper tone, slight skew, edge shadows, grain."""
    chance = np.random.default_rng(seed)
    width, height = page.size
    sheet = np.asarray(page.filter(ImageFilter.GaussianBlur(0.45)), dtype=float) / 255
    small = Image.fromarray(chance.integers(0, 255, (height // 40, width // 40), dtype="uint8"))
    mottle = np.asarray(
        small.resize((width, height), Image.Resampling.BICUBIC).filter(
            ImageFilter.GaussianBlur(24)
        ),
        dtype=float,
    )
    mottle = (mottle - 127) / 127
    tone = np.array([0.978, 0.968, 0.938])
    sheet = 0.055 + sheet * (tone - 0.055) * (1 + mottle[..., None] * 0.02)
    image = Image.fromarray((sheet.clip(0, 1) * 255).astype("uint8"))
    image = image.rotate(turn, Image.Resampling.BICUBIC, fillcolor=(222, 222, 219))
    scan = np.asarray(image, dtype=float)
    x = np.arange(width)[None, :]
    y = np.arange(height)[:, None]
    shade = 1 - 0.20 * np.exp(-x / 11) - 0.07 * np.exp(-(width - x) / 20)
    shade = shade * (1 - 0.13 * np.exp(-y / 9)) * (1 - 0.05 * np.exp(-(height - y) / 26))
    shade = shade * (1 + 0.012 * (x / width - 0.5))
    grain = chance.normal(0, 2.4, (height, width, 1)) + chance.normal(0, 0.7, (height, width, 3))
    final = Image.fromarray((scan * shade[..., None] + grain).clip(0, 255).astype("uint8"))
    out = io.BytesIO()
    final.save(out, "JPEG", quality=80, dpi=(SCAN_DPI, SCAN_DPI), optimize=True)
    return out.getvalue()


def original_scans() -> list[bytes]:
    pages = typst.compile(
        str(HERE / "original.typ"),
        font_paths=[str(FONTS)],
        ignore_system_fonts=True,
        format="png",
        ppi=SCAN_DPI,
    )
    sheets = [Image.open(io.BytesIO(page)).convert("RGB") for page in pages or ()]
    last = sheets[-1]
    signature = handwriting(SIGNATURE_3, (400, 200), pen=0.7)
    ink_on(last, signature, (948, 655), 2.0)
    stamp = worn(
        seal("TRƯỜNG ĐẠI HỌC VÍ DỤ", "MẪU - TEST", ["TEST", "MẪU"], dpi=SCAN_DPI, mm=34), seed=11
    )
    ink_on(last, stamp, (815, 628), -7.0)
    return [scanned(sheet, seed=21 + i, turn=(0.3, -0.22)[i % 2]) for i, sheet in enumerate(sheets)]


def main() -> None:
    for name in ("decision", "draft"):
        typst.compile(
            str(HERE / f"{name}.typ"),
            output=str(HERE / f"{name}.pdf"),
            font_paths=[str(FONTS)],
            ignore_system_fonts=True,
            pdf_standards=["a-2b"],
            timestamp=1795132800,
        )
    for number, scan in enumerate(original_scans(), 1):
        (HERE / f"original-scan-{number}.jpg").write_bytes(scan)
    for number, strokes in enumerate((SIGNATURE_1, SIGNATURE_2), 1):
        image = handwriting(strokes, (640, 320), pen=0.62)
        image.save(HERE / f"signature-{number}.png", dpi=(SEAL_DPI, SEAL_DPI), optimize=True)
    image = seal("ỦY BAN NHÂN DÂN PHƯỜNG HẠC THÀNH", "T. THANH HÓA", ["TEST"], dpi=SEAL_DPI)
    image.save(HERE / "seal.png", dpi=(SEAL_DPI, SEAL_DPI), optimize=True)


if __name__ == "__main__":
    main()
