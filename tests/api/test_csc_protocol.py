"""What the specification says of every method: info, versions, error strings; and hostile input."""

from __future__ import annotations

import dataclasses

import httpx
import pytest

from api.csc import redirects
from api.csc.errors import CscRefusal
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.csc_client import RSA, RSA_SHA256, SHA256, App, b64, digest
from tests.api.csc_client import hall as hall  # fixtures
from tests.api.csc_client import quick_keys as quick_keys
from tests.certify.town_hall import SEAL_PIN, TownHall

pytestmark = ONLY_SQLITE


@pytest.fixture
def app(service: Service, hall: TownHall) -> App:
    return App(service, "procedure-system")


def test_info(service: Service) -> None:
    """§11.1: "This method SHALL be implemented by any remote service"."""
    first = service.http.post("/csc/v1/info").json()
    second = service.http.post("/csc/v2/info", json={"lang": "en-US"}).json()
    assert first["specs"] == "1.0.4.0"
    assert second["specs"] == "2.0.0.2"
    for answer in (first, second):
        for name in ("name", "logo", "region", "lang", "description", "authType", "oauth2"):
            assert answer[name], name
        assert "signatures/signHash" in answer["methods"]
    assert "credentials/sendOTP" in first["methods"]
    assert "signatures/signDoc" not in first["methods"]
    assert second["lang"] == "en"
    assert second["asynchronousOperationMode"] is True
    assert len(second["signAlgorithms"]["algos"]) == len(second["signAlgorithms"]["algoParams"])
    logo = service.http.get(second["logo"])
    assert logo.content.startswith(b"\x89PNG")


def test_info_of_the_next_version(service: Service) -> None:
    """2.2: "Exactly one of oauth2, oauth2Issuer, or oauth2Servers SHALL be present"."""
    house = service.house
    house.settings = dataclasses.replace(house.settings, csc_specs="2.2.0.0")
    answer = service.http.post("/csc/v2/info").json()
    assert answer["specs"] == "2.2.0.0"
    assert "oauth2" not in answer
    assert "supportsRar" not in answer
    assert answer["oauth2Servers"][0]["supportsRar"] is True
    assert answer["supportedHashTypes"] == ["dtbsr", "sodr"]
    assert service.http.post("/csc/v1/info").json()["oauth2"]


def test_every_announced_method_exists(app: App) -> None:
    """And no other: 501 (§10.1)."""
    for version in ("v1", "v2"):
        for name in app.call("info", version=version).json()["methods"]:
            if not name.startswith("oauth2/"):
                assert app.call(name, version=version).status_code != 501, name
        unknown = app.call("auth/login", version=version)
        assert unknown.status_code == 501
        assert unknown.json()["error_description"]


@pytest.mark.parametrize(
    ("header", "status", "error", "words"),
    [
        (None, 400, "invalid_request", "Malformed authorization header"),
        ("Basic YTpi", 400, "invalid_request", "Malformed authorization header"),
        ("Bearer ", 400, "invalid_request", "Malformed authorization header"),
        ("Bearer unknown", 401, "invalid_token", "The access token is not valid"),
    ],
)
def test_bearers(service: Service, header: str | None, status: int, error: str, words: str) -> None:
    """§10.2 and the error tables of every method."""
    headers = {"Authorization": header} if header else {}
    answer = service.http.post("/csc/v2/credentials/list", headers=headers)
    assert answer.status_code == status
    assert answer.json() == {"error": error, "error_description": words}


def test_the_words_of_sign_hash(app: App, hall: TownHall) -> None:
    """§11.10, the table of error cases."""
    asked = {
        "credentialID": hall.seal.id,
        "numSignatures": 1,
        "hashes": [b64(digest())],
        "hashAlgorithmOID": SHA256,
        "authData": [{"id": "PIN", "value": SEAL_PIN}],
    }
    sad = app.call("credentials/authorize", asked).json()["SAD"]
    good = {
        "credentialID": hall.seal.id,
        "SAD": sad,
        "hashes": [b64(digest())],
        "hashAlgorithmOID": SHA256,
        "signAlgo": RSA,
    }
    cases: list[tuple[dict[str, object], str]] = [
        ({"SAD": None}, "Missing (or invalid type) string parameter SAD"),
        ({"SAD": 5}, "Missing (or invalid type) string parameter SAD"),
        ({"SAD": "nothing"}, "Invalid parameter SAD"),
        ({"credentialID": None}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": "nothing"}, "Invalid parameter credentialID"),
        ({"credentialID": "\ud800"}, "Invalid parameter credentialID"),
        ({"credentialID": "a\0b"}, "Invalid parameter credentialID"),
        ({"hashes": None}, "Missing (or invalid type) array parameter hashes"),
        ({"hashes": "text"}, "Missing (or invalid type) array parameter hashes"),
        ({"hashes": []}, "Empty hash array"),
        ({"hashes": ["%%%"]}, "Invalid Base64 hash string parameter"),
        ({"hashes": [b64(b"short")]}, "Invalid digest value length"),
        ({"hashes": [b64(bytes(64))]}, "Invalid digest value length"),
        ({"hashes": [b64(bytes(32))]}, "Hash is not authorized by the SAD"),
        ({"signAlgo": None}, "Missing (or invalid type) string parameter signAlgo"),
        ({"signAlgo": "1.2.840.10045.4.3.2"}, "Invalid parameter signAlgo"),
        ({"signAlgo": "1.2.840.113549.1.1.5"}, "Invalid parameter signAlgo"),
        (
            {"hashAlgorithmOID": None},
            "Missing (or invalid type) string parameter hashAlgorithmOID",
        ),
        ({"hashAlgorithmOID": "1.3.14.3.2.26"}, "Invalid parameter hashAlgorithmOID"),
        (
            {"signAlgo": "1.2.840.113549.1.1.13"},
            "String parameter hashAlgorithmOID contradicts with signAlgo parameter",
        ),
        (
            {"signAlgo": "1.2.840.113549.1.1.10"},
            "Missing (or invalid type) string parameter signAlgoParams",
        ),
        (
            {"signAlgo": "1.2.840.113549.1.1.10", "signAlgoParams": "MAA="},
            "Invalid parameter signAlgoParams",  # SHA-1, the default of RFC 4055
        ),
    ]
    token = app.service_token()
    for change, words in cases:
        answer = app.call("signatures/signHash", {**good, **change}, token=token)
        assert answer.status_code == 400, (change, answer.text)
        expected = {"error": "invalid_request", "error_description": words}
        assert answer.json() == expected, change
    assert app.call("signatures/signHash", good, token=token).status_code == 200


def test_the_words_of_authorize(app: App, hall: TownHall) -> None:
    """§11.6, the table of error cases."""
    good = {
        "credentialID": hall.seal.id,
        "numSignatures": 1,
        "hashes": [b64(digest())],
        "hashAlgorithmOID": SHA256,
        "authData": [{"id": "PIN", "value": SEAL_PIN}],
    }
    cases: list[tuple[dict[str, object], str]] = [
        ({"numSignatures": None}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": True}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": 1.5}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": 0}, "Invalid value for parameter numSignatures"),
        ({"numSignatures": 1001}, "Numbers of signatures is too high"),
        ({"numSignatures": 10**40}, "Numbers of signatures is too high"),
        ({"hashes": None}, "Missing (or invalid type) array parameter hashes"),
        ({"hashes": [b64(digest("1")), b64(digest("2"))]}, "Numbers of signatures is too high"),
        (
            {"hashAlgorithmOID": None},
            "Missing (or invalid type) string parameter hashAlgorithmOID",
        ),
    ]
    token = app.service_token()
    for change, words in cases:
        answer = app.call("credentials/authorize", {**good, **change}, token=token)
        assert answer.json() == {"error": "invalid_request", "error_description": words}, change
    for data in ([], [{"id": "PIN"}], [{"id": "X", "value": "1"}], [{"id": "OTP", "value": "1"}]):
        answer = app.call("credentials/authorize", {**good, "authData": data}, token=token)
        assert answer.json()["error"] == "invalid_authentication_data"


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a": NaN}', b'"text"', b"{}" * 2],
)
def test_bodies_that_are_no_json_objects(service: Service, body: bytes) -> None:
    answer = service.http.post("/csc/v2/info", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "invalid_request"


def test_bodies_that_are_too_large(service: Service) -> None:
    """Hashes are small; only signDoc takes files."""
    answer = service.http.post("/csc/v2/info", content=b" " * 300_000)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example.vn/cb",
        "https://app.example.vn/cb#x",
        "https://u:p@app.example.vn/",
        "javascript:alert(1)",
        "https://app.example.vn/; script-src *",
        "https://app.example.vn:99999/",
        "https://",
    ],
)
def test_addresses_that_cannot_be_registered(service: Service, uri: str) -> None:
    """RFC 9700 §2.6: no plain HTTP but on the same machine; nothing that bends a header."""
    service.client("app", "csc")
    with pytest.raises(CscRefusal, match="cannot be registered"):
        redirects.register(service.house.database, "app", [uri], now=service.now, by="operator:t")


def test_clients_are_authenticated(app: App) -> None:
    """§8.4.4, the table of error cases; RFC 6749 §5.2 for Basic."""
    http = app.service.http
    form = {"grant_type": "client_credentials"}

    def ask(**more: str) -> httpx.Response:
        return http.post("/csc/oauth2/token", data={**form, **more})

    assert ask().json()["error_description"] == "Missing parameter client_id"
    no_secret = ask(client_id=app.name)
    assert (no_secret.status_code, no_secret.json()["error_description"]) == (
        401,
        "Client authorization required",
    )
    wrong = ask(client_id=app.name, client_secret="x")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_request")
    basic = http.post("/csc/oauth2/token", data=form, auth=(app.name, "x"))
    assert (basic.status_code, basic.json()["error"]) == (401, "invalid_client")
    assert basic.headers["www-authenticate"].startswith("Basic")
    assert ask(client_id=app.name, client_secret=app.secret).status_code == 200
    assert app.token().json()["error_description"] == "Missing parameter grant_type"
    unknown = app.token(grant_type="password")
    assert unknown.json()["error_description"] == "Invalid parameter grant_type"
    credential = app.token(grant_type="client_credentials", scope="credential")
    assert credential.json()["error"] == "invalid_scope"
    twice = http.post(
        "/csc/oauth2/token",
        content="grant_type=client_credentials&grant_type=client_credentials",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=(app.name, app.secret),
    )
    assert twice.json()["error_description"] == "Invalid parameter grant_type"
    assert "access.refused" in app.service.tags()


def test_units_bind_clients(service: Service, hall: TownHall) -> None:
    """A client asks only holders of the units it works for."""
    service.client("elsewhere", "csc", "csc-explicit", units=["00000"])
    token = service.http.post(
        "/csc/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=("elsewhere", service.secrets["elsewhere"]),
    ).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    body = {"credentialID": hall.seal.id}
    answer = service.http.post("/csc/v2/credentials/info", json=body, headers=headers)
    assert answer.json()["error_description"] == "Invalid parameter credentialID"
    listed = service.http.post(
        "/csc/v2/credentials/list", json={"userID": "MST:2800000001"}, headers=headers
    )
    assert listed.json() == {"credentialIDs": []}


def test_secrets_stay_where_they_are(
    app: App, hall: TownHall, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the PIN nor a SAD nor a token is in the database, the log or an answer."""
    body = {
        "credentialID": hall.seal.id,
        "numSignatures": 1,
        "hashes": [b64(digest())],
        "hashAlgorithmOID": SHA256,
        "authData": [{"id": "PIN", "value": SEAL_PIN}],
    }
    token = app.service_token()
    sad = app.call("credentials/authorize", body, token=token).json()["SAD"]
    signed = {**body, "SAD": sad, "signAlgo": RSA_SHA256}
    assert app.call("signatures/signHash", signed, token=token).status_code == 200
    path = app.service.house.database.engine.url.database
    assert path is not None
    from pathlib import Path

    stored = b"".join(one.read_bytes() for one in Path(path).parent.iterdir())
    said = "".join(capfd.readouterr())
    for secret in (SEAL_PIN, sad, token, app.secret):
        assert secret.encode() not in stored
        assert secret not in said
