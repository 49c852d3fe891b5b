"""Which bytes of an audit entry are hashed: one canonical JSON text per entry.

It is RFC 8785 for the values allowed here (text, whole numbers, true, false, null, lists,
objects; no fractions), except that whole numbers keep all their digits: certificate serials
have more than a double can hold. Keys are sorted; there is no space; times are UTC with
microseconds and `Z`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from functools import lru_cache


def entry_bytes(
    *, position: int, at: datetime, by: str, tag: str, subject: str, details: str
) -> bytes:
    """The bytes of one entry; `details` is already canonical and goes in as text."""
    return _dumps(
        {
            "at": instant(at),
            "by": by,
            "details": details,
            "position": position,
            "subject": subject,
            "tag": tag,
        }
    ).encode()


def canonical(details: Mapping[str, object]) -> str:
    """Details as canonical JSON. Raises TypeError for what has no single form (a float)."""
    return _dumps(_plain_value(details))


def plain(text: str) -> str:
    """Text every database can keep: NUL and lone surrogates become U+FFFD.

    Names and file names from outside end up here, and no input may keep an act from being
    recorded.
    """
    if text.isascii() and "\0" not in text:
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\ufffd")


@lru_cache(maxsize=64)  # hundreds of entries are written with one time
def instant(at: datetime) -> str:
    """A time as it is hashed and signed."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain_value(value: object) -> object:
    if isinstance(value, Enum):
        return _plain_value(value.value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {plain(str(name)): _plain_value(one) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [_plain_value(one) for one in value]
    raise TypeError(f"an audit entry cannot hold a {type(value).__name__}")


_dumps = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode
