"""A stamp: what is drawn of one holder in one manner, serialised once, written many times.

Only the time differs from document to document (PERFORMANCE.md): fonts, picture and layout are
bytes on a shelf, with object numbers filled in as they are written. A picture's soft mask is used
where transparency is allowed; elsewhere (PDF/A-1, PDF/A without output intent) a one-bit stencil.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from signer.looks.typesetting import Run, Subset, typeface
from signer.pdf.revision import Block
from signer.pdf.syntax import VIETNAM, closed_stream, number

if TYPE_CHECKING:
    from signer.keys.images import Picture
    from signer.pdf.revision import Appender

REGULAR = "Tinos-Regular.ttf"
BOLD = "Tinos-Bold.ttf"
_TIME_CHARACTERS = "0123456789-:+ "
_BLOCKS = 8


class Colours(StrEnum):
    """Where colour values get their meaning: from the device, or from a profile of our own."""

    DEVICE = "device"
    PROFILED = "profiled"


@dataclass(frozen=True)
class Ground:
    """What the page's file allows: device colours, soft masks."""

    colours: Colours = Colours.DEVICE
    transparency: bool = True


@dataclass(frozen=True)
class Line:
    """A line of text with its baseline's start. `time` marks the one that ends with the time."""

    text: str
    x: float
    y: float
    size: float
    face: str = REGULAR
    time: bool = False


@dataclass(frozen=True)
class Layout:
    """Everything on a stamp, in points from its lower left corner."""

    width: float
    height: float
    lines: tuple[Line, ...] = ()
    picture_box: tuple[float, float, float, float] | None = None


@lru_cache(maxsize=64)
def shown_time(moment: datetime) -> str:
    """`dd-mm-yyyy hh:mm:ss +07:00`, whatever the server's zone (DOMAIN.md §3)."""
    return moment.astimezone(VIETNAM).strftime("%d-%m-%Y %H:%M:%S +07:00")


def width_of(text: str, size: float, face: str = REGULAR) -> float:
    """In points."""
    return typeface(face).shape(text).width * size / 1000


class Stamp:
    """One layout with its picture, serialised but for object numbers and the time."""

    def __init__(
        self, layout: Layout, picture: Picture | None, ground: Ground, *, rotation: int = 0
    ) -> None:
        self.layout = layout
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._time_shown: tuple[datetime, bytes] | None = None
        self._objects: list[tuple[bytes, tuple[int, ...], bytes]] = []
        fonts = self._fonts(layout)
        colour = self._colour_space(ground)
        image = self._image(picture, ground, colour) if picture is not None else None
        resources = [b"/ColorSpace<</C ", *colour, b">>"]
        if fonts:
            resources.append(b"/Font<<")
            for index, start in enumerate(fonts.values()):
                resources += (b"/F%d " % index, start, b" 0 R")
            resources.append(b">>")
        if image is not None:
            resources += (b"/XObject<</I ", image, b" 0 R>>")
        self._content = self._draw(layout, image is not None, list(fonts))
        box = layout.picture_box or (0, 0, 0, 0)
        self._head = _assemble(
            [
                b"<</Type/XObject/Subtype/Form/BBox[0 0 ",
                number(layout.width),
                b" ",
                number(layout.height),
                b"]",
                _matrix(rotation),
                b"/DSPicture[%s]/Resources<<" % b" ".join(number(one) for one in box),
                *resources,
                b">>",
            ]
        )  # fmt: skip

    def put(self, appender: Appender, when: datetime) -> int:
        """Write the stamp's objects into the revision; returns the form XObject's number."""
        first = appender.allocate(len(self._objects) + 1)
        appender.put_block(self._numbered(first))
        content = self._content
        if self._time_run is not None:
            content += self._time_line(when)
        head, references = self._head
        form = first + len(self._objects)
        head %= tuple([first + one for one in references])
        appender.put(
            form, b"%s/Length %d>>\nstream\n" % (head, len(content)) + closed_stream(content)
        )
        return form

    def _numbered(self, first: int) -> Block:
        """All but the form; documents that one program made often go on from the same number."""
        known = self._blocks.get(first)
        if known is None:
            known = self._blocks[first] = Block.of(
                first,
                [
                    (head % tuple([first + one for one in references]) if references else head)
                    + tail
                    for head, references, tail in self._objects
                ],
            )
            while len(self._blocks) > _BLOCKS:
                self._blocks.popitem(last=False)
        return known

    def _add(self, head: bytes, references: tuple[int, ...] = (), tail: bytes = b"") -> int:
        """`head` has a `%d` for each reference, an offset in this stamp; `tail` goes as it is."""
        self._objects.append((head, references, tail))
        return len(self._objects) - 1

    def _fonts(self, layout: Layout) -> dict[str, int]:
        self._subsets: dict[str, Subset] = {}
        self._runs: list[Run] = []
        self._time_run = None
        for line in layout.lines:
            subset = self._subsets.setdefault(line.face, Subset(typeface(line.face)))
            run = subset.face.shape(line.text)
            subset.add(run)
            self._runs.append(run)
            if line.time:
                subset.add(subset.face.shape(_TIME_CHARACTERS))
                self._time_run = line
        starts = {}
        for face, subset in self._subsets.items():
            subset.close()
            base = len(self._objects)
            for body, references in subset.objects():
                self._add(body, tuple(base + one for one in references))
            starts[face] = base
        if self._time_run is not None:
            subset = self._subsets[self._time_run.face]
            glyphs = {g.letters: g for g in subset.face.shape(_TIME_CHARACTERS).glyphs}
            self._time_glyphs = {
                letter: b"%04x" % subset.mapping[one.number] for letter, one in glyphs.items()
            }
        return starts

    def _colour_space(self, ground: Ground) -> list[bytes | int]:
        if ground.colours is Colours.DEVICE:
            return [b"/DeviceRGB"]
        profile = srgb_profile()
        stream = b"<</N 3/Length %d>>\nstream\n" % len(profile) + closed_stream(profile)
        return [b"[/ICCBased ", self._add(stream), b" 0 R]"]

    def _image(self, picture: Picture, ground: Ground, colour: list[bytes | int]) -> int:
        size = b"/Width %d/Height %d" % (picture.width, picture.height)
        if ground.transparency:
            key, mask = b"/SMask ", picture.alpha_stream
            kind = b"/ColorSpace/DeviceGray/BitsPerComponent 8"
        else:
            key, mask = b"/Mask ", picture.stencil_stream
            kind = b"/ImageMask true/BitsPerComponent 1"
        mask_at = self._add(
            b"<</Type/XObject/Subtype/Image%s%s/Filter/FlateDecode/Length %d>>\nstream\n"
            % (size, kind, len(mask)),
            tail=closed_stream(mask),
        )
        inks = b" %d<%s>]" % (len(picture.palette) // 3 - 1, picture.palette.hex().encode())
        head, references = _assemble(
            [
                b"<</Type/XObject/Subtype/Image%s/BitsPerComponent 8" % size,
                b"/ColorSpace[/Indexed ",
                *colour,
                inks,
                key,
                mask_at,
                b" 0 R/Filter/FlateDecode/Length %d>>\nstream\n" % len(picture.index_stream),
            ]
        )
        return self._add(head, references, closed_stream(picture.index_stream))

    def _draw(self, layout: Layout, picture: bool, faces: list[str]) -> bytes:
        parts = [b"q"]
        if picture and layout.picture_box is not None:
            x1, y1, x2, y2 = layout.picture_box
            place = b" ".join(number(one) for one in (x2 - x1, 0, 0, y2 - y1, x1, y1))
            parts.append(b"q %s cm /I Do Q" % place)
        self._face_names = {face: b"/F%d" % index for index, face in enumerate(faces)}
        for line, run in zip(layout.lines, self._runs, strict=True):
            if not run.glyphs:
                continue
            shown = self._subsets[line.face].show(run)
            parts.append(self._text(line, line.x, shown))
        parts.append(b"Q")
        return b"\n".join(parts)

    def _text(self, line: Line, x: float, shown: bytes) -> bytes:
        return b"BT /C cs 0 0 0 sc %s %s Tf %s %s Td %s ET" % (
            self._face_names[line.face], number(line.size), number(x), number(line.y), shown,
        )  # fmt: skip

    def _time_line(self, when: datetime) -> bytes:
        """The documents of a batch bear the same moment, one after the other."""
        if self._time_shown is None or self._time_shown[0] != when:
            self._time_shown = when, self._drawn_time(when)
        return self._time_shown[1]

    def _drawn_time(self, when: datetime) -> bytes:
        line = self._time_run
        assert line is not None
        digits = b"".join(self._time_glyphs[letter] for letter in shown_time(when))
        x = line.x + width_of(line.text, line.size, line.face)
        return b"\nq " + self._text(line, x, b"<%s>Tj" % digits) + b" Q"


@dataclass(frozen=True, slots=True)
class Placed:
    """A stamp with its page and its rectangle in the page's own coordinates."""

    stamp: Stamp
    page: int
    rect: tuple[float, float, float, float]

    def put(self, appender: Appender, when: datetime) -> int:
        return self.stamp.put(appender, when)


@dataclass
class StampShelf:
    """Finished stamps, the latest used kept."""

    size: int = 256
    stamps: OrderedDict[Hashable, Stamp] = field(default_factory=OrderedDict)
    pictures: OrderedDict[str, Picture] = field(default_factory=OrderedDict)

    def picture(self, digest: str, load: Callable[[], Picture]) -> Picture:
        """Checked and decoded once per process."""
        known = self.pictures.get(digest)
        if known is None:
            known = self.pictures[digest] = load()
            while len(self.pictures) > self.size:
                self.pictures.popitem(last=False)
        return known

    def get(self, key: Hashable, make: Callable[[], Stamp]) -> Stamp:
        known = self.stamps.get(key)
        if known is None:
            known = self.stamps[key] = make()
            while len(self.stamps) > self.size:
                self.stamps.popitem(last=False)
        return known


@cache
def srgb_profile() -> bytes:
    """sRGB as an ICC profile of version 2, which every part of PDF/A accepts (lcms makes 4.4)."""
    return resources.files("pikepdf.pdfa").joinpath("data", "sRGB.icc").read_bytes()


def _matrix(rotation: int) -> bytes:
    """Turn the drawing so that it stands upright on a page shown rotated clockwise."""
    return {
        0: b"",
        90: b"/Matrix[0 1 -1 0 0 0]",
        180: b"/Matrix[-1 0 0 -1 0 0]",
        270: b"/Matrix[0 -1 1 0 0 0]",
    }[rotation % 360]


def _assemble(parts: list[bytes | int]) -> tuple[bytes, tuple[int, ...]]:
    """Bytes with `%d` where a number stood, and the numbers: offsets of objects of this stamp."""
    template = b"".join(
        b"%d" if isinstance(one, int) else one.replace(b"%", b"%%") for one in parts
    )
    numbers = tuple(one for one in parts if isinstance(one, int))
    return template, numbers
