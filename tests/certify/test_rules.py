"""The rules that need no database: units, dossier codes, verification codes, fees, deadlines."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify import codes
from certify.counter import dossier
from certify.counter.deadlines import due
from certify.errors import CertifyError
from certify.kinds import kind, kinds
from certify.money.fees import fee
from certify.pages.statement import day_text, number_text, template_on
from certify.units import is_agency_code, unit, units
from signer.routing.working_days import is_working, local, next_working

# DOMAIN.md §4 *Fee*.
FEES = [(1, 2000), (2, 4000), (3, 5000), (10, 12000), (198, 200000), (500, 200000)]


@pytest.mark.parametrize(("pages", "expected"), FEES)
def test_fee_vectors(pages: int, expected: int) -> None:
    """DOMAIN.md §4: "1→2000, 2→4000, 3→5000, 10→12000, 198→200000, 500→200000"."""
    assert fee(pages=pages, on=date(2026, 11, 23)) == expected


def test_fee_is_per_copy() -> None:
    """DOMAIN.md §4: "Fee per copy, by pages of the original"."""
    assert fee(pages=3, copies=4, on=date(2026, 11, 23)) == 20000


def test_other_acts_have_their_own_tariff() -> None:
    """DOMAIN.md §5: "2.000908 copy from the register (free); … (10,000 đ)"."""
    day = date(2026, 11, 23)
    assert fee(pages=9, on=day, act="copy-from-register") == 0
    assert fee(pages=9, on=day, act="signature") == 10000


def test_no_tariff_no_fee() -> None:
    """A day before the first tariff has none: nothing is guessed."""
    with pytest.raises(CertifyError, match="tariff"):
        fee(pages=1, on=date(2016, 12, 31))


def vietnam(text: str) -> datetime:
    return datetime.fromisoformat(text + "+07:00").astimezone(UTC)


@pytest.mark.parametrize(
    ("received", "day", "slip"),
    [
        ("2026-11-23T08:00", "2026-11-23", False),
        ("2026-11-23T15:00", "2026-11-23", False),
        ("2026-11-23T15:01", "2026-11-24", True),
        ("2026-11-27T15:30", "2026-11-30", True),  # Friday afternoon
        ("2026-11-28T09:00", "2026-11-30", True),  # Saturday
        ("2026-02-13T15:30", "2026-02-23", True),  # before Tết
        ("2026-01-10T09:00", "2026-01-10", False),  # a Saturday worked for 2 January
    ],
)
def test_deadlines(received: str, day: str, slip: bool) -> None:
    """DOMAIN.md §4: "same day; received after 15:00 → next working day"."""
    found = due(vietnam(received))
    assert local(found.at).date().isoformat() == day
    assert found.slip is slip


def test_long_originals_get_two_more_working_days() -> None:
    """DOMAIN.md §4: "up to two more working days for long ones"."""
    assert local(due(vietnam("2026-11-26T10:00"), long=True).at).date() == date(2026, 11, 30)


def test_beyond_that_only_by_agreement() -> None:
    """DOMAIN.md §4: "beyond that only by written agreement"."""
    received = vietnam("2026-11-26T10:00")
    agreed = due(received, long=True, agreed=date(2026, 12, 4))
    assert local(agreed.at).date() == date(2026, 12, 4)
    with pytest.raises(CertifyError, match="agree"):
        due(received, long=True, agreed=date(2026, 11, 30))


@given(st.dates(date(2025, 1, 1), date(2027, 12, 1)))
def test_next_working_day_is_a_working_day(day: date) -> None:
    """Whatever the holidays: the next working day lies ahead and is worked."""
    found = next_working(day)
    assert found > day
    assert is_working(found)


def test_all_units_are_there() -> None:
    """DOMAIN.md §1: "166 commune-level units: 19 phường, 147 xã"."""
    names = [one.name for one in units().values()]
    assert len(names) == 166
    assert sum(name.startswith("Phường ") for name in names) == 19
    assert sum(name.startswith("Xã ") for name in names) == 147
    assert unit("14797").committee == "Ủy ban nhân dân phường Hạc Thành"
    assert all(is_agency_code(one.agency_code) and one.demo for one in units().values())


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("H56", True),
        ("H56.17.22", True),
        ("000.17.22.H56", True),
        ("h56.17", False),
        ("H56..1", False),
        ("H56." + "1" * 32, False),
        ("56H.1", False),
        ("000", False),
    ],
)
def test_agency_codes(text: str, good: bool) -> None:
    """DOMAIN.md §5: "≤ 35 characters, groups of A–Z 0–9 joined by dots"."""
    assert is_agency_code(text) is good


@pytest.mark.parametrize(
    ("text", "system", "sequence"),
    [
        ("000.17.22.H56-210531-0001", None, 1),
        ("H56.17.22-261123-0001", None, 1),
        ("H56.17.22-261123-AB0001", "AB", 1),
        ("H56-261123-Q7123456", "Q7", 123456),
    ],
)
def test_dossier_codes(text: str, system: str | None, sequence: int) -> None:
    """DOMAIN.md §5: "All three are accepted and validated"."""
    found = dossier.parse(text)
    assert (found.text, found.system, found.sequence) == (text, system, sequence)


@pytest.mark.parametrize(
    "text",
    ["", "H56-261323-0001", "H56-261123-001", "H56-261123-ABC0001", "17.22-261123-0001", "H56"],
)
def test_wrong_dossier_codes(text: str) -> None:
    """A code whose date, agency or sequence cannot be is refused."""
    with pytest.raises(CertifyError):
        dossier.parse(text)


def test_codes_are_long_enough() -> None:
    """Issue: "codes ≥ 80 bits"; 20 symbols of 5 bits."""
    made = {codes.new() for _ in range(200)}
    assert len(made) == 200
    assert all(len(code.replace("-", "")) * 5 >= 80 for code in made)


@given(st.text(alphabet=codes.ALPHABET, min_size=20, max_size=20))
def test_codes_survive_people(compact: str) -> None:
    """Lower case, spaces, O for 0 and I or L for 1 are what people type."""
    typed = codes.grouped(compact).lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert codes.read(typed) == codes.grouped(compact)


@pytest.mark.parametrize("text", ["", "K7QF", "K7QF-2M9X-H4TB-0DVW-C6RU", "é" * 20])
def test_no_code(text: str) -> None:
    """What cannot be a code never reaches the database."""
    with pytest.raises(CertifyError):
        codes.read(text)


def test_statement_words() -> None:
    """DOMAIN.md §4: numbers 01, 02, …; decree 30/2020: days below 10 and months 1, 2 with a 0."""
    assert (number_text(1), number_text(100)) == ("01", "100")
    assert day_text(date(2026, 2, 5)) == "Ngày 05 tháng 02 năm 2026"
    assert day_text(date(2026, 11, 23)) == "Ngày 23 tháng 11 năm 2026"


def test_template_by_day() -> None:
    """A statement's wording is data with an effective date; before it there is none."""
    assert template_on(date(2026, 11, 23)).version == "bs-2026-1"
    with pytest.raises(CertifyError):
        template_on(date(2020, 1, 1))


def test_kinds_and_exemptions() -> None:
    """DOMAIN.md §4 ground 5: exempt are passport, identity and residence card, licence, diploma,
    certificate and transcript."""
    exempt = {code for code, one in kinds().items() if one.legalisation_exempt}
    assert exempt == {
        "passport", "identity-card", "residence-card", "driving-licence", "diploma",
        "certificate", "language-certificate", "transcript", "school-record",
    }  # fmt: skip
    assert kind("Bảng điểm") is kind("transcript")
