"""Which object refers to which in one revision of a PDF, as qpdf reads it.

Judging an update means knowing every way an overwritten object was reached before: an object
may be the form's array and, at the same time, something a page shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pikepdf

from signer.pdf.byte_range import ObjectId
from signer.verdicts.policy import Limits
from signer.verdicts.verdict import Unreadable

_REFERENCE = re.compile(rb"(?<![\w.+-])(\d{1,10}) (\d{1,5}) R(?![\w])")
# The value of a signature: no place for a reference, and long to search.
_LONG_HEX = re.compile(rb"<[0-9a-f]{256,}>")
Path = tuple[str, ...]


@dataclass
class Graph:
    """References between the objects of one revision, reachable from its trailer."""

    pdf: pikepdf.Pdf
    places: dict[ObjectId, tuple[int, ...]]
    edges: dict[ObjectId, tuple[ObjectId, ...]]
    reachable: set[ObjectId]
    pages: dict[ObjectId, int] = field(default_factory=dict)

    def parents(self, targets: Iterable[ObjectId]) -> Iterator[tuple[ObjectId | None, ObjectId]]:
        """(holder, target) for each reference to one of `targets`; None is the trailer."""
        wanted = set(targets)
        for target in wanted & set(_trailer_references(self.pdf)):
            yield None, target
        for holder in self.reachable:
            for target in self.edges.get(holder, ()):
                if target in wanted:
                    yield holder, target


def build(pdf: pikepdf.Pdf, limits: Limits) -> Graph:
    """The graph of a revision, read whole.

    Objects that did not move are read again all the same: qpdf gives a reference to an object
    that does not exist yet as null, so the same bytes say more once a later revision adds it.
    """
    places: dict[ObjectId, tuple[int, ...]] = {
        og: (entry.type, entry.offset or entry.obj_stream_number or 0, entry.obj_stream_index or 0)
        for og, entry in pdf.get_xref_table().items()
    }
    edges: dict[ObjectId, tuple[ObjectId, ...]] = {}
    reachable: set[ObjectId] = set()
    stack = _trailer_references(pdf)
    while stack:
        og = stack.pop()
        if og in reachable:
            continue
        reachable.add(og)
        edges[og] = references(pdf.get_object(og)) if og in places else ()
        stack.extend(edges[og])
    graph = Graph(pdf, places, edges, reachable)
    graph.pages = {og: number for number, og in enumerate(_pages(pdf, limits))}
    return graph


def changed_objects(
    old: dict[ObjectId, tuple[int, ...]], new: dict[ObjectId, tuple[int, ...]]
) -> set[ObjectId]:
    """Objects whose bytes are elsewhere than before: added, overwritten or freed.

    The new file begins with the old one, so an object at the same place has the same bytes.
    """
    moved = {og for og, place in new.items() if old.get(og) != place}
    moved |= old.keys() - new.keys()
    if any(place[0] == 2 and (place[1], 0) in moved for place in new.values()):
        moved |= {og for og, place in new.items() if place[0] == 2 and (place[1], 0) in moved}
    return moved


def references(value: pikepdf.Object) -> tuple[ObjectId, ...]:
    """Every indirect reference inside an object, scalars too.

    A string that happens to read "7 0 R" counts as well: too many is safe, too few is not.
    """
    direct = value.stream_dict if isinstance(value, pikepdf.Stream) else value
    text = unparse(direct)
    if b" R" not in text:
        return ()
    text = _LONG_HEX.sub(b"<>", text)
    return tuple((int(n), int(g)) for n, g in _REFERENCE.findall(text))


def unparse(value: object) -> bytes:
    """One canonical text of a value: sorted keys, references not followed."""
    if isinstance(value, pikepdf.Stream):
        return value.stream_dict.unparse(resolved=True)
    if isinstance(value, pikepdf.Object):
        return value.unparse(resolved=True)
    return repr(value).encode()


def paths_to(value: pikepdf.Object, target: ObjectId, limit: int = 100_000) -> list[Path]:
    """Where in an object the reference sits, list positions written as `*`."""
    found: list[Path] = []
    start = value.stream_dict if isinstance(value, pikepdf.Stream) else value
    stack: list[tuple[pikepdf.Object, Path]] = [(start, ())]
    steps = 0
    while stack:
        node, path = stack.pop()
        steps += 1
        if steps > limit:
            raise Unreadable("validation-too-deep")
        if isinstance(node, pikepdf.Array):
            children = [(child, (*path, "*")) for child in node]
        elif isinstance(node, pikepdf.Dictionary):
            children = [(child, (*path, key)) for key, child in node.items()]
        else:
            continue
        for child, where in children:
            if not isinstance(child, pikepdf.Object):
                continue
            if child.is_indirect:
                if child.objgen == target:
                    found.append(where)
            else:
                stack.append((child, where))
    return found


def _trailer_references(pdf: pikepdf.Pdf) -> list[ObjectId]:
    keys = ("/Root", "/Info")
    held = [pdf.trailer.get(key) for key in keys]
    return [one.objgen for one in held if isinstance(one, pikepdf.Object) and one.is_indirect]


def _pages(pdf: pikepdf.Pdf, limits: Limits) -> Iterator[ObjectId]:
    """The leaves of the page tree in reading order; cycles and giants are refused."""
    root = pdf.Root.get("/Pages")
    seen: set[ObjectId] = set()
    stack: list[tuple[object, int]] = [(root, 0)]
    count = 0
    while stack:
        node, depth = stack.pop()
        if not isinstance(node, pikepdf.Dictionary):
            continue
        if not node.is_indirect or node.objgen in seen or depth > limits.depth:
            raise Unreadable("validation-page-tree")
        seen.add(node.objgen)
        kids = node.get("/Kids")
        if isinstance(kids, pikepdf.Array):
            stack += [(kid, depth + 1) for kid in reversed(list(kids))]
            continue
        count += 1
        if count > limits.pages:
            raise Unreadable("validation-too-many-pages", limit=limits.pages)
        yield node.objgen
