"""What kind of signed file this is, by its first octets: names and media types can say anything."""

from __future__ import annotations

import base64
import binascii
import re
from enum import StrEnum

_PEM = re.compile(
    rb"\s*-----BEGIN (PKCS7|CMS|PKCS #7 SIGNED DATA)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----\s*"
)
_A_SEQUENCE = re.compile(rb"\x30[\x80-\x84]")
_START = 64
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Kind(StrEnum):
    """Each has its own reader; what is none of the others goes to the PDF's, which says why."""

    PDF = "pdf"
    CMS = "cms"
    XML = "xml"
    CONTAINER = "container"


def kind_of(data: bytes) -> Kind:
    """`PK` is a container, `<` XML, a long SEQUENCE or PEM armour a CMS, the rest PDF."""
    start = data[:_START]
    if start.startswith(b"PK"):
        return Kind.CONTAINER
    if start.startswith(_UTF16) or start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return Kind.XML
    if _A_SEQUENCE.match(start) or start.lstrip().startswith(b"-----BEGIN "):
        return Kind.CMS
    return Kind.PDF


def unarmoured(data: bytes) -> bytes:
    """The DER in PEM armour; anything else as it is."""
    found = _PEM.fullmatch(data)
    if found is None:
        return data
    try:
        return base64.b64decode(b"".join(found[2].split()), validate=True)
    except binascii.Error:
        return data
