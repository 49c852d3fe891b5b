"""The signed bytes are exactly the file without one hexadecimal string.

ISO 32000-2, 12.8.1 and EN 319 142-1, 5.3: the digest covers the entire file except /Contents.
Anything looser (a gap with room for a second string, ranges that do not start at 0, a doubled
key) is where signature wrapping and USF forgeries put what the signer never saw.
"""

from __future__ import annotations

import re

import pikepdf

_HEX = re.compile(rb"[0-9A-Fa-f]*")
_CONTENTS_BEFORE = re.compile(rb"/Contents[\r\n\t ]*$")
ObjectId = tuple[int, int]
_OBJECT = b"%d %d obj"


class ByteRangeFault(Exception):
    """The signature's range is not what the standard asks; `code` says what is wrong."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def read_contents(
    data: bytes,
    object_id: tuple[int, int],
    offset: int,
    ranges: object,
    contents: bytes,
) -> tuple[int, int, int, bytes]:
    """(gap start, gap end, covered end, CMS) of a signature dictionary at `offset`.

    The gap [start, end) is exactly `<hex>` of this dictionary's /Contents, nothing else.
    """
    if not isinstance(ranges, pikepdf.Array) or len(ranges) != 4:
        raise ByteRangeFault("validation-byte-range")
    values: list[object] = list(ranges)
    numbers = [one for one in values if isinstance(one, int) and not isinstance(one, bool)]
    if len(numbers) != 4:
        raise ByteRangeFault("validation-byte-range")
    first, start, end, rest = numbers
    total = end + rest
    if first != 0 or not 0 < start < end - 1 or rest <= 0 or total > len(data):
        raise ByteRangeFault("validation-byte-range")
    if data[start : start + 1] != b"<" or data[end - 1 : end] != b">":
        raise ByteRangeFault("validation-byte-range")
    gap = data[start + 1 : end - 1]
    if len(gap) % 2 or not _HEX.fullmatch(gap) or bytes.fromhex(gap.decode()) != contents:
        raise ByteRangeFault("validation-byte-range")
    _inside_own_object(data, object_id, offset, start, end)
    return start, end, total, _without_padding(contents)


def _inside_own_object(
    data: bytes, object_id: tuple[int, int], offset: int, start: int, end: int
) -> None:
    """The gap is the one /Contents of the dictionary the field points to."""
    if not offset < start or not data.startswith(_OBJECT % object_id, offset):
        raise ByteRangeFault("validation-byte-range")
    close = data.find(b"endobj", end)
    before, after = data[offset:start], data[end:close]
    if close < 0 or b"endobj" in before or not _CONTENTS_BEFORE.search(before):
        raise ByteRangeFault("validation-byte-range")
    whole = before + after
    # A doubled key is read differently by different parsers; an escaped name hides one.
    if whole.count(b"/Contents") != 1 or whole.count(b"/ByteRange") != 1 or b"/#" in whole:
        raise ByteRangeFault("validation-doubled-key")


def _without_padding(contents: bytes) -> bytes:
    """The DER value at the front; what follows may only be zeros (ISO 32000-2, 12.8.3.3.1)."""
    if len(contents) < 4 or contents[0] != 0x30:
        raise ByteRangeFault("validation-not-der")
    length, header = contents[1], 2
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise ByteRangeFault("validation-not-der")
        length, header = int.from_bytes(contents[2 : 2 + size], "big"), 2 + size
    total = header + length
    if total > len(contents):
        raise ByteRangeFault("validation-not-der")
    if contents[total:].strip(b"\x00"):
        raise ByteRangeFault("validation-padding")
    return contents[:total]
