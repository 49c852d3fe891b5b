"""An assembled copy between being shown and being signed: its bytes as a blob, the rest as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from certify.office import Office
from certify.pages.assembly import Assembled
from certify.pages.statement import Box


def as_kept(assembled: Assembled, digest: str) -> dict[str, Any]:
    """What is frozen with the number."""
    return {
        "digest": digest,
        "pages": assembled.pages,
        "statement_page": assembled.statement_page,
        "statement_added": assembled.statement_added,
        "signature_box": list(assembled.signature_box),
        "seal_box": list(assembled.seal_box),
        "code": assembled.code,
    }


def kept(office: Office, frozen: Mapping[str, Any]) -> Assembled | None:
    """The assembly that was shown to the signer; None when nobody asked to see it."""
    found = frozen.get("assembled")
    if found is None:
        return None
    return Assembled(
        pdf=office.blobs.get(found["digest"]),
        pages=found["pages"],
        statement_page=found["statement_page"],
        statement_added=found["statement_added"],
        signature_box=_box(found["signature_box"]),
        seal_box=_box(found["seal_box"]),
        code=found["code"],
    )


def _box(values: list[float]) -> Box:
    left, bottom, right, top = values
    return left, bottom, right, top
