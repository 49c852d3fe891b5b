"""Text as glyphs: shaped by HarfBuzz, the font cut down to the glyphs used, and copied out right.

pyHanko subsets with fontTools (46–130 ms) and scales widths wrongly when a font's em is not 1000
units; Tinos has 2048 (PERFORMANCE.md). Here a width in the PDF is always 1000 / unitsPerEm of the
font's. ToUnicode maps every glyph to its letter in NFC, so Vietnamese comes out as it went in.
"""

from __future__ import annotations

import hashlib
import unicodedata
import zlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import uharfbuzz as hb

from signer.errors import SignerError
from signer.pdf.syntax import closed_stream

_FONTS = Path(__file__).parents[1] / "fonts"
_FEATURES = {"liga": False, "clig": False, "dlig": False}
_DROPPED = ("GSUB", "GPOS", "GDEF", "name", "post", "OS/2", "cmap", "kern", "gasp", "DSIG", "FFTM")


class Typeface:
    """One of the faces in signer/fonts, loaded once."""

    def __init__(self, file_name: str) -> None:
        self.name = file_name.removesuffix(".ttf")
        self.face = hb.Face(hb.Blob.from_file_path(str(_FONTS / file_name)))
        self.font = hb.Font(self.face)
        self.scale = 1000 / self.face.upem
        extents = self.font.get_font_extents("ltr")
        self.ascent = extents.ascender * self.scale
        self.descent = extents.descender * self.scale

    def advance(self, glyph: int) -> float:
        """In thousandths of the type size."""
        return float(self.font.get_glyph_h_advance(glyph) * self.scale)

    def shape(self, text: str) -> Run:
        """One line of text. Raises SignerError `glyph-missing` for a letter the face lacks."""
        text = unicodedata.normalize("NFC", text)
        if not text:
            return Run((), 0.0)
        buffer = hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        hb.shape(self.font, buffer, _FEATURES)
        glyphs = []
        infos, places = buffer.glyph_infos, buffer.glyph_positions
        ends = [info.cluster for info in infos[1:]] + [len(text)]
        for info, place, end in zip(infos, places, ends, strict=True):
            letters = text[info.cluster : end]
            if info.codepoint == 0:
                raise SignerError("glyph-missing", letter=letters)
            glyphs.append(Glyph(info.codepoint, letters, place.x_advance * self.scale))
        return Run(tuple(glyphs), sum(one.advance for one in glyphs))


@dataclass(frozen=True)
class Glyph:
    """`advance` is the shaped one, kerning included, in thousandths of the type size."""

    number: int
    letters: str
    advance: float


@dataclass(frozen=True)
class Run:
    glyphs: tuple[Glyph, ...]
    width: float


@cache
def typeface(file_name: str) -> Typeface:
    return Typeface(file_name)


@dataclass
class Subset:
    """A face cut down to the glyphs of some runs, ready to be written as PDF objects."""

    face: Typeface
    letters: dict[int, str] = field(default_factory=dict)
    mapping: dict[int, int] = field(default_factory=dict)
    program: bytes = b""

    def add(self, run: Run) -> None:
        for glyph in run.glyphs:
            self.letters.setdefault(glyph.number, glyph.letters)

    def close(self) -> None:
        """Cut the font; glyph numbers become those of the subset."""
        wanted = hb.SubsetInput()
        wanted.flags = hb.SubsetFlags.NO_HINTING | hb.SubsetFlags.NOTDEF_OUTLINE
        wanted.glyph_set.update(self.letters)
        wanted.drop_table_tag_set.update(int.from_bytes(tag.encode(), "big") for tag in _DROPPED)
        plan = hb.SubsetPlan(self.face.face, wanted)
        self.mapping = dict(plan.old_to_new_glyph_mapping)
        self.program = bytes(plan.execute().blob.data)

    def show(self, run: Run) -> bytes:
        """The TJ operator of a run; numbers in it make up for kerning (ISO 32000-1 §9.4.3)."""
        parts, digits = [], []
        for glyph in run.glyphs:
            digits.append(b"%04x" % self.mapping[glyph.number])
            slack = round(self.face.advance(glyph.number) - glyph.advance)
            if slack:
                parts.append(b"<%s>%d" % (b"".join(digits), slack))
                digits = []
        if digits:
            parts.append(b"<%s>" % b"".join(digits))
        return b"[%s]TJ" % b"".join(parts)

    def objects(self) -> list[tuple[bytes, tuple[int, ...]]]:
        """Type0 font, CIDFont, descriptor, program, ToUnicode; `%d` stands for offsets given."""
        face, glyphs = self.face, sorted((self.mapping[old], old) for old in self.letters)
        tag = "".join(chr(65 + byte % 26) for byte in hashlib.sha256(self.program).digest()[:6])
        name = f"{tag}+{face.name}".encode()
        widths = b" ".join(b"%d[%s]" % (new, _tidy(face.advance(old))) for new, old in glyphs)
        packed = zlib.compress(self.program, 9)
        unicode_map = zlib.compress(
            _to_unicode([(new, self.letters[old]) for new, old in glyphs]), 9
        )
        ascent, descent = round(face.ascent), round(face.descent)
        stem = 130 if "Bold" in face.name else 80
        return [
            (
                b"<</Type/Font/Subtype/Type0/BaseFont/" + name
                + b"/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>",
                (1, 4),
            ),
            (
                b"<</Type/Font/Subtype/CIDFontType2/BaseFont/" + name
                + b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
                + b"/CIDToGIDMap/Identity/DW 0/W[" + widths + b"]/FontDescriptor %d 0 R>>",
                (2,),
            ),
            (
                b"<</Type/FontDescriptor/FontName/" + name
                + b"/Flags 4/FontBBox[-600 %d 2000 %d]/ItalicAngle 0" % (descent, ascent)
                + b"/Ascent %d/Descent %d/CapHeight 662/StemV %d" % (ascent, descent, stem)
                + b"/FontFile2 %d 0 R>>",
                (3,),
            ),
            (
                b"<</Filter/FlateDecode/Length %d/Length1 %d>>\n" % (len(packed), len(self.program))
                + b"stream\n"
                + closed_stream(packed),
                (),
            ),
            (
                b"<</Filter/FlateDecode/Length %d>>\nstream\n" % len(unicode_map)
                + closed_stream(unicode_map),
                (),
            ),
        ]  # fmt: skip


def _to_unicode(pairs: list[tuple[int, str]]) -> bytes:
    """A ToUnicode CMap (ISO 32000-1 §9.10.3), at most 100 lines to a block."""
    blocks = []
    for start in range(0, len(pairs), 100):
        block = pairs[start : start + 100]
        lines = "".join(f"<{new:04x}><{text.encode('utf-16-be').hex()}>\n" for new, text in block)
        blocks.append(f"{len(block)} beginbfchar\n{lines}endbfchar\n")
    return (
        "/CIDInit/ProcSet findresource begin 12 dict begin begincmap\n"
        "/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def\n"
        "/CMapName/Adobe-Identity-UCS def/CMapType 2 def\n"
        "1 begincodespacerange<0000><ffff>endcodespacerange\n"
        + "".join(blocks)
        + "endcmap CMapName currentdict/CMap defineresource pop end end"
    ).encode()


def _tidy(width: float) -> bytes:
    return f"{width:.2f}".rstrip("0").rstrip(".").encode()
