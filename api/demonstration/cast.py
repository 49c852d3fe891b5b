"""Who plays in the demonstration: fictional people in a real unit (DOMAIN.md §7).

Citizen numbers begin with 0388: a century that has not come, so they are nobody's.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from ca.names import Subject
from certify.counter.cases import OriginalDescription, Requester
from certify.units import Unit, unit

INPUTS = Path(__file__).parent.parent.parent / "demo"

OFFICIAL = "Lê Văn Thử"
OFFICIAL_ID = "CCCD:038800000102"
CLERK_ID = "CCCD:038800000103"
TITLE = "PHÓ CHỦ TỊCH"
AUTHORITY = ("KT. CHỦ TỊCH", TITLE)
CITIZEN = Requester(name="Nguyễn Thị Mẫu", identifier="038812345678", kind="person")
DOCUMENT_KIND = "Bảng điểm"
DOSSIER = "H56.17.22-261123-0001"


def new_pin() -> str:
    """Eight digits nobody would guess first."""
    while True:
        pin = f"{secrets.randbelow(10**8):08d}"
        if len(set(pin)) > 3:
            return pin


@dataclass(frozen=True)
class Cast:
    """Everybody and everything a run needs; each run has its own PINs."""

    unit: Unit = field(default_factory=lambda: unit("14797"))
    official_pin: str = field(default_factory=new_pin, repr=False)
    agency_pin: str = field(default_factory=new_pin, repr=False)

    @property
    def official(self) -> Subject:
        return Subject.official(
            name=OFFICIAL,
            citizen_id=OFFICIAL_ID.removeprefix("CCCD:"),
            unit=self.unit.committee,
            title=TITLE.capitalize(),
            email="thulv.hacthanh@thanhhoa.gov.vn",
        )

    @property
    def agency(self) -> Subject:
        return Subject.agency(
            name=self.unit.committee.upper(),
            tax_code="0388000001",
            budget_code="3880001",
            locality="Thanh Hóa",
        )

    @property
    def original(self) -> OriginalDescription:
        return OriginalDescription(
            title="Bảng điểm tốt nghiệp đại học", issuer="Trường Đại học Ví Dụ", pages=2
        )

    @property
    def scans(self) -> list[bytes]:
        return [(INPUTS / f"original-scan-{page}.jpg").read_bytes() for page in (1, 2)]

    @property
    def decision(self) -> bytes:
        return (INPUTS / "decision.pdf").read_bytes()

    @property
    def draft(self) -> bytes:
        """A notice without number and date, not signed."""
        return (INPUTS / "draft.pdf").read_bytes()

    @property
    def diploma(self) -> OriginalDescription:
        """What the citizen will bring to the counter."""
        return OriginalDescription(
            title="Bằng tốt nghiệp đại học", issuer="Trường Đại học Ví Dụ", pages=1
        )
