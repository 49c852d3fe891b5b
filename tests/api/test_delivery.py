"""Sharing, cancelling, delivering over HTTP, with receivers that are real servers."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import socket
import threading
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from api import schedule
from api.adapters import delivery_ways
from api.settings import write_secret
from certify.issuance import CertifiedCopy, certify_copy
from tests import mail_server, receiver_simulator
from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.test_store import signed
from tests.certify.town_hall import BY, MAU, UNIT, TownHall

OWNER = MAU.owner_id
STORE = f"/api/v1/stores/{OWNER}"


def issue(hall: TownHall, requester: Any = MAU, by: str = BY) -> CertifiedCopy:
    case = hall.compared(requester=requester)
    return certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=by)


@ONLY_SQLITE
def test_sharing_and_reuse(service: Service, hall: TownHall) -> None:
    """ "a procedure system fetches by code within its grant, gets the digest and status,
    and re-uses it in a dossier without a new upload"."""
    copy, http = issue(hall), service.http
    portal, system = service.bearer("stores", name="portal"), service.bearer("store", name="motcua")
    (item,) = http.get(f"{STORE}/items", headers=portal).json()["items"]
    assert (item["certified"], item["status"]) == (True, "in-force")
    own = http.post(
        f"{STORE}/items",
        data={"kind": "own-paper", "title": "Ảnh thẻ"},
        files={"file": ("a.jpg", b"\xff\xd8\xff\xe0 image")},
        headers=portal,
    ).json()
    assert (own["certified"], own["status"], own["code"]) == (False, None, None)

    until = (service.now + timedelta(days=7)).isoformat()
    order = {
        "recipient_kind": "procedure",
        "recipient": "motcua",
        "recipient_name": "Hệ thống Một cửa",
        "purpose": "tuyển dụng",
        "until": until,
    }
    shares = f"{STORE}/items/{item['id']}/grants"
    for slip in (
        {"recipient": "motcau"},
        {"recipient_kind": "agency", "recipient": "H56.NOPE"},
        {"recipient_kind": "agency", "recipient": "link:x@example.vn"},
        {"recipient_kind": "person", "recipient": "link:"},
        {"recipient_kind": "person", "recipient": "motcua"},
    ):
        refused = http.post(shares, json={**order, **slip}, headers=portal)
        assert (refused.status_code, refused.json()["code"][:9]) == (422, "recipient"), slip
    grant = http.post(shares, json=order, headers=portal).json()
    use = {"code": grant["code"], "purpose": "hồ sơ", "dossier_code": "H56.17.22-261123-0001"}
    used = http.post("/api/v1/shared-documents", json=use, headers=system)
    assert used.status_code == 200, used.text
    assert (used.json()["digest"], used.json()["status"]) == (copy.digest, "in-force")
    again = http.post("/api/v1/shared-documents", json=use, headers=system).json()
    assert again["reuse_id"] == used.json()["reuse_id"], "one dossier counts once"
    taken = http.post("/api/v1/shared-documents/content", json=use, headers=system)
    assert hashlib.sha256(taken.content).hexdigest() == copy.digest
    other = service.bearer("store", name="stranger")
    assert http.post("/api/v1/shared-documents", json=use, headers=other).status_code == 404
    as_agency = {**use, "recipient": "H56.DEMO.14797"}
    refused = http.post("/api/v1/shared-documents", json=as_agency, headers=other)
    assert (refused.status_code, refused.json()["code"]) == (403, "recipient-not-yours")
    looks = f"{STORE}/items/{item['id']}/accesses"
    seen = http.get(looks, headers=portal).json()["accesses"]
    assert {one["by"] for one in seen} == {"client:motcua"}
    assert seen[0]["dossier_code"] == "H56.17.22-261123-0001"
    assert http.delete(f"{STORE}/grants/{grant['id']}", headers=portal).status_code == 204
    ended = http.post("/api/v1/shared-documents", json=use, headers=system)
    assert ended.json()["code"] == "grant-ended"

    # By link, for somebody without an account
    order |= {"recipient_kind": "person", "recipient": "link:thu@example.vn"}
    link = http.post(shares, json=order, headers=portal).json()["link"]
    page = http.get(link)
    assert "Tải về" in page.text
    assert (
        len(http.get(f"{STORE}/items/{item['id']}/accesses", headers=portal).json()["accesses"])
        == 3
    )
    assert http.post(link).content == copy.data
    assert http.get("/d/0000-0000-0000-0000-0000").status_code == 404

    # Everything, and what may be deleted
    archive = zipfile.ZipFile(io.BytesIO(http.get(f"{STORE}/export", headers=portal).content))
    manifest = json.loads(archive.read("manifest.json"))
    listed = {one["kind"]: one for one in manifest["documents"]}
    assert hashlib.sha256(archive.read(listed["certified-copy"]["file"])).hexdigest() == copy.digest
    assert listed["own-paper"]["certified"] is False
    assert listed["certified-copy"]["accesses"][0]["purpose"] == "export"
    assert http.delete(f"{STORE}/items/{own['id']}", headers=portal).status_code == 204
    gone = http.get(f"{STORE}/items/{own['id']}/content", headers=portal)
    assert (gone.status_code, gone.json()["code"]) in {
        (404, "item-purged"),
        (410, "item-purged"),
        (422, "item-purged"),
    }
    for headers in ({}, system):
        assert http.get(f"{STORE}/items", headers=headers).status_code in {401, 403}
    assert http.get("/api/v1/stores/../items", headers=portal).status_code in {404, 422}


@ONLY_SQLITE
def test_delivered_cancelled_and_told(
    service: Service, hall: TownHall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "the public status changes within a minute; those who fetched it are told
    (webhook, notice); a replacement links to it"."""
    http, headers = service.http, service.bearer("certify", "store")
    with mail_server.running() as mail, receiver_simulator.running() as other:
        settings = replace(
            service.house.settings, smtp_url=mail.url, national_store_url=f"{other.url}/national"
        )
        service.house.settings = settings
        office = replace(hall.office, ways=frozenset({"mail", "national-store"}))
        service.house.__dict__["office"] = hall.office = office
        hook = http.put(
            "/api/v1/webhook", json={"url": f"{other.url}/hook"}, headers=headers
        ).json()
        assert (
            http.put("/api/v1/webhook", json={"url": "http://example.vn"}, headers=headers).json()[
                "code"
            ]
            == "webhook-url-invalid"
        )
        other.failures, mail.failures = 1, 1
        copy = issue(hall, replace(MAU, email="mau@example.vn"), by="client:procedure-system")

        def carried(when: datetime) -> int:
            return schedule.carry_deliveries(service.services, when)

        now = service.now
        assert carried(now) == 1, "one of each was refused"
        assert carried(now) == 0, "not at once again"
        assert carried(now + timedelta(minutes=2)) == 2
        assert carried(now + timedelta(hours=3)) == 0
        synced = next(one for one in other.taken if one.method == "PUT")
        assert synced.path == f"/national/documents/{copy.code}"
        assert base64.b64decode(synced.said["content"]) == copy.data
        assert synced.said["indicator"] == "SYNCED_WITH_DVCQG_PERSONAL_STORAGE"
        (letter,) = mail.taken
        link = re.search(r"/d/[0-9A-Z-]{24}", letter.get_content())
        assert link, letter
        assert http.post(link[0]).content == copy.data

        drafted = http.post(
            f"/api/v1/certified-copies/copies/{copy.code}/cancellation-draft",
            json={
                "number": "131/QĐ-UBND",
                "reason": "sai số trang",
                "holder_id": hall.person.holder_id,
            },
            headers=headers,
        )
        assert drafted.status_code == 200, drafted.text

        def cancel(decision: bytes) -> Any:
            return http.post(
                f"/api/v1/certified-copies/copies/{copy.code}/cancellation",
                data={
                    "number": "131/QĐ-UBND",
                    "day": f"{service.now:%Y-%m-%d}",
                    "reason": "sai số trang",
                    "signer": "Lê Văn Thử",
                },
                files={"decision": ("qd.pdf", decision)},
                headers=headers,
            )

        assert cancel(drafted.content).json()["code"] == "decision-not-signed"
        assert cancel(b"nonsense").status_code == 422
        done = cancel(signed(hall, drafted.content))
        assert done.status_code == 200, done.text
        assert done.json()["status"] == "cancelled"
        status = http.get(f"/api/v1/verifications/{copy.code}").json()
        assert status["status"] == "cancelled"
        checked = http.post(
            "/api/v1/validations",
            files={"file": ("a.pdf", copy.data)},
            headers=service.bearer("validate", name="checker"),
        ).json()
        assert (checked["verdict"], checked["indication"]) == ("invalid", "TOTAL_PASSED")
        assert checked["text"]["vi"].startswith("KHÔNG CÒN GIÁ TRỊ")
        assert "131/QĐ-UBND" in checked["text"]["en"].splitlines()[0]
        # The library of the standard reads its own clock.
        assert carried(datetime.now(UTC)) >= 2
        told = [one for one in other.taken if one.path == "/hook"]
        issued, cancelled = told[0], told[-1]
        assert issued.said["type"] == "copy.issued"
        # The library of the standard checks what came over the wire.
        Webhook(hook["secret"]).verify(cancelled.body, cancelled.headers)
        assert cancelled.said["data"]["decision"] == "131/QĐ-UBND"
        assert "Mẫu" not in cancelled.body.decode()
        assert mail.taken[-1]["To"] == "mau@example.vn"

        better = issue(hall)
        linked = http.post(
            f"/api/v1/certified-copies/copies/{copy.code}/replacement",
            json={"by": better.code},
            headers=headers,
        )
        assert linked.json()["replaced_by"] == better.code
        carried(service.now)
        assert [one.said for one in other.taken][-1]["status"] in {"replaced", "in-force"}
        elsewhere = service.bearer("certify", name="far", units=["16522"])
        assert http.post(
            f"/api/v1/certified-copies/copies/{copy.code}/replacement",
            json={"by": better.code}, headers=elsewhere,
        ).status_code == 404  # fmt: skip


@ONLY_SQLITE
def test_a_receiver_that_drips_holds_up_nobody(
    service: Service, hall: TownHall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread does all that is regular, CRLs too: a receiver gets its seconds, once a turn."""
    monkeypatch.setattr(delivery_ways, "_SECONDS", 0.5)
    http = service.http
    with receiver_simulator.running() as other, socket.create_server(("127.0.0.1", 0)) as slow:
        asked: list[bytes] = []

        def drip() -> None:
            while True:
                try:
                    connection, _ = slow.accept()
                    asked.append(connection.recv(100))
                    while connection.send(b"H" if len(asked) % 2 else b"HTTP/1.1 200 OK\r\nX: "):
                        time.sleep(0.02)
                except OSError:
                    if slow.fileno() < 0:
                        return

        threading.Thread(target=drip, daemon=True).start()
        hooks = {"slow": f"http://127.0.0.1:{slow.getsockname()[1]}/", "quick": f"{other.url}/hook"}
        for name, url in hooks.items():
            headers = service.bearer("certify", name=name)
            http.put("/api/v1/webhook", json={"url": url}, headers=headers)
        for by in ("client:slow", "client:slow", "client:quick"):
            issue(hall, by=by)
        begun = time.monotonic()
        assert schedule.carry_deliveries(service.services, service.now) == 1
        assert (len(asked), len(other.taken)) == (1, 1)
        later = service.now + timedelta(minutes=1)
        assert schedule.carry_deliveries(service.services, later) == 0
        assert len(asked) == 2
        assert time.monotonic() - begun < 20


@ONLY_SQLITE
def test_the_bank_calls_back(service: Service, hall: TownHall) -> None:
    """ "reconciled by a bank-callback endpoint with signature check"."""
    http, headers = service.http, service.bearer("certify")
    secret = "whsec_" + base64.b64encode(b"s" * 32).decode()
    case = hall.compared(paid=False)
    cases = f"/api/v1/certified-copies/cases/{case.id}"
    order = http.post(f"{cases}/transfer", headers=headers).json()
    assert http.get(f"{cases}/transfer/qr", headers=headers).content.startswith(b"\x89PNG")

    def tell(number: str, amount: int, *, key: str = secret, **more: Any) -> Any:
        body = json.dumps(
            {"transaction_id": number, "account": order["account"], "amount": amount,
             "text": f"{order['reference']} LE PHI", "paid_at": service.now.isoformat(), **more}
        )  # fmt: skip
        at = service.now
        return http.post(
            "/api/v1/bank-notices",
            content=body,
            headers={
                "webhook-id": f"msg_{number}",
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": Webhook(key).sign(f"msg_{number}", at, body),
            },
        )

    assert tell("FT1", 4000).status_code == 401, "no secret agreed yet"
    write_secret(service.house.settings.secrets / "bank-webhook.secret", secret)
    wrong = "whsec_" + base64.b64encode(b"t" * 32).decode()
    assert tell("FT1", 4000, key=wrong).json()["code"] == "bank-signature-wrong"
    unsigned = http.post("/api/v1/bank-notices", content=b"{}")
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "bank-signature-wrong")
    assert tell("FT1", 4000, text="a\0b").json()["code"] == "bank-notice-malformed"
    assert tell("FT1", 4000, odd=1).json()["code"] == "bank-notice-malformed"
    assert tell("FT1", 3999).json()["outcome"] == "payment-amount-wrong"
    assert tell("FT2", order["amount"]).json()["outcome"] == "matched"
    assert tell("FT2", order["amount"]).json()["outcome"] == "matched"
    listed = http.get(f"/api/v1/bank-transfers?unit={UNIT}", headers=headers).json()["transfers"]
    assert [one["transaction_id"] for one in listed] == ["FT1"]
    settled = http.post(
        f"/api/v1/bank-transfers/FT1/reconciliation?unit={UNIT}",
        json={"note": "Đã hoàn lại"},
        headers=headers,
    )
    assert settled.json()["resolution"] == "Đã hoàn lại"
    assert service.tags().count("payment.recorded") == 1


def test_secrets_differ_by_client_and_version(service: Service) -> None:
    """A client's secret tells nothing of another's, nor of its own next one."""
    settings = service.house.settings
    made = {
        delivery_ways.webhook_secret(settings, name, version)
        for name in ("a", "b")
        for version in (1, 2)
    }
    assert len(made) == 4
