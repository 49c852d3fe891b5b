"""What a PDF/A-3 copy says about its own capture: attached as a file, for machines to read.

    data = capture_data(office, capture_id)          # JSON, the same for the same capture

Sizes, resolutions, digests of the page as scanned and as cleaned, and what was measured. No person
is named in it: a copy travels further than the office that made it.
"""

from __future__ import annotations

import json

from sqlalchemy import select

from certify.models import CapturePageRow, CaptureRow
from certify.office import Office

_FACTS = (
    "number",
    "digest",
    "untouched",
    "cleaning",
    "width",
    "height",
    "dpi",
    "orientation",
    "skew",
    "sharpness",
    "ink",
    "kept_bytes",
)


def capture_data(office: Office, capture_id: str) -> bytes:
    """The capture's record as UTF-8 JSON."""
    with office.database.reading() as session:
        capture = session.get_one(CaptureRow, capture_id)
        rows = session.scalars(
            select(CapturePageRow.facts)
            .where(CapturePageRow.capture_id == capture_id)
            .order_by(CapturePageRow.number)
        )
        pages = [{name: facts.get(name) for name in _FACTS} for facts in rows]
        record = {
            "format": "dauso-capture-1",
            "captured_at": capture.taken_at.isoformat(),
            "digest_algorithm": "sha256",
            "pages": pages,
        }
    return json.dumps(record, ensure_ascii=False, indent=1).encode()
