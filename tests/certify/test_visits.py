"""Visits and appointments: several originals at once, an hour agreed, and who may see them."""

from __future__ import annotations

import io
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import page as page_validation
import pypdfium2
import pytest
import zxingcpp

from certify.counter.appointments import (
    book,
    cancel,
    free_slots,
    rebook,
    record_missed,
    sweep_missed,
)
from certify.counter.case_lookup import find_case
from certify.counter.cases import Requester
from certify.counter.intake import Wanted, assign, withdraw
from certify.counter.slip import slip
from certify.counter.slots import plan_on
from certify.counter.viewers import Viewer
from certify.counter.visit_lookup import Visit, find_visit, list_visits, visit_by_code
from certify.counter.visit_models import AppointmentState
from certify.counter.visits import open_visit, present_visit, withdraw_visit
from certify.errors import CertifyError, NotFound
from certify.models import CaseState
from records import audit
from signer.routing.working_days import VIETNAM, is_working, local, next_working
from tests.certify.town_hall import BY, MAU, OFFICIAL_ID, TRANSCRIPT, UNIT, TownHall

CITIZEN = Viewer.citizen(MAU.owner_id)
CLERK = Viewer.official(unit=UNIT, by=BY)
ELSEWHERE = Viewer.official(unit="14758", by="official:038800000009")
STRANGER = Viewer.citizen("citizen:038899999999")
DOCUMENTS = [
    Wanted("transcript", TRANSCRIPT, copies=2),
    Wanted("diploma", replace(TRANSCRIPT, title="Bằng tốt nghiệp đại học", pages=1)),
]
MORNING = datetime(2026, 11, 24, 7, 0, tzinfo=VIETNAM).astimezone(UTC)
"""A Tuesday, before the counters open."""


def requested(hall: TownHall, *, slot: datetime | None = None, now: datetime = MORNING) -> Visit:
    """A citizen asks from home for copies of two originals."""
    return open_visit(
        hall.office,
        unit=UNIT,
        requester=MAU,
        documents=DOCUMENTS,
        slot=slot,
        channel="citizen",
        viewer=CITIZEN,
        now=now,
        by=CITIZEN.by,
    )


def code_of(raised: pytest.ExceptionInfo[CertifyError]) -> str:
    return raised.value.code


def test_from_the_request_to_the_counter(hall: TownHall) -> None:
    """ "book an appointment", "several documents and several copies in one visit"."""
    office = hall.office
    slots = free_slots(office, UNIT, now=MORNING)
    assert local(slots[0].starts_at).strftime("%d %H:%M") == "24 08:00", "an hour's lead"
    assert (slots[0].free, slots[0].same_day) == (4, True)
    visit = requested(hall, slot=slots[0].starts_at)
    assert [(case.copies, case.presented) for case in visit.cases] == [(2, False), (1, False)]
    assert visit.appointment is not None
    assert (visit.appointment.booked, visit.appointment.seat) == (True, 1)
    moved = rebook(
        office, visit.id, slots[16].starts_at, viewer=CITIZEN, now=MORNING, by=CITIZEN.by
    )
    assert local(moved.starts_at).date() == date(2026, 11, 25)
    assert free_slots(office, UNIT, now=MORNING)[0].free == 4, "the old seat is free again"
    with pytest.raises(CertifyError) as raised:
        book(office, visit.id, slots[1].starts_at, viewer=CITIZEN, now=MORNING, by=CITIZEN.by)
    assert code_of(raised) == "visit-already-booked"
    # The person comes after 15:00: the term begins now, and ends on the next working day.
    late = datetime(2026, 11, 25, 15, 10, tzinfo=VIETNAM).astimezone(UTC)
    with pytest.raises(CertifyError) as raised:
        present_visit(office, visit.id, place="x", to="x", viewer=CITIZEN, now=late, by="citizen:x")
    assert code_of(raised) == "act-of-the-office"
    there = present_visit(
        office, visit.id, place="Bộ phận Một cửa", to="Phạm Minh Ví Dụ", viewer=CLERK, now=late,
        by=BY,
    )  # fmt: skip
    assert there.appointment is not None
    assert there.appointment.state is AppointmentState.KEPT
    assert [case.slip for case in there.cases] == [True, True]
    assert local(there.due_at).date() == date(2026, 11, 26)
    with pytest.raises(CertifyError) as raised:
        book(office, visit.id, slots[60].starts_at, viewer=CITIZEN, now=late, by=CITIZEN.by)
    assert code_of(raised) == "visit-over"
    assert audit.verify(office.database).ok


def test_only_whose_it_is(hall: TownHall) -> None:
    """DOMAIN.md §6: "Officials see their own unit's cases only"; a citizen only their own."""
    office = hall.office
    visit = requested(hall)
    case_id = visit.cases[0].id
    for viewer in (CITIZEN, CLERK, Viewer.system(by="client:x", units=[UNIT])):
        assert find_visit(office, visit.id, viewer=viewer).id == visit.id
        assert find_case(office, case_id, viewer=viewer).id == case_id
    for viewer in (STRANGER, ELSEWHERE, Viewer.system(by="client:x", units=["14758"])):
        with pytest.raises(NotFound):
            find_visit(office, visit.id, viewer=viewer)
        with pytest.raises(NotFound):
            find_case(office, case_id, viewer=viewer)
        with pytest.raises(NotFound):
            withdraw(office, case_id, reason="x", viewer=viewer, now=MORNING, by=viewer.by)
        with pytest.raises(NotFound):
            cancel(office, visit.id, reason="x", viewer=viewer, now=MORNING, by=viewer.by)
        assert visit.id not in [one.id for one in list_visits(office, viewer=viewer)]
    assert [one.id for one in list_visits(office, viewer=CITIZEN)] == [visit.id]
    assert [one.id for one in list_visits(office, viewer=CLERK, unit=UNIT)] == [visit.id]
    with pytest.raises(NotFound):
        list_visits(office, viewer=ELSEWHERE, unit=UNIT)
    with pytest.raises(CertifyError) as raised:
        open_visit(
            office, unit=UNIT, requester=MAU, documents=DOCUMENTS, channel="citizen",
            viewer=STRANGER, now=MORNING, by=STRANGER.by,
        )  # fmt: skip
    assert code_of(raised) == "visit-for-another"
    # Assigned inside the unit only.
    assert assign(office, case_id, to=OFFICIAL_ID, viewer=CLERK, now=MORNING, by=BY).assigned_to
    with pytest.raises(CertifyError) as raised:
        assign(office, case_id, to="CCCD:038800000077", viewer=CLERK, now=MORNING, by=BY)
    assert code_of(raised) == "assignee-not-of-unit"
    shown = visit_by_code(office, visit.code)
    assert "Mẫu" not in repr(shown)
    assert "Bảng điểm" not in repr(shown)
    ended = withdraw_visit(
        office, visit.id, reason="không cần nữa", viewer=CITIZEN, now=MORNING, by=CITIZEN.by
    )
    assert ended.over
    assert {case.state for case in ended.cases} == {CaseState.WITHDRAWN}


def test_the_last_seat_is_given_once(hall: TownHall) -> None:
    """Two people press at the same moment: an index decides, not a look before the leap."""
    office = hall.office
    hour = free_slots(office, UNIT, now=MORNING)[0].starts_at
    seats = plan_on(UNIT, date(2026, 11, 24)).seats
    outcomes: list[str] = []

    def ask(number: int) -> None:
        someone = Requester("Lê Văn Thử", f"0388{number:08d}")
        try:
            made = open_visit(
                office, unit=UNIT, requester=someone, documents=DOCUMENTS[:1], slot=hour,
                channel="citizen", viewer=Viewer.citizen(someone.owner_id), now=MORNING,
                by=someone.owner_id,
            )  # fmt: skip
            outcomes.append(str(made.appointment and made.appointment.seat))
        except CertifyError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(seats + 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["1", "2", "3", "4", *["slot-full"] * 3]
    assert len(list_visits(office, viewer=CLERK, unit=UNIT)) == seats, "refused: nothing half done"


def test_who_does_not_come_loses_the_seat(hall: TownHall) -> None:
    """No-show: recorded after the hour and its grace; three in a month, and one comes without."""
    office = hall.office
    now = MORNING
    for _ in range(3):
        visit = requested(hall, slot=free_slots(office, UNIT, now=now)[0].starts_at, now=now)
        assert visit.appointment is not None
        with pytest.raises(CertifyError) as raised:
            record_missed(office, visit.id, viewer=CLERK, now=visit.appointment.ends_at, by=BY)
        assert code_of(raised) == "appointment-not-over"
        assert sweep_missed(office, now=visit.appointment.ends_at, by="system:schedule") == 0
        now = visit.appointment.ends_at + timedelta(minutes=30)
        assert sweep_missed(office, now=now, by="system:schedule") == 1
    found = find_visit(office, visit.id, viewer=CITIZEN)
    assert found.appointment is not None
    assert found.appointment.state is AppointmentState.MISSED
    assert not found.over, "the request itself stays open"
    with pytest.raises(CertifyError) as raised:
        requested(hall, slot=free_slots(office, UNIT, now=now)[0].starts_at, now=now)
    assert code_of(raised) == "appointment-missed-often"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("dossier", "code"),
    [
        (None, "dossier-missing"),
        ("H56.17.22-261123-AA0001", None),
        ("000.17.22.H56-210531-0001", None),
        ("H57.17.22-261123-0001", "dossier-of-elsewhere"),
        ("H56.17.22-261125-0001", "dossier-of-the-future"),
        ("H56.17.22-261323-0001", "dossier-code-invalid"),
    ],
)
def test_the_procedure_system_names_its_dossier(
    hall: TownHall, dossier: str | None, code: str | None
) -> None:
    """Opened "by the procedure system (dossier code validated)"."""
    system = Viewer.system(by="client:procedure-system")

    def opened() -> Visit:
        return open_visit(
            hall.office, unit=UNIT, requester=MAU, documents=DOCUMENTS, dossier_code=dossier,
            channel="procedure-system", viewer=system, now=MORNING, by=system.by,
        )  # fmt: skip

    if code is None:
        assert {case.dossier_code for case in opened().cases} == {dossier}
        code = "dossier-already-open"
    with pytest.raises(CertifyError) as raised:
        opened()
    assert code_of(raised) == code


def test_hours_follow_the_calendar() -> None:
    """Working days and holidays are data; nothing is offered on a Saturday or a holiday."""
    plan = plan_on("14758", date(2026, 11, 23))
    assert (plan.unit, plan_on(UNIT, date(2026, 11, 23)).unit) == (None, UNIT)
    assert len(plan.hours(date(2026, 11, 23))) == 13
    for day in (date(2026, 11, 21), date(2026, 9, 2), date(2026, 2, 17)):
        assert not is_working(day)
        assert plan.hours(day) == []
    assert plan.hours(next_working(date(2026, 11, 20)))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_slip(hall: TownHall, tmp_path: Path) -> None:
    """DOMAIN.md §4 *Time*: "Not same-day → appointment slip with hour and date"."""
    office = hall.office
    with pytest.raises(CertifyError):
        slip(office, requested(hall), now=MORNING)
    visit = requested(hall, slot=free_slots(office, UNIT, now=MORNING)[2].starts_at)
    before = slip(office, visit, now=MORNING)
    late = datetime(2026, 11, 24, 15, 10, tzinfo=VIETNAM).astimezone(UTC)
    shown = present_visit(office, visit.id, place="Một cửa", to=BY, viewer=CLERK, now=late, by=BY)
    after = slip(office, shown, now=late)
    for data, words in (
        (before, ["PHIẾU HẸN", "09:00", "Thứ Ba, ngày 24/11/2026", "PHƯỜNG HẠC THÀNH", "8.000"]),
        (after, ["HẸN TRẢ KẾT QUẢ", "17:00", "Thứ Tư, ngày 25/11/2026", "Nguyễn Thị Mẫu"]),
    ):
        assert page_validation.validate_pdf_bytes(data, profile="2b").is_compliant
        path = tmp_path / "slip.pdf"
        path.write_bytes(data)
        text = subprocess.run(
            ["/usr/bin/pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True
        ).stdout
        for wanted in words:
            assert wanted in text
        page = pypdfium2.PdfDocument(io.BytesIO(data))[0].render(scale=2).to_pil()
        (found,) = zxingcpp.read_barcodes(page)
        assert found.text == f"https://dauso.vn/visits/{visit.code}"
