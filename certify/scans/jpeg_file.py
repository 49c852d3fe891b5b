"""A scan's own JPEG bytes: whether they may stand in the copy as they are, and where they end.

    plain(data)                  # the picture's bytes and nothing after them, or None

A PDF reader decodes a page's JPEG itself (ISO 32000-2, 7.4.8): baseline or progressive, Huffman
coded, eight bits. What a decoder here also reads, but not every reader there, is drawn anew.
"""

from __future__ import annotations

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_ALONE = {0x01, *range(0xD0, 0xD8)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_READ_EVERYWHERE = {0xC0, 0xC1, 0xC2}
"""SOF0 baseline, SOF1 extended, SOF2 progressive; the others are arithmetic or without loss."""
_ADOBE = 0xEE


def plain(data: bytes) -> bytes | None:
    """The JPEG without what lies behind its end; None when it must be decoded and drawn anew.

    Kept: 8 bits, Huffman coded, YCbCr in three components, or grey in one.
    """
    if data[:2] != b"\xff\xd8":
        return None
    at, seen = 2, False
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _END:
            break
        if marker in _ALONE:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4])
        body = data[at + 4 : at + 2 + length]
        if length < 2 or marker == _START or not _suits(marker, body):
            return None
        seen = seen or marker in _FRAMES
        at += 2 + length
        if marker == _SCAN:
            at = _after_scan(data, at)
    if data[at : at + 2] != b"\xff\xd9" or not seen:
        return None
    return data[: at + 2]


def _suits(marker: int, body: bytes) -> bool:
    if marker in _FRAMES:
        components = [body[6 + 3 * index] for index in range((len(body) - 6) // 3)]
        return (
            marker in _READ_EVERYWHERE
            and body[:1] == b"\x08"
            and len(components) in (1, 3)
            and components != list(b"RGB")
        )
    if marker == _ADOBE and body.startswith(b"Adobe") and len(body) >= 12:
        return body[11] == 1  # YCbCr; 0 would be RGB, 2 YCCK
    return True


def _after_scan(data: bytes, at: int) -> int:
    """Past the coded picture: the next marker that is neither stuffing nor a restart."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] not in (0x00, 0xFF) and data[at + 1] not in _ALONE:
            return at
        at += 1 if data[at + 1] == 0xFF else 2
    return len(data)
