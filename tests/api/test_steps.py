"""Documents through the steps over HTTP: what a program asks, is refused and is told."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from standardwebhooks import Webhook

from api import notices, step_notices
from api.adapters.notice_channels import SpoolChannel, WebhookChannel
from api.csc.outbox import SpoolOutbox
from api.notice_models import NoticeRow
from api.schedule import move_steps
from signer.keys import mandates
from signer.routing.working_days import local
from signer.verdicts.validation import validate
from tests.api.conftest import ONLY_SQLITE, Service
from tests.signer.signing_house import (
    DEPUTY,
    DRAFTER,
    LINES,
    PIN,
    REVIEWER,
    SEAL_PIN,
    UNIT,
    SigningHouse,
    signing_house,
)

pytestmark = ONLY_SQLITE
URL = "/api/v1/routed-documents"
STEPS = [
    {"kind": "initial", "unit": UNIT, "official": REVIEWER.holder_id},
    {"kind": "signature", "unit": UNIT, "official": DEPUTY.holder_id, "days": 2},
    {"kind": "number", "unit": UNIT},
    {"kind": "seal", "unit": UNIT},
]


@pytest.fixture
def house(service: Service) -> SigningHouse:
    return signing_house(service.world, delegated=False)


def submitted(
    service: Service, house: SigningHouse, headers: dict[str, str], **more: Any
) -> dict[str, Any]:
    """A draft on its way."""
    order = {
        "unit": UNIT,
        "title": "Thành lập tổ",
        "kind": "QĐ",
        "symbol": "QĐ-UBND",
        "drafter": DRAFTER.holder_id,
        "steps": STEPS,
        **more,
    }
    answer = service.http.post(
        URL,
        data={"order": json.dumps({key: one for key, one in order.items() if one is not None})},
        files={"file": ("quyết định.pdf", house.draft(), "application/pdf")},
        headers=headers,
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_program_takes_a_document_all_the_way(service: Service, house: SigningHouse) -> None:
    """Route, delegation, submission, four acts, the file; each refusal with its own status."""
    http, sign = service.http, service.bearer("sign", units=[UNIT])
    officer = service.bearer("enrol", name="personnel")
    stranger = service.bearer("sign", name="other-system")
    route = http.post(
        "/api/v1/signing-routes",
        json={"unit": UNIT, "name": "Quyết định", "steps": STEPS},
        headers=sign,
    )
    assert route.status_code == 201, route.text
    document = submitted(service, house, sign, steps=None, route_id=route.json()["id"])
    here = f"{URL}/{document['id']}"
    waiting = http.get(URL, params={"waiting_for": REVIEWER.holder_id}, headers=sign).json()
    assert [one["id"] for one in waiting] == [document["id"]]
    assert http.get(here, headers=stranger).status_code == 404
    assert http.get(URL, headers=stranger).json() == []

    def act(what: str, expected: int = 200, **order: Any) -> dict[str, Any]:
        answer = http.post(f"{here}/{what}", json=order, headers=sign)
        assert answer.status_code == expected, answer.text
        told: dict[str, Any] = answer.json()
        return told

    digest = document["digest"]
    person = {"credential_id": house.deputy.id, "pin": PIN}
    seal = {"credential_id": house.seal.id, "pin": SEAL_PIN}
    assert act("signature", 409, digest=digest, **person)["code"] == "step-not-its-turn"
    assert act("initial", 403, digest=digest)["code"] == "step-not-yours"
    act("initial", digest=digest, official=REVIEWER.holder_id)
    # The delegation counts at the moment of signing.
    assert act("signature", 403, digest=digest, **person)["code"] == "not-delegated"
    order = {
        "unit": UNIT,
        "official": DEPUTY.holder_id,
        "name": DEPUTY.name,
        "authority_lines": list(LINES),
        "basis": "Quyết định số 01/QĐ-UBND",
    }
    assert http.post("/api/v1/signing-delegations", json=order, headers=sign).status_code == 403
    given = http.post("/api/v1/signing-delegations", json=order, headers=officer)
    assert given.status_code == 201, given.text
    assert act("signature", 409, digest="0" * 64, **person)["code"] == "shown-not-current"
    wrong = {**person, "pin": "000999"}
    assert act("signature", 403, digest=digest, **wrong)["code"] == "pin-wrong"
    digest = act("signature", digest=digest, **person)["digest"]
    # The file is signed: it can be replaced no more. No seal before the number's turn is over.
    again = http.put(
        f"{here}/content", files={"file": ("b.pdf", house.draft(), "application/pdf")}, headers=sign
    )
    assert (again.status_code, again.json()["code"]) == (409, "document-signed-already")
    assert act("seal", 409, digest=digest, **seal)["code"] == "step-not-its-turn"
    numbered = act("number", digest=digest, **seal)
    assert numbered["number"] == "01/QĐ-UBND"
    # The clerk's mandate lets the program seal without a PIN.
    mandate = mandates.give(
        house.world.desk, credential_id=house.seal.id, pin=SEAL_PIN,
        client="client:procedure-system", until=service.now + timedelta(days=1),
        now=service.now, by="official:clerk",
    )  # fmt: skip
    mandated = {"credential_id": house.seal.id, "mandate_id": mandate.id}
    done = act("seal", digest=numbered["digest"], **mandated)
    assert (done["state"], [one["state"] for one in done["steps"]]) == ("complete", ["done"] * 4)
    assert done["steps"][1]["authority_lines"] == list(LINES)
    fetched = http.get(f"{here}/content", headers=sign)
    assert fetched.headers["etag"] == f'"{done["digest"]}"'
    assert validate(fetched.content, trust=service.world.trust, now=service.now).passed
    year = local(service.now).year
    lines = http.get(
        "/api/v1/outgoing-numbers", params={"unit": UNIT, "year": year}, headers=sign
    ).json()
    assert [(one["text"], one["state"]) for one in lines] == [("01/QĐ-UBND", "issued")]
    history = http.get(f"{here}/history", headers=sign).json()
    assert [one["act"] for one in history][-1] == "complete"
    assert act("recall", 409, reason="muộn")["code"] == "routed-document-state"


def test_refused_mended_reassigned_recalled(service: Service, house: SigningHouse) -> None:
    """The same under one key is done once; who may see nothing may do nothing."""
    http, sign = service.http, service.bearer("sign")
    keyed = {**sign, "Idempotency-Key": "9a1f0d1e-5b7c-4c64"}
    document = submitted(service, house, keyed)
    assert submitted(service, house, keyed)["id"] == document["id"]
    here = f"{URL}/{document['id']}"
    moved = http.put(f"{here}/steps/0/official", json={"official": DEPUTY.holder_id}, headers=sign)
    assert moved.json()["steps"][0]["name"] == DEPUTY.name
    reason = {"official": DEPUTY.holder_id, "reason": "Sai căn cứ"}
    back = http.post(f"{here}/refusal", json=reason, headers=sign).json()
    assert (back["state"], back["reason"]) == ("returned", "Sai căn cứ")
    mended = http.put(
        f"{here}/content",
        files={"file": ("b.pdf", house.draft(note="lại"), "application/pdf")},
        headers=sign,
    ).json()
    assert (mended["version"], mended["state"]) == (2, "under-way")
    assert http.post(f"{here}/recall", json={"reason": "x"}, headers=sign).json()["state"] == (
        "recalled"
    )
    gone = http.get(f"{here}/content", headers=sign)
    assert (gone.status_code, gone.json()["code"]) == (410, "routed-document-withdrawn")
    # Units, shapes and files that are none.
    narrow = service.bearer("sign", name="narrow", units=["14758"])
    answer = http.post(
        URL,
        data={"order": json.dumps({
            "unit": UNIT, "title": "x", "kind": "QĐ", "symbol": "QĐ-UBND",
            "drafter": DRAFTER.holder_id, "steps": STEPS,
        })},
        files={"file": ("a.pdf", house.draft(), "application/pdf")},
        headers=narrow,
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (403, "unit-not-allowed")
    for order in ("{", "{}", '{"unit": "14797\\u0000"}', json.dumps({"steps": []})):
        bad = http.post(URL, data={"order": order}, files={"file": ("a.pdf", b"x")}, headers=sign)
        assert bad.status_code == 422, bad.text
    assert http.get(f"{URL}/rd_unknown", headers=sign).json()["code"] == (
        "routed-document-not-found"
    )


def test_who_waits_is_told(service: Service, house: SigningHouse) -> None:
    """Each event goes out once, signed, whatever is repeated; the late are told on their day."""
    secret = "whsec_" + base64.b64encode(b"t" * 24).decode()
    arrived: list[Any] = []

    def take(request: httpx.Request) -> httpx.Response:
        arrived.append(Webhook(secret).verify(request.content.decode(), dict(request.headers)))
        return httpx.Response(204)

    channel = WebhookChannel("https://a.example/", secret, transport=httpx.MockTransport(take))
    database, true_now = service.house.database, datetime.now(UTC)
    document = submitted(service, house, service.bearer("sign"))
    assert step_notices.announce(database, [channel], now=service.now) == 1
    assert step_notices.announce(database, [channel], now=service.now) == 0
    notices.deliver(database, [channel], now=true_now)
    notices.deliver(database, [channel], now=true_now)
    (turn,) = arrived
    assert turn["type"] == "routed-document.turn"
    assert (turn["data"]["document"], turn["data"]["step_kind"]) == (document["id"], "initial")
    assert "mail" not in turn["data"]  # names are for the people, not for other systems
    late = datetime.fromisoformat(document["steps"][0]["due_at"]) + timedelta(seconds=1)
    move_steps(service.services, late)
    move_steps(service.services, late)
    with database.reading() as session:
        rows = session.scalars(select(NoticeRow).where(NoticeRow.kind == "mail")).all()
    assert [row.payload["type"] for row in rows] == ["routed-document.overdue"]
    spool = SpoolChannel(SpoolOutbox(service.house.settings.home / "outbox"))
    assert notices.deliver(database, [spool], now=late) == 1
    (message,) = (service.house.settings.home / "outbox").glob("*")
    said = message.read_text("utf-8")
    assert "Quá hạn" in json.dumps(json.loads(said), ensure_ascii=False)
