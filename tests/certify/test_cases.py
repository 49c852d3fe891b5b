"""Cases, comparison, competence and payments: what must be true before a number is taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from certify.competence import end_delegation
from certify.counter.case_lookup import find_case, list_cases
from certify.counter.cases import Presentation, Requester
from certify.counter.intake import record_presentation, withdraw
from certify.errors import CertifyError, NotFound
from certify.issuance import certify_copy
from certify.models import CaseState
from certify.money import payments
from certify.register import entries
from certify.scans.captures import record_capture
from certify.scans.comparison import Checklist, Ground, PageFinding, freeze, record_comparison
from records import audit
from tests.certify.town_hall import BY, MAU, TRANSCRIPT, UNIT, TownHall, scans


def state(hall: TownHall, case_id: str) -> CaseState:
    return find_case(hall.office, case_id).state


def refused(hall: TownHall, case_id: str) -> str:
    """The code certification is refused with; and no number is used for it."""
    before = len(entries(hall.office, unit=UNIT, year=hall.now.year))
    with pytest.raises(CertifyError) as caught:
        certify_copy(hall.office, case_id, **hall.hands, now=hall.now, by=BY)
    assert len(entries(hall.office, unit=UNIT, year=hall.now.year)) == before
    return caught.value.code


def test_an_uploaded_scan_is_never_certified(hall: TownHall) -> None:
    """DOMAIN.md §4: "A citizen's uploaded scan can never be certified by itself"."""
    case = hall.opened(presented=False, channel="citizen")
    with pytest.raises(CertifyError) as caught:
        record_capture(hall.office, case.id, scans(), now=hall.now, by=BY)
    assert caught.value.code == "not-presented"
    assert refused(hall, case.id) == "case-state-wrong"
    shown = Presentation(at=hall.now, place="Bộ phận Một cửa", to=BY)
    record_presentation(hall.office, case.id, shown, now=hall.now, by=BY)
    record_capture(hall.office, case.id, scans(), now=hall.now, by=BY)
    assert state(hall, case.id) is CaseState.CAPTURED


def test_order_of_the_steps(hall: TownHall) -> None:
    """DOMAIN.md §4 *Order*: presented → checked → captured → statement → signatures."""
    case = hall.captured()
    assert refused(hall, case.id) == "case-state-wrong"
    with pytest.raises(CertifyError):
        record_comparison(
            hall.office, case.id, pages=[True], checklist=Checklist(), now=hall.now, by=BY
        )
    record_comparison(
        hall.office, case.id, pages=[True, True], checklist=Checklist(), now=hall.now, by=BY
    )
    assert refused(hall, case.id) == "fee-not-paid"


def test_a_new_capture_needs_a_new_finding(hall: TownHall) -> None:
    """A finding speaks of the images it was made on, and of no others."""
    case = hall.compared()
    record_capture(hall.office, case.id, scans(), now=hall.now, by=BY)
    assert refused(hall, case.id) == "case-state-wrong"


def test_a_page_that_differs_is_captured_again(hall: TownHall) -> None:
    """A mismatch is no ground of refusal: the capture was bad, not the original."""
    case = hall.captured()
    pages = [PageFinding(matches=True), PageFinding(matches=False, note="mất góc phải")]
    found = record_comparison(
        hall.office, case.id, pages=pages, checklist=Checklist(), now=hall.now, by=BY
    )
    assert (found.passed, found.mismatched_pages, found.grounds) == (False, (2,), ())
    assert state(hall, case.id) is CaseState.CAPTURED


@pytest.mark.parametrize(
    ("checklist", "original", "kind", "ground"),
    [
        (Checklist(altered=True), TRANSCRIPT, "transcript", Ground.ALTERED),
        (Checklist(damaged=True), TRANSCRIPT, "transcript", Ground.DAMAGED),
        (Checklist(secret=True), TRANSCRIPT, "transcript", Ground.SECRET),
        (Checklist(unlawful=True), TRANSCRIPT, "transcript", Ground.UNLAWFUL),
        (Checklist(), replace(TRANSCRIPT, foreign=True), "marriage-extract", Ground.NOT_LEGALISED),
        (Checklist(), replace(TRANSCRIPT, private_paper=True), "other", Ground.PRIVATE_UNCONFIRMED),
    ],
)
def test_six_grounds_block(
    hall: TownHall, checklist: Checklist, original: object, kind: str, ground: Ground
) -> None:
    """DOMAIN.md §4 *Refuse*: "A refusal is written and reasoned"; no number is given."""
    case = hall.opened(original=original, document_kind=kind)
    record_capture(hall.office, case.id, scans(), now=hall.now, by=BY)
    found = record_comparison(
        hall.office, case.id, pages=[True, True], checklist=checklist, now=hall.now, by=BY
    )
    assert (found.passed, found.grounds) == (False, (ground,))
    assert found.reasons("vi")[0].startswith(("Bản chính", "Giấy tờ"))
    assert state(hall, case.id) is CaseState.REFUSED
    assert refused(hall, case.id) == "case-state-wrong"


@pytest.mark.parametrize(
    ("kind", "legalised", "passes"),
    [
        ("transcript", False, True),
        ("marriage-extract", False, False),
        ("marriage-extract", True, True),
    ],
)
def test_legalisation_rule(hall: TownHall, kind: str, legalised: bool, passes: bool) -> None:
    """DOMAIN.md §4 ground 5: "foreign and not legalised (exempt: passport, … transcript)"."""
    original = replace(TRANSCRIPT, foreign=True, legalised=legalised)
    case = hall.opened(original=original, document_kind=kind)
    record_capture(hall.office, case.id, scans(), now=hall.now, by=BY)
    found = record_comparison(
        hall.office, case.id, pages=[True, True], checklist=Checklist(), now=hall.now, by=BY
    )
    assert found.passed is passes


def test_suspected_forgery_freezes(hall: TownHall) -> None:
    """DOMAIN.md §4: "Suspected forgery freezes the case and is recorded; no number is given"."""
    case = hall.compared()
    freeze(hall.office, case.id, reason="con dấu khác mẫu", now=hall.now, by=BY)
    assert state(hall, case.id) is CaseState.FROZEN
    assert refused(hall, case.id) == "case-state-wrong"
    with pytest.raises(CertifyError):
        withdraw(hall.office, case.id, reason="-", now=hall.now, by=BY)


def test_competence_is_checked_at_that_moment(hall: TownHall) -> None:
    """ "competence and delegation checked at that moment"."""
    case = hall.compared()
    end_delegation(hall.office, hall.delegation.id, unit=UNIT, now=hall.now, by=BY)
    assert refused(hall, case.id) == "not-competent"


def test_the_seal_must_be_the_units(hall: TownHall) -> None:
    """A person's key cannot seal, and a seal cannot certify."""
    case = hall.compared()
    swapped = {"person": hall.hands["seal"], "seal": hall.hands["person"]}
    with pytest.raises(CertifyError) as caught:
        certify_copy(hall.office, case.id, **swapped, now=hall.now, by=BY)
    assert caught.value.code == "signer-not-official"
    both = {"person": hall.hands["person"], "seal": hall.hands["person"]}
    with pytest.raises(CertifyError) as caught:
        certify_copy(hall.office, case.id, **both, now=hall.now, by=BY)
    assert caught.value.code == "seal-not-of-unit"


def test_money(hall: TownHall) -> None:
    """Receipts, waivers, refunds; "Nothing is issued unpaid unless waived"."""
    office, now = hall.office, hall.now
    case = hall.compared(copies=3, paid=False)
    with pytest.raises(CertifyError, match="not the"):
        payments.pay(office, case.id, method="vietqr", amount=1, now=now, by=BY)
    paid = payments.pay(office, case.id, method="vietqr", reference="FT1", now=now, by=BY)
    assert paid.amount == 12000
    with pytest.raises(CertifyError, match="already"):
        payments.pay(office, case.id, method="vietqr", reference="FT1", now=now, by=BY)
    with pytest.raises(CertifyError, match="Nothing is left"):
        payments.pay(office, case.id, method="cash", now=now, by=BY)
    withdraw(office, case.id, reason="không cần nữa", now=now, by=BY)
    assert payments.refund(office, case.id, reason="rút hồ sơ", now=now, by=BY).amount == -12000
    free = hall.compared(paid=False)
    payments.waive(office, free.id, reason="người có công", now=now, by=BY)
    certify_copy(office, free.id, **hall.hands, now=now, by=BY)
    (line,) = entries(office, unit=UNIT, year=now.year)
    assert line.fee == 0


def test_everyone_sees_their_own(hall: TownHall) -> None:
    """DOMAIN.md §6: "Officials see their own unit's cases only"; a citizen only their own."""
    other = Requester(name="Phạm Minh Ví Dụ", identifier="038912345678")
    mine, theirs = hall.opened(), hall.opened(requester=other)
    assert find_case(hall.office, mine.id, unit=UNIT, owner_id=MAU.owner_id).id == mine.id
    with pytest.raises(NotFound):
        find_case(hall.office, theirs.id, owner_id=MAU.owner_id)
    with pytest.raises(NotFound):
        find_case(hall.office, mine.id, unit="14758")
    assert [case.id for case in list_cases(hall.office, owner_id=other.owner_id)] == [theirs.id]
    assert list_cases(hall.office, unit="14758") == []
    assert len(list_cases(hall.office, unit=UNIT, state=CaseState.OPEN)) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"requester": Requester(name="X", identifier="123")}, "requester-invalid"),
        ({"requester": Requester(name="X", identifier="٠٣٨٨٠٠٠٠٠٠٠١")}, "requester-invalid"),
        ({"document_kind": "tờ rơi"}, "kind-unknown"),
        ({"copies": 0}, "copies-invalid"),
        ({"original": replace(TRANSCRIPT, pages=0)}, "original-invalid"),
        ({"dossier_code": "H56-269999-0001"}, "dossier-code-invalid"),
        ({"dossier_code": "H56.17.22-٢٦١١٢٣-٠٠٠١"}, "dossier-code-invalid"),
        ({"channel": "fax"}, "channel-unknown"),
    ],
)
def test_wrong_input_opens_nothing(hall: TownHall, change: dict[str, object], code: str) -> None:
    """A case begins with facts that can be true."""
    with pytest.raises(CertifyError) as caught:
        hall.opened(**change)
    assert caught.value.code == code
    assert list_cases(hall.office, unit=UNIT) == []


def test_every_step_is_audited(hall: TownHall) -> None:
    """ "every state change audited"."""
    case = hall.compared()
    withdraw(hall.office, case.id, reason="đổi ý", now=hall.now + timedelta(minutes=1), by=BY)
    report = audit.verify(hall.office.database)
    assert report.ok
