"""The catalog and the pages of a plain file, read from its own octets.

    plain = PlainPages.of(PlainFile.of(data, xref_at))     # None: leave it to qpdf
    plain.catalog, plain.leaves[0].dictionary, plain.leaves[0].geometry()

A signature changes the catalog and one page. qpdf opens the file to say where they are, which takes
a third of the time the token takes to sign. Two readers must see the same pages here: whatever one
of them could see differently makes a file not plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from signer.pdf.plain_file import PlainDictionary, PlainFile

Box = tuple[float, float, float, float]
_INHERITED = ("/MediaBox", "/CropBox", "/Rotate")
_MOST_NODES = 64
_LONGEST_LIST = 2_048
_REFERENCES = re.compile(rb"\[\s*(?:\d{1,7}\s+\d{1,5}\s+R\s*)*+\]")
_REFERENCE = re.compile(rb"(\d+)\s+(\d+)\s+R")
_NUMBERS = re.compile(rb"\[\s*([^\s\]]+)\s+([^\s\]]+)\s+([^\s\]]+)\s+([^\s\]]+)\s*\]")
_DEGREES = re.compile(rb"-?\d{1,4}")


@dataclass(slots=True)
class PlainLeaf:
    """A page: its dictionary, and what the nodes above it say for it (ISO 32000-1 §7.7.3.4)."""

    dictionary: PlainDictionary
    above: dict[str, bytes]

    def geometry(self) -> tuple[Box, int] | None:
        """The visible box and the rotation; None where they are not said in plain numbers."""
        entries, above = self.dictionary.entries, self.above
        crop = entries.get("/CropBox") or above.get("/CropBox")
        media = entries.get("/MediaBox") or above.get("/MediaBox")
        turned = entries.get("/Rotate") or above.get("/Rotate") or b"0"
        box = _NUMBERS.fullmatch(crop or media or b"")
        if box is None or not _DEGREES.fullmatch(turned):
            return None
        try:
            x1, y1, x2, y2 = map(float, box.groups())
        except ValueError:  # a reference stands in it
            return None
        return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), int(turned) % 360


@dataclass(slots=True)
class PlainPages:
    """`leaves` are all pages in order; files of many pages are left to qpdf."""

    catalog: PlainDictionary
    leaves: tuple[PlainLeaf, ...]

    @classmethod
    def of(cls, file: PlainFile) -> PlainPages | None:
        if file.trailer is None:
            return None
        catalog = file.dictionary(*file.root)
        if catalog is None or catalog.entries.get("/Type") != b"/Catalog":
            return None
        top = catalog.reference("/Pages")
        root = file.dictionary(*top) if top is not None else None
        if root is None or "/Parent" in root.entries:
            return None
        try:
            leaves = tuple(_walk(file, root))
        except _NotPlain:
            return None
        # A reader that believes /Count must see the same last page as one that walks the tree.
        if root.entries.get("/Count") != b"%d" % len(leaves):
            return None
        return cls(catalog, leaves)


class _NotPlain(Exception):
    """Anything in the tree that two readers could see differently."""


def _walk(file: PlainFile, root: PlainDictionary) -> Iterator[PlainLeaf]:
    """Every page below, in order (ISO 32000-1 §7.7.3); no node twice."""
    waiting: list[tuple[PlainDictionary, dict[str, bytes]]] = [(root, {})]
    seen: set[tuple[int, int]] = set()
    while waiting:
        node, above = waiting.pop()
        kind = node.entries.get("/Type")
        if kind == b"/Page" and node is not root and "/Kids" not in node.entries:
            yield PlainLeaf(node, above)
            continue
        places = _places(node.entries.get("/Kids", b""))
        if kind != b"/Pages" or places is None:
            raise _NotPlain
        inherited = above | {key: node.entries[key] for key in _INHERITED if key in node.entries}
        seen_before = len(seen)
        seen.update(places)
        if len(seen) != seen_before + len(places) or len(seen) > _MOST_NODES:
            raise _NotPlain
        for place in reversed(places):
            kid = file.dictionary(*place)
            if kid is None or kid.reference("/Parent") != node.objgen:
                raise _NotPlain
            waiting.append((kid, inherited))


@lru_cache(maxsize=256)
def _places(listed: bytes) -> tuple[tuple[int, int], ...] | None:
    """What an array of references refers to; None where anything else is in it."""
    if len(listed) > _LONGEST_LIST or not _REFERENCES.fullmatch(listed):
        return None
    return tuple((int(one), int(other)) for one, other in _REFERENCE.findall(listed))
