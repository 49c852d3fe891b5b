"""Enrolment as a department's system does it over HTTP, with a real registry server beside it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from standardwebhooks import Webhook

from api import notices, schedule
from api.adapters.notice_channels import SpoolChannel, WebhookChannel, channels_of
from api.adapters.population_registry import registry_of
from api.auth import accounts
from api.csc.outbox import SpoolOutbox
from api.health import examine_chain
from api.local_time import VIETNAM
from api.notice_models import NoticeRow
from api.settings import Settings, SettingsError, write_secret
from ca import enrolment, identity
from ca.errors import CaError
from ca.identity import Outcome, RegistryUnavailable
from ca.names import Subject
from signer.keys import credentials
from tests.api.conftest import ONLY_SQLITE, Service, house_of
from tests.api.people import person
from tests.api.test_population_registry import client_of, registry
from tests.registry_simulator import Person, Registry
from tests.signer.holders import OFFICIAL_PIN, enrol
from tests.world import World

__all__ = ["registry"]  # the fixture
pytestmark = ONLY_SQLITE
LIST = """Họ và tên,CCCD,Ngày sinh,Mã đơn vị,Tên đơn vị,Email
Nguyễn Thị Mẫu,038800000001,02/09/1980,14797,UBND phường Hạc Thành,mau@thanhhoa.gov.vn
Lê Văn Khác,038800000002,19/05/1979,14797,UBND phường Hạc Thành,
Phạm Minh Ví Dụ,038800000003,,14797,UBND phường Hạc Thành,
Trần Không Ai,038800000009,,14797,UBND phường Hạc Thành,
Sai Đơn Vị,038800000008,,99999,Không có,
"""


@pytest.fixture
def asked(service: Service, registry: Registry) -> Service:
    """The service with the registry in its settings."""
    settings = service.house.settings
    write_secret(settings.secrets / "registry.token", registry.token)
    changed = {**settings.__dict__, "registry_url": registry.url}
    service.house.settings = Settings(**changed)
    return service


def send(service: Service, text: str, headers: dict[str, str], **form: str) -> httpx.Response:
    answer: httpx.Response = service.http.post(
        "/api/v1/enrolments",
        files={"file": ("ds.csv", text.encode("utf-8-sig"))},
        data=form,
        headers=headers,
    )
    return answer


def test_a_list_from_upload_to_first_use(asked: Service) -> None:
    """Preview, start, progress, identity checks, result file, activation: all over HTTP."""
    service, officer = asked, asked.bearer("enrol", "sign", name="ra-system")
    sent = send(service, LIST, officer)
    assert sent.status_code == 201, sent.text
    made = sent.json()
    assert (made["state"], made["counts"]["waiting"], made["counts"]["refused"]) == (
        "previewed", 4, 1,
    )  # fmt: skip
    where = f"/api/v1/enrolments/{made['id']}"
    refused = service.http.get(f"{where}/lines?state=refused", headers=officer).json()["lines"]
    assert "đơn vị" in refused[0]["problems"]["vi"][0]
    started = service.http.post(f"{where}/start", headers=officer)
    assert started.status_code == 202
    secret = started.json()["handout_secret"]
    schedule.enrol_lists(service.services, service.now)
    done = service.http.get(where, headers=officer).json()
    assert (done["state"], done["counts"]["enrolled"], done["counts"]["failed"]) == ("done", 1, 3)
    lines = service.http.get(f"{where}/lines", headers=officer).json()["lines"]
    assert [one["identity"] for one in lines] == ["match", "mismatch", "deceased", "unknown", None]
    wrong = service.http.post(
        f"{where}/results", json={"handout_secret": "A" * 28}, headers=officer
    )
    assert (wrong.status_code, wrong.json()["code"]) == (403, "handout-secret-wrong")
    table = service.http.post(f"{where}/results", json={"handout_secret": secret}, headers=officer)
    assert table.headers["cache-control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    one = next(row for row in rows if row["Mã kích hoạt"])
    credential = f"/api/v1/credentials/{one['Mã khóa ký']}"
    first = service.http.post(
        f"{credential}/activation",
        json={"code": one["Mã kích hoạt"], "pin": "925817"},
        headers=officer,
    )
    assert first.status_code == 200, first.text
    again = service.http.post(
        f"{credential}/activation",
        json={"code": one["Mã kích hoạt"], "pin": "806412"},
        headers=officer,
    )
    assert (again.status_code, again.json()["code"]) == (409, "activated-already")
    assert service.http.post(f"{where}/results/closing", headers=officer).status_code == 200
    gone = service.http.post(f"{where}/results", json={"handout_secret": secret}, headers=officer)
    assert gone.status_code == 410


def test_a_silent_registry_holds_back_only_those_it_is_asked_about(
    asked: Service, registry: Registry
) -> None:
    """Agencies are not in the population registry: their list goes on, the officials' waits."""
    service, officer = asked, asked.bearer("enrol", name="ra-system")
    second = service.bearer("enrol", name="ra-second")
    people = send(service, LIST, officer).json()["id"]
    head = "Tên cơ quan,Mã số thuế,Mã đơn vị,Địa danh,Văn thư\n"
    seal = head + "UBND phường Hạc Thành,2800000001,14797,Hạc Thành,038800000003\n"
    agencies = send(service, seal, officer, profile="agency-seal").json()
    approval = {"digest": agencies["digest"]}
    where = f"/api/v1/enrolments/{agencies['id']}"
    assert service.http.post(f"{where}/approval", json=approval, headers=second).status_code == 200
    for one in (people, agencies["id"]):
        started = service.http.post(f"/api/v1/enrolments/{one}/start", headers=officer)
        assert started.status_code == 202
    registry.down = True
    with pytest.raises(RegistryUnavailable):
        schedule.enrol_lists(service.services, service.now)
    (line,) = service.http.get(f"{where}/lines", headers=officer).json()["lines"]
    assert (line["state"], line["keeper"]) == ("enrolled", "CCCD:038800000003")
    waits = service.http.get(f"/api/v1/enrolments/{people}", headers=officer).json()
    assert (waits["state"], waits["counts"]["waiting"]) == ("running", 4)


def test_without_the_scope_nothing_is_seen(service: Service) -> None:
    signer = service.bearer("sign", name="signing-system")
    assert send(service, LIST, signer).status_code == 403
    for path in ("/enrolments", "/rekey-requests", "/enrolments/template"):
        assert service.http.get(f"/api/v1{path}", headers=signer).status_code == 403


def test_a_list_of_a_units_own_client_names_no_other_unit(service: Service) -> None:
    own = service.bearer("enrol", name="unit-system", units=["14798"])
    made = send(service, LIST, own).json()
    assert made["counts"]["refused"] == 5
    other = service.bearer("enrol", name="other-unit", units=["14797"])
    assert service.http.get(f"/api/v1/enrolments/{made['id']}", headers=other).status_code == 403
    assert service.http.get("/api/v1/enrolments", headers=other).json() == {"lists": []}


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00\x00x", b"PK\x03\x04rubbish", b"a,b\n1,2\n"])
def test_a_file_that_is_no_list_is_422_in_words(service: Service, data: bytes) -> None:
    officer = service.bearer("enrol", name="ra-system")
    answer = service.http.post(
        "/api/v1/enrolments", files={"file": ("x.csv", data)}, headers=officer
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["messages"]["vi"]
    assert "enrolment-list.refused" in service.tags()


def test_holders_and_officers_over_http(service: Service) -> None:
    """The holder's portal actions, and the officer's: each by its own client."""
    holders = enrol(service.world)
    own = f"/api/v1/credentials/{holders.official.id}"
    portal = service.bearer("sign", name="portal")
    officer = service.bearer("enrol", name="ra-system")

    def post(path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        answer: httpx.Response = service.http.post(path, json=body, headers=headers)
        return answer

    assert post(f"{own}/pin", portal, old="000111", new="806412").status_code == 403
    assert post(f"{own}/pin", portal, old=OFFICIAL_PIN, new="806412").status_code == 200
    held = post(f"{own}/suspension", portal, pin="806412", reason="mất máy")
    assert (held.status_code, held.json()["state"]) == (200, "suspended")
    assert post(f"{own}/release", portal).status_code == 403
    assert post(f"{own}/release", officer).json()["state"] == "active"
    asked = post(f"{own}/rekey-requests", portal, reason="quên PIN").json()
    listed = service.http.get("/api/v1/rekey-requests", headers=officer).json()["requests"]
    assert [one["id"] for one in listed] == [asked["id"]]
    granted = post(f"/api/v1/rekey-requests/{asked['id']}/grant", officer).json()
    heir = f"/api/v1/credentials/{granted['credential']['id']}"
    assert (
        post(f"{heir}/activation", portal, code=granted["activation_code"], pin="951753").json()[
            "state"
        ]
        == "active"
    )
    renewed = post(f"{heir}/renewal", officer).json()
    assert renewed["serial"] != granted["credential"]["serial"]
    nowhere = post(f"{heir}/transfer", officer, unit="٣", unit_name="UBND phường Đông Sơn")
    assert nowhere.json()["code"] == "unit-not-known"
    moved = post(f"{heir}/transfer", officer, unit="16378", unit_name="UBND phường Đông Sơn").json()
    assert moved["credential"]["unit"] == "16378"
    # Since when the key is doubted is no prophecy, and no time that cannot be written down.
    gone = f"/api/v1/credentials/{moved['credential']['id']}/revocation"
    tomorrow = (service.now + timedelta(days=1)).isoformat()
    for since in (tomorrow, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-01-01"):
        refused = post(gone, officer, reason="keyCompromise", invalidity_date=since)
        assert refused.status_code == 422, refused.text
    person(service.house, holder_id=holders.official.holder_id, roles=["clerk"])
    left = post(
        f"/api/v1/holders/{holders.official.holder_id}/departure", officer, decision="9/QĐ-UBND"
    ).json()
    assert left["credentials"] == [moved["credential"]["id"]]
    assert credentials.find(service.world.desk, moved["credential"]["id"]).state == "revoked"
    # Nor do they sit down at the screens any more, where a clerk knows the PIN of a seal.
    (account,) = accounts.everyone(service.house.database, matching=holders.official.holder_id)
    assert account.disabled_at is not None
    seal = f"/api/v1/credentials/{holders.agency.id}"
    passed = service.http.post(
        f"{seal}/handovers",
        data={
            "pin": "mẫu-192837",
            "given_by": "CCCD:038800000003",
            "received_by": "CCCD:038800000004",
            "permission_number": "12/GUQ",
            "permission_date": service.now.date().isoformat(),
            "permission_signer": "Nguyễn Thị Mẫu",
        },
        files={"permission": ("gq.pdf", b"%PDF-1.7")},
        headers=officer,
    )
    assert passed.status_code == 201, passed.text
    told = service.http.get(f"{seal}/handovers", headers=officer).json()
    assert told["handovers"][0]["received_by"] == told["keeper"] == "CCCD:038800000004"
    # Whoever keeps another unit's seal is not that client's to let go; afterwards it is held.
    away = "/api/v1/holders/CCCD:038800000004/departure"
    stranger = service.bearer("enrol", name="other-unit", units=["14800"])
    assert post(away, stranger, decision="9/QĐ").json()["code"] == "unit-not-allowed"
    assert post(away, officer, decision="9/QĐ").json()["seals_held"] == [holders.agency.id]
    assert service.http.get(f"{seal}/handovers", headers=officer).json()["keeper_left"] is True
    assert post(f"{seal}/release", officer).json()["code"] == "keeper-left"
    assert post(f"{seal}/rekeying", officer).status_code == 409
    heir = post(f"{seal}/rekeying", officer, keeper="CCCD:038800000005").json()["credential"]["id"]
    kept = f"/api/v1/credentials/{heir}/keeper"
    put = service.http.put
    same = put(kept, json={"keeper": "CCCD:038800000005"}, headers=officer)
    assert (same.status_code, same.json()["keeper"]) == (200, "CCCD:038800000005")
    for wrong, code in (
        ("CCCD:038800000006", "handover-not-keeper"),
        ("ai đó", "holder-malformed"),
    ):
        answer = put(kept, json={"keeper": wrong}, headers=officer)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_the_registry_is_asked_and_its_answer_kept(world: World, registry: Registry) -> None:
    """Identity check outcome stored with the request; a mismatch refuses."""
    http = client_of(registry)

    def request(name: str, number: str) -> str:
        subject = Subject.citizen(name, citizen_id=number, state="Thanh Hóa", locality="Hạc Thành")
        return enrolment.submit(
            world.authority, profile="citizen", subject=subject, public_key=world.key(),
            now=world.now, by="official:038900000001",
        ).id  # fmt: skip

    when: dict[str, Any] = {"now": world.now, "by": "system:ra"}
    good, bad = request("Nguyễn Thị Mẫu", "038800000001"), request("Lê Khác", "038800000002")
    first = identity.check_request(world.authority, http, good, born=date(1980, 9, 2), **when)
    assert (first.outcome, registry.asked[0]["born"]) == (Outcome.MATCH, "1980-09-02")
    assert enrolment.complete(world.authority, good, **when)
    assert identity.check_request(world.authority, http, bad, **when).differs == ("name",)
    with pytest.raises(CaError) as caught:
        enrolment.complete(world.authority, bad, **when)
    assert caught.value.code == "identity-mismatch"
    registry.people["038800000002"] = Person("Lê Khác")  # the papers were put right
    identity.check_request(world.authority, http, bad, **when)
    assert enrolment.complete(world.authority, bad, **when)


def test_no_registry_no_question(service: Service) -> None:
    assert registry_of(service.house.settings) is None


def test_notices_are_told_once_for_each_milestone(world: World, tmp_path: Any) -> None:
    """Automatic notices before expiry; the schedule may run as often as it likes."""
    holders = enrol(world)
    spool = SpoolOutbox(tmp_path / "outbox")
    channels = [SpoolChannel(spool)]
    end = holders.official.certificate.not_valid_after_utc
    told = []
    for days in (61, 59, 58, 29, 6.5, 6, 0.5, 0.4, -1):
        moment = end - timedelta(days=days)
        notices.announce(world.database, channels, now=moment)
        told.append(notices.announce(world.database, channels, now=moment))
        notices.deliver(world.database, channels, now=moment)
    assert told == [0] * 9  # the second time there is nothing new
    messages = [one for one in spool.waiting() if "Nguyễn" in one.subject]
    assert len(messages) == 4
    assert {one.to for one in messages} == {"unit:H56.DEMO.1"}
    assert "hết hạn" in messages[0].text
    day = f"{end.astimezone(VIETNAM):%d/%m/%Y %H:%M}"
    assert messages[0].text.count(day) == 2, "one hour, in both languages"


def test_whom_nobody_need_tell(world: World, tmp_path: Any) -> None:
    """Renewed, re-keyed or ended: nothing is about to be lost."""
    from signer.holders import leaving, lifecycle

    holders = enrol(world)
    soon = holders.official.certificate.not_valid_after_utc - timedelta(days=20)
    lifecycle.renew(world.desk, holders.official.id, now=soon, by="official:1")
    leaving.leave(world.desk, "CCCD:038800000001", decision="1", now=soon, by="official:1")
    channels = [SpoolChannel(SpoolOutbox(tmp_path / "outbox"))]
    notices.announce(world.database, channels, now=soon)
    with world.database.reading() as session:
        kept = session.scalars(select(NoticeRow.payload)).all()
    assert [one["kind"] for one in kept] == ["agency"]


def test_a_webhook_is_signed_and_tried_again(world: World) -> None:
    """Standard Webhooks: id, timestamp, signature; what is not taken with 2xx comes again."""
    holders = enrol(world)
    received: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        received.append(request)
        return httpx.Response(503 if len(received) == 1 else 204)

    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    channel = WebhookChannel(
        "https://portal.example/hook", secret, transport=httpx.MockTransport(receive)
    )
    end = holders.official.certificate.not_valid_after_utc
    moment = end - timedelta(days=3)
    notices.announce(world.database, [channel], now=moment)
    taken = notices.deliver(world.database, [channel], now=moment)
    assert taken == 1  # of two: the first was answered with 503
    assert notices.deliver(world.database, [channel], now=moment) == 0
    later = moment + timedelta(minutes=5)
    assert notices.deliver(world.database, [channel], now=later) == 1
    first, _, again = received
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    # The outside verifier refuses what is older than five minutes by its own clock.
    true_time = datetime.now(UTC)
    channel.send(notices.Notice("k", {"type": "credential.expiring", "name": "x"}), now=true_time)
    body = Webhook(secret).verify(received[-1].content, dict(received[-1].headers))
    assert body["data"]["name"] == "x"
    assert json.loads(first.content)["data"]["days"] == 7
    assert notices.purge(world.database, now=later + timedelta(days=91)) == 2


def test_the_schedule_does_all_of_it(service: Service) -> None:
    """Service keys are renewed 30 days before, whatever number of holders ends as well."""
    enrol(service.world)
    authority = service.world.authority
    before = authority.service("ocsp-persons-g1").certificate
    service.now = before.not_valid_after_utc - timedelta(days=29)
    schedule.renew_services(service.services, service.now)
    after = authority.service("ocsp-persons-g1").certificate
    assert after.not_valid_after_utc > before.not_valid_after_utc
    assert after.public_key() == before.public_key()
    schedule.renew_services(service.services, service.now)
    assert authority.service("ocsp-persons-g1").certificate == after
    for task in schedule.TASKS:
        task.act(service.services, service.now)


def test_channels_come_from_the_settings(world: World, tmp_path: Any) -> None:
    house = house_of(world, tmp_path / "home", notice_url="https://portal.example/hook")
    with pytest.raises(SettingsError):
        channels_of(house.settings)
    write_secret(house.settings.secrets / "notice-webhook.secret", "whsec_" + "A" * 32)
    assert [one.name for one in channels_of(house.settings)] == ["mail", "webhook"]


def test_the_root_says_when_its_ceremony_is_due(service: Service) -> None:
    """Its list and its responder are renewed by people, so people are told in time."""
    house = service.house
    assert all(one.code != "health-ceremony-due" for one in examine_chain(house, service.now))
    ends = service.world.authority.service("ocsp-root").certificate.not_valid_after_utc
    due = examine_chain(house, ends - timedelta(days=59))
    assert ("warning", "ocsp-root") in [(one.state, one.params.get("name")) for one in due]
