"""Papers, stacks and figures on the screen; open data for everybody."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from datetime import timedelta
from typing import Any

from api.screens.batch_pages import fingerprint
from certify.indicators import CODES
from certify.issuance import certify_copy
from certify.stacks import stack_approval, stack_jobs, stack_work
from signer.keys import mandates
from signer.routing.working_days import local
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.people import CITIZEN_ID, csrf, sign_in
from tests.api.signing_passkeys import approved, passkey_of
from tests.certify.test_stack_jobs import a_list, opened
from tests.certify.town_hall import BY, MAU, PIN, SEAL_PIN, UNIT, TownHall, scans

pytestmark = ONLY_SQLITE


def test_a_citizens_papers(service: Service, hall: TownHall) -> None:
    """My papers, share, who used it, revoke, export, delete."""
    case = hall.compared()
    copy = certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)
    http = sign_in(
        service.http, service.house, kind="citizen", holder_id=CITIZEN_ID, unit=None, name=MAU.name
    )
    page = http.get("/desk/papers").text
    assert "Còn hiệu lực" in page

    def post(path: str, **form: Any) -> Any:
        return http.post(f"/desk/papers{path}", data={"csrf": csrf(http), **form}, **files)

    files: dict[str, Any] = {"files": {"file": ("anh.jpg", b"\xff\xd8\xff image")}}
    assert "Không có chứng thực" in post("", title="Ảnh thẻ").text
    files = {}
    mine = f"/{copy.item_id}"
    shared = post(f"{mine}/share", kind="link", recipient="thu@example.vn", purpose="x", days=7)
    link = shared.text.partition('href="http://pki.dauso.vn/d/')[2][:24]
    assert link, shared.text
    assert http.post(f"/d/{link}").content == copy.data
    page = http.get(f"/desk/papers{mine}").text
    assert "Người giữ liên kết gửi tới thu@example.vn" in page
    grant = page.partition("/grants/")[2][:32]
    assert "Đã kết thúc" in post(f"{mine}/grants/{grant}/revoke").text
    assert http.post(f"/d/{link}").status_code == 410
    wrong = post(f"{mine}/share", kind="agency", recipient=" ", purpose=" ", days=7)
    assert (wrong.status_code, "alert" in wrong.text) == (422, True)
    archive = zipfile.ZipFile(io.BytesIO(http.get("/desk/papers/export").content))
    assert len(archive.namelist()) == 3
    assert "Đã xóa" in post(f"{mine}/delete").text
    assert http.post(f"/desk/papers{mine}/delete").status_code in {403, 422}, "no token, no act"
    other = sign_in(
        service.http,
        service.house,
        kind="citizen",
        holder_id="CCCD:038900000009",
        unit=None,
        name="X",
    )
    assert other.get(f"/desk/papers{mine}").status_code == 404
    assert other.get(f"/desk/papers{mine}/file").status_code == 404


def test_what_is_shared_with_a_citizen(service: Service, hall: TownHall) -> None:
    """DOMAIN.md §4: "named recipient, purpose, expiry; revocable; every access logged and shown to
    the citizen". A recipient who signs in needs neither code nor link, and nobody else gets in."""
    copy = certify_copy(hall.office, hall.compared().id, **hall.hands, now=hall.now, by=BY)
    other, number = "038900000009", {"kind": "citizen", "unit": None}
    page = f"/desk/papers/{copy.item_id}"

    def owner() -> Any:
        return sign_in(service.http, service.house, holder_id=CITIZEN_ID, name=MAU.name, **number)

    def recipient() -> Any:
        return sign_in(service.http, service.house, holder_id=f"CCCD:{other}", name="Thử", **number)

    http = owner()
    form = {"csrf": csrf(http), "kind": "citizen", "purpose": "làm thẻ", "days": 7, "name": "Thử"}
    for wrong in ("0389", "038812345678", "citizen:1"):
        refused = http.post(f"{page}/share", data={**form, "recipient": wrong})
        assert refused.status_code == 422, wrong
        assert 'value="làm thẻ"' in refused.text, "what was typed stays"
        assert '<option value="citizen" selected>' in refused.text
    given = http.post(f"{page}/share", data={**form, "recipient": "0389 0000 0009"})
    assert "sau khi đăng nhập" in given.text
    http = recipient()
    listed = http.get("/desk/papers").text
    assert "Được chia sẻ với tôi" in listed
    assert f"{MAU.name} · làm thẻ" in listed
    (here,) = set(re.findall(r'"(/desk/papers/shared/[0-9a-f]{32})"', listed))
    assert MAU.name in http.get(here).text
    assert http.post(f"{here}/file").status_code == 403, "a form of elsewhere takes nothing"
    assert http.post(f"{here}/file", data={"csrf": csrf(http)}).content == copy.data
    assert http.get(page).status_code == 404, "the store itself stays its owner's"
    http = owner()
    assert http.get(here).status_code == 404, "not even the owner is the recipient"
    text = http.get(page).text
    assert f"Người dân, số định danh {other}" in text, "the look is shown to the owner, in words"
    grant = here.rpartition("/")[2]
    http.post(f"{page}/grants/{grant}/revoke", data={"csrf": csrf(http)})
    http = recipient()
    assert "Được chia sẻ với tôi" not in http.get("/desk/papers").text
    assert http.get(here).status_code == 410
    assert http.post(f"{here}/file", data={"csrf": csrf(http)}).status_code == 410


def test_a_stack_on_the_screen(service: Service, hall: TownHall) -> None:
    """List and scans in, one authorisation, progress, the result file."""
    http = sign_in(service.http, service.house, roles=["signer", "comparer"])
    first, second = scans()
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as made:
        made.writestr("x/a-1.jpg", first)
        made.writestr("a-2.jpg", second)
    sent = http.post(
        "/desk/stacks",
        data={"csrf": csrf(http), "place": "Văn phòng công chứng"},
        files=[
            ("comparison_list", ("ds.csv", a_list("x", "không;trang 2 khác"))),
            ("scans", ("scans.zip", package.getvalue())),
        ],
    )
    assert sent.status_code == 200, sent.text
    page = str(sent.url).removeprefix("http://pki.dauso.vn")

    def go_on() -> str:
        stack_work.work(
            hall.office, clock=lambda: service.now, by="system:stacks", stop=lambda: False
        )
        return str(http.get(page).text)

    assert "Chờ cho phép ký" in go_on()
    shown = re.search(r'name="chosen" value="([0-9a-f]{64})"', http.get(page).text)
    assert shown is not None
    assert http.get(f"{page}/lines/1.pdf").content.startswith(b"%PDF-")
    assert http.get(f"{page}/lines/2.pdf").status_code == 404
    pins = {"csrf": csrf(http), "chosen": shown[1], "pin": "000000", "seal_pin": SEAL_PIN}
    assert http.post(f"{page}/authorization", data=pins).status_code == 403
    other = {**pins, "pin": PIN, "chosen": "0" * 64}
    assert http.post(f"{page}/authorization", data=other).status_code == 409
    http.post(f"{page}/authorization", data={**pins, "pin": PIN})
    assert "Hoàn thành" in go_on()
    table = list(csv.reader(io.StringIO(http.get(f"{page}/results").content.decode("utf-8-sig"))))
    assert [row[3] for row in table[1:]] == ["đã chứng thực", "không chứng thực được"]
    headers = service.bearer("certify")
    stack_id = page.rpartition("/")[2]
    api = service.http.get(f"/api/v1/stacks/{stack_id}/outcomes", headers=headers).json()
    assert [one["number"] for one in api["outcomes"]] == ["01", None]
    refused = f"/desk/cases/{api['outcomes'][1]['case_id']}/refusal"
    assert refused in http.get(page).text, "the signer finds what is to be refused in writing"
    assert "Bản chụp không đúng với bản chính" in http.get(refused).text
    assert ">trang 2 khác</textarea>" in http.get(refused).text, "what the list noted explains it"
    case = http.get(refused.removesuffix("/refusal")).text
    assert "Bản chụp không đúng với bản chính" in case
    assert "Không thu phí" in case
    assert "Còn phải thu" not in case, "nothing is owed for a case that was refused"
    far = service.bearer("certify", name="far", units=["16522"])
    assert service.http.get(f"/api/v1/stacks/{stack_id}", headers=far).status_code == 404
    bad = service.http.post(
        f"/api/v1/stacks/{stack_id}/scans", files=[("scans", ("a.zip", b"PK\x03\x04"))],
        headers=headers,
    )  # fmt: skip
    assert bad.json()["code"] == "stack-zip-wrong"
    # One that shall not be signed after all
    pattern = http.get("/desk/stacks/list.csv")
    assert "Tệp quét" in pattern.text
    sent = http.post(
        "/desk/stacks",
        data={"csrf": csrf(http), "place": "Quầy"},
        files=[("comparison_list", ("ds.csv", a_list("x"))), ("scans", ("a-1.jpg", first))],
    )
    page = str(sent.url).removeprefix("http://pki.dauso.vn")
    assert "Bỏ tập này" not in sent.text, "it is being prepared"
    assert http.post(f"{page}/drop", data={"csrf": csrf(http), "reason": "x"}).status_code == 409
    go_on()
    over = service.http.post(
        "/api/v1/stacks", headers=headers, data={"unit": UNIT, "place": "Quầy"},
        files={"comparison_list": ("ds.csv", a_list("x"))},
    ).json()  # fmt: skip
    page = f"/desk/stacks/{over['id']}"
    assert "Bỏ tập này" in http.get(page).text
    assert http.post(f"{page}/drop", data={"csrf": csrf(http)}).status_code == 422
    dropped = http.post(f"{page}/drop", data={"csrf": csrf(http), "reason": "nhầm"})
    assert "Đã bỏ" in dropped.text
    again = service.http.post(
        f"/api/v1/stacks/{over['id']}/drop", json={"reason": "x"}, headers=headers
    )
    assert again.json()["state"] == "dropped"
    # Who asked is told.
    mau = sign_in(
        service.http,
        service.house,
        kind="citizen",
        holder_id="CCCD:038812345678",
        unit=None,
        name="Nguyễn Thị Mẫu",
    )
    told = mau.get("/desk/papers").text
    assert "Từ chối chứng thực Bảng điểm 2 số VD-2" in told
    assert "Bản chụp không đúng với bản chính" in told


def test_a_stack_is_approved_by_passkey(service: Service, hall: TownHall) -> None:
    """docs/decisions/0240: the authenticator's answer is for exactly the stack's digests; the seal
    follows under the clerk's mandate. Nobody approves what is another official's to sign."""
    desk, office = hall.office.desk, hall.office
    until = service.now + timedelta(days=1)
    mandates.give(
        desk, credential_id=hall.seal.id, pin=SEAL_PIN, client=office.client, until=until,
        now=service.now, by=BY,
    )  # fmt: skip
    stack_id = opened(hall, a_list("x", "x"))
    stack_work.work(office, clock=lambda: service.now, by="system:stacks", stop=lambda: False)
    page = f"/desk/stacks/{stack_id}"
    other = sign_in(
        service.http, service.house, roles=["signer"], holder_id="CCCD:038900000009", name="X"
    )
    refused = other.post(f"{page}/authorization", data={"csrf": csrf(other), "pin": PIN})
    assert refused.status_code == 403
    assert "data-passkey-button" not in refused.text
    http = sign_in(service.http, service.house, roles=["signer"])
    device = passkey_of(service, hall.person.id, PIN)
    text = http.get(page).text
    assert "data-passkey-button" in text
    assert 'name="seal_pin"' not in text
    chosen = fingerprint(stack_approval.chosen_digests(office, stack_id))
    stale = http.post(f"{page}/question", data={"csrf": csrf(http), "chosen": "0" * 64})
    assert stale.status_code == 409
    form = {"csrf": csrf(http), **approved(service, page, device, chosen=chosen)}
    assert http.post(f"{page}/authorization", data=form, follow_redirects=False).status_code == 303
    stack_work.work(office, clock=lambda: service.now, by="system:stacks", stop=lambda: False)
    assert [one.number for one in stack_jobs.outcomes(office, stack_id)] == ["01", "02"]


def test_figures_and_open_data(service: Service, hall: TownHall) -> None:
    """ "CSV/JSON open data (no personal data, DCAT description) with the digitisation
    indicators' codes, per unit and period"."""
    case = hall.compared()
    certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)
    http, today = service.http, local(hall.now).date()
    told = http.get(f"/open-data/indicators.json?year={today.year}&month={today.month}").json()
    (unit,) = told["units"]
    assert unit["values"]["ELECTRONIC_CERTIFIED_COPY"] == 1
    assert unit["values"]["SO_HOA_GIAY_TO_GIAI_QUYET"] == 1
    assert (unit["values"]["CASES_ON_TIME"], unit["values"]["FEES"]) == (1, 4000)
    assert set(CODES) <= set(told["indicators"])
    assert http.get("/open-data/indicators.json?year=2025").json()["units"] == []
    text = http.get("/open-data/indicators.csv").content.decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert {line["indicator"] for line in lines} >= set(CODES)
    described = http.get("/open-data/catalog.jsonld")
    assert described.headers["content-type"] == "application/ld+json"
    shared = [
        one["dcat:downloadURL"]["@id"]
        for one in described.json()["dcat:dataset"]["dcat:distribution"]
    ]
    for address in shared:
        assert http.get(address).status_code == 200
    turtle = http.get("/open-data/catalog.ttl").text
    assert turtle.count("a dcat:Distribution") == 2
    page = http.get("/open-data").text
    for text in (json.dumps(told, ensure_ascii=False), turtle, page, str(lines)):
        for personal in ("Mẫu", "0388", "VD-TEST", "Thử"):
            assert personal not in text.replace("mẫu", "")
    chosen = http.get(f"/open-data?year={today.year}&month=").text
    assert f"Kỳ 01/01/{today.year}" in chosen, "no month chosen in the form is the whole year"
    month = http.get(f"/open-data?year={today.year}&month={today.month:02d}").text
    assert f"indicators.csv?year={today.year}&amp;month={today.month}" in month
    for odd in ("indicators.xml", "catalog.rdf", "indicators.json?month=13"):
        assert http.get(f"/open-data/{odd}").status_code in {404, 422}
    desk = sign_in(service.http, service.house, roles=["auditor"])
    shown = desk.get("/desk/figures").text.replace("<wbr>", "")
    assert "ELECTRONIC_CERTIFIED_COPY" in shown
