"""The register of a year is closed: a signed page with its totals, and no number any more."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import page as page_validation
import pypdfium2
import pytest
from sqlalchemy import update

from certify import register, register_closing
from certify.closing_models import ClosingRow
from certify.errors import CertifyError, NotFound
from certify.issuance import certify_copy
from certify.models import CounterRow, EntryRow
from certify.register import entries, gaps, open_volume, take_number
from certify.register_closing import close_year, closed_lines, draft_closing, find_closing
from certify.register_export import register_csv
from records import audit
from records.errors import DomainError
from signer.signing import document_digest
from signer.verdicts.validation import validate
from tests.certify.town_hall import BY, PIN, SEAL_PIN, UNIT, TownHall


def a_year_that_is_over(hall: TownHall) -> int:
    """One copy, one voided number: last year's, as far as the register goes."""
    year = hall.now.year - 1
    certify_copy(hall.office, hall.compared().id, **hall.hands, now=hall.now, by=BY)
    wrong: dict[str, Any] = {
        "person": (hall.person.id, "000111"), "seal": (hall.seal.id, SEAL_PIN)
    }  # fmt: skip
    with pytest.raises(DomainError):
        certify_copy(hall.office, hall.compared().id, **wrong, now=hall.now, by=BY)
    with hall.office.database.transaction() as session:
        session.execute(update(CounterRow).values(year=year))
        for row in session.query(EntryRow):
            row.year, row.day = year, row.day.replace(year=year, month=3, day=9)
    return year


def void_the_second(hall: TownHall, year: int) -> None:
    second = entries(hall.office, unit=UNIT, year=year)[1]
    register.void_number(hall.office, second.id, reason="rút hồ sơ", now=hall.now, by=BY)


def test_a_year_is_closed(hall: TownHall) -> None:
    """DOMAIN.md §4: "locked yearly with the total and the certifier; permanent"."""
    office, now = hall.office, hall.now
    year = a_year_that_is_over(hall)
    with pytest.raises(CertifyError) as caught:
        close_year(office, unit=UNIT, year=year, **hall.hands, now=now, by=BY)
    assert caught.value.code == "register-has-open-numbers"
    void_the_second(hall, year)
    with pytest.raises(NotFound):
        closed_lines(office, unit=UNIT, year=year)
    page = draft_closing(office, unit=UNIT, year=year, person_id=hall.person.id, now=now)
    shown = document_digest(page).hex()
    made = close_year(office, unit=UNIT, year=year, **hall.hands, shown=shown, now=now, by=BY)
    assert (made.last_number, made.issued, made.void, made.copies, made.fees) == (2, 1, 1, 1, 4000)
    report = validate(made.data, trust=office.desk.trust, now=now)
    assert (report.passed, len(report.signatures)) == (True, 2)
    assert page_validation.validate_pdf_bytes(page, profile="2b").is_compliant
    document = pypdfium2.PdfDocument(made.data)
    text = " ".join(document[0].get_textpage().get_text_bounded().split())
    assert len(document) == 1
    for words in (
        "KHÓA SỔ CHỨNG THỰC", f"Năm: {year}", "tổng số 02 số, từ số 01 đến số 02",
        "01 việc đã chứng thực với 01 bản sao, tổng lệ phí 4.000 đồng", "Số bị hủy: 01 (số 02)",
        "Lê Văn Thử",
    ):  # fmt: skip
        assert words in text, words
    lines = closed_lines(office, unit=UNIT, year=year)
    assert lines == register_csv(office, unit=UNIT, year=year)
    assert hashlib.sha256(lines).hexdigest()[:32] in text
    # No number, no volume, no second closing.
    with pytest.raises(CertifyError) as caught, office.database.transaction() as session:
        take_number(session, unit=UNIT, register=office.register.symbol, year=year)
    assert caught.value.code == "register-locked"
    with pytest.raises(CertifyError) as caught:
        open_volume(office, unit=UNIT, year=year, now=now, by=BY)
    assert caught.value.code == "register-locked"
    with pytest.raises(CertifyError) as caught:
        close_year(office, unit=UNIT, year=year, **hall.hands, now=now, by=BY)
    assert caught.value.code == "register-locked"
    assert gaps(office, unit=UNIT, year=year) == []
    assert audit.verify(office.database).ok


def test_a_closing_that_fails_leaves_the_register_open(hall: TownHall) -> None:
    """DESIGN.md §3.3: intention, act, outcome; what did not come about is undone, and on record."""
    office, now = hall.office, hall.now
    year = a_year_that_is_over(hall)
    void_the_second(hall, year)
    person, seal = (hall.person.id, PIN), (hall.seal.id, SEAL_PIN)
    for hands, shown, code in (
        ({"person": (hall.person.id, "000111"), "seal": seal}, None, "pin-wrong"),
        ({"person": person, "seal": (hall.seal.id, "000111")}, None, "pin-wrong"),
        ({"person": person, "seal": seal}, "0" * 64, "shown-not-current"),
        ({"person": person, "seal": person}, None, "seal-not-of-unit"),
        ({"person": seal, "seal": seal}, None, "signer-not-official"),
    ):
        with pytest.raises(DomainError) as caught:
            close_year(office, unit=UNIT, year=year, **hands, shown=shown, now=now, by=BY)
        assert caught.value.code == code
        assert find_closing(office, unit=UNIT, year=year) is None
    with pytest.raises(CertifyError) as early:
        close_year(office, unit=UNIT, year=now.year + 1, **hall.hands, now=now, by=BY)
    assert early.value.code == "register-year-not-over"
    with office.database.transaction() as session:
        assert take_number(session, unit=UNIT, register=office.register.symbol, year=year)
        session.rollback()


def test_a_closing_that_was_cut_off_is_undone(
    hall: TownHall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies between intention and outcome: nobody else closes meanwhile, and after
    ten minutes the register takes numbers again."""

    class Killed(BaseException):
        """As a kill: nothing of ours catches it."""

    def dies(*_arguments: Any, **_named: Any) -> Any:
        raise Killed

    office, now = hall.office, hall.now
    year = a_year_that_is_over(hall)
    void_the_second(hall, year)
    with monkeypatch.context() as patched:
        patched.setattr(register_closing, "_lock", dies)
        with pytest.raises(Killed):
            close_year(office, unit=UNIT, year=year, **hall.hands, now=now, by=BY)
    with pytest.raises(CertifyError) as caught:
        close_year(office, unit=UNIT, year=year, **hall.hands, now=now, by=BY)
    assert caught.value.code == "register-closing-in-hand"
    assert register_closing.reopen_unfinished(office, now=now, by=BY) == 0
    assert register_closing.reopen_unfinished(office, now=now + timedelta(minutes=11), by=BY) == 1
    with office.database.reading() as session:
        assert session.query(ClosingRow).count() == 0
    assert close_year(office, unit=UNIT, year=year, **hall.hands, now=now, by=BY).issued == 1


def test_a_year_is_over_on_its_last_day() -> None:
    """DOMAIN.md §4: numbers go "without gaps to 31 December", in Vietnam's time."""
    assert not register_closing.is_over(2026, now=datetime(2026, 12, 30, 16, 59, tzinfo=UTC))
    assert register_closing.is_over(2026, now=datetime(2026, 12, 30, 17, 0, tzinfo=UTC))
