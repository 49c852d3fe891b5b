"""How a value is written in a PDF (ISO 32000-1 §7.3)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pikepdf

VIETNAM = timezone(timedelta(hours=7))
_PLAIN_NAME = re.compile(r"/[A-Za-z0-9_.\-]+\Z")


def reference(number: int, generation: int = 0) -> bytes:
    return b"%d %d R" % (number, generation)


@lru_cache(maxsize=1024)
def written_name(key: str) -> bytes:
    """A name as it is written: what is not a plain letter or digit as `#` and its octet (§7.3.5).

    Names need not be text: an octet that is none arrives as a lone surrogate.
    """
    if _PLAIN_NAME.match(key):
        return key.encode()
    octets = key[1:].encode("utf-8", "surrogateescape")
    return b"/" + b"".join(
        b"%c" % one if _PLAIN_NAME.match("/" + chr(one)) else b"#%02X" % one for one in octets
    )


@lru_cache(maxsize=4096)
def number(value: float) -> bytes:
    """A PDF number: at most three decimals, never an exponent."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return b"0" if text in ("", "-0") else text.encode()


@lru_cache(maxsize=64)
def pdf_date(moment: datetime) -> bytes:
    """In Vietnam's zone whatever the server's (ISO 32000-1 §7.9.4)."""
    t = moment.astimezone(VIETNAM)
    return b"(D:%04d%02d%02d%02d%02d%02d+07'00')" % (
        t.year, t.month, t.day, t.hour, t.minute, t.second,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def text_string(text: str) -> bytes:
    """ASCII as it is, everything else in UTF-16BE (ISO 32000-1 §7.9.2.2)."""
    if text.isascii() and text.isprintable():
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        return b"(" + escaped.encode() + b")"
    return b"<feff" + text.encode("utf-16-be").hex().encode() + b">"


def closed_stream(data: bytes) -> bytes:
    """Stream data and what ends them; /Length counts `data` alone.

    Data that end with CR get CR LF before `endstream`: with a single LF a reader takes the last
    octet for part of the end-of-line marker (ISO 32000-1 §7.3.8.1; ISO 19005-2 §6.1.7.1). One
    stream in 256 would be off by one.
    """
    return data + (b"\r\nendstream" if data.endswith(b"\r") else b"\nendstream")


def raw(value: Any) -> bytes:
    """One value as PDF syntax, references kept as references."""
    if isinstance(value, pikepdf.Object):
        return value.unparse()
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int | Decimal):
        return str(value).encode()
    return b"null"


def raw_entries(dictionary: pikepdf.Object) -> dict[str, bytes]:
    """A dictionary taken apart one level deep, ready to be written again with changes."""
    return {key: raw(value) for key, value in dictionary.items()}
