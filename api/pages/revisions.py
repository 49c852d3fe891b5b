"""What each signer saw, page by page, as the verification page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signer.verdicts.report import Report
from signer.verdicts.sandbox import shared_pool

_WIDTH = 620
_SAME = 3


@dataclass(frozen=True)
class PageView:
    """One page: the picture of then, and of now where they differ. Data URLs, or empty."""

    number: int
    changed: bool
    seen: str
    shown: str


@dataclass(frozen=True)
class RevisionView:
    signer: str
    pages: tuple[PageView, ...]
    complete: bool

    @property
    def changed(self) -> int:
        return sum(one.changed for one in self.pages)


def revision_views(data: bytes, report: Report) -> tuple[RevisionView, ...]:
    """One a signature, oldest first; none for what is no PDF or cannot be drawn in time."""
    if not data.startswith(b"%PDF-") or not report.readable or not report.signatures:
        return ()
    drawn = shared_pool().pages(data, width=_WIDTH, same=_SAME)
    if drawn is None:
        return ()
    signers = {one.field: one.signer or "" for one in report.signatures}
    return tuple(
        RevisionView(
            signers.get(str(one["field"]), ""),
            tuple(_page(row) for row in one["drawn"]),
            bool(one["complete"]),
        )
        for one in drawn["revisions"]
    )


def _page(row: dict[str, Any]) -> PageView:
    return PageView(
        int(row["page"]), bool(row["changed"]), _address(row, "seen"), _address(row, "shown")
    )


def _address(row: dict[str, Any], member: str) -> str:
    return f"data:image/png;base64,{row[member]}" if member in row else ""
