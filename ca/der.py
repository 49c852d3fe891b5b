"""DER, as little of it as the hot encodings need (X.690): write values, read hostile ones.

`cryptography` builds single OCSP answers and small CRLs well; it neither reads an OCSP request
with several certificates nor a time-stamp request, and its CRL builder copies its list for every
entry. The templates in `crl_encoding`, `ocsp_encoding` and `tst_encoding` are written with this
module, and tests hold each of them against `cryptography`, asn1crypto, OpenSSL and GnuTLS.

    >>> sequence(integer(1), oid("1.2.3")).hex()
    '300702010106022a03'
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from ca.errors import CaError

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL_TAG = 0x05
OBJECT_IDENTIFIER = 0x06
ENUMERATED = 0x0A
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"


class MalformedDer(CaError):
    """Input that is not the DER it should be; responders turn it into their protocol's error."""

    def __init__(self, found: str) -> None:
        super().__init__("der-malformed", found=found)


# Writing


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return b"%c%c%b" % (tag, size, content)
    return header(tag, size) + content


def header(tag: int, size: int) -> bytes:
    """Tag and length of an element with `size` octets of content."""
    if size < 0x80:
        return b"%c%c" % (tag, size)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return b"%c%c%b" % (tag, 0x80 | len(octets), octets)


def sequence(*parts: bytes) -> bytes:
    return tlv(SEQUENCE, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    """A SET OF, its elements in ascending order of their encodings (X.690 §11.6)."""
    return tlv(SET, b"".join(sorted(parts)))


def integer(value: int) -> bytes:
    size = _integer_size(value)
    if size < 0x80:
        return b"\x02%c%b" % (size, value.to_bytes(size, "big", signed=True))
    return tlv(INTEGER, value.to_bytes(size, "big", signed=True))


def enumerated(value: int) -> bytes:
    return tlv(ENUMERATED, value.to_bytes(_integer_size(value), "big", signed=True))


def octet_string(content: bytes) -> bytes:
    return tlv(OCTET_STRING, content)


def bit_string(content: bytes) -> bytes:
    """A BIT STRING of whole octets: signatures."""
    return tlv(BIT_STRING, b"\x00" + content)


def explicit(number: int, content: bytes) -> bytes:
    """`[number] EXPLICIT`; the same octets as `[number] IMPLICIT` of a constructed type's body."""
    return tlv(0xA0 | number, content)


def implicit(number: int, content: bytes) -> bytes:
    """`[number] IMPLICIT` of a primitive type."""
    return tlv(0x80 | number, content)


@lru_cache(maxsize=256)
def oid(dotted: str) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    body = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        body += bytes(reversed(groups))
    return tlv(OBJECT_IDENTIFIER, bytes(body))


def generalized_time(moment: datetime) -> bytes:
    """Whole seconds in UTC with Z, as RFC 5280 §4.1.2.5.2 and RFC 6960 want it."""
    return tlv(GENERALIZED_TIME, _utc(moment).strftime("%Y%m%d%H%M%SZ").encode())


def generalized_time_fraction(moment: datetime) -> bytes:
    """With milliseconds, no trailing zeros, no point without digits (RFC 3161 §2.4.2)."""
    # 2026-03-03T02:00:00.120 (cut, not rounded), without what GeneralizedTime does without.
    text = _utc(moment).isoformat(timespec="milliseconds")[:23]
    digits = text.replace("-", "").replace("T", "").replace(":", "").rstrip("0").rstrip(".")
    return tlv(GENERALIZED_TIME, b"%bZ" % digits.encode())


@lru_cache(maxsize=64)
def time(moment: datetime) -> bytes:
    """UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 §5.1.2.4)."""
    moment = _utc(moment)
    if 1950 <= moment.year < 2050:
        return tlv(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return generalized_time(moment)


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    """One `Extension`; FALSE is the DEFAULT and so not written (X.690 §11.5)."""
    return sequence(oid(dotted), TRUE if critical else b"", octet_string(value))


def _integer_size(value: int) -> int:
    return (value if value >= 0 else ~value).bit_length() // 8 + 1


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be signed: pass an aware datetime")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


# Reading


class Reader:
    """One pass over DER from a stranger: definite minimal lengths, tags as expected, nothing left.

    Nothing is copied before its length is known to fit, so work and memory stay within the size
    of the input, and nesting is bounded by the grammar that drives the reader.
    """

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._end = len(data)

    def more(self) -> bool:
        return self._position < self._end

    def next_is(self, tag: int) -> bool:
        return self._position < self._end and self._data[self._position] == tag

    def read(self, tag: int) -> bytes:
        """The content of the next element, which must carry this tag."""
        if not self.next_is(tag):
            raise MalformedDer(f"tag {tag:#04x} expected")
        return self._element()[1]

    def raw(self, tag: int) -> bytes:
        """The next element whole, with tag and length, as it was written."""
        if not self.next_is(tag):
            raise MalformedDer(f"tag {tag:#04x} expected")
        start, _ = self._element()
        return self._data[start : self._position]

    def whole(self) -> bytes:
        """The next element with tag and length, whatever its tag."""
        start, _ = self._element()
        return self._data[start : self._position]

    def inside(self, tag: int) -> Reader:
        return Reader(self.read(tag))

    def optional(self, tag: int) -> bytes | None:
        return self._element()[1] if self.next_is(tag) else None

    def integer(self) -> int:
        content = self.read(INTEGER)
        if not content or (
            len(content) > 1 and (content[0], content[1] >> 7) in ((0x00, 0), (0xFF, 1))
        ):
            raise MalformedDer("an INTEGER that is empty or padded")
        return int.from_bytes(content, "big", signed=True)

    def boolean(self) -> bool:
        content = self.read(BOOLEAN)
        if content not in (b"\x00", b"\xff"):
            raise MalformedDer("a BOOLEAN that is neither TRUE nor FALSE")
        return content == b"\xff"

    def end(self) -> None:
        if self.more():
            raise MalformedDer("octets after the end")

    def _element(self) -> tuple[int, bytes]:
        data, start = self._data, self._position
        if start + 2 > self._end:
            raise MalformedDer("cut short")
        size = data[start + 1]
        content = start + 2
        if size >= 0x80:
            content, size = _long_form(data, content, size & 0x7F, self._end)
        if content + size > self._end:
            raise MalformedDer("cut short")
        self._position = content + size
        return start, data[content : content + size]


def spans(data: bytes, start: int, end: int) -> list[tuple[int, int, int, int]]:
    """Tag, beginning, beginning of the content and end of each element in `data[start:end]`.

    As strict as `Reader`, for those who look at hundreds of encodings of one shape.
    """
    found = []
    while start < end:
        content = start + 2
        if content > end:
            raise MalformedDer("cut short")
        size = data[start + 1]
        if size >= 0x80:
            content, size = _long_form(data, content, size & 0x7F, end)
        stop = content + size
        if stop > end:
            raise MalformedDer("cut short")
        found.append((data[start], start, content, stop))
        start = stop
    return found


def _long_form(data: bytes, at: int, octets: int, end: int) -> tuple[int, int]:
    """Where the content begins, and its size, of which so many octets are written from `at`."""
    if not 1 <= octets <= 4 or at + octets > end:
        raise MalformedDer("a length that is indefinite, cut short or past all reason")
    size = int.from_bytes(data[at : at + octets], "big")
    if size < 0x80 or size >> (8 * (octets - 1)) == 0:
        raise MalformedDer("a length longer than need be")
    return at + octets, size


class Extensions:
    """The extensions of a request, by encoded OID, and which of them are marked critical."""

    def __init__(self, content: bytes, *, limit: int = 32) -> None:
        """`content` is the body of the `Extensions` SEQUENCE."""
        self.values: dict[bytes, bytes] = {}
        self.critical: set[bytes] = set()
        reader = Reader(content)
        if not reader.more():
            raise MalformedDer("an empty list of extensions")
        while reader.more():
            one = reader.inside(SEQUENCE)
            name = one.raw(OBJECT_IDENTIFIER)
            if name in self.values or len(self.values) == limit:
                raise MalformedDer("an extension given twice, or too many")
            if one.next_is(BOOLEAN) and one.boolean():
                self.critical.add(name)
            self.values[name] = one.read(OCTET_STRING)
            one.end()
