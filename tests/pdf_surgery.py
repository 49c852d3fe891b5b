"""Raw tools for forging PDFs: append a revision by hand, cut, patch bytes in place."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import pikepdf

ObjectId = tuple[int, int]


def opened(data: bytes) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(data), attempt_recovery=False, inherit_page_attributes=False)


def last_startxref(data: bytes) -> int:
    return int(re.findall(rb"startxref\s+(\d+)", data)[-1])


def size_of(pdf: pikepdf.Pdf) -> int:
    return max(number for number, _generation in pdf.get_xref_table()) + 1


def append(
    data: bytes,
    objects: Mapping[int, bytes | None],
    *,
    root: ObjectId | None = None,
    xref: bool = True,
    trailer: bool = True,
    end: bool = True,
    trailer_extra: bytes = b"",
) -> bytes:
    """One more revision with these object bodies (None frees a number), in the file's style."""
    pdf = opened(data)
    out = bytearray(data if data.endswith((b"\n", b"\r")) else data + b"\n")
    places: dict[int, int | None] = {}
    for number, body in objects.items():
        if body is None:
            places[number] = None
            continue
        places[number] = len(out)
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    previous, where = last_startxref(data), len(out)
    number, generation = root or pdf.Root.objgen
    size = max([size_of(pdf), *(n + 1 for n in objects)])
    keys = b"/Root %d %d R /Prev %d " % (number, generation, previous)
    if "/ID" in pdf.trailer:
        keys += b"/ID " + pdf.trailer.ID.unparse(resolved=True) + b" "
    if "/Info" in pdf.trailer and pdf.trailer.Info.is_indirect:
        keys += b"/Info %d %d R " % pdf.trailer.Info.objgen
    keys += trailer_extra
    if data[previous : previous + 4] == b"xref":
        if xref:
            out += b"xref\n"
            for one, place in sorted(places.items()):
                out += b"%d 1\n" % one
                out += b"%010d 65535 f \n" % 0 if place is None else b"%010d 00000 n \n" % place
        if trailer:
            out += b"trailer\n<< /Size %d " % size + keys + b">>\n"
    elif xref:
        places[size] = where
        rows = b"".join(
            bytes([0 if place is None else 1]) + (place or 0).to_bytes(8, "big") + b"\0\0"
            for _one, place in sorted(places.items())
        )
        index = b" ".join(b"%d 1" % one for one in sorted(places))
        out += b"%d 0 obj\n<< /Type /XRef /Size %d /W [1 8 2] /Index [%s] /Length %d " % (
            size,
            size + 1,
            index,
            len(rows),
        )
        out += keys + b">>\nstream\n" + rows + b"\nendstream\nendobj\n"
    if trailer:
        out += b"startxref\n%d\n" % where
    if end:
        out += b"%%EOF\n"
    return bytes(out)


def body(value: pikepdf.Object) -> bytes:
    """The text of an object as it would stand in a file."""
    if isinstance(value, pikepdf.Stream):
        return stream(value.read_raw_bytes(), dict(value.stream_dict.items()))
    return value.unparse(resolved=True)


def stream(content: bytes, keys: Mapping[str, object] | None = None) -> bytes:
    values = {k: v for k, v in (keys or {}).items() if k != "/Length"}
    text = pikepdf.Dictionary(values).unparse(resolved=True)
    head = text.rstrip().removesuffix(b">>")
    return head + b" /Length %d >>\nstream\n" % len(content) + content + b"\nendstream"


def changed(value: pikepdf.Object, **keys: object) -> bytes:
    """A dictionary's text with some keys replaced (None removes; bytes are taken literally)."""
    values: dict[str, Any] = dict(value.items())
    literal = b""
    for key, new in keys.items():
        values.pop(f"/{key}", None)
        if isinstance(new, bytes):
            literal += b"/%s %s " % (key.encode(), new)
        elif new is not None:
            values[f"/{key}"] = new
    text = pikepdf.Dictionary(values).unparse(resolved=True).rstrip()
    return text.removesuffix(b">>") + b" " + literal + b">>"


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def flipped(data: bytes, at: int, mask: int = 1) -> bytes:
    return patched(data, at, bytes([data[at] ^ mask]))


def gaps(data: bytes) -> list[tuple[int, int, int]]:
    """(gap start, gap end, covered end) of each /ByteRange in the file, oldest first."""
    found = []
    for match in re.finditer(rb"/ByteRange\s*\[\s*0\s+(\d+)\s+(\d+)\s+(\d+)\s*\]", data):
        start, end, rest = (int(one) for one in match.groups())
        found.append((start, end, end + rest))
    return sorted(found, key=lambda one: one[2])


def with_contents(data: bytes, gap: tuple[int, int, int], value: bytes) -> bytes:
    """Another CMS in the same gap, padded with zeros."""
    start, end, _covered = gap
    room = (end - start - 2) // 2
    assert len(value) <= room, "the gap is too small for this forgery"
    return patched(data, start + 1, value.ljust(room, b"\0").hex().encode())


def contents(data: bytes, gap: tuple[int, int, int]) -> bytes:
    """The CMS without its padding."""
    raw = bytes.fromhex(data[gap[0] + 1 : gap[1] - 1].decode())
    size = raw[1] & 0x7F
    length = int.from_bytes(raw[2 : 2 + size], "big") + 2 + size if raw[1] & 0x80 else raw[1] + 2
    return raw[:length]
