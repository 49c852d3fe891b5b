"""The QR code as an image inside the PDF, in a place that can be left blank again.

    pdf = stamped(pdf, matrix)         # same length, only the code's pixels change
    digest_of(pdf[:size])              # SHA-256 with those pixels blank: what the code itself says

A code cannot hold the digest of the file it is printed in. So the file is put together with a blank
image of fixed length; its SHA-256 goes into the code; the code's pixels take the blank's place.
Whoever checks blanks them again. The pixels are hexadecimal text (ISO 32000-1 §7.4.2): found and
blanked without knowing anything of PDF, in a browser too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import segno
from pikepdf import Name, Pdf, Stream

from certify.errors import CertifyError

QUIET = 4
"""White modules around a code (ISO/IEC 18004 §6.3.8)."""
_HELD = {11: 251, 12: 287, 13: 331, 14: 362, 15: 412}
"""Octets that a version holds at level M (ISO/IEC 18004 table 7)."""
_MASK = 3
"""What a code says is mostly a signature: any mask is as good as another, and trying all eight
costs as much processor time as a signature."""
_PIXELS = re.compile(rb"/DauSoCode true[^<>]{0,200}>>\s?stream\r?\n([0-9A-F]+)>")


def version_for(longest: int) -> int:
    """The version that holds so many octets at level M, so that its size is known early.

    Raises `CertifyError`: `qr-too-long`.
    """
    for version, octets in _HELD.items():
        if longest <= octets:
            return version
    raise CertifyError("qr-too-long")


def matrix_of(text: str, version: int) -> list[bytes]:
    """The code's modules with its quiet zone, row by row; 1 is dark."""
    made = segno.make(text, version=version, error="m", boost_error=False, mode="byte", mask=_MASK)
    return [bytes(row) for row in made.matrix_iter(border=QUIET)]


def modules(version: int) -> int:
    """How many modules wide such a code is, quiet zone included."""
    return 17 + 4 * version + 2 * QUIET


def blank(pdf: Pdf, version: int) -> Stream:
    """The image's object, white all over."""
    side = modules(version)
    return Stream(
        pdf,
        b"F" * (2 * -(-side // 8) * side) + b">",
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=side,
        Height=side,
        ColorSpace=Name.DeviceGray,
        BitsPerComponent=1,
        Filter=Name.ASCIIHexDecode,
        DauSoCode=True,
    )


def stamped(pdf: bytes, matrix: Sequence[bytes]) -> bytes:
    """The same file with the code's pixels in place of the blank."""
    start, end = _place(pdf)
    text = b"".join(_row(row) for row in matrix)
    if len(text) != end - start:
        raise CertifyError("copy-not-assembled")
    return pdf[:start] + text + pdf[end:]


def digest_of(pdf: bytes) -> str:
    """SHA-256 (hex) of the file with the code's pixels blank."""
    start, end = _place(pdf)
    return hashlib.sha256(pdf[:start] + b"F" * (end - start) + pdf[end:]).hexdigest()


def _place(pdf: bytes) -> tuple[int, int]:
    found = list(_PIXELS.finditer(pdf))
    if len(found) != 1:
        raise CertifyError("qr-file-differs")
    return found[0].span(1)


def _row(row: bytes) -> bytes:
    """A row of modules as hexadecimal digits; a set bit is white, and so is the padding."""
    bits = "".join("0" if dark else "1" for dark in row)
    bits += "1" * (-len(bits) % 8)
    return b"%0*X" % (len(bits) // 4, int(bits, 2))
