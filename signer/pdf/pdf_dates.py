"""PDF dates (ISO 32000-2, 7.9.4): what a signer claims in /M."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_DATE = re.compile(
    r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:(Z)(?:00'?(?:00'?)?)?|([+-])(\d\d)'?(\d\d)?'?)?"
)


def parse_pdf_date(value: str) -> datetime | None:
    """The instant in UTC, or None when it is not a date; no zone is read as UTC."""
    match = _DATE.fullmatch(value.strip())
    if match is None:
        return None
    parts = [
        int(part) if part else default
        for part, default in zip(match.groups()[:6], (0, 1, 1, 0, 0, 0), strict=True)
    ]
    zone: timezone = UTC
    try:
        if match[8]:
            offset = timedelta(hours=int(match[9]), minutes=int(match[10] or 0))
            zone = timezone(offset if match[8] == "+" else -offset)
        return datetime(*parts, tzinfo=zone).astimezone(UTC)  # type: ignore[arg-type,misc]  # six ints
    except (ValueError, OverflowError):
        return None
