"""A town hall at work: a unit with a certifying official and a seal, and cases ready for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from ca.names import Subject
from certify.competence import Delegation, delegate
from certify.counter.cases import Case, OriginalDescription, Presentation, Requester
from certify.counter.intake import open_case
from certify.issuance import Hand
from certify.money.payments import pay
from certify.office import Office
from certify.scans.captures import record_capture
from certify.scans.comparison import Checklist, record_comparison
from hsm.mechanisms import KeyAlgorithm
from signer.holders import holder_images
from signer.keys import credentials
from signer.keys.credentials import Credential

DEMO = Path(__file__).resolve().parents[2] / "demo"
UNIT = "14797"
OFFICIAL_ID = "CCCD:038800000001"
BY = "official:038800000001"
PIN, SEAL_PIN = "483920", "719406"
MAU = Requester(name="Nguyễn Thị Mẫu", identifier="038812345678")
TRANSCRIPT = OriginalDescription(
    title="Bảng điểm tốt nghiệp đại học",
    issuer="Trường Đại học Ví Dụ",
    pages=2,
    number="VD-TEST 2026/00388",
    issued_on=date(2026, 6, 15),
    security_elements=("hình bóng chìm", "dấu nổi"),
)


@cache
def scans() -> tuple[bytes, ...]:
    """The demonstration's scan of a two-page original."""
    return tuple((DEMO / f"original-scan-{n}.jpg").read_bytes() for n in (1, 2))


@dataclass
class TownHall:
    """A unit that can certify, in a world."""

    office: Office
    person: Credential
    seal: Credential
    delegation: Delegation
    now: datetime

    @property
    def hands(self) -> dict[str, Hand]:
        """Who signs, for `certify_copy`."""
        return {"person": (self.person.id, PIN), "seal": (self.seal.id, SEAL_PIN)}

    def compared(self, *, copies: int = 1, paid: bool = True, requester: Requester = MAU) -> Case:
        """A case with its original presented, captured and found to match."""
        case = self.captured(copies=copies, requester=requester)
        record_comparison(
            self.office, case.id, pages=[True, True], checklist=Checklist(), now=self.now, by=BY
        )
        if paid:
            pay(self.office, case.id, method="cash", now=self.now, by=BY)
        return case

    def captured(self, *, copies: int = 1, requester: Requester = MAU) -> Case:
        """A case with its original presented and captured."""
        case = self.opened(copies=copies, requester=requester)
        record_capture(self.office, case.id, scans(), now=self.now, by=BY)
        return case

    def opened(
        self,
        *,
        original: OriginalDescription = TRANSCRIPT,
        document_kind: str = "transcript",
        copies: int = 1,
        presented: bool = True,
        requester: Requester = MAU,
        **more: Any,
    ) -> Case:
        """A case whose original was put on the counter."""
        shown = Presentation(at=self.now, place="Bộ phận Một cửa", to=BY)
        return open_case(
            self.office,
            unit=UNIT,
            requester=requester,
            document_kind=document_kind,
            original=original,
            copies=copies,
            presented=shown if presented else None,
            now=self.now,
            by=BY,
            **more,
        )


def town_hall(world: Any, algorithm: KeyAlgorithm = KeyAlgorithm.P_256) -> TownHall:
    """Enrol the official and the seal with their images, and delegate the power to certify.

    Quick keys unless a test is about what outside judges see.
    """
    desk, now = world.desk, world.now
    person = credentials.enrol(
        desk,
        profile="official",
        subject=Subject.official(
            "Lê Văn Thử",
            citizen_id="038800000001",
            unit="UBND PHƯỜNG HẠC THÀNH",
            title="Phó Chủ tịch",
            email="thu@thanhhoa.gov.vn",
        ),
        holder_id=OFFICIAL_ID,
        unit=UNIT,
        pin=PIN,
        algorithm=algorithm,
        now=now,
        by=BY,
    )
    seal = credentials.enrol(
        desk,
        profile="agency-seal",
        subject=Subject.agency(
            "ỦY BAN NHÂN DÂN PHƯỜNG HẠC THÀNH",
            tax_code="2800000001",
            budget_code="1000001",
            locality="Thanh Hóa",
        ),
        holder_id="MST:2800000001",
        unit=UNIT,
        pin=SEAL_PIN,
        algorithm=algorithm,
        now=now,
        by=BY,
    )
    for credential, picture in ((person, "signature-1.png"), (seal, "seal.png")):
        holder_images.set_image(
            desk,
            credential.id,
            (DEMO / picture).read_bytes(),
            approved_by="operator:test",
            now=now,
            by=BY,
        )
    office = Office(
        desk=desk, database=world.database, blobs=world.blobs, base_url="https://dauso.vn"
    )
    delegation = delegate(
        office,
        unit=UNIT,
        holder_id=OFFICIAL_ID,
        name="Lê Văn Thử",
        title="Phó Chủ tịch",
        authority_lines=["KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"],
        basis="Quyết định số 01/QĐ-UBND ngày 02/01/2026",
        valid_from=now - timedelta(days=1),
        now=now,
        by=BY,
    )
    return TownHall(office, person, seal, delegation, now)
