"""Images of signatures and seals: sent by the holder's side, approved by another (item 2)."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.people import csrf, sign_in
from tests.certify.town_hall import TownHall
from tests.signer.pictures import seal_png, signature_png


def test_sent_once_checked_and_approved_by_another(service: Service, hall: TownHall) -> None:
    """Uploaded once per holder, checked (PNG, transparency, colour, size) and approved."""
    place = f"/api/v1/credentials/{hall.person.id}/image"
    asking, deciding = service.bearer("sign"), service.bearer("enrol", name="registry")
    before = service.http.get(place, headers=asking).json()["drawn"]
    service.later(timedelta(minutes=1))
    refused = service.http.put(
        place, files={"file": ("s.png", seal_png(), "image/png")}, headers=asking
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "image-not-blue")
    files = {"file": ("s.png", signature_png() + b"\0", "image/png")}
    sent = service.http.put(place, files=files, headers=asking)
    assert sent.status_code == 202, sent.text
    found = service.http.get(place, headers=asking).json()
    assert found["drawn"] == before, "what waits is drawn nowhere"
    assert found["waiting"]["id"] == sent.json()["id"]
    shown = service.http.get("/api/v1/holder-images", headers=deciding).json()
    assert [one["id"] for one in shown] == [sent.json()["id"]]
    there = f"/api/v1/holder-images/{sent.json()['id']}"
    assert service.http.get(f"{there}/content", headers=deciding).content == signature_png() + b"\0"
    approved = service.http.post(f"{there}/approval", headers=deciding)
    assert approved.status_code == 200, approved.text
    found = service.http.get(place, headers=asking).json()
    assert (found["drawn"]["id"], found["waiting"]) == (sent.json()["id"], None)
    again = service.http.post(f"{there}/approval", headers=deciding)
    assert (again.status_code, again.json()["code"]) == (409, "image-approved-already")
    assert {"credential.image-sent", "credential.image-set"} <= set(service.tags())


def test_nobody_approves_what_they_sent(service: Service, hall: TownHall) -> None:
    """Two people: one client with both scopes may send, and not approve."""
    both = service.bearer("sign", "enrol")
    place = f"/api/v1/credentials/{hall.person.id}/image"
    files = {"file": ("s.png", signature_png() + b"\0\0", "image/png")}
    sent = service.http.put(place, files=files, headers=both).json()
    there = f"/api/v1/holder-images/{sent['id']}"
    refused = service.http.post(f"{there}/approval", headers=both)
    assert (refused.status_code, refused.json()["code"]) == (403, "image-own-upload")
    turned = service.http.post(f"{there}/rejection", json={"reason": "khác mẫu"}, headers=both)
    assert turned.status_code == 200, turned.text
    gone = service.http.post(f"{there}/approval", headers=both)
    assert (gone.status_code, gone.json()["code"]) == (404, "image-unknown")
    assert "credential.image-refused" in service.tags()


@ONLY_SQLITE
def test_at_the_screen(service: Service, hall: TownHall) -> None:
    """The holder sends it on the page of their certificate; another administrator approves it."""
    http, home = service.http, f"/desk/certificates/{hall.person.id}"
    service.later(timedelta(minutes=1))
    sign_in(http, service.house, roles=["signer", "admin"], now=service.now)

    def send(png: bytes) -> str:
        answer = http.post(
            f"{home}/image", data={"csrf": csrf(http)}, files={"file": ("a.png", png, "image/png")}
        )
        assert answer.status_code in (200, 422)
        return str(answer.text)

    assert "phải màu xanh" in send(seal_png())
    assert "Chờ duyệt, gửi ngày" in send(signature_png() + b"\0")
    assert http.get(f"{home}/image/waiting.png").content == signature_png() + b"\0"
    page = http.get("/desk/images").text
    assert "cần người khác duyệt" in page
    (image,) = set(re.findall(r"/desk/images/([0-9a-f]+)\.png", page))
    approval = f"/desk/images/{image}/approval"
    assert http.post(approval, data={"csrf": csrf(http)}).status_code == 403
    boss = {"holder_id": "CCCD:038800000005", "name": "Đỗ Thị Thử", "now": service.now}
    sign_in(http, service.house, roles=["admin"], unit="14800", **boss)
    assert image not in http.get("/desk/images").text, "of another unit"
    assert http.post(approval, data={"csrf": csrf(http)}).status_code == 404
    sign_in(http, service.house, roles=["admin"], unit="14797", **boss)
    assert "chờ duyệt" in http.get("/desk").text
    done = http.post(approval, data={"csrf": csrf(http)})
    assert "Đã duyệt" in done.text
    sign_in(http, service.house, roles=["signer"], now=service.now)
    assert "Đang dùng, duyệt ngày" in http.get(home).text
    assert http.get(f"{home}/image/drawn.png").content == signature_png() + b"\0"
    assert http.get("/desk/images").status_code == 403
