"""The desk's pages: a batch reviewed and approved, the holder's portal, accounts by program."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest

from api.auth import accounts
from hsm.mechanisms import KeyAlgorithm
from records import audit, merkle
from records.checkpoints import Checkpoint
from signer.holders import keepers
from signer.holders.handout import new_code
from signer.keys import credentials
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.people import CITIZEN_ID, csrf, person, sign_in
from tests.ca.subjects import THU
from tests.certify.town_hall import DEMO, PIN, TownHall
from tests.software_authenticator import Authenticator, b64url

pytestmark = ONLY_SQLITE
DECISION = (DEMO / "decision.pdf").read_bytes()


def post(service: Service, path: str, data: dict[str, Any] | None = None, **more: Any) -> Any:
    form = {"csrf": csrf(service.http), **(data or {})}
    return service.http.post(path, data=form, follow_redirects=False, **more)


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return found[1]


@pytest.fixture
def device(service: Service) -> Authenticator:
    """An authenticator at this service's own address."""
    return Authenticator("pki.dauso.vn", "http://pki.dauso.vn")


def challenge_of(options: Any) -> bytes:
    return unpadded(options["publicKey"]["challenge"])


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def register(service: Service, device: Authenticator) -> None:
    options = post(service, "/desk/account/passkeys/options").json()
    user = unpadded(options["publicKey"]["user"]["id"])
    answer = device.create(challenge_of(options), user_handle=user)
    form = {"ticket": options["ticket"], "answer": answer, "name": "Máy cơ quan", "prf": "yes"}
    assert post(service, "/desk/account/passkeys", form).status_code == 303


def test_a_batch_is_reviewed_and_approved_by_passkey(
    service: Service, hall: TownHall, device: Authenticator
) -> None:
    """What was shown is what is approved: a tick changed elsewhere, and nothing is authorised."""
    http, key = service.http, hall.person.id
    sign_in(http, service.house, roles=["signer"], now=service.now)
    register(service, device)
    home = f"/desk/certificates/{key}"
    options = post(service, f"{home}/passkeys/options", {"passkey": b64url(device.passkey)}).json()
    (salt,) = options["publicKey"]["extensions"]["prf"]["evalByCredential"].values()
    form = {
        "passkey": b64url(device.passkey),
        "question": options["ticket"],
        "answer": device.get(challenge_of(options)),
        "secret": b64url(device.prf(unpadded(salt["first"]))),
        "pin": PIN,
    }
    assert post(service, f"{home}/passkeys", form).headers["location"].endswith("?done=passkey")

    files = [
        ("files", (f"Quyết định {n}.pdf", DECISION + b"%%%d\n" % n, "application/pdf"))
        for n in range(3)
    ]
    made = post(service, "/desk/batches", {"credential_id": key, "look": "name"}, files=files)
    batch = made.headers["location"]
    assert "lô văn bản chờ bạn" in http.get("/desk").text
    page = http.get(batch).text
    assert page.count("ds-tick") == 3
    picture = http.get(f"{batch}/documents/1/pages/2")
    assert picture.headers["content-type"] == "image/png"
    assert http.get(f"{batch}/documents/1/pages/3").status_code == 422
    shown = _hidden(page, "chosen")
    ticked = http.post(
        f"{batch}/choice",
        data={"position": "1"},
        headers={"X-CSRF-Token": csrf(http), "HX-Request": "true"},
    ).text
    assert post(service, f"{batch}/question", {"chosen": shown}).status_code == 409
    chosen = _hidden(ticked, "chosen")
    assert chosen != shown
    asked = post(service, f"{batch}/question", {"chosen": chosen}).json()
    (salt,) = asked["publicKey"]["extensions"]["prf"]["evalByCredential"].values()
    form = {
        "chosen": shown,
        "question": asked["ticket"],
        "answer": device.get(challenge_of(asked)),
        "secret": b64url(device.prf(unpadded(salt["first"]))),
    }
    assert post(service, f"{batch}/authorization", form).status_code == 409
    form["chosen"] = chosen
    assert post(service, f"{batch}/authorization", form).status_code == 303
    assert "đang ký" in http.get(batch).text
    assert post(service, f"{batch}/cancellation").status_code == 303
    assert "text/csv" in http.get(f"{batch}/results.csv").headers["content-type"]
    tags = service.tags()
    for tag in ("passkey.added", "signing-passkey.used", "batch.started", "document.viewed"):
        assert tag in tags, tag

    # A passkey also signs in, without a name; another one does not.
    http.cookies.clear()
    for other, status in ((Authenticator(device.domain, device.origin), 403), (device, 303)):
        options = http.post("/sign-in/passkey/options").json()
        entered = http.post(
            "/sign-in/passkey",
            data={"ticket": options["ticket"], "answer": other.get(challenge_of(options))},
            follow_redirects=False,
        )
        assert entered.status_code == status
    again = {"ticket": options["ticket"], "answer": device.get(challenge_of(options))}
    assert http.post("/sign-in/passkey", data=again).status_code == 403


def test_others_batches_and_keys_do_not_exist(service: Service, hall: TownHall) -> None:
    """A person sees the keys of their own, and a clerk their unit's seal; no role, no page."""
    http = service.http
    sign_in(http, service.house, roles=["signer"], now=service.now)
    files = [("files", ("a.pdf", DECISION, "application/pdf"))]
    batch = post(service, "/desk/batches", {"credential_id": hall.person.id}, files=files).headers[
        "location"
    ]
    assert http.get(f"/desk/certificates/{hall.seal.id}").status_code == 404
    other = {"holder_id": "CCCD:038800000009", "name": "Phạm Thị Ví Dụ", "now": service.now}
    sign_in(http, service.house, roles=["clerk"], **other)
    assert "chưa ghi" in http.get(f"/desk/certificates/{hall.seal.id}").text
    keepers.name_first(
        service.house.desk, hall.seal.id, keeper=other["holder_id"], now=service.now, by="x:1"
    )
    assert "Phạm Thị Ví Dụ (038800000009)" in http.get(f"/desk/certificates/{hall.seal.id}").text
    assert http.get(f"/desk/certificates/{hall.person.id}").status_code == 404
    sign_in(http, service.house, roles=["admin"], **other)
    assert f"giữ con dấu của {hall.seal.name}" in http.get("/desk/accounts").text
    sign_in(http, service.house, roles=["clerk"], **other)
    for path in ("", "/documents/0", "/documents/0/pages/1", "/results.csv", "/events"):
        assert http.get(batch + path).status_code == 404, path
    chosen = hashlib.sha256(b"").hexdigest()
    for path in ("/choice", "/question", "/authorization", "/cancellation"):
        answer = post(service, batch + path, {"pin": PIN, "chosen": chosen, "every": "all"})
        assert answer.status_code == 404, path
    sign_in(http, service.house, kind="citizen", holder_id=CITIZEN_ID, name="M", now=service.now)
    assert http.get("/desk/batches").status_code == 403
    http.cookies.clear()
    assert http.get(batch, follow_redirects=False).status_code == 303


def test_a_wrong_address_keeps_the_desk_around_it(service: Service) -> None:
    """Whoever is signed in finds their menu and the way back; nobody's menu stays the public one.
    A browser never gets JSON for a wrong value in a page's address."""
    http, html = service.http, {"accept": "text/html"}
    for _ in range(2):
        page = http.get("/desk/no-such-place", headers=html)
        assert page.status_code == 404
        assert "Về trang chủ" in page.text
        http.cookies.set("nonsense", "x")
    sign_in(http, service.house, roles=["clerk"], now=service.now)
    page = http.get("/desk/no-such-place", headers=html)
    assert page.status_code == 404
    assert 'href="/desk"' in page.text
    assert "Đăng xuất" in page.text
    wrong = http.get("/desk/register?year=abc", headers=html)
    assert (wrong.status_code, wrong.headers["content-type"][:9]) == (422, "text/html")
    assert "Đăng xuất" in wrong.text


def test_the_holders_portal(service: Service) -> None:
    """Activate with the code, change the PIN, stop the certificate, ask for a new key."""
    http, code = service.http, new_code()
    held = credentials.enrol(
        service.house.desk,
        profile="citizen",
        subject=THU,
        holder_id=CITIZEN_ID,
        activation_code=code,
        algorithm=KeyAlgorithm.P_256,
        now=service.now,
        by="operator:test",
    )
    sign_in(http, service.house, kind="citizen", holder_id=CITIZEN_ID, name="M", now=service.now)
    home = f"/desk/certificates/{held.id}"
    assert "chờ bạn kích hoạt" in http.get("/desk").text
    assert "chờ kích hoạt" in http.get(home).text
    form = {"code": code, "new": "482913", "again": "482914"}
    assert post(service, f"{home}/activation", form).status_code == 422
    form["again"] = "482913"
    assert post(service, f"{home}/activation", form).status_code == 303
    wrong = post(service, f"{home}/pin", {"old": "000111", "new": "593024", "again": "593024"})
    assert wrong.status_code == 403
    assert "Còn 4 lần thử" in wrong.text
    right = post(service, f"{home}/pin", {"old": "482913", "new": "593024", "again": "593024"})
    assert right.status_code == 303
    assert post(service, f"{home}/new-key", {"reason": "quên"}).status_code == 303
    assert "đang chờ duyệt" in http.get(home).text
    assert http.get(f"{home}/certificate.cer").content.startswith(b"\x30")
    stop = {"pin": "593024", "reason": "mất điện thoại"}
    assert post(service, f"{home}/suspension", stop).status_code == 303
    assert "tạm dừng" in http.get(home).text
    assert service.tags().count("request.refused") == 2


def test_accounts_by_program(service: Service) -> None:
    """The directory makes an account and hands out its link; the scope is its own."""
    http = service.http
    headers = service.bearer("people", name="directory")
    body = {"number": "038800000007", "name": "Lê Thị Thử", "unit": "14797", "roles": ["intake"]}
    made = http.post("/api/v1/people", json=body, headers=headers)
    assert made.status_code == 201
    assert http.post("/api/v1/people", json=body, headers=headers).status_code == 409
    account = made.json()["account_id"]
    link = made.json()["sign_in_link"].removeprefix("http://pki.dauso.vn")
    assert http.post(link, follow_redirects=False).headers["location"] == "/desk/account"
    moved = http.put(
        f"/api/v1/people/{account}/place", json={"roles": ["comparer"]}, headers=headers
    )
    assert (moved.json()["unit"], moved.json()["roles"]) == (None, ["comparer"])
    (listed,) = http.get("/api/v1/people?matching=thử", headers=headers).json()
    assert listed["number"] == "038800000007"
    assert http.post(f"/api/v1/people/{account}/disabling", headers=headers).json()["disabled_at"]
    assert http.get("/desk", follow_redirects=False).status_code == 303
    assert http.post(f"/api/v1/people/{account}/link", headers=headers).status_code == 422
    for wrong in (
        {**body, "number": "12"},
        {**body, "name": " "},
        {**body, "roles": ["king"]},
        {**body, "kind": "citizen"},
    ):
        answer = http.post("/api/v1/people", content=json.dumps(wrong), headers=headers)
        assert answer.status_code == 422, wrong
    assert http.get("/api/v1/people", headers=service.bearer("sign")).status_code == 403


def test_the_administrators_page(service: Service) -> None:
    """A unit's administrator makes, changes and disables accounts of that unit only."""
    http = service.http
    boss = {"holder_id": "CCCD:038800000005", "name": "Đỗ Thị Thử", "now": service.now}
    sign_in(http, service.house, roles=["admin"], unit="14797", **boss)
    form = {"name": "Lê Thị Thử", "number": "038800000007", "unit": "14798", "roles": ["intake"]}
    made = post(service, "/desk/accounts", form)
    assert made.status_code == 201
    assert "/sign-in/link/" in made.text
    again = post(service, "/desk/accounts", form)
    assert again.status_code == 409
    assert "đã có tài khoản" in again.text
    (account,) = http_accounts(service, "038800000007")
    assert account.person.unit == "14797"
    home = f"/desk/accounts/{account.person.account_id}"
    assert "/sign-in/link/" in post(service, f"{home}/link").text
    assert post(service, f"{home}/place", {"roles": ["comparer", "king"]}).status_code == 422
    assert post(service, f"{home}/place", {"roles": ["comparer"]}).status_code == 303
    assert post(service, f"{home}/disabling").status_code == 303
    assert "đã khóa" in http.get("/desk/accounts?matching=Lê").text
    assert post(service, f"{home}/enabling").status_code == 303
    other = person(service.house, holder_id="CCCD:038800000008", unit="14800", now=service.now)
    assert post(service, f"/desk/accounts/{other.account_id}/link").status_code == 404
    assert other.account_id not in http.get("/desk/accounts").text
    (me,) = http_accounts(service, boss["holder_id"])
    assert post(service, f"/desk/accounts/{me.person.account_id}/disabling").status_code == 422
    sign_in(http, service.house, roles=["auditor"], now=service.now)
    assert http.get("/desk/accounts").status_code == 403
    assert post(service, "/desk/accounts", form).status_code == 403


def http_accounts(service: Service, matching: str) -> list[Any]:
    return accounts.everyone(service.house.database, matching=matching)


def test_the_auditors_page(service: Service) -> None:
    """RFC 9162 §2.1.3: an entry's proof is checked with nothing but the signed tree head."""
    http, house = service.http, service.house
    sign_in(http, house, roles=["auditor"], now=service.now)
    assert http.get("/desk/audit/0/proof.json").status_code == 422
    key = house.authority.service("audit").key
    audit.checkpoint(house.database, key, now=service.now)
    told = http.get("/desk/audit/0/proof.json").json()
    leaf = merkle.leaf_hash(base64.b64decode(told["leaf"]))
    path = [bytes.fromhex(one) for one in told["path"]]
    root = bytes.fromhex(told["root"])
    assert merkle.includes(leaf, 0, told["size"], path, root)
    assert Checkpoint.parse(told["checkpoint"]).root == root
    page = http.get("/desk/audit?tag=session.opened").text
    assert "official:038800000001" in page
    assert "Nhật ký nguyên vẹn" in post(service, "/desk/audit/verification").text
    assert service.tags().count("audit-log.read") == 3
    sign_in(http, house, roles=["admin"], now=service.now)
    for address in ("/desk/audit", "/desk/audit/0/proof.json"):
        assert http.get(address).status_code == 403
