"""Pages of certification: request, counter, comparison, signing, refusal, SAO Y."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
import zxingcpp
from PIL import Image

from certify.counter.appointments import free_slots
from certify.counter.case_lookup import list_cases
from certify.counter.visit_lookup import list_visits
from certify.models import CaseState
from certify.money import bank_payments
from signer.keys import mandates
from tests.api import people
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.signing_passkeys import approved, passkey_of
from tests.certify.test_refusal import signed_original
from tests.certify.test_visits import CITIZEN, CLERK
from tests.certify.town_hall import BY, PIN, SEAL_PIN, UNIT, TownHall, scans

pytestmark = ONLY_SQLITE
ALL = ["intake", "comparer", "signer", "clerk"]
REQUEST = {
    "unit": UNIT,
    "kind": ["transcript", "diploma", "other"],
    "title": ["Bảng điểm", "Bằng tốt nghiệp", ""],
    "issuer": ["Trường Đại học Ví Dụ", "Trường Đại học Ví Dụ", ""],
    "pages": ["2", "1", "1"],
    "copies": ["3", "1", "1"],
}


def as_citizen(service: Service) -> None:
    people.sign_in(
        service.http, service.house, kind="citizen", holder_id=people.CITIZEN_ID,
        name="Nguyễn Thị Mẫu", unit=None, now=service.now,
    )  # fmt: skip


def as_official(service: Service, roles: list[str], unit: str = UNIT, **more: str) -> None:
    people.sign_in(service.http, service.house, unit=unit, roles=roles, now=service.now, **more)


def post(service: Service, address: str, **data: object) -> object:
    sent = {"csrf": people.csrf(service.http), **data}
    return service.http.post(address, data=sent, follow_redirects=True)


def page_of(service: Service, address: str) -> str:
    answer = service.http.get(address)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_from_the_citizens_sofa_to_the_signed_copy(service: Service, hall: TownHall) -> None:
    """At the screen: request, hour, counter, scan, comparison, seen and signed."""
    as_citizen(service)
    assert "Phường Hạc Thành" in page_of(service, "/desk/requests/new")
    hour = free_slots(hall.office, UNIT, now=service.now)[3].starts_at.isoformat()
    assert hour in page_of(service, f"/desk/requests/new?unit={UNIT}")
    shown = post(service, "/desk/requests", slot=hour, **REQUEST)
    assert shown.status_code == 200, shown.text
    for wanted in ("Bảng điểm", "Bằng tốt nghiệp", "Phiếu hẹn"):
        assert wanted in shown.text
    (visit,) = list_visits(hall.office, viewer=CITIZEN)
    slip = service.http.get(f"/desk/requests/{visit.id}/slip.pdf")
    assert slip.content.startswith(b"%PDF-")
    public = page_of(service, f"/visits/{visit.code}")
    assert "Phường Hạc Thành" in public
    assert "Mẫu" not in public.replace("Nguyễn Thị Mẫu</span></a>", "")
    assert service.http.get("/desk/counter").status_code == 403, "not for citizens"

    as_official(service, ALL, unit="14758")
    assert service.http.get(f"/desk/counter/{visit.id}").status_code == 404, "another unit's"
    for act in ("transfer", "payment", "refund"):
        there = f"/desk/cases/{visit.cases[0].id}/{act}"
        assert post(service, there, reason="x").status_code == 404
    as_official(service, ALL)
    today = page_of(service, "/desk/counter")
    assert "Nguyễn Thị Mẫu" in today
    case_id = visit.cases[0].id
    here = f"/desk/cases/{case_id}"
    assert "Chờ xuất trình" in page_of(service, here)
    post(service, f"/desk/counter/{visit.id}/presentation")
    assert "Xem xét bản chính" in page_of(service, here)
    post(service, f"{here}/examination")
    sent = {"csrf": people.csrf(service.http), "clean": "true"}
    files = [("scans", (f"{n}.jpg", scan, "image/jpeg")) for n, scan in enumerate(scans())]
    short = service.http.post(f"{here}/captures", data=sent, files=files[:1])
    assert (short.status_code, "khai 2 trang" in short.text) == (422, True)
    assert service.http.post(f"{here}/captures", data=sent, files=files).status_code == 200
    first = page_of(service, f"{here}/pages/1")
    assert f"{here}/pages/1/image" in first
    assert service.http.get(f"{here}/pages/1/image").content == scans()[0]
    after = post(service, f"{here}/pages/1/finding", matches="true")
    assert "trang 2/2" in after.text, "on to the next page"
    after = post(service, f"{here}/pages/2/finding", matches="true", note="có dấu nổi")
    assert 'id="conclusion"' in after.text
    post(service, f"{here}/conclusion", security="dấu nổi")
    assert "Còn phải thu 12.000" in page_of(service, here)
    assert service.http.get(f"{here}/transfer.png").status_code == 404, "nobody asked for it yet"
    asked = post(service, f"{here}/transfer")
    order = bank_payments.ask(hall.office, case_id, now=service.now, by=BY)
    assert order.reference in asked.text
    code = Image.open(io.BytesIO(service.http.get(f"{here}/transfer.png").content))
    assert [one.text for one in zxingcpp.read_barcodes(code)] == [order.payload]
    paid = post(service, f"{here}/payment")
    assert "Đã đủ phí (12.000 đồng)" in paid.text
    assert f"{here}/transfer.png" not in paid.text
    receipt = re.search(rf"{here}/receipts/[0-9a-f]+\.pdf", paid.text)
    assert receipt is not None
    assert service.http.get(receipt[0]).content.startswith(b"%PDF-")
    assert "refund" not in paid.text, "only for a case that ended without a copy"

    seen = post(service, f"{here}/preparation")
    assert "Số 01, quyển 01/" in seen.text
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', seen.text)
    assert digest is not None
    picture = service.http.get(f"{here}/certification/pages/2")
    assert picture.headers["content-type"] in ("image/png", "image/jpeg")
    stale = post(service, f"{here}/certification", digest="0" * 64, pin=PIN, seal_pin=SEAL_PIN)
    assert stale.status_code == 409
    wrong = post(
        service, f"{here}/certification", digest=digest[1], pin="000000", seal_pin=SEAL_PIN
    )
    assert wrong.status_code == 403
    unsealed = post(service, f"{here}/certification", digest=digest[1], pin=PIN)
    assert (unsealed.status_code, "PIN của con dấu" in unsealed.text) == (422, True)
    mandates.give(
        hall.office.desk, credential_id=hall.seal.id, pin=SEAL_PIN, client=hall.office.client,
        until=service.now + timedelta(days=30), now=service.now, by=BY,
    )  # fmt: skip
    assert "ủy quyền đóng dấu" in page_of(service, f"{here}/certification")
    menu = page_of(service, f"{here}/certification")
    assert 'href="/desk/counter" aria-current="page"' in menu
    assert 'data-send="digest"' in menu, "the script sends the digest with its question"
    no_reason = post(service, f"{here}/number-void")
    assert (no_reason.status_code, "Phải nêu lý do" in no_reason.text) == (422, True)
    back = post(service, f"{here}/number-void", reason="Chọn nhầm hồ sơ")
    assert f"{here}/preparation" in back.text, "the case may be certified anew"
    seen = post(service, f"{here}/preparation")
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', seen.text)
    assert "Số 02, quyển 01/" in seen.text
    assert digest is not None
    device = passkey_of(service, hall.person.id, PIN)
    stale = post(service, f"{here}/certification/question", digest="0" * 64)
    assert stale.status_code == 409
    given = approved(service, f"{here}/certification", device, digest=digest[1])
    made = post(service, f"{here}/certification", **given)
    assert "Đã cấp bản sao" in made.text
    assert "signing-passkey.used" in service.tags()
    (case,) = list_cases(hall.office, unit=UNIT, state=CaseState.ISSUED)
    assert case.id == case_id


def test_refused_at_the_counter(service: Service, hall: TownHall) -> None:
    """The refusal is read before it is signed, and can be opened by its unit."""
    as_official(service, ALL)
    opened = post(
        service, "/desk/counter", name="Lê Văn Thử", identifier="038800000002", kind="other",
        title="Giấy viết tay", issuer="cá nhân", pages="1", copies="1",
    )  # fmt: skip
    assert opened.status_code == 200, opened.text
    here = str(opened.url.path)
    post(service, f"{here}/payment")
    ended = post(service, f"{here}/examination", altered="true")
    assert "Bị từ chối" in ended.text
    assert f"{here}/refund" in ended.text
    given_back = post(service, f"{here}/refund", reason="bị từ chối")
    assert "Phiếu hoàn" in given_back.text
    assert f"{here}/refund" not in given_back.text
    draft = post(service, f"{here}/refusal/draft", explanation="Sửa ngày sinh.")
    digest = re.search(r'name="digest" value="([0-9a-f]{64})"', draft.text)
    assert digest is not None
    assert service.http.get(f"{here}/refusal/drafts/{digest[1]}").status_code == 200
    other = post(service, f"{here}/refusal", digest=digest[1], explanation="Khác.", pin=PIN)
    assert other.status_code == 409, "another text than the one that was shown"
    assert 'data-send="digest explanation"' in draft.text
    device = passkey_of(service, hall.person.id, PIN)
    words = {"digest": digest[1], "explanation": "Sửa ngày sinh."}
    given = approved(service, f"{here}/refusal", device, **words)
    made = post(service, f"{here}/refusal", **given)
    assert "Đã ký và gửi" in made.text
    assert service.http.get(f"{here}/refusal.pdf").content.startswith(b"%PDF-")


def test_a_case_that_a_system_opened_alone(service: Service, hall: TownHall) -> None:
    """ "opened … by the procedure system": it waits at the counter until the original is shown."""
    case = hall.opened(presented=False)
    here = f"/desk/cases/{case.id}"
    as_official(service, ALL, unit="14758")
    assert post(service, f"{here}/presentation").status_code == 404, "another unit's"
    as_official(service, ALL)
    assert here in page_of(service, "/desk/counter")
    assert f"{here}/presentation" in page_of(service, here)
    shown = post(service, f"{here}/presentation")
    assert "Xem xét bản chính" in shown.text
    assert post(service, f"{here}/presentation").status_code == 409


def test_sao_y_at_the_screen(service: Service, hall: TownHall) -> None:
    """For the clerk only; an unsigned file is told in words."""
    as_official(service, ["intake"])
    assert service.http.get("/desk/sao-y").status_code == 403
    as_official(service, ["clerk"])
    assert hall.seal.id in page_of(service, "/desk/sao-y")
    data = {
        "csrf": people.csrf(service.http), "kind": "SAO Y", "title": "Quyết định",
        "seal": hall.seal.id, "pin": SEAL_PIN,
    }  # fmt: skip
    bad = {"file": ("a.pdf", scans()[0], "application/pdf")}
    refused = service.http.post("/desk/sao-y", data=data, files=bad)
    assert (refused.status_code, "không có chữ ký số" in refused.text) == (422, True)
    good = {"file": ("a.pdf", signed_original(hall), "application/pdf")}
    made = service.http.post("/desk/sao-y", data=data, files=good)
    found = re.search(r"/desk/sao-y/[0-9a-f]{32}/copy.pdf", made.text)
    assert found is not None, made.text
    assert service.http.get(found[0]).content.startswith(b"%PDF-")


@pytest.mark.parametrize("act", ["cancellation", "withdrawal"])
def test_a_citizen_changes_their_mind(service: Service, hall: TownHall, act: str) -> None:
    """Rebook, give back, withdraw; somebody else's request does not exist."""
    as_citizen(service)
    hours = free_slots(hall.office, UNIT, now=service.now)
    shown = post(service, "/desk/requests", slot=hours[0].starts_at.isoformat(), **REQUEST)
    here = str(shown.url.path)
    moved = post(service, f"{here}/appointment", slot=hours[4].starts_at.isoformat())
    assert moved.status_code == 200
    nonsense = post(service, f"{here}/appointment", slot="không phải giờ")
    assert nonsense.status_code == 422
    assert post(service, f"{here}/{act}").status_code == 200
    (visit,) = list_visits(hall.office, viewer=CLERK, unit=UNIT)
    assert visit.appointment is not None
    assert visit.appointment.state.value == "cancelled"
    assert visit.over is (act == "withdrawal")
    people.sign_in(
        service.http, service.house, kind="citizen", holder_id="CCCD:038899999999",
        name="Phạm Minh Ví Dụ", unit=None, now=service.now,
    )  # fmt: skip
    assert service.http.get(here).status_code == 404
