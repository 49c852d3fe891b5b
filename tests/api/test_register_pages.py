"""The register, cancelling and the bank's unmatched transfers at the screen."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest

from certify.issuance import certify_copy
from certify.models import CopyStatus
from certify.money import bank_payments
from certify.money.bank_payments import Notice
from certify.verification import verify_code
from records.errors import DomainError
from signer.keys import mandates
from tests.api import people
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.signing_passkeys import approved, passkey_of
from tests.certify.test_register_closing import a_year_that_is_over, void_the_second
from tests.certify.town_hall import BY, PIN, SEAL_PIN, UNIT, TownHall

pytestmark = ONLY_SQLITE


def as_official(service: Service, *roles: str, unit: str = UNIT) -> None:
    people.sign_in(service.http, service.house, unit=unit, roles=roles, now=service.now)


def post(service: Service, address: str, **data: str) -> Any:
    sent = {"csrf": people.csrf(service.http), **data}
    return service.http.post(address, data=sent, follow_redirects=True)


def page_of(service: Service, address: str, status: int = 200) -> str:
    answer = service.http.get(address)
    assert answer.status_code == status, answer.text
    return str(answer.text)


def test_cancelled_and_replaced(service: Service, hall: TownHall) -> None:
    """Found by its number, cancelled by passkey, replaced."""
    now = service.now
    first, second = (
        certify_copy(hall.office, hall.compared().id, **hall.hands, now=now, by=BY)
        for _ in range(2)
    )
    as_official(service, "signer")
    register = page_of(service, "/desk/register")
    assert register.count('<td class="ds-number"') == 4, "two lines"
    assert "Bảng điểm tốt nghiệp đại học" in register
    assert f"/desk/copies/{first.code}" in page_of(service, "/desk/register?search=1")
    assert second.code not in page_of(service, "/desk/register?search=1")
    assert "Không có dòng nào" in page_of(service, "/desk/register?search=Không+ai")
    for form, begins in (("pdf", b"%PDF-"), ("csv", b"\xef\xbb\xbf")):
        where = f"/desk/register/export?year={now.year}&month={now.month}&form={form}"
        assert service.http.get(where).content.startswith(begins)

    here = f"/desk/copies/{first.code}"
    assert str(service.http.get("/desk/copies?wanted=1").url.path) == here
    page_of(service, "/desk/copies?wanted=99", 404)
    incomplete = post(service, f"{here}/cancellation/draft", number="131/QĐ-UBND")
    assert incomplete.status_code == 422
    words = {"number": "131/QĐ-UBND", "reason": "Bản chính bị tẩy xóa ngày sinh"}
    shown = post(service, f"{here}/cancellation/draft", **words)
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', shown.text)
    assert digest is not None
    picture = service.http.get(f"{here}/cancellation/drafts/{digest[1]}")
    assert picture.headers["content-type"].startswith("image/")
    device = passkey_of(service, hall.person.id, PIN)
    given = approved(service, f"{here}/cancellation", device, digest=digest[1], **words)
    other = post(service, f"{here}/cancellation", **{**given, "reason": "Lý do khác"})
    assert other.status_code == 409, "another decision than the one that was shown"
    given = approved(service, f"{here}/cancellation", device, digest=digest[1], **words)
    done = post(service, f"{here}/cancellation", **given)
    assert "Bản sao đã bị hủy" in done.text
    status = verify_code(hall.office, first.code, now=now)
    assert (status.status, status.cancellation_number) == (CopyStatus.CANCELLED, "131/QĐ-UBND")
    assert service.http.get(f"{here}/cancellation.pdf").content.startswith(b"%PDF-")
    assert post(service, f"{here}/cancellation", **given).status_code == 409, "only once"
    assert post(service, f"{here}/replacement", wanted="1").status_code in (409, 422)
    assert second.code in post(service, f"{here}/replacement", wanted="2").text
    tags = service.tags()
    assert tags.index("cancellation.intended") < tags.index("copy.cancelled")

    as_official(service, "clerk")
    assert "form action" not in page_of(service, here).split("<main")[1], "clerks decide nothing"
    draft = post(service, f"{here}/cancellation/draft", **words)
    assert draft.status_code == 403
    as_official(service, "signer", unit="14758")
    page_of(service, here, 404)


def test_a_year_is_closed_at_the_screen(service: Service, hall: TownHall) -> None:
    """DOMAIN.md §4: "locked yearly with the total and the certifier"; the page is read, then
    approved by passkey, sealed under the clerk's mandate; page and lines are there for the API."""
    now = service.now
    year = a_year_that_is_over(hall)
    void_the_second(hall, year)
    mandates.give(
        hall.office.desk, credential_id=hall.seal.id, pin=SEAL_PIN, client=hall.office.client,
        until=now + timedelta(days=1), now=now, by=BY,
    )  # fmt: skip
    as_official(service, "signer")
    early = page_of(service, f"/desk/register/closings/{now.year}", 409)
    assert "chưa hết" in early
    here = f"/desk/register/closings/{year}"
    assert here in page_of(service, f"/desk/register?year={year}&month=0")
    page_of(service, f"{here}/page.pdf", 404)
    shown = re.search(r'name="digest" value="([0-9a-f]{64})"', page_of(service, here))
    assert shown is not None
    assert service.http.get(f"{here}/drafts/{shown[1]}").headers["content-type"] == "image/png"
    assert post(service, here, digest="0" * 64, pin=PIN).status_code == 409
    device = passkey_of(service, hall.person.id, PIN)
    given = approved(service, here, device, digest=shown[1])
    locked = post(service, here, **given)
    assert "Sổ đã khóa" in locked.text
    assert "bởi Lê Văn Thử" in locked.text
    page = service.http.get(f"{here}/page.pdf").content
    api, home = service.bearer("certify"), f"/api/v1/registers/{UNIT}/{year}/closing"
    told = service.http.get(home, headers=api).json()
    assert (told["last_number"], told["issued"], told["void"], told["fees"]) == (2, 1, 1, 4000)
    assert service.http.get(told["page_url"], headers=api).content == page
    lines = service.http.get(told["lines_url"], headers=api).content
    assert lines == service.http.get(f"{here}/lines.csv").content
    assert hashlib.sha256(lines).hexdigest() == told["lines_sha256"]
    hands = {
        "person": {"credential_id": hall.person.id, "pin": PIN},
        "seal": {"credential_id": hall.seal.id, "pin": SEAL_PIN},
    }
    again = service.http.post(home, json=hands, headers=api)
    assert (again.status_code, again.json()["code"]) == (409, "register-locked")
    far = service.bearer("certify", name="far", units=["16522"])
    assert service.http.get(home, headers=far).status_code == 403
    tags = service.tags()
    assert tags.index("register.closing-intended") < tags.index("register.locked")


def test_volumes_and_voided_numbers(service: Service, hall: TownHall) -> None:
    """DOMAIN.md §4: "a new volume in the same year continues"; a number that fails "is *voided*
    with a reason and stays in the register". By screen and by API."""
    now, office, api = service.now, hall.office, service.bearer("certify")
    home = f"/api/v1/registers/{UNIT}/{now.year}"
    first = certify_copy(office, hall.compared().id, **hall.hands, now=now, by=BY)
    as_official(service, "clerk")
    assert "Quyển số 02" in post(service, "/desk/register/volumes", year=str(now.year)).text
    opened = service.http.post(f"{home}/volumes", headers=api).json()
    assert opened == {"volume": 3, "book": office.register.book(3, now.year)}
    wrong: dict[str, Any] = {
        "person": (hall.person.id, "000111"), "seal": (hall.seal.id, SEAL_PIN)
    }  # fmt: skip
    with pytest.raises(DomainError):
        certify_copy(office, hall.compared().id, **wrong, now=now, by=BY)
    gone = service.http.post(f"{home}/numbers/2/void", json={"reason": "rút hồ sơ"}, headers=api)
    assert (gone.json()["number"], gone.json()["state"]) == ("02", "void")
    again = service.http.post(f"{home}/numbers/1/void", json={"reason": "x"}, headers=api)
    assert again.status_code in (409, 422)
    absent = service.http.post(f"{home}/numbers/9/void", json={"reason": "x"}, headers=api)
    assert absent.json()["code"] == "number-unknown"
    found = service.http.get(home, params={"search": "Nguyễn Thị"}, headers=api).json()["entries"]
    assert [one["state"] for one in found] == ["issued", "void"]
    assert first.number == found[0]["number"]


def test_certifiers_are_appointed(service: Service, hall: TownHall) -> None:
    """Issue: "competence and delegation checked at that moment": given and ended by the unit's
    administrator at the screen, and by an enrolment client."""
    now, office = service.now, hall.office
    case = hall.compared()
    as_official(service, "signer")
    page_of(service, "/desk/certifiers", 403)
    people.sign_in(
        service.http, service.house, unit=UNIT, roles=["admin"], now=now,
        holder_id="CCCD:038900000009", name="Đỗ Thị Thử",
    )  # fmt: skip
    assert "Lê Văn Thử" in page_of(service, "/desk/certifiers")
    ended = post(service, f"/desk/certifiers/{hall.delegation.id}/end")
    assert "Đã chấm dứt" in ended.text
    assert post(service, f"/desk/certifiers/{hall.delegation.id}/end").status_code == 409
    with pytest.raises(DomainError) as caught:
        certify_copy(office, case.id, **hall.hands, now=now, by=BY)
    assert caught.value.code == "not-competent"
    form = {
        "official": people.OFFICIAL_ID, "title": "Chủ tịch", "basis": "Quyết định 02/QĐ-UBND",
        "lines": "TM. ỦY BAN NHÂN DÂN\nCHỦ TỊCH",
    }  # fmt: skip
    late = {"valid_from": "2026-02-01", "valid_to": "2026-01-01"}
    assert post(service, "/desk/certifiers", **form, **late).status_code == 422
    stranger = {**form, "official": "CCCD:038911111111"}
    assert post(service, "/desk/certifiers", **stranger).status_code >= 400
    assert "Chủ tịch" in post(service, "/desk/certifiers", **form).text
    certify_copy(office, case.id, **hall.hands, now=now, by=BY)
    api = service.bearer("enrol")
    listed = service.http.get(f"/api/v1/certifiers?unit={UNIT}", headers=api).json()
    assert sorted(one["in_force"] for one in listed) == [False, True]
    (stands,) = (one for one in listed if one["in_force"])
    far = service.bearer("enrol", name="far", units=["16522"])
    over = f"/api/v1/certifiers/{stands['id']}/end"
    assert service.http.post(f"{over}?unit={UNIT}", headers=far).status_code == 403
    assert service.http.post(f"{over}?unit=16522", headers=far).status_code == 404
    assert not service.http.post(f"{over}?unit={UNIT}", headers=api).json()["in_force"]
    order = {
        "unit": UNIT, "official": people.OFFICIAL_ID, "name": "Lê Văn Thử", "title": "Phó Chủ tịch",
        "authority_lines": ["KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"], "basis": "Quyết định 03/QĐ-UBND",
    }  # fmt: skip
    made = service.http.post("/api/v1/certifiers", json=order, headers=api)
    assert (made.status_code, made.json()["in_force"]) == (201, True)


def test_transfers_are_matched_or_given_back(service: Service, hall: TownHall) -> None:
    """The clerk's list: only of the unit, each settled once, a reason for what goes back."""
    office, now = hall.office, service.now
    case = hall.compared(paid=False)
    order = bank_payments.ask(office, case.id, now=now, by=BY)
    for name, amount in (("FT-1/a", order.amount), ("FT-2", 777)):
        told = Notice(name, order.account.number, amount, "NGUYEN THI MAU NOP PHI", now)
        assert bank_payments.receive(office, told, now=now).outcome != bank_payments.MATCHED
    as_official(service, "signer")
    page_of(service, "/desk/bank-transfers", 403)
    as_official(service, "clerk")
    assert "/desk/bank-transfers" in page_of(service, "/desk")
    page = page_of(service, "/desk/bank-transfers")
    assert page.count("Không có mã thanh toán") == 2
    assert page.count(order.reference) == 2, "value and words, only beside the same amount"
    wrong = {"transaction_id": "FT-2", "reference": order.reference}
    assert post(service, "/desk/bank-transfers/match", **wrong).status_code == 422
    paid = {"transaction_id": "FT-1/a", "reference": order.reference}
    after = post(service, "/desk/bank-transfers/match", **paid)
    assert "FT-1/a" not in after.text
    assert post(service, "/desk/bank-transfers/match", **paid).status_code == 404
    back = {"transaction_id": "FT-2"}
    assert post(service, "/desk/bank-transfers/refund", **back).status_code == 422
    after = post(service, "/desk/bank-transfers/refund", **back, note="Chuyển nhầm")
    assert "Không có giao dịch nào" in after.text
    certify_copy(office, case.id, **hall.hands, now=now, by=BY)
