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

from signer.pdf.plain_file import PlainDictionary, PlainFile

Box = tuple[float, float, float, float]
_INHERITED = (b"/MediaBox", b"/CropBox", b"/Rotate")
_MOST_NODES = 64
_REFERENCES = re.compile(rb"\[\s*(?:\d{1,7}\s+\d{1,5}\s+R\s*)*+\]")
_REFERENCE = re.compile(rb"(\d+)\s+(\d+)\s+R")
_NUMBERS = re.compile(rb"\[\s*([^\s\]]+)\s+([^\s\]]+)\s+([^\s\]]+)\s+([^\s\]]+)\s*\]")
_DEGREES = re.compile(rb"-?\d{1,4}")


@dataclass(slots=True)
class PlainLeaf:
    """A page: its dictionary, and what the nodes above it say for it (ISO 32000-1 §7.7.3.4)."""

    dictionary: PlainDictionary
    above: dict[bytes, bytes]

    def geometry(self) -> tuple[Box, int] | None:
        """The visible box and the rotation; None where they are not said in plain numbers."""
        entries, above = self.dictionary.entries, self.above
        crop = entries.get(b"/CropBox") or above.get(b"/CropBox")
        media = entries.get(b"/MediaBox") or above.get(b"/MediaBox")
        turned = entries.get(b"/Rotate") or above.get(b"/Rotate") or b"0"
        box = _NUMBERS.fullmatch(crop or media or b"")
        if box is None or not _DEGREES.fullmatch(turned):
            return None
        try:
            x1, y1, x2, y2 = map(float, box.groups())
        except ValueError:  # a reference stands in it
            return None
        return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), int(turned) % 360


@dataclass(frozen=True)
class PlainPages:
    """`leaves` are all pages in order; files of many pages are left to qpdf."""

    catalog: PlainDictionary
    leaves: tuple[PlainLeaf, ...]

    @classmethod
    def of(cls, file: PlainFile) -> PlainPages | None:
        if file.trailer is None:
            return None
        catalog = file.dictionary(*file.root)
        if catalog is None or catalog.entries.get(b"/Type") != b"/Catalog":
            return None
        top = catalog.reference(b"/Pages")
        root = file.dictionary(*top) if top is not None else None
        if root is None or b"/Parent" in root.entries:
            return None
        try:
            leaves = tuple(_walk(file, root))
        except _NotPlain:
            return None
        # A reader that believes /Count must see the same last page as one that walks the tree.
        if root.entries.get(b"/Count") != b"%d" % len(leaves):
            return None
        return cls(catalog, leaves)


class _NotPlain(Exception):
    """Anything in the tree that two readers could see differently."""


def _walk(file: PlainFile, root: PlainDictionary) -> Iterator[PlainLeaf]:
    """Every page below, in order (ISO 32000-1 §7.7.3); no node twice."""
    waiting: list[tuple[PlainDictionary, dict[bytes, bytes]]] = [(root, {})]
    seen: set[tuple[int, int]] = set()
    while waiting:
        node, above = waiting.pop()
        kind = node.entries.get(b"/Type")
        if kind == b"/Page" and node is not root and b"/Kids" not in node.entries:
            yield PlainLeaf(node, above)
            continue
        listed = node.entries.get(b"/Kids", b"")
        if kind != b"/Pages" or not _REFERENCES.fullmatch(listed):
            raise _NotPlain
        inherited = above | {key: node.entries[key] for key in _INHERITED if key in node.entries}
        places = [(int(one), int(other)) for one, other in _REFERENCE.findall(listed)]
        seen_before = len(seen)
        seen.update(places)
        if len(seen) != seen_before + len(places) or len(seen) > _MOST_NODES:
            raise _NotPlain
        for place in reversed(places):
            kid = file.dictionary(*place)
            if kid is None or kid.reference(b"/Parent") != node.objgen:
                raise _NotPlain
            waiting.append((kid, inherited))
