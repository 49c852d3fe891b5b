"""A PDF's own text of a dictionary, for files with one classic cross-reference table.

Asking qpdf to write a dictionary makes it read everything the dictionary refers to, which takes
longer than the rest of a signature's revision. Here only the octets at the offset that the table
names are taken, and only where they can be nothing else than that dictionary; what is not so plain
is left to qpdf. qpdf has read the file strictly before: table, offsets and objects agree.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass

_TABLE = re.compile(rb"xref[ ]?\r?\n0 (\d{1,7})[ ]?\r?\n(?=\d{10} 65535 f)")
_TRAILER = re.compile(
    rb"trailer\s*<<((?:\s*/(?:Size\s+\d+|Root\s+\d+\s+\d+\s+R|Info\s+\d+\s+\d+\s+R"
    rb"|ID\s*\[(?:\s*(?:<[0-9A-Fa-f]*>|\([A-Za-z0-9+/=]*\))){2}\s*\]))+)\s*>>\s*startxref"
)
_SIZE = re.compile(rb"/Size\s+\d+")
_ENTRY = 20
_LARGEST_TRAILER = 1_024
_LARGEST_DICTIONARY = 65_536
_DOUBTFUL = (b"%", b"\\", b"#", b"stream")
"""A comment, an escape in a string or in a name, a stream's dictionary."""


@dataclass(frozen=True)
class PlainFile:
    """`trailer` is what a new trailer repeats of it; None for any file that is not plain."""

    data: bytes | mmap.mmap
    entries: int
    count: int
    trailer: bytes | None

    @classmethod
    def of(cls, data: bytes | mmap.mmap, xref_at: int) -> PlainFile:
        """One table, from object 0 on, and a trailer that refers to no older one."""
        table = _TABLE.match(data, xref_at)
        if table is not None:
            count = int(table[1])
            behind = table.end() + count * _ENTRY
            found = _TRAILER.match(data[behind : behind + _LARGEST_TRAILER])
            if found is not None and found[1].count(b"/Root") == 1:
                return cls(data, table.end(), count, _SIZE.sub(b"", found[1]).strip())
        return cls(data, 0, 0, None)

    def dictionary(self, number: int, generation: int) -> bytes | None:
        """The text from `<<` to `>>`, or None where that is not certain."""
        if not 0 < number < self.count:
            return None
        at = self.entries + number * _ENTRY
        entry = self.data[at : at + 18]
        if entry != b"%010d %05d n" % (int(entry[:10]) if entry[:10].isdigit() else 0, generation):
            return None
        offset = int(entry[:10])
        head = b"%d %d obj" % (number, generation)
        if self.data[offset : offset + len(head)] != head:
            return None
        end = self.data.find(b"endobj", offset, offset + _LARGEST_DICTIONARY)
        if end < 0:
            return None
        return _certain(self.data[offset + len(head) : end].strip(b"\x00\t\n\x0c\r "))


def _certain(text: bytes) -> bytes | None:
    """Nothing in it can hide where it ends or how a key is named; brackets in pairs."""
    if text[:2] != b"<<" or text[-2:] != b">>" or any(one in text for one in _DOUBTFUL):
        return None
    if text.count(b"<<") != text.count(b">>") or text.count(b"(") != text.count(b")"):
        return None
    return text
