"""Append revisions to a PDF: only what is new is written, the bytes that were there stay there.

ISO 32000-1 §7.5.6. The reader is qpdf (document.py); this writer follows the file's own manner: a
classic table after a classic table, a cross-reference stream after a stream. A hybrid file gets a
classic table, which every reader consults before the older sections (§7.5.8.4). Untouched objects
are never rewritten, so tags, XMP and /ID stay as they are and PDF/A stays PDF/A.

    appender = Appender(document)
    ...put objects, add a field...
    pending = appender.commit(SignatureDictionary(number, head, reserve=12_288))
    pending.fill(cms(pending.digest))
    b"".join(appender.revisions)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pikepdf

from signer.errors import SignerError
from signer.pdf.plain_file import PlainDictionary
from signer.pdf.syntax import closed_stream, raw, raw_entries, reference, written_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from signer.pdf.document import Document

_NOT_CARRIED = frozenset(
    ("/Prev", "/XRefStm", "/Size", "/Type", "/W", "/Index", "/Length", "/Filter", "/DecodeParms")
)
_BYTE_RANGE = b"/ByteRange[0 %10d %10d %10d]"
_CLOSING = b">>\nendobj\n"
_BEFORE_HOLE = len(_BYTE_RANGE % (0, 0, 0)) + len(b"/Contents")

Offsets: TypeAlias = dict[int, tuple[int, int]]
"""Where each object of a revision begins, and its generation."""


@dataclass(slots=True)
class Node:
    """A dictionary or array of the document that this revision may change.

    It lives in an object of its own (`number`) or inside `parent`; a change to the latter is a
    change to the object around it.
    """

    number: int = 0
    generation: int = 0
    parent: Node | None = None

    def home(self) -> Node:
        return self.parent.home() if self.parent is not None else self

    def text(self) -> bytes:
        raise TypeError("a node is a DictNode or an ArrayNode")


@dataclass(slots=True)
class DictNode(Node):
    """A dictionary as it was read, with what this session puts in its place or adds.

    `plain` is how the file itself has it, when that is known: qpdf looks up every object that a
    dictionary refers to before it writes it. `source` is how qpdf has it; neither for a new one.
    """

    source: Any = None
    plain: PlainDictionary | None = None
    changed: dict[str, bytes | Node] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        there = self.plain if self.plain is not None else self.source
        return key in self.changed or (there is not None and key in there)

    def text(self) -> bytes:
        if self.plain is not None:
            before = self.plain.entries
            if before.keys().isdisjoint(self.changed):
                return b"%s%s>>" % (self.plain.text[:-2], _written(self.changed))
            return b"<<%s>>" % _written({**before, **self.changed})
        if self.source is None:
            return b"<<%s>>" % _written(self.changed)
        if any(key in self.source for key in self.changed):
            return b"<<%s>>" % _written({**raw_entries(self.source), **self.changed})
        # Only additions: the dictionary as it is, and they before its end.
        whole: bytes = self.source.unparse(resolved=True)
        return b"%s%s>>" % (whole[:-2], _written(self.changed))


def _written(entries: Mapping[str, bytes | Node]) -> bytes:
    return b"".join(
        [
            b"%s %s" % (written_name(key), value if isinstance(value, bytes) else value.text())
            for key, value in entries.items()
        ]
    )


@dataclass(slots=True)
class ArrayNode(Node):
    items: list[bytes] = field(default_factory=list)

    def text(self) -> bytes:
        return b"[%s]" % b" ".join(self.items)


class SignatureDictionary(NamedTuple):
    """The signature's own object: `head` is its body from `<<` on, without ByteRange and Contents.

    `reserve` is the room for the CMS in hex digits, fixed before anything is signed: no dry run.
    """

    number: int
    head: bytes
    reserve: int


@dataclass(frozen=True)
class Block:
    """New objects serialised one after the other; `starts` are their numbers and offsets in it."""

    data: bytes = field(repr=False)
    starts: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, first: int, bodies: Iterable[bytes]) -> Block:
        """Objects numbered from `first` on, all of generation 0."""
        parts, starts, at = [], [], 0
        for number, body in enumerate(bodies, start=first):
            part = b"%d 0 obj\n%s\nendobj\n" % (number, body)
            parts.append(part)
            starts.append((number, at))
            at += len(part)
        return cls(b"".join(parts), tuple(starts))


class Hole(NamedTuple):
    """A revision but for its CMS: what stands before and after, the room in hex digits."""

    before: bytes
    reserve: int
    after: bytes

    def closed(self, contents: bytes) -> bytes:
        """From the hole on, with the CMS in it; raises SignerError `signature-too-long`."""
        digits = contents.hex().encode()
        if len(digits) > self.reserve:
            raise SignerError("signature-too-long", size=len(contents), room=self.reserve // 2)
        filler = _zeros(self.reserve)[len(digits) :]
        return b"".join((b"<", digits, filler, b">", self.after))


class Pending:
    """A revision that is complete except for the CMS, whose digest is known."""

    def __init__(self, appender: Appender, hole: Hole) -> None:
        self._appender = appender
        self.hole = hole
        self._begun: dict[str, Any] = {}

    def digest(self, name: str = "sha256") -> bytes:
        """Over everything but the hole for Contents (ISO 32000-1 §12.8.1)."""
        begun = self._begun[name] = self._appender.state(name)
        begun.update(self.hole.before)
        state = begun.copy()
        state.update(self.hole.after)
        return bytes(state.digest())

    def fill(self, contents: bytes) -> None:
        """Put the CMS or time-stamp token in its place; the revision is then part of the file."""
        rest = self.hole.closed(contents)
        for state in self._begun.values():
            state.update(rest)
        self._appender.accept(self.hole.before + rest, self._begun)


class Appender:
    """All revisions appended to one document in one go; the state carries over between them."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.revisions: list[bytes] = []
        self.new_names: set[str] = set()
        self.notes: dict[str, object] = {}
        self._length = len(document.original)
        self._ends_with_newline = document.original.data[-1:] in (b"\n", b"\r")
        self._xref_at = self._pending_xref = document.xref_at
        self._next = document.last_object + 1
        self._nodes: dict[int, Node] = {}
        self._inside: dict[tuple[int, str], Node] = {}
        self._changed: dict[int, Node] = {}
        self._new: dict[int, bytes] = {}
        self._blocks: list[Block] = []
        self._states: dict[str, Any] = {}
        self._trailer = document.plain.trailer or _carried(document.pdf.trailer)
        self.root = self.dictionary(document.catalog)

    # Objects

    def allocate(self, count: int = 1) -> int:
        """The first of `count` consecutive object numbers that nobody uses."""
        first = self._next
        self._next += count
        return first

    def put(self, number: int, body: bytes) -> None:
        """A new object, without `obj` and `endobj`."""
        self._new[number] = body

    def put_block(self, block: Block) -> None:
        """Objects that are serialised already, numbered by an `allocate` of this appender."""
        self._blocks.append(block)

    def add(self, body: bytes) -> int:
        number = self.allocate()
        self._new[number] = body
        return number

    # What is there and may change

    def dictionary(self, obj: Any) -> DictNode:
        """An indirect dictionary of the document; the same node each time it is asked for."""
        number, generation = obj.objgen
        known = self._nodes.get(number)
        if isinstance(known, DictNode):
            return known
        if not number:
            raise SignerError("document-structure", part="dictionary")
        if isinstance(obj, PlainDictionary):
            node = DictNode(number, generation, plain=obj)
        else:
            plain = self.document.plain.dictionary(number, generation)
            node = DictNode(number, generation, source=obj, plain=plain)
        self._nodes[number] = node
        return node

    def child_dictionary(self, parent: DictNode, key: str, obj: Any | None) -> DictNode:
        """The dictionary at `key`, wherever it lives; made as a new object when it is missing."""
        known = self._inside.get((id(parent), key))
        if isinstance(known, DictNode):
            return known
        if obj is None:
            node = DictNode(self.allocate())
            parent.changed[key] = reference(node.number)
            self.touch(parent)
        elif obj.is_indirect:
            node = self.dictionary(obj)
        else:
            node = DictNode(0, 0, parent, source=obj)
            parent.changed[key] = node
        self._inside[id(parent), key] = node
        return node

    def child_array(self, parent: DictNode, key: str, obj: Any | None) -> ArrayNode:
        """The array at `key`; a missing one is made inside its parent."""
        known = self._inside.get((id(parent), key))
        if isinstance(known, ArrayNode):
            return known
        items = [raw(one) for one in obj] if isinstance(obj, pikepdf.Array) else []
        if obj is not None and isinstance(obj, pikepdf.Array) and obj.is_indirect:
            node = ArrayNode(*obj.objgen, None, items)
        else:
            node = ArrayNode(0, 0, parent, items)
            parent.changed[key] = node
        self._inside[id(parent), key] = node
        return node

    def touch(self, node: Node) -> None:
        """This node has changed: the object around it belongs in the revision."""
        home = node.home()
        self._changed[home.number] = home

    def append(self, node: ArrayNode, item: bytes) -> None:
        node.items.append(item)
        self.touch(node)

    def assign(self, node: DictNode, key: str, value: bytes) -> None:
        node.changed[key] = value
        self.touch(node)

    # Writing

    def state(self, name: str = "sha256") -> Any:
        """A copy of the hash state over the file so far."""
        if name not in self._states:
            self._states[name] = self.document.original.state_for(name)
            for revision in self.revisions:
                self._states[name].update(revision)
        return self._states[name].copy()

    def commit(self, signature: SignatureDictionary) -> Pending:
        """Lay out a revision around a signature; nothing is final until it is filled."""
        parts, offsets, at = self._layout()
        offsets[signature.number] = (at, 0)
        opening = b"%d 0 obj\n%s" % (signature.number, signature.head)
        hole_at = at + len(opening) + _BEFORE_HOLE
        hole_end = hole_at + signature.reserve + 2
        after = _CLOSING + self._cross_reference(offsets, hole_end + len(_CLOSING))
        parts += (opening, _BYTE_RANGE % (hole_at, hole_end, len(after)), b"/Contents")
        return Pending(self, Hole(b"".join(parts), signature.reserve, after))

    def commit_plain(self) -> None:
        """A revision without a signature: a DSS."""
        parts, offsets, at = self._layout()
        parts.append(self._cross_reference(offsets, at))
        self.accept(b"".join(parts))

    def accept(self, revision: bytes, states: Mapping[str, Any] | None = None) -> None:
        """`revision` is part of the file; `states` are hash states that have seen it already."""
        known = states or {}
        for name, state in self._states.items():
            if name not in known:
                state.update(revision)
        self._states.update(known)
        self.revisions.append(revision)
        self._length += len(revision)
        self._ends_with_newline = True
        self._xref_at = self._pending_xref
        self._new.clear()
        self._blocks.clear()
        self._changed.clear()

    def whole(self) -> bytes:
        """Original and revisions in one piece; keep them apart where the file is big."""
        return b"".join((self.document.original.data, *self.revisions))

    def _layout(self) -> tuple[list[bytes], Offsets, int]:
        """The objects of this revision one after the other, where each is, and where they end."""
        parts = [] if self._ends_with_newline else [b"\n"]
        at = self._length + len(parts)
        offsets: Offsets = {}
        for block in self._blocks:
            for number, start in block.starts:
                offsets[number] = (at + start, 0)
            parts.append(block.data)
            at += len(block.data)
        for number, body in self._new.items():
            part = b"%d 0 obj\n%s\nendobj\n" % (number, body)
            offsets[number] = (at, 0)
            parts.append(part)
            at += len(part)
        for number, node in self._changed.items():
            part = b"%d %d obj\n%s\nendobj\n" % (number, node.generation, node.text())
            offsets[number] = (at, node.generation)
            parts.append(part)
            at += len(part)
        return parts, offsets, at

    def _cross_reference(self, offsets: Offsets, at: int) -> bytes:
        self._pending_xref = at
        if self.document.xref_is_stream:
            number = self.allocate()
            offsets[number] = (at, 0)
            table = b"".join(
                b"\x01" + offset.to_bytes(4, "big") + generation.to_bytes(2, "big")
                for _, (offset, generation) in sorted(offsets.items())
            )
            index = b" ".join(b"%d %d" % (run[0], len(run)) for run in _runs(offsets))
            head = b"%d 0 obj\n<</Type/XRef/W[1 4 2]/Index[%s]/Size %d/Prev %d%s/Length %d>>\n" % (
                number, index, self._next, self._xref_at, self._trailer, len(table),
            )  # fmt: skip
            tail = b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % at
            return b"".join((head, b"stream\n", closed_stream(table), tail))
        lines = [b"xref\n"]
        for run in _runs(offsets):
            lines.append(b"%d %d\n" % (run[0], len(run)))
            lines += [b"%010d %05d n \n" % offsets[one] for one in run]
        lines.append(
            b"trailer\n<</Size %d/Prev %d%s>>\nstartxref\n%d\n%%%%EOF\n"
            % (self._next, self._xref_at, self._trailer, at)
        )
        return b"".join(lines)


def _carried(trailer: Any) -> bytes:
    """What a new trailer repeats of the old one (ISO 32000-1 §7.5.6)."""
    return b"".join(
        written_name(key) + b" " + raw(trailer[key])
        for key in sorted(trailer.keys() - _NOT_CARRIED)
    )


def _runs(numbers: Offsets) -> list[list[int]]:
    runs: list[list[int]] = []
    last = -2
    for number in sorted(numbers):
        if number != last + 1:
            run: list[int] = []
            runs.append(run)
        run.append(number)
        last = number
    return runs


@lru_cache(maxsize=8)
def _zeros(count: int) -> bytes:
    return b"0" * count
