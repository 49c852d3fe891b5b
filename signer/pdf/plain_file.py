"""A PDF's own text of its dictionaries, for files with one classic cross-reference table.

Asking qpdf to write a dictionary makes it read everything the dictionary refers to, which takes
longer than the rest of a signature's revision. Here only the octets at the offset that the table
names are taken, and only where they are one dictionary from end to end by a grammar without
comments, escapes and nulls (ISO 32000-1 §7.3); what is not so plain is left to qpdf.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass, field
from functools import lru_cache

_WHITE = rb"[\x00\t\n\x0c\r ]"
_END = rb"(?=[\x00\t\n\x0c\r ()<>\[\]/])"
_NAME = rb"/[A-Za-z0-9_.+\-]++"
_REFERENCE = rb"\d++" + _WHITE + rb"++\d++" + _WHITE + rb"++R" + _END
_NUMBER = rb"[+\-]?+(?:\d++(?:\.\d*+)?+|\.\d++)" + _END
_SCALAR = b"|".join(
    (
        _REFERENCE,
        _NUMBER,
        _NAME,
        rb"<[0-9A-Fa-f\x00\t\n\x0c\r ]*+>",
        rb"\([^()\\]*+\)",
        rb"true" + _END,
        rb"false" + _END,
    )
)


def _nested(value: bytes) -> bytes:
    """A scalar, or an array or dictionary of `value`s: one level more. Nothing backtracks."""
    array = rb"\[(?:%b*+(?>%b))*+%b*+\]" % (_WHITE, value, _WHITE)
    dictionary = rb"<<(?:%b*+%b%b*+(?>%b))*+%b*+>>" % (_WHITE, _NAME, _WHITE, value, _WHITE)
    return b"|".join((_SCALAR, array, dictionary))


_VALUE = _nested(_nested(_nested(_SCALAR)))
_ENTRY = re.compile(rb"%b*+(%b)%b*+(%b)" % (_WHITE, _NAME, _WHITE, _VALUE))
_DICTIONARY = re.compile(
    rb"%b*+(<<(?:%b*+%b%b*+(?>%b))*+%b*+>>)%b*+"
    % (_WHITE, _WHITE, _NAME, _WHITE, _VALUE, _WHITE, _WHITE)
)
_TABLE = re.compile(rb"xref[ ]?\r?\n0 (\d{1,6})[ ]?\r?\n(?=\d{10} 65535 f)")
_ALIKE = bytes.maketrans(b"123456789f", b"000000000n")
_ROWS = tuple(b"0000000000 00000 n" + end for end in (b" \n", b"\r\n", b" \r"))
_TRAILER = re.compile(
    rb"trailer\s*+<<((?:\s*+/(?:Size\s++\d++|Root\s++\d++\s++\d++\s++R|Info\s++\d++\s++\d++\s++R"
    rb"|ID\s*+\[(?:\s*+(?:<[0-9A-Fa-f]*+>|\([A-Za-z0-9+/=]*+\))){2}\s*+\]))++)\s*+>>\s*+startxref"
)
_SIZE = re.compile(rb"/Size\s+(\d+)")
_ROOT = re.compile(rb"/Root\s+(\d+)\s+(\d+)\s+R")
_ONE_REFERENCE = re.compile(rb"(\d{1,7})\s+(\d{1,5})\s+R")
_STREAM = re.compile(rb"stream\r?\n")
_END_OF_STREAM = re.compile(rb"\r?\n?endstream")
_ROW_SIZE = 20
_LARGEST_DICTIONARY = 65_536
_REMEMBERED = 2_048


@dataclass(slots=True)
class PlainDictionary:
    """An object of its own that is a dictionary: `text` from `<<` to `>>`, its entries as text."""

    number: int
    generation: int
    text: bytes
    entries: dict[str, bytes] = field(repr=False)

    @property
    def objgen(self) -> tuple[int, int]:
        """As pikepdf calls it."""
        return self.number, self.generation

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def reference(self, key: str) -> tuple[int, int] | None:
        """The object that the entry refers to; None when it is anything else."""
        return referred(self.entries.get(key, b""))


@dataclass(slots=True)
class PlainFile:
    """`trailer` is what a new trailer repeats of it; None for any file that is not plain."""

    data: bytes | mmap.mmap = field(repr=False)
    entries: int
    count: int
    trailer: bytes | None
    root: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, data: bytes | mmap.mmap, xref_at: int) -> PlainFile:
        """One table, from object 0 on, and a trailer that refers to no older one."""
        head = _TABLE.match(data, xref_at)
        if head is not None:
            rows, count = head.end(), int(head[1])
            end = rows + count * _ROW_SIZE
            tail = _TRAILER.match(data, end) if _is_table(data[rows:end], count) else None
            if tail is not None:
                sized, roots = _SIZE.split(tail[1]), _ROOT.findall(tail[1])
                if len(sized) == 3 and int(sized[1]) == count and len(roots) == 1:
                    number, generation = roots[0]
                    repeated = (sized[0] + sized[2]).strip()
                    return cls(data, rows, count, repeated, (int(number), int(generation)))
        return cls(data, 0, 0, None)

    def dictionary(self, number: int, generation: int) -> PlainDictionary | None:
        """The object, or None where it is not certain to be this dictionary and nothing else."""
        start = self._body(number, generation)
        if start is None:
            return None
        end = self.data.find(b"endobj", start, start + _LARGEST_DICTIONARY)
        if end < 0:
            return None
        body = self.data[start:end]
        apart = _remembered(body) if len(body) <= _REMEMBERED else _taken_apart(body)
        return PlainDictionary(number, generation, *apart) if apart is not None else None

    def stream(self, number: int, generation: int) -> bytes | None:
        """The data of a stream that has its length beside it and no filter; else None."""
        start = self._body(number, generation)
        found = _DICTIONARY.match(self.data, start) if start is not None else None
        apart = _remembered(found[0]) if found is not None else None
        if found is None or apart is None or "/Filter" in apart[1]:
            return None
        length, opening = apart[1].get("/Length", b""), _STREAM.match(self.data, found.end())
        if opening is None or not length.isdigit():
            return None
        end = opening.end() + int(length)
        closed = _END_OF_STREAM.match(self.data, end)
        return self.data[opening.end() : end] if closed is not None else None

    def _body(self, number: int, generation: int) -> int | None:
        """Where the object's value begins: the table and the object itself agree on it."""
        if not 0 < number < self.count:
            return None
        at = self.entries + number * _ROW_SIZE
        offset = self.data[at : at + 10]
        if not offset.isdigit() or self.data[at + 10 : at + 18] != b" %05d n" % generation:
            return None
        head = b"%d %d obj" % (number, generation)
        start = int(offset)
        return start + len(head) if self.data[start : start + len(head)] == head else None


def _is_table(rows: bytes, count: int) -> bool:
    """`count` rows, all of one kind: ten digits, five digits, `n` or `f`, and one line end."""
    shape = rows.translate(_ALIKE)
    row = shape[:_ROW_SIZE]
    return row in _ROWS and len(shape) == count * _ROW_SIZE and shape == row * count


def _taken_apart(body: bytes) -> tuple[bytes, dict[str, bytes]] | None:
    """The text of the one dictionary that `body` is, and its entries.

    A key said twice means one thing to one reader and another to the next: not plain.
    """
    found = _DICTIONARY.fullmatch(body)
    if found is None:
        return None
    pairs = _ENTRY.findall(found[1], 2)
    entries = {key.decode(): value for key, value in pairs}
    return (found[1], entries) if len(entries) == len(pairs) else None


@lru_cache(maxsize=1024)
def referred(text: bytes) -> tuple[int, int] | None:
    """Number and generation where the text is one reference."""
    found = _ONE_REFERENCE.fullmatch(text) if len(text) < 32 else None
    return (int(found[1]), int(found[2])) if found is not None else None


_remembered = lru_cache(maxsize=512)(_taken_apart)
"""Documents that one program made have many a dictionary in common; nobody changes the answer."""
