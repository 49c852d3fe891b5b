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
from typing import TYPE_CHECKING, Any, NamedTuple

import pikepdf

from signer.errors import SignerError
from signer.pdf.cross_reference import Offsets, Section, carried
from signer.pdf.nodes import ArrayNode, DictNode, Node
from signer.pdf.plain_file import PlainDictionary
from signer.pdf.syntax import raw, reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from signer.pdf.document import Document

_BYTE_RANGE = b"/ByteRange[0 %10d %10d %10d]"
_CLOSING = b">>\nendobj\n"
_BEFORE_HOLE = len(_BYTE_RANGE % (0, 0, 0)) + len(b"/Contents")


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
        self._trailer = document.plain.trailer or carried(document.pdf.trailer)
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
        number = self.allocate() if self.document.xref_is_stream else None
        section = Section(at, self._xref_at, self._next, self._trailer)
        return section.table(offsets) if number is None else section.stream(number, offsets)


@lru_cache(maxsize=8)
def _zeros(count: int) -> bytes:
    return b"0" * count
