"""The officials' pages of documents under way: what they show, to whom, and what they refuse."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from api.pages import words
from signer.routing import routed_documents, step_routes, steps
from signer.routing.routed_documents import RoutedDocument
from signer.routing.step_routes import StepKind
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.people import csrf, sign_in
from tests.signer.signing_house import (
    CLERK,
    DEPUTY,
    DRAFTER,
    PIN,
    REVIEWER,
    ROUTE,
    SEAL_PIN,
    STRANGER,
    UNIT,
    SigningHouse,
    signing_house,
)

pytestmark = ONLY_SQLITE
HTML = {"Accept": "text/html"}
DESK = "/desk/documents"


@pytest.fixture
def house(service: Service) -> SigningHouse:
    return signing_house(service.world)


def as_(service: Service, who: Any, *roles: str) -> None:
    """Whoever was at the screen has left; this person signs in."""
    service.http.cookies.clear()
    sign_in(
        service.http, service.house, holder_id=who.holder_id, name=who.name, unit=who.unit,
        roles=roles, now=service.now,
    )  # fmt: skip


def post(service: Service, path: str, **form: str) -> Any:
    return service.http.post(
        path, data={"csrf": csrf(service.http), **form}, headers=HTML, follow_redirects=False
    )


def stands(service: Service, document: RoutedDocument) -> RoutedDocument:
    return routed_documents.look(service.house.desk, document.id, actor=DRAFTER)


def test_from_the_draft_to_the_seal(service: Service, house: SigningHouse) -> None:
    """Submitted, initialled, signed, numbered and sealed at the screen, each by its person."""
    http, desk = service.http, service.house.desk
    route = step_routes.define(
        desk, unit=UNIT, name="Quyết định", steps=ROUTE, now=service.now, by="official:admin"
    )
    as_(service, DRAFTER)
    assert "Quyết định" in http.get(f"{DESK}/new", headers=HTML).text
    form = {"title": "Thành lập tổ", "kind": "QĐ", "symbol": "QĐ-UBND", "route_id": route.id}

    def send(data: bytes) -> Any:
        return http.post(
            f"{DESK}/new",
            data={"csrf": csrf(http), **form},
            files={"file": ("a.pdf", data, "application/pdf")},
            headers=HTML,
            follow_redirects=False,
        )

    bad = send(b"no pdf")
    assert bad.status_code == 422
    assert "Thành lập tổ" in bad.text  # what was typed is still there
    made = send(house.draft())
    assert made.status_code == 303, made.text
    here = made.headers["location"]
    (document,) = routed_documents.listed(desk, actor=DRAFTER)
    # The drafter sees it and cannot initial it; the reviewer finds it on the desk.
    assert 'name="reason"' in http.get(here, headers=HTML).text
    assert post(service, f"{here}/initial", digest=document.file).status_code == 403
    as_(service, REVIEWER, "signer")
    assert "Văn bản chờ xử lý" in http.get("/desk", headers=HTML).text
    assert document.id in http.get(DESK, headers=HTML).text
    picture = http.get(f"{here}/pages/2")
    assert picture.headers["content-type"] == "image/png"
    assert http.get(f"{here}/pages/3").status_code == 404
    stale = post(service, f"{here}/initial", digest="0" * 64)
    assert (stale.status_code, "Hãy mở lại" in stale.text) == (409, True)
    assert post(service, f"{here}/initial", digest=document.file).status_code == 303
    # The deputy: a wrong PIN is told on the page, the right one signs what was shown.
    as_(service, DEPUTY, "signer")
    page = http.get(here, headers=HTML).text
    assert re.search(r'name="digest" value="([0-9a-f]{64})"', page)
    form = {"digest": document.file, "credential_id": house.deputy.id, "kind": "signature"}
    asked = {"digest": "0" * 64, "credential_id": house.deputy.id}
    assert post(service, f"{here}/question", **asked).status_code == 409
    assert post(service, f"{here}/question", **{**asked, "digest": document.file}).status_code < 500
    wrong = post(service, f"{here}/signature", pin="000999", **form)
    assert (wrong.status_code, "PIN" in wrong.text) == (403, True)
    signed = post(service, f"{here}/signature", pin=PIN, **form)
    assert signed.status_code == 303
    assert "chữ ký hợp lệ" in http.get(signed.headers["location"], headers=HTML).text
    # The clerk, with the unit's seal.
    as_(service, CLERK, "clerk")
    for kind in ("number", "seal"):
        assert house.seal.id in http.get(here, headers=HTML).text
        shown = stands(service, document).file
        form = {"digest": shown, "credential_id": house.seal.id, "kind": kind}
        assert post(service, f"{here}/signature", pin=SEAL_PIN, **form).status_code == 303
    done = stands(service, document)
    assert (done.state, done.number_text) == ("complete", "01/QĐ-UBND")
    assert http.get(f"{here}/file.pdf").content.startswith(house.draft())
    assert "01/QĐ-UBND" in http.get(f"{here}?lang=en", headers=HTML).text


def test_who_may_see_and_do_what(service: Service, house: SigningHouse) -> None:
    """Strangers find nothing, forms without the page's token do nothing, papers come back."""
    http = service.http
    document = house.submit()
    here = f"{DESK}/{document.id}"
    assert http.get(here, headers=HTML, follow_redirects=False).status_code == 303
    as_(service, STRANGER, "signer", "clerk")
    for path in (here, f"{here}/pages/1", f"{here}/file.pdf"):
        lost = http.get(path, headers=HTML)
        assert lost.status_code == 404
        assert f'href="{DESK}"' in lost.text  # whoever is signed in keeps the desk's menu
    assert post(service, f"{here}/refusal", reason="x").status_code == 404
    http.cookies.clear()
    sign_in(http, service.house, kind="citizen", holder_id="CCCD:038812345678", name="Mẫu",
            unit=None, now=service.now)  # fmt: skip
    assert http.get(DESK, headers=HTML).status_code == 404
    # The clerk hands the step on; the new person refuses; the drafter mends and recalls.
    as_(service, CLERK, "clerk")
    assert http.post(f"{here}/recall", data={"reason": "x"}).status_code == 403
    assert post(service, f"{here}/recall", reason="x").status_code == 403
    moved = post(service, f"{here}/assignment", position="0", official=DEPUTY.holder_id or "")
    assert moved.status_code == 303
    as_(service, DEPUTY, "signer")
    assert post(service, f"{here}/refusal", reason="Sai căn cứ").status_code == 303
    as_(service, DRAFTER)
    page = http.get(here, headers=HTML).text
    assert "Sai căn cứ" in page
    assert "Trả lại" in page
    mended = http.post(
        f"{here}/replacement",
        data={"csrf": csrf(http)},
        files={"file": ("b.pdf", house.draft(note="lại"), "application/pdf")},
        follow_redirects=False,
    )
    assert mended.status_code == 303
    assert stands(service, document).version == 2
    assert post(service, f"{here}/recall", reason="Gửi nhầm").status_code == 303
    assert http.get(here, headers=HTML).status_code == 200
    assert http.get(f"{here}/pages/1").status_code == 410


def test_every_word_is_there(service: Service) -> None:
    """States, steps and events have words in both languages."""
    acts = {
        *("initialled", "signed", "numbered", "sealed", "submitted", "complete"),
        *("refused", "replaced", "assigned", "overdue", "recalled"),
    }
    for language in ("vi", "en"):
        known = words(language)
        for kind in StepKind:
            assert f"documents.step.{kind.value}" in known
            assert f"documents.act.{kind.value}.help" in known
            assert f"documents.done.{kind.value}" in known
        for state in routed_documents.STATES:
            assert f"documents.state.{state}" in known
        assert all(f"documents.event.{act}" in known for act in acts)


def test_a_long_list_goes_on(service: Service, house: SigningHouse) -> None:
    """Older documents are a link away."""
    for index in range(3):
        steps.submit(
            service.house.desk,
            house.draft(),
            dataclasses.replace(house.submission(), title=f"Văn bản {index}"),
            actor=DRAFTER,
            now=service.now,
        )
    as_(service, DRAFTER)
    newest = service.now.timestamp()
    assert "Văn bản 1" in service.http.get(DESK, headers=HTML).text
    assert "Văn bản 1" not in service.http.get(f"{DESK}?before={newest}", headers=HTML).text


def test_the_administrator_sets_up_the_unit(service: Service) -> None:
    """A delegation, a route, their end; the clerk's register; nobody helps themselves."""
    house, http = signing_house(service.world, delegated=False), service.http
    as_(service, CLERK, "clerk")
    assert http.get("/desk/signing", headers=HTML).status_code == 403
    assert "Chưa cấp số" in http.get("/desk/outgoing-numbers", headers=HTML).text
    as_(service, REVIEWER, "admin")
    form = {
        "official": DEPUTY.holder_id or "",
        "lines": "KT. CHỦ TỊCH\r\nPHÓ CHỦ TỊCH",
        "kinds": "QĐ",
    }
    url = "/desk/signing/delegations"
    assert post(service, url, **form).status_code == 422  # no basis
    assert post(service, url, basis="QĐ 01", valid_from="hôm nay", **form).status_code == 422
    own = {**form, "official": REVIEWER.holder_id or "", "basis": "QĐ 01"}
    assert post(service, url, **own).status_code == 403
    strange = {**form, "official": STRANGER.holder_id or "", "basis": "QĐ 01"}
    assert post(service, url, **strange).status_code == 422
    given = post(service, url, basis="QĐ 01", valid_to="2099-12-31", **form)
    assert given.status_code == 303, given.text
    assert "KT. CHỦ TỊCH / PHÓ CHỦ TỊCH" in http.get("/desk/signing", headers=HTML).text
    route = {"name": "Quyết định", "signer": DEPUTY.holder_id or "", "seal": "yes", "days": "2"}
    assert post(service, "/desk/signing/routes", **{**route, "name": " "}).status_code == 422
    assert post(service, "/desk/signing/routes", **route).status_code == 303
    (made,) = step_routes.of_unit(service.house.desk, UNIT)
    assert [one.kind.value for one in made.steps] == ["signature", "seal"]
    # The delegation just given is in force: the deputy signs a document under it.
    document = steps.submit(
        service.house.desk,
        house.draft(),
        house.submission(route=made.steps),
        actor=DRAFTER,
        now=service.now,
    )
    assert house.sign(document).position == 1
    assert post(service, f"/desk/signing/routes/{made.id}/retirement").status_code == 303
    assert post(service, f"/desk/signing/routes/{'0' * 32}/retirement").status_code == 404
    page = http.get("/desk/signing?lang=en", headers=HTML).text
    (delegation,) = re.findall(r"delegations/([0-9a-f]{32})/end", page)
    assert post(service, f"{url}/{delegation}/end").status_code == 303
    assert post(service, f"{url}/{delegation}/end").status_code == 409
