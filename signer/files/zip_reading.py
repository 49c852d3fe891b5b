"""A ZIP from a stranger, read only when every reader must see the same files in it.

Bombs, overlapping or hidden entries, doubled names, paths that lead elsewhere, a second directory:
each is a way to show one thing to the validator and another to the person (ASiC, EN 319 162-1
§4.2; APPNOTE 6.3). Sizes are bounded before anything is inflated.
"""

from __future__ import annotations

import io
import stat
import struct
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass

from records.errors import DomainError

MOST_FILES = 1_000
LONGEST_NAME = 240
_MOST_DIRECTORY_BYTES = 1 << 20
_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x05\x06"
_CENTRAL_MAGIC, _CENTRAL_SIZE = b"PK\x01\x02", 46
_ENCRYPTED, _DESCRIPTOR = 0x1 | 0x40 | 0x2000, 0x8
_UNICODE_PATH = b"\x75\x70"
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_CREATED_ON_UNIX = 3


@dataclass(frozen=True)
class Entry:
    """One file of a container."""

    name: str
    data: bytes
    stored: bool


def comments(data: bytes) -> list[str]:
    """The comments of a container that was read: of the whole, then of its entries."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        held = (archive.comment, *(one.comment for one in archive.infolist()))
    return [one.decode("utf-8", "replace") for one in held if one]


def read_zip(data: bytes, *, limit: int, refusal: type[DomainError]) -> list[Entry]:
    """The files in order; directories are left out. Raises `refusal` with what is wrong."""
    try:
        return _read(data, limit)
    except _Refused as found:
        raise refusal(found.code, **found.params) from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
        EOFError,
    ) as error:
        raise refusal("zip-malformed", reason=type(error).__name__) from None


def name_problem(name: str) -> str | None:
    """Why a name must not be in a container, or None."""
    parts = name.split("/")
    if not name or len(name.encode()) > LONGEST_NAME:
        return "length"
    if name.startswith("/") or ":" in name or "\\" in name:
        return "path"
    if any(one in ("", ".", "..") for one in parts):
        return "path"
    if any(unicodedata.category(one)[0] == "C" for one in name):
        return "characters"
    return None


def same_name(name: str) -> str:
    """Two names that some system takes for one have the same value here."""
    return unicodedata.normalize("NFC", name).casefold()


class _Refused(Exception):
    def __init__(self, code: str, **params: object) -> None:
        super().__init__(code)
        self.code, self.params = code, params


def _read(data: bytes, limit: int) -> list[Entry]:
    # 1. The end record, before anybody believes what it announces.
    directory = _directory(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = archive.infolist()
        # 2. Names, flags and announced sizes.
        for one in found:
            _require_plain(one)
        names = [same_name(one.filename) for one in found]
        if len(set(names)) != len(names):
            raise _Refused("zip-name-doubled")
        total = sum(one.file_size for one in found)
        if total > limit:
            raise _Refused("zip-too-large", size=total, limit=limit)
        # 3. The local headers say the same, one after the other, with nothing between.
        starts = _require_contiguous(data, found, directory)
        # 4. Only now inflate; a CRC, a size or an end that is wrong is an error.
        return [
            Entry(
                one.filename,
                _inflated(data[start : start + one.compress_size], one),
                one.compress_type == zipfile.ZIP_STORED,
            )
            for one, start in zip(found, starts, strict=True)
            if not one.filename.endswith("/")
        ]


def _directory(data: bytes) -> int:
    """Where the central directory begins; it must end where the end record begins."""
    place = data.rfind(_END_MAGIC, max(0, len(data) - _END.size - 0xFFFF))
    if place < 0 or place + _END.size > len(data):
        raise _Refused("zip-malformed", reason="end record")
    _, disk, first_disk, here, entries, size, offset, comment = _END.unpack_from(data, place)
    if place + _END.size + comment != len(data) or disk or first_disk or here != entries:
        raise _Refused("zip-malformed", reason="end record")
    if entries > MOST_FILES or size > _MOST_DIRECTORY_BYTES:
        raise _Refused("zip-too-many", limit=MOST_FILES)
    if offset + size != place or _directory_end(data, offset, entries) != place:
        raise _Refused("zip-malformed", reason="directory")
    return int(offset)


def _directory_end(data: bytes, at: int, entries: int) -> int:
    """Where that many headers of the directory end, by what each says of its own size."""
    for _ in range(entries):
        if data[at : at + 4] != _CENTRAL_MAGIC or at + _CENTRAL_SIZE > len(data):
            return -1
        at += _CENTRAL_SIZE + sum(struct.unpack_from("<3H", data, at + 28))
    return at


def _require_plain(one: zipfile.ZipInfo) -> None:
    name = one.orig_filename
    problem = name_problem(name.removesuffix("/"))
    if problem is not None or name != one.filename:
        raise _Refused("zip-name-unsafe", name=name[:60], reason=problem or "characters")
    if one.flag_bits & _ENCRYPTED:
        raise _Refused("zip-encrypted")
    if one.compress_type not in _METHODS:
        raise _Refused("zip-malformed", reason="compression")
    mode = one.external_attr >> 16
    if one.create_system == _CREATED_ON_UNIX and stat.S_IFMT(mode) not in (
        0,
        stat.S_IFREG,
        stat.S_IFDIR,
    ):
        raise _Refused("zip-name-unsafe", name=name[:60], reason="link")
    if name.endswith("/") and one.file_size:
        raise _Refused("zip-name-unsafe", name=name[:60], reason="folder")
    if _has_unicode_path(one.extra):
        raise _Refused("zip-name-unsafe", name=name[:60], reason="second name")


def _require_contiguous(data: bytes, found: list[zipfile.ZipInfo], directory: int) -> list[int]:
    """Where the content of each entry begins, in the order of the directory."""
    at, starts = 0, {}
    for one in sorted(found, key=lambda each: each.header_offset):
        if one.header_offset != at:
            raise _Refused("zip-malformed", reason="hidden data")
        header = _LOCAL.unpack_from(data, at)
        magic, flags, method = header[0], header[2], header[3]
        name_size, extra_size = header[9], header[10]
        start = at + _LOCAL.size
        name = data[start : start + name_size]
        extra = data[start + name_size : start + name_size + extra_size]
        encoding = "utf-8" if flags & 0x800 else "cp437"
        if magic != _LOCAL_MAGIC or name.decode(encoding) != one.orig_filename:
            raise _Refused("zip-malformed", reason="local header")
        if method != one.compress_type or flags != one.flag_bits or _has_unicode_path(extra):
            raise _Refused("zip-malformed", reason="local header")
        announced = (one.CRC, one.compress_size, one.file_size)
        if header[6:9] != announced and not (flags & _DESCRIPTOR and not any(header[6:9])):
            raise _Refused("zip-malformed", reason="local header")
        at = starts[one.header_offset] = start + name_size + extra_size
        at += one.compress_size
        if flags & _DESCRIPTOR:
            at += _descriptor(data, at, one)
    if at != directory:
        raise _Refused("zip-malformed", reason="hidden data")
    return [starts[one.header_offset] for one in found]


def _descriptor(data: bytes, at: int, one: zipfile.ZipInfo) -> int:
    """The size of the data descriptor (APPNOTE §4.3.9), with or without its signature."""
    plain = struct.pack("<3L", one.CRC, one.compress_size, one.file_size)
    for found in (plain, b"PK\x07\x08" + plain):
        if data[at : at + len(found)] == found:
            return len(found)
    raise _Refused("zip-malformed", reason="data descriptor")


def _inflated(packed: bytes, one: zipfile.ZipInfo) -> bytes:
    """All of the entry: `zipfile` itself stops at the announced size, where others read on."""
    value = packed
    if one.compress_type != zipfile.ZIP_STORED:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        value = stream.decompress(packed, one.file_size + 1)
        if not stream.eof or stream.unused_data:
            raise _Refused("zip-malformed", reason="compressed data")
    if len(value) != one.file_size or zlib.crc32(value) != one.CRC:
        raise _Refused("zip-malformed", reason="size or CRC")
    return value


def _has_unicode_path(extra: bytes) -> bool:
    at = 0
    while at + 4 <= len(extra):
        size = int.from_bytes(extra[at + 2 : at + 4], "little")
        if extra[at : at + 2] == _UNICODE_PATH:
            return True
        at += 4 + size
    return False
