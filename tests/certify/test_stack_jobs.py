"""A stack as a durable job: one list, one authorisation, resumed after an interruption."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from certify import intention, issuance
from certify.counter.case_lookup import find_case
from certify.counter.refusal import issue_refusal
from certify.errors import CertifyError
from certify.money import payments
from certify.register import entries, gaps
from certify.stacks import (
    stack_approval,
    stack_ending,
    stack_jobs,
    stack_list,
    stack_preparing,
    stack_work,
)
from certify.stacks.stack_jobs import LineState, StackState
from certify.stacks.stack_list import read_list
from certify.stores import deliveries, store
from certify.verification import Verdict, verdict, verify_file
from hsm.errors import TokenUnavailable
from records import audit
from records.errors import DomainError
from signer.errors import ActivationRefused
from tests.certify.test_refusal import text_of
from tests.certify.town_hall import BY, MAU, PIN, SEAL_PIN, UNIT, TownHall, scans

HEADING = (
    "Tệp quét;Người yêu cầu;Số định danh;Loại giấy tờ;Tên bản chính;Cơ quan cấp;"
    "Số trang;Số hiệu;Ngày cấp;Số bản;Kết quả đối chiếu;Ghi chú"
)
LINE = (
    '"a-1.jpg\n{second}";Nguyễn Thị Mẫu;038812345678;transcript;Bảng điểm {n};'
    "Trường Đại học Ví Dụ;2;VD-{n};15/06/2026;1;{finding};"
)

ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def a_list(*findings: str, second: str = "a-2.jpg") -> bytes:
    rows = [LINE.format(n=n, finding=one, second=second) for n, one in enumerate(findings, 1)]
    return "\n".join([HEADING, *rows]).encode()


def opened(hall: TownHall, data: bytes) -> str:
    stack = stack_jobs.open_stack(
        hall.office, unit=UNIT, data=data, place="Văn phòng công chứng", now=hall.now, by=BY
    )
    files = dict(zip(("a-1.jpg", "a-2.jpg"), scans(), strict=True))
    stack_jobs.add_scans(hall.office, stack.id, files, now=hall.now)
    stack_jobs.start(
        hall.office, stack.id, person_id=hall.person.id, seal_id=hall.seal.id, now=hall.now, by=BY
    )
    return stack.id


def work(hall: TownHall, **more: Any) -> None:
    given = {"clock": lambda: hall.now, "by": "system:stacks", "stop": lambda: False, **more}
    stack_work.work(hall.office, **given)


@ONLY_SQLITE
def test_five_hundred_are_like_three(hall: TownHall) -> None:
    """ "one comparison list, one authorisation for signing, each with its number"."""
    office = hall.office
    stack_id = opened(hall, a_list("khớp", "không khớp", "Khớp", second="a-2.jpg"))
    work(hall)
    stack = stack_jobs.look(office, stack_id)
    assert (stack.state, stack.counts["prepared"], stack.counts["failed"]) == ("ready", 2, 1)
    with pytest.raises(ActivationRefused):
        stack_approval.authorize(
            office, stack_id, person="000000", seal=SEAL_PIN, now=hall.now, by=BY
        )
    stack_approval.authorize(office, stack_id, person=PIN, seal=SEAL_PIN, now=hall.now, by=BY)
    with pytest.raises(CertifyError):
        stack_approval.authorize(office, stack_id, person=PIN, seal=SEAL_PIN, now=hall.now, by=BY)
    work(hall)
    stack = stack_jobs.look(office, stack_id)
    assert (stack.state, stack.counts["issued"]) == (StackState.FINISHED, 2)
    first, second, third = stack_jobs.outcomes(office, stack_id)
    assert (first.number, third.number) == ("01", "02")
    assert (second.state, second.failure) == (LineState.FAILED, "stack-finding-differs")
    table = stack_jobs.results_csv(office, stack_id).decode("utf-8-sig").splitlines()
    assert table[1].startswith(f"2,Nguyễn Thị Mẫu,Bảng điểm 1,đã chứng thực,01,{first.code}")
    assert "không ghi là khớp" in table[2]
    assert gaps(office, unit=UNIT, year=hall.now.year) == []
    assert audit.verify(office.database).ok


def test_a_killed_worker_is_gone_on_after(hall: TownHall, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN.md §3.3: cut off at each step, every line ends issued, once, under the
    one authorisation."""

    class Killed(BaseException):
        """As a kill: nothing of ours catches it."""

    office = hall.office
    monkeypatch.setattr(intention, "CLAIM", timedelta(seconds=1))
    stack_id = opened(hall, a_list("x", "x", "x", "x"))

    def dies_at(module: Any, name: str, *, after: bool) -> Callable[..., Any]:
        whole = getattr(module, name)
        left = [1]

        def cut(*arguments: Any, **named: Any) -> Any:
            if left and not after:
                left.clear()
                raise Killed
            made = whole(*arguments, **named)
            if left:
                left.clear()
                raise Killed
            return made

        return cut

    def until_killed(module: Any, name: str, *, after: bool) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(module, name, dies_at(module, name, after=after))
            with pytest.raises(Killed):
                work(hall)
        hall.now += timedelta(seconds=2)  # the dead worker's claim runs out

    until_killed(stack_preparing, "record_capture", after=True)
    until_killed(issuance, "prepare", after=True)
    work(hall)
    stack_approval.authorize(office, stack_id, person=PIN, seal=SEAL_PIN, now=hall.now, by=BY)
    until_killed(issuance, "sign_as_person", after=True)
    until_killed(issuance, "seal_for_unit", after=True)
    until_killed(issuance, "issue", after=True)
    until_killed(issuance, "counter_check", after=False)
    work(hall)
    assert stack_jobs.look(office, stack_id).state is StackState.FINISHED
    found = stack_jobs.outcomes(office, stack_id)
    assert [one.number for one in found] == ["01", "02", "03", "04"], found
    lines = entries(office, unit=UNIT, year=hall.now.year)
    assert [line.state.value for line in lines] == ["issued"] * 4
    kept = store.items(office, owner_id=MAU.owner_id)
    assert sorted(str(item.code) for item in kept) == sorted(str(one.code) for one in found)
    data = office.blobs.get(kept[0].digest)
    assert verdict(*verify_file(office, data, now=hall.now)) is Verdict.VALID


@ONLY_SQLITE
def test_a_line_that_fails_leaves_nothing_open(
    hall: TownHall, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """DOMAIN.md §4: "A refusal is written and reasoned", a number that fails "is voided with a
    reason". What does not match is refused before money or a number was taken; what fails later
    gives both back; a token that is away ends no line."""
    office, year = hall.office, hall.now.year
    listed = a_list("không khớp", "x", "x").decode().replace(";2;VD-2;", ";3;VD-2;")
    stack_id = opened(hall, listed.encode())
    work(hall)
    differs, short, _ = stack_jobs.outcomes(office, stack_id)
    refused = find_case(office, str(differs.case_id))
    assert (refused.state.value, refused.closing_reason) == ("refused", "ground-copy-differs")
    assert payments.receipts(office, refused.id) == [], "nothing was charged"
    (told,) = deliveries.messages(office, to=MAU.owner_id)
    assert (told.event, told.payload["reasons"]) == ("case.refused", ["ground-copy-differs"])
    signed = issue_refusal(office, refused.id, person=(hall.person.id, PIN), now=hall.now, by=BY)
    assert "khoản 3 Điều 20" in text_of(signed.data, tmp_path / "refusal.pdf")
    ended = find_case(office, str(short.case_id))
    assert (ended.state.value, short.failure) == ("withdrawn", "scan-page-count")

    stack_approval.authorize(office, stack_id, person=PIN, seal=SEAL_PIN, now=hall.now, by=BY)

    def fails(step: str, error: DomainError) -> None:
        def refuses(*_given: Any, **_named: Any) -> Any:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(issuance, step, refuses)
            work(hall)

    fails("sign_as_person", TokenUnavailable("away"))
    assert stack_jobs.look(office, stack_id).counts["prepared"] == 1, "it only waits"
    fails("counter_check", CertifyError("copy-check-failed", reason="x"))
    last = stack_jobs.outcomes(office, stack_id)[2]
    assert (last.state, last.failure) == (LineState.FAILED, "copy-check-failed")
    assert find_case(office, str(last.case_id)).state.value == "withdrawn"
    kinds = [one.kind for one in payments.receipts(office, str(last.case_id))]
    assert kinds == ["payment", "refund"]
    (line,) = entries(office, unit=UNIT, year=year)
    assert line.state.value == "void"
    assert line.notes.startswith("Hủy số: ")
    assert audit.verify(office.database).ok


@ONLY_SQLITE
def test_a_stack_is_dropped_before_it_is_signed(hall: TownHall) -> None:
    """DOMAIN.md §4: a number is never used again; it is voided with a reason. Nothing of a stack
    that nobody will sign stays: no case, no fee, no scan."""
    office = hall.office
    stack_id = opened(hall, a_list("x", "x"))
    end = {"reason": "nhầm danh sách", "now": hall.now, "by": BY}
    with pytest.raises(CertifyError) as caught:
        stack_ending.drop(office, stack_id, **end)
    assert caught.value.code == "stack-state-wrong", "it is being prepared"
    work(hall)
    with pytest.raises(CertifyError):
        stack_ending.drop(office, stack_id, **{**end, "reason": " "})
    for _ in range(2):
        done = stack_ending.drop(office, stack_id, **end)
        assert (done.state, done.counts["failed"]) == (StackState.DROPPED, 2)
    lines = entries(office, unit=UNIT, year=hall.now.year)
    assert [(one.state.value, one.notes) for one in lines] == [
        ("void", "Hủy số: nhầm danh sách")
    ] * 2
    found = stack_jobs.outcomes(office, stack_id)
    cases = [find_case(office, str(one.case_id)) for one in found if one.failure == "stack-dropped"]
    assert {one.state.value for one in cases} == {"withdrawn"}
    for one in cases:
        with pytest.raises(CertifyError) as caught:
            payments.refund(office, one.id, reason="x", now=hall.now, by=BY)
        assert caught.value.code == "fee-nothing-paid", "given back already"
    with pytest.raises(CertifyError) as caught:
        stack_approval.authorize(office, stack_id, person=PIN, seal=SEAL_PIN, now=hall.now, by=BY)
    assert caught.value.code == "stack-state-wrong"
    kept = hashlib.sha256(scans()[0]).hexdigest()
    assert stack_ending.forget_scans(office, older_than=timedelta(365), now=hall.now) == 1
    assert office.blobs.exists(kept), "also the page of a case, which has its own term"
    later = hall.now + timedelta(days=2)
    assert store.purge_images(office, older_than=timedelta(1), now=later, by=BY) > 0
    assert not office.blobs.exists(kept)
    assert stack_ending.forget_scans(office, older_than=timedelta(0), now=later) == 0


@ONLY_SQLITE
def test_only_what_the_list_asks_for_is_stored(hall: TownHall) -> None:
    """A ZIP may unfold to anything; the list of the screen is one that can be read."""
    lines = read_list(stack_list.example())
    assert [(one.problems, one.scans) for one in lines] == [((), ("a-1.jpg", "a-2.jpg"))]
    stack = stack_jobs.open_stack(
        hall.office, unit=UNIT, data=a_list("x"), place="Quầy", now=hall.now, by=BY
    )
    sent = {"a-1.jpg": b"one", "other.jpg": b"two"}
    assert stack_jobs.add_scans(hall.office, stack.id, sent, now=hall.now) == 1
    stored = [hall.office.blobs.exists(hashlib.sha256(one).hexdigest()) for one in sent.values()]
    assert stored == [True, False]
    stack_ending.drop(hall.office, stack.id, reason="thử", now=hall.now, by=BY)
    stack_ending.forget_scans(hall.office, older_than=timedelta(365), now=hall.now)
    assert not hall.office.blobs.exists(hashlib.sha256(b"one").hexdigest())


@ONLY_SQLITE
def test_midnight_comes_between(hall: TownHall) -> None:
    """A number belongs to its day: it is voided with its reason, and the line gets the next one."""
    office = hall.office
    stack_id = opened(hall, a_list("x"))
    work(hall)
    hall.now += timedelta(days=1)
    for _ in range(2):
        stack_approval.authorize(office, stack_id, person=PIN, seal=SEAL_PIN, now=hall.now, by=BY)
        work(hall)
        work(hall)
        if stack_jobs.look(office, stack_id).state is StackState.FINISHED:
            break
    (one,) = stack_jobs.outcomes(office, stack_id)
    assert (one.state, one.number) == (LineState.ISSUED, "02")
    lines = entries(office, unit=UNIT, year=hall.now.year)
    assert [line.state.value for line in lines] == ["void", "issued"]


def test_lists_of_both_kinds() -> None:
    """Excel or CSV, headings in any case; a line that cannot be taken says why."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(
        ["FILES", "Requester", "Identifier", "Kind", "Title", "Issuer", "Pages", "Finding"]
    )
    sheet.append(["1.jpg; 2.jpg", "Lê Văn Thử", "038912345678", "transcript", "T", "I", 2, "x"])
    sheet.append(["a,1.jpg, b.PNG", "X", "038912345678", "transcript", "T", "I", 2, "x"])
    sheet.append(["", "", "1", "nonsense", "T", "I", "two", ""])
    out = io.BytesIO()
    book.save(out)
    good, commas, bad = read_list(out.getvalue())
    assert commas.scans == ("a,1.jpg", "b.PNG")
    assert (good.scans, good.problems, good.said["matches"]) == (("1.jpg", "2.jpg"), (), True)
    assert set(bad.problems) == {
        "stack-cell-missing", "stack-scans-missing", "stack-kind-unknown", "stack-number-wrong",
    }  # fmt: skip
    for data in (b"a;b\n1;2\n", HEADING.encode()):
        with pytest.raises(CertifyError):
            read_list(data)
