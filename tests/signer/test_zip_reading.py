"""A ZIP from a stranger: nothing is read that another reader would read differently."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from signer.errors import SignerError
from signer.files.zip_reading import Entry, read_zip

CONTENT = b"1" * 1000
DIRECTORY = b"PK\x01\x02"


def deflated() -> bytearray:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", CONTENT)
    return bytearray(written.getvalue())


def read(data: bytes) -> list[Entry]:
    return read_zip(data, limit=1 << 20, refusal=SignerError)


def refused(data: bytes) -> object:
    with pytest.raises(SignerError) as found:
        read(data)
    assert found.value.code == "zip-malformed"
    return found.value.params["reason"]


def test_as_it_was_written() -> None:
    assert read(bytes(deflated())) == [Entry("a.txt", CONTENT, False)]


def test_a_stream_ends_where_its_size_says() -> None:
    """APPNOTE §4.4.9: `zipfile` stops at the announced 999 octets; others read all thousand."""
    data = deflated()
    crc = struct.pack("<L", zlib.crc32(CONTENT[:-1]))
    for at in (14, data.index(DIRECTORY) + 16):
        data[at : at + 4], data[at + 8 : at + 12] = crc, struct.pack("<L", 999)
    assert refused(bytes(data)) == "size or CRC"


def test_the_directory_is_as_long_as_its_headers_say() -> None:
    """APPNOTE §4.3.12: a comment of nine octets would reach into the end record."""
    data = deflated()
    data[data.index(DIRECTORY) + 32] = 9
    assert refused(bytes(data)) == "directory"


@pytest.mark.parametrize("place", [14, 18, 22], ids=["crc", "compressed size", "size"])
def test_the_local_header_says_the_same(place: int) -> None:
    """APPNOTE §4.3.7: a reader that goes from front to back believes the local header."""
    data = deflated()
    data[place] ^= 1
    assert refused(bytes(data)) == "local header"
