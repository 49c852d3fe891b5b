"""The register: without gaps, whatever happens at once; volumes, locks, exports."""

from __future__ import annotations

import csv
import io
import subprocess
import threading
from collections import Counter
from pathlib import Path

import page as page_validation
import pytest

from certify import register
from certify.errors import NotFound
from certify.issuance import certify_copy
from certify.models import EntryState
from certify.register import entries, open_volume, take_number
from certify.register_export import COLUMNS, money, register_csv, register_pdf
from records.database import Database
from records.errors import DomainError
from tests.certify.town_hall import BY, SEAL_PIN, UNIT, TownHall

SYMBOL = "SCTĐT/BS"


def test_no_gap_no_duplicate_at_once(database: Database) -> None:
    """Issue, figures: "concurrent issuances in one unit: no gap, no duplicate"."""
    taken: list[int] = []
    failures: list[Exception] = []

    def work(index: int) -> None:
        for turn in range(10):
            try:
                with database.transaction() as session:
                    number = take_number(session, unit=UNIT, register=SYMBOL, year=2026).number
                    if (index + turn) % 7 == 0:
                        raise LookupError
                taken.append(number)
            except LookupError:
                continue
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(taken) == list(range(1, len(taken) + 1)), "what rolled back gave its number back"


def test_series_are_separate(database: Database) -> None:
    """DOMAIN.md §4: "Per unit, register and year"; "a new year restarts"."""
    seen = Counter()
    for unit, symbol, year in (
        (UNIT, SYMBOL, 2026),
        (UNIT, SYMBOL, 2026),
        (UNIT, "SCT/BS", 2026),
        (UNIT, SYMBOL, 2027),
        ("14758", SYMBOL, 2026),
    ):
        with database.transaction() as session:
            seen[take_number(session, unit=unit, register=symbol, year=year).number] += 1
    assert seen == {1: 4, 2: 1}


def issue(hall: TownHall) -> None:
    case = hall.compared()
    certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)


def test_volumes(hall: TownHall) -> None:
    """DOMAIN.md §4: "a new volume in the same year continues"."""
    with pytest.raises(NotFound):
        open_volume(hall.office, unit=UNIT, year=hall.now.year, now=hall.now, by=BY)
    issue(hall)
    assert open_volume(hall.office, unit=UNIT, year=hall.now.year, now=hall.now, by=BY) == 2
    issue(hall)
    lines = entries(hall.office, unit=UNIT, year=hall.now.year)
    assert [(line.number, line.volume) for line in lines] == [(1, 1), (2, 2)]


def test_export(hall: TownHall, tmp_path: Path) -> None:
    """DOMAIN.md §4: eight columns; "Exported monthly as PDF (and CSV)"."""
    office, now = hall.office, hall.now
    issue(hall)
    case = hall.compared()
    wrong = {"person": (hall.person.id, "000111"), "seal": (hall.seal.id, SEAL_PIN)}
    with pytest.raises(DomainError):
        certify_copy(office, case.id, **wrong, now=now, by=BY)
    second = entries(office, unit=UNIT, year=now.year)[1]
    register.void_number(office, second.id, reason="rút hồ sơ", now=now, by=BY)
    data = register_pdf(office, unit=UNIT, year=now.year, now=now)
    assert page_validation.validate_pdf_bytes(data, profile="2b").is_compliant
    path = tmp_path / "register.pdf"
    path.write_bytes(data)
    text = subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True
    ).stdout
    for words in ("SỔ CHỨNG THỰC BẢN SAO", "Nguyễn Thị Mẫu", "Phó Chủ tịch", "4.000", "rút hồ sơ"):
        assert words in text
    rows = list(
        csv.reader(io.StringIO(register_csv(office, unit=UNIT, year=now.year).decode("utf-8-sig")))
    )
    assert tuple(rows[0]) == COLUMNS
    assert len(COLUMNS) == 8
    assert [row[0] for row in rows[1:]] == ["01", "02"]
    assert rows[1][5:7] == ["1", "4000"]
    states = [line.state for line in entries(office, unit=UNIT, year=now.year)]
    assert states == [EntryState.ISSUED, EntryState.VOID]
    empty = entries(office, unit=UNIT, year=now.year, month=now.month % 12 + 1)
    assert empty == []
    assert register_pdf(office, unit=UNIT, year=now.year, month=1, now=now).startswith(b"%PDF")


def test_search(hall: TownHall) -> None:
    """ "search"; a percent sign is a character, not a wildcard."""
    issue(hall)
    year = hall.now.year
    assert len(entries(hall.office, unit=UNIT, year=year, search="Mẫu")) == 1
    assert entries(hall.office, unit=UNIT, year=year, search="%") == []


def test_money() -> None:
    """Vietnamese writes 1.234.567."""
    assert [money(n) for n in (0, 999, 2000, 1234567)] == ["0", "999", "2.000", "1.234.567"]


def test_spreadsheets_get_no_formulas(hall: TownHall) -> None:
    """A name that begins like a formula is data, not a formula, in the export."""
    from certify.counter.cases import Requester

    case = hall.compared(requester=Requester(name="=1+1", identifier="038812345679"))
    certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)
    assert ",'=1+1," in register_csv(hall.office, unit=UNIT, year=hall.now.year).decode()
