"""From a recorded finding to a copy that counts as the original."""

from __future__ import annotations

import io
from pathlib import Path

import page as page_validation
import pikepdf
import pypdfium2
import pytest
import zxingcpp

from certify import store, verification
from certify.issuance import certify_copy
from certify.models import CopyStatus
from certify.register import entries
from records import audit
from tests.certify.town_hall import BY, MAU, TownHall, UNIT, scans, town_hall
from tests.world import World


@pytest.fixture
def hall(world: World) -> TownHall:
    return town_hall(world)


def test_one_copy_end_to_end(hall: TownHall, tmp_path: Path) -> None:
    """DOMAIN.md §4: statement, the person's signature, then the agency's; register; store."""
    case = hall.compared(copies=2)
    copy = certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)
    (tmp_path / "copy.pdf").write_bytes(copy.data)
    assert (copy.number, copy.register) == ("01", "SCTĐT/BS")
    assert copy.book == f"01/{hall.now.year}-SCTĐT/BS"
    report, status = verification.verify_file(hall.office, copy.data, now=hall.now)
    assert [one.level for one in report.signatures] == ["PAdES-BASELINE-LTA"] * 2
    assert status is not None
    assert status.status is CopyStatus.IN_FORCE
    assert verification.verdict(report, status) is verification.Verdict.VALID
    (line,) = entries(hall.office, unit=UNIT, year=hall.now.year)
    assert (line.number, line.copies, line.fee, line.state.value) == (1, 2, 8000, "issued")
    (item,) = store.items(hall.office, owner_id=MAU.owner_id)
    assert (item.digest, item.certified, item.status) == (copy.digest, True, "in-force")
    assert audit.verify(hall.office.database).ok
