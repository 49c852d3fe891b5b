"""Remote signing in the oauth2code mode: consent on our page, no PIN at the client."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest

from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.csc_client import (
    BACK,
    RSA_SHA256,
    SHA256,
    App,
    answered,
    b64,
    code_sent,
    decide,
    digest,
    url64,
)
from tests.api.csc_client import hall as hall  # fixtures
from tests.api.csc_client import quick_keys as quick_keys
from tests.certify.town_hall import OFFICIAL_ID, PIN, SEAL_PIN, TownHall


@pytest.fixture
def app(service: Service, hall: TownHall) -> App:
    """A client that is not trusted with PINs."""
    return App(service, "citizen-app", explicit=False)


def credential_token(app: App, hall: TownHall, *hashes: bytes) -> str:
    page = app.page(**app.for_hashes(hall.seal.id, *hashes))
    answer = app.exchange(app.consented(SEAL_PIN, page))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def sign(app: App, hall: TownHall, token: str, *hashes: bytes, **more: object) -> httpx.Response:
    body = {
        "credentialID": hall.seal.id,
        "hashes": [b64(one) for one in hashes],
        "signAlgo": RSA_SHA256,
        **more,
    }
    return app.call("signatures/signHash", body, token=token)


def test_service_then_credential(app: App, hall: TownHall) -> None:
    """§13.2 and §13.7: service authorisation, then one for the hashes, whose token is the SAD."""
    page = app.page(scope="service")
    shown = app.service.http.get(page)
    assert shown.status_code == 200
    assert "citizen-app" in shown.text
    policy = shown.headers["content-security-policy"]
    assert "form-action 'self' https://app.example.vn;" in policy
    assert shown.headers["referrer-policy"] == "no-referrer"
    answer = decide(app.service, page, "approve", holder=OFFICIAL_ID, pin=PIN)
    came = answered(answer)
    assert came["state"] == "trạng thái &=1"
    assert came["iss"] == f"{app.service.house.settings.base_url}/csc"  # RFC 9207
    first = app.exchange(came["code"])
    assert first.status_code == 200, first.text
    service_token = first.json()["access_token"]
    listed = app.call("credentials/list", {"credentialInfo": True}, token=service_token).json()
    assert listed["credentialIDs"] == [hall.person.id]
    assert listed["credentialInfos"][0]["auth"] == {"mode": "oauth2code"}
    # somebody else's credential does not exist for this bearer
    foreign = app.call("credentials/info", {"credentialID": hall.seal.id}, token=service_token)
    assert foreign.json()["error_description"] == "Invalid parameter credentialID"

    page = app.page(**app.for_hashes(hall.person.id, digest("a"), digest("b")))
    assert digest("b").hex() in app.service.http.get(page).text
    decide(app.service, page, "code")
    code = app.consented(PIN, page, code=code_sent(app.service))
    second = app.exchange(code).json()
    assert second["expires_in"] == 300
    assert "refresh_token" not in second
    body = {
        "credentialID": hall.person.id,
        "SAD": second["access_token"],
        "hashes": [b64(digest("a"))],
        "signAlgo": RSA_SHA256,
    }
    assert app.call("signatures/signHash", body, token=service_token).status_code == 200
    del body["SAD"]
    body["hashes"] = [b64(digest("b"))]
    alone = app.call("signatures/signHash", body, token=second["access_token"])
    assert alone.status_code == 200, alone.text
    again = app.call("signatures/signHash", body, token=second["access_token"])
    assert again.status_code == 400
    for tag in ("consent.given", "access.granted", "signature.made"):
        assert tag in app.service.tags()


@ONLY_SQLITE
def test_a_client_without_trust_passes_no_pins(app: App, hall: TownHall) -> None:
    """§10.2 unauthorized_client: "Client is not authorized to use this method"."""
    body = {
        "credentialID": hall.seal.id,
        "numSignatures": 1,
        "hashes": [b64(digest())],
        "hashAlgorithmOID": SHA256,
        "authData": [{"id": "PIN", "value": SEAL_PIN}],
    }
    refused = app.call("credentials/authorize", body)
    assert refused.json() == {
        "error": "unauthorized_client",
        "error_description": "Client is not authorized to use this method",
    }
    plain = app.service.bearer("sign", name="no-csc")
    assert app.service.http.post("/csc/v2/credentials/list", headers=plain).status_code == 401
    denied = app.service.http.post(
        "/csc/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=("no-csc", app.service.secrets["no-csc"]),
    )
    assert denied.json()["error"] == "unauthorized_client"


@ONLY_SQLITE
def test_a_credential_token_opens_only_its_hashes(app: App, hall: TownHall) -> None:
    """SCAL2: not another hash, not another client, not the rest of the service."""
    token = credential_token(app, hall, digest())
    other = sign(app, hall, token, digest("another"))
    assert other.json()["error_description"] == "Hash is not authorized by the SAD"
    listed = app.call("credentials/list", {}, token=token)
    assert (listed.status_code, listed.json()["error"]) == (403, "insufficient_scope")
    thief = App(app.service, "thief", explicit=False)
    stolen = sign(thief, hall, thief.service_token(), digest(), SAD=token)
    assert stolen.json()["error_description"] == "Invalid parameter SAD"
    foreign = app.call("credentials/info", {"credentialID": hall.person.id}, token=token)
    assert foreign.json()["error_description"] == "Invalid parameter credentialID"
    assert sign(app, hall, token, digest()).status_code == 200


@ONLY_SQLITE
def test_codes_are_used_once(app: App, hall: TownHall) -> None:
    """RFC 6749 §4.1.2: "If an authorization code is used more than once, the authorization server
    MUST deny the request and SHOULD revoke … all tokens previously issued"."""
    page = app.page(**app.for_hashes(hall.seal.id, digest()))
    code = app.consented(SEAL_PIN, page)
    token = app.exchange(code).json()["access_token"]
    again = app.exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    dead = sign(app, hall, token, digest())
    assert (dead.status_code, dead.json()["error"]) == (401, "expired_token")
    # and the page is over
    assert app.service.http.get(page).status_code == 422


@ONLY_SQLITE
def test_codes_need_their_verifier(app: App, hall: TownHall) -> None:
    """RFC 7636 §4.6, RFC 6749 §4.1.3: whoever took the code from the address has nothing."""
    cases = [
        ({"code_verifier": "x" * 50}, "Invalid parameter code_verifier"),
        ({"redirect_uri": BACK + "/"}, "redirect_uri parameter does not match"),
    ]
    for more, words in cases:
        page = app.page(**app.for_hashes(hall.seal.id, digest()))
        code = app.consented(SEAL_PIN, page)
        refused = app.exchange(code, **more)
        assert refused.json() == {"error": "invalid_grant", "error_description": words}
        assert app.exchange(code).json()["error"] == "invalid_grant"  # the code is spent
    assert app.exchange("unknown").json()["error"] == "invalid_grant"
    assert app.service.tags().count("authorization.ended") == 2


@ONLY_SQLITE
def test_codes_are_short_lived(app: App, hall: TownHall) -> None:
    page = app.page(**app.for_hashes(hall.seal.id, digest()))
    code = app.consented(SEAL_PIN, page)
    app.service.later(timedelta(seconds=61))
    assert app.exchange(code).json()["error"] == "invalid_grant"


@ONLY_SQLITE
def test_pushed_and_rich(app: App, hall: TownHall) -> None:
    """§8.4.3 (RFC 9126) and `authorization_details` (RFC 9396), with labels on the page."""
    details = [
        {
            "type": "credential",
            "signatureQualifier": "vn_et_agency",
            "documentDigests": [
                {"hash": b64(digest("a")), "label": "Quyết định <b>số 1</b>"},
                {"hash": b64(digest("b")), "label": "Phụ lục"},
            ],
            "hashAlgorithmOID": SHA256,
        }
    ]
    pushed = app.service.http.post(
        "/csc/oauth2/pushed_authorize",
        data=app.question(authorization_details=json.dumps(details)),
        auth=(app.name, app.secret),
    )
    assert pushed.status_code == 201, pushed.text
    assert pushed.json()["expires_in"] == 90
    reference = {"client_id": app.name, "request_uri": pushed.json()["request_uri"]}

    def go(**more: str) -> httpx.Response:
        return app.service.http.get(
            "/csc/oauth2/authorize", params={**reference, **more}, follow_redirects=False
        )

    assert go(client_id="thief").status_code == 422
    page = go().headers["location"]
    assert go().status_code == 422  # used once
    shown = app.service.http.get(page).text
    assert "Quyết định &lt;b&gt;số 1" in shown
    code = app.consented(SEAL_PIN, page, holder="MST:2800000001")
    answer = app.exchange(code).json()
    assert answer["credentialID"] == hall.seal.id
    (granted,) = answer["authorization_details"]
    assert granted["credentialID"] == hall.seal.id
    assert [one["label"] for one in granted["documentDigests"]][1] == "Phụ lục"
    assert sign(app, hall, answer["access_token"], digest("a"), digest("b")).status_code == 200


@ONLY_SQLITE
def test_refusing(app: App, hall: TownHall) -> None:
    """RFC 6749 §4.1.2.1 access_denied; nothing was asked of the key."""
    page = app.page(**app.for_hashes(hall.seal.id, digest()))
    came = answered(decide(app.service, page, "deny"))
    assert came["error"] == "access_denied"
    assert "code" not in came
    assert "authorization.given" not in app.service.tags()
    assert "consent.refused" in app.service.tags()
    assert app.service.http.get(page).status_code == 422


@ONLY_SQLITE
def test_wrong_pins_on_the_page(app: App, hall: TownHall) -> None:
    """The page tells the holder how many attempts are left; of strangers it tells nothing."""
    page = app.page(**app.for_hashes(hall.seal.id, digest()))
    wrong = decide(app.service, page, "approve", pin="000111")
    assert wrong.status_code == 400
    assert "4" in wrong.text
    entering = app.page(scope="service")
    texts = set()
    for holder in ("CCCD:038899999999", OFFICIAL_ID):
        answer = decide(app.service, entering, "approve", holder=holder, pin="000111")
        assert answer.status_code == 400
        texts.add(answer.text.replace(holder, "…"))
    assert len(texts) == 1
    answer = decide(app.service, page, "approve", pin="000111")
    assert "000111" not in answer.text
    code = app.consented(SEAL_PIN, page)
    assert app.exchange(code).status_code == 200


@ONLY_SQLITE
def test_refresh_and_revoke(app: App, hall: TownHall) -> None:
    """§8.4.5, RFC 7009, RFC 9700 §4.14: rotation; a refresh token used twice ends the grant."""
    page = app.page()
    first = app.exchange(app.consented(PIN, page, holder=OFFICIAL_ID)).json()
    second = app.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert app.call("credentials/list", {}, token=second["access_token"]).status_code == 200
    stolen = app.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert stolen.json()["error"] == "invalid_grant"
    for token in (first["access_token"], second["access_token"]):
        assert app.call("credentials/list", {}, token=token).json()["error"] == "expired_token"

    def revoke(token: str, who: App) -> int:
        return who.service.http.post(
            "/csc/oauth2/revoke", data={"token": token}, auth=(who.name, who.secret)
        ).status_code

    token = credential_token(app, hall, digest())
    thief = App(app.service, "thief", explicit=False)
    assert revoke(token, thief) == 204  # RFC 7009 §2.2: not told
    assert sign(app, hall, token, digest("x")).status_code == 400
    assert revoke(token, app) == 204
    assert sign(app, hall, token, digest()).json()["error"] == "expired_token"
    assert revoke("unknown", app) == 204
    assert "access.revoked" in app.service.tags()
    assert app.service.tags().count("authorization.ended") == 1


@ONLY_SQLITE
def test_extended_tokens_can_be_revoked_too(app: App, hall: TownHall) -> None:
    """§11.9 with a token for SAD: the successor belongs to the same consent."""
    page = app.page(**app.for_hashes(hall.seal.id, digest("1"), numSignatures="2"))
    token = app.exchange(app.consented(SEAL_PIN, page)).json()["access_token"]
    assert sign(app, hall, token, digest("1")).status_code == 200
    body = {
        "credentialID": hall.seal.id,
        "SAD": token,
        "hashes": [b64(digest("2"))],
        "hashAlgorithmOID": SHA256,
    }
    extended = app.call("credentials/extendTransaction", body, token=token)
    assert extended.status_code == 200, extended.text
    new = extended.json()["SAD"]
    assert sign(app, hall, token, digest("2")).json()["error"] == "expired_token"
    service_token = app.service_token()
    assert sign(app, hall, service_token, digest("2"), SAD=new).status_code == 200


@ONLY_SQLITE
def test_wrong_questions_go_back(service: Service) -> None:
    """RFC 6749 §4.1.2.1: with a sound address, the client is told there."""
    app = App(service, "citizen-app", explicit=False)
    credential = {"scope": "credential", "credentialID": "unknown", "numSignatures": "1"}
    cases = [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "service credential"}, "invalid_scope"),
        ({"scope": "credential"}, "invalid_request"),
        ({**credential, "hashes": "AAAA"}, "invalid_request"),
        ({**credential, "hashes": url64(digest())}, "invalid_request"),
        ({"authorization_details": "[]"}, "invalid_request"),
        ({"authorization_details": "[" * 3000}, "invalid_request"),
    ]
    for more, error in cases:
        answer = service.http.get(
            "/csc/oauth2/authorize", params=app.question(**more), follow_redirects=False
        )
        assert answer.status_code == 303, more
        assert answered(answer)["error"] == error, more
        assert answer.headers["location"].startswith(BACK + "?")


@ONLY_SQLITE
def test_nobody_is_sent_to_strangers(service: Service) -> None:
    """RFC 6749 §4.1.2.1: "MUST NOT automatically redirect the user-agent to the invalid
    redirection URI"."""
    app = App(service, "citizen-app", explicit=False)
    for more in (
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": BACK + "/../x"},
        {"redirect_uri": BACK + "?a=1"},
        {"client_id": "nobody"},
    ):
        answer = service.http.get(
            "/csc/oauth2/authorize",
            params=app.question(**more),
            headers={"Accept": "text/html"},
            follow_redirects=False,
        )
        assert answer.status_code == 422, more
        assert "location" not in answer.headers
        assert "text/html" in answer.headers["content-type"]


@ONLY_SQLITE
def test_metadata(service: Service) -> None:
    """RFC 8414 §3.1."""
    found = service.http.get("/.well-known/oauth-authorization-server/csc").json()
    assert found["issuer"].endswith("/csc")
    assert found["code_challenge_methods_supported"] == ["S256"]
