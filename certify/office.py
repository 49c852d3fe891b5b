"""What certifying needs, wired once: the signing desk, the tables, the blobs and the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from records.blobs import BlobStore
    from records.database import Database
    from signer.desk import Desk


@dataclass(frozen=True)
class RegisterSettings:
    """How this province writes its electronic register.

    Paper and electronic registers are separate series, so the symbol differs from the paper
    register's `SCT/BS`; `number_suffix` is for units that write `01/ĐT` (DOMAIN.md §4).
    """

    symbol: str = "SCTĐT/BS"
    number_suffix: str = ""

    def number(self, number: int) -> str:
        """01, 02, …, with the suffix when there is one."""
        return f"{number:02d}{self.number_suffix}"

    def book(self, volume: int, year: int) -> str:
        """The volume as the statement names it: `01/2026-SCTĐT/BS`."""
        return f"{volume:02d}/{year}-{self.symbol}"


@dataclass(frozen=True)
class Office:
    """One certifying service; `base_url` is what the QR code's address begins with."""

    desk: Desk
    database: Database
    blobs: BlobStore
    base_url: str
    register: RegisterSettings = field(default_factory=RegisterSettings)
    client: str = "dauso-certify"
    keep_images: timedelta | None = None
    ways: frozenset[str] = frozenset()
    """How results leave besides the owner's store: `mail`, `national-store`."""
    attach_capture_data: bool = False
    """Copies are PDF/A-3b with their capture's record attached, instead of PDF/A-2b."""

    def address(self, code: str) -> str:
        """Where anyone can check a copy with this code."""
        return f"{self.base_url.rstrip('/')}/v/{code}"
