"""What a revision changes of a document: dictionaries and arrays, and how they are written anew.

A node keeps what was read and what takes its place apart, so that an addition leaves the rest of a
dictionary as its author wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from signer.pdf.syntax import raw_entries, written_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from signer.pdf.plain_file import PlainDictionary


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
