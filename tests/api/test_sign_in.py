"""People sign in, and only they; what others try is refused and written down."""

from __future__ import annotations

from datetime import timedelta

from api.auth import accounts
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.people import csrf, person, sign_in

pytestmark = ONLY_SQLITE


def _cookie(service: Service) -> str:
    return service.http.cookies.get("dauso-session") or ""


def test_a_link_signs_in_once(service: Service) -> None:
    """A one-time link works once, looking at it does not use it, and each use is audited."""
    http, database = service.http, service.house.database
    them = person(service.house, now=service.now)
    link = accounts.make_link(database, them.account_id, now=service.now, by="operator:test")
    waiting = http.get("/desk", follow_redirects=False)
    assert waiting.status_code == 303
    assert waiting.headers["location"] == "/sign-in?next=/desk"
    for _ in range(2):
        assert "Lê Văn Thử" in http.get(f"/sign-in/link/{link}").text
    entered = http.post(f"/sign-in/link/{link}", follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "/desk/account")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "Lê Văn Thử" in http.get("/desk").text
    http.cookies.clear()
    assert http.post(f"/sign-in/link/{link}").status_code == 403
    assert http.get(f"/sign-in/link/{link}").status_code == 404
    assert service.tags()[-3:] == ["sign-in-link.made", "session.opened", "sign-in.refused"]


def test_a_later_link_voids_the_earlier(service: Service) -> None:
    """Of two links only the last one works, and none for an account that is disabled."""
    database = service.house.database
    them = person(service.house, now=service.now)
    made = [
        accounts.make_link(database, them.account_id, now=service.now, by="operator:test")
        for _ in range(2)
    ]
    assert service.http.post(f"/sign-in/link/{made[0]}").status_code == 403
    accounts.disable(database, them.account_id, now=service.now, by="operator:test")
    assert service.http.post(f"/sign-in/link/{made[1]}").status_code == 403


def test_sessions_end(service: Service) -> None:
    """Half an hour idle, ten hours in all, sign-out here and everywhere, a disabled account."""
    http = service.http

    def inside() -> bool:
        return bool(http.get("/desk", follow_redirects=False).status_code == 200)

    sign_in(http, service.house, now=service.now)
    for _ in range(24):
        service.later(timedelta(minutes=25))
        if not inside():
            break
    else:
        raise AssertionError("a session lives for ever")
    assert service.now - service.world.now >= timedelta(hours=10)
    sign_in(http, service.house, now=service.now)
    service.later(timedelta(minutes=31))
    assert not inside()

    sign_in(http, service.house, now=service.now)
    assert http.post("/sign-out", data={"csrf": csrf(http)}, follow_redirects=False).is_redirect
    assert not inside()
    http.cookies.clear()
    sign_in(http, service.house, now=service.now)
    first = _cookie(service)
    sign_in(http, service.house, now=service.now)
    assert _cookie(service) != first
    http.post("/sign-out/everywhere", data={"csrf": csrf(http)}, follow_redirects=False)
    http.cookies.set("dauso-session", first)
    assert not inside()

    sign_in(http, service.house, now=service.now)
    them = person(service.house, now=service.now)
    accounts.disable(service.house.database, them.account_id, now=service.now, by="operator:test")
    assert not inside()


def test_forms_of_others_are_refused(service: Service) -> None:
    """No POST without the page's token, or from another origin; no open redirect."""
    http = service.http
    sign_in(http, service.house, now=service.now)
    form = {"language": "en", "next": "/desk/account"}
    assert http.post("/desk/language", data=form).status_code == 403
    assert http.post("/desk/language", data={**form, "csrf": "0" * 64}).status_code == 403
    form["csrf"] = csrf(http)
    foreign = http.post("/desk/language", data=form, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    moved = http.post("/desk/language", data=form, follow_redirects=False)
    assert moved.headers["location"] == "/desk/account"
    account = http.get("/desk/account").text
    assert "My account" in account
    assert "Phường Hạc Thành" in account  # the unit by its name, not its code
    for target in ("//evil.example", "https://evil.example", "/\\evil.example", "/x\\y"):
        moved = http.post("/desk/language", data={**form, "next": target}, follow_redirects=False)
        assert moved.headers["location"] == "/desk", target


def test_hostile_input_is_refused_whole(service: Service) -> None:
    """Junk in every field of the ways in and of the pages: a refusal, never a 5xx, nothing done."""
    http = service.http
    junk = ("", "\0", "x" * 40_000, "{" * 9000, '{"id": 5}', "[]", "\u202e", "%00")
    for one in junk:
        for path, field in (("/sign-in/passkey", "answer"), ("/sign-in/passkey", "ticket")):
            form = {"ticket": "t", "answer": "{}", field: one}
            assert 400 <= http.post(path, data=form).status_code < 500, (path, one[:9])
        ticket = http.post("/sign-in/passkey/options").json()["ticket"]
        answer = http.post("/sign-in/passkey", data={"ticket": ticket, "answer": one})
        assert answer.status_code in {403, 422}, one[:9]
    sign_in(http, service.house, roles=["signer", "admin", "auditor"], now=service.now)
    token = csrf(http)
    for one in junk:
        for path in (
            "/desk/account/passkeys",
            "/desk/accounts",
            "/desk/certificates/00/passkeys",
            "/desk/batches/bat_00/authorization",
            "/desk/accounts/acc_00/place",
        ):
            fields = (
                "ticket",
                "answer",
                "name",
                "number",
                "roles",
                "question",
                "secret",
                "passkey",
            )
            form = dict.fromkeys(fields, one[:1000])
            answer = http.post(path, data={**form, "csrf": token})
            assert 400 <= answer.status_code < 500, (path, one[:9])
        for path in ("/desk/audit", "/desk/accounts"):
            shown = http.get(path, params={"subject": one[:200], "matching": one[:100], "tag": "x"})
            assert shown.status_code == 200, path
