"""Remote signing in the explicit mode: clients the province trusts with people's PINs."""

from __future__ import annotations

import base64
from datetime import timedelta

import httpx
import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from ca.names import Subject
from hsm.mechanisms import KeyAlgorithm
from signer.keys import credentials
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.csc_client import (
    RSA,
    RSA_SHA256,
    SHA256,
    App,
    b64,
    code_sent,
    digest,
    messages,
)
from tests.api.csc_client import hall as hall  # fixtures
from tests.api.csc_client import quick_keys as quick_keys
from tests.certify.town_hall import OFFICIAL_ID, PIN, SEAL_PIN, TownHall


@pytest.fixture
def app(service: Service, hall: TownHall) -> App:
    return App(service, "procedure-system")


def authorize(
    app: App, hall: TownHall, *wanted: bytes, version: str = "v2", **more: object
) -> httpx.Response:
    """A SAD over the seal's key, which needs a PIN alone (§8.5.3)."""
    if version == "v1":
        body = {"hash": [b64(one) for one in wanted], "PIN": SEAL_PIN}
    else:
        body = {
            "hashes": [b64(one) for one in wanted],
            "hashAlgorithmOID": SHA256,
            "authData": [{"id": "PIN", "value": SEAL_PIN}],
        }
    body |= {"credentialID": hall.seal.id, "numSignatures": len(wanted), **more}
    return app.call("credentials/authorize", body, version=version)


def sign(
    app: App, hall: TownHall, sad: str, *wanted: bytes, version: str = "v2", **more: object
) -> httpx.Response:
    names = ("hash", "hashAlgo") if version == "v1" else ("hashes", "hashAlgorithmOID")
    body = {
        "credentialID": hall.seal.id,
        "SAD": sad,
        names[0]: [b64(one) for one in wanted],
        names[1]: SHA256,
        "signAlgo": RSA,
        **more,
    }
    token = more.pop("token", None)
    body.pop("token", None)
    return app.call("signatures/signHash", body, version=version, token=token)


def verify(hall: TownHall, signature: str, digest: bytes) -> None:
    key = hall.seal.certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    prehashed = utils.Prehashed(hashes.SHA256())
    key.verify(base64.b64decode(signature), digest, padding.PKCS1v15(), prehashed)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_hashes_are_signed_once_each(app: App, hall: TownHall, version: str) -> None:
    """§11.10: "One or more Base64-encoded signed hash(es)", in the order of `hashes`."""
    one, two = digest("1"), digest("2")
    sad = authorize(app, hall, one, two, version=version)
    assert sad.status_code == 200, sad.text
    assert sad.json()["expiresIn"] == 300
    made = sign(app, hall, sad.json()["SAD"], two, one, version=version)
    assert made.status_code == 200, made.text
    for signature, signed in zip(made.json()["signatures"], (two, one), strict=True):
        verify(hall, signature, signed)
    again = sign(app, hall, sad.json()["SAD"], one, version=version)
    assert again.status_code == 400
    assert again.json()["error"] == "invalid_request"
    tags = app.service.tags()
    for tag in ("authorization.given", "signature.intended", "signature.made", "request.refused"):
        assert tag in tags


def test_all_or_none(app: App, hall: TownHall) -> None:
    """§11.10: "Unauthorized hash: Hash is not authorized by the SAD"; the authorised one beside it
    stays unsigned and can be signed afterwards."""
    one, foreign = digest("1"), digest("foreign")
    sad = authorize(app, hall, one).json()["SAD"]
    refused = sign(app, hall, sad, one, foreign)
    assert refused.status_code == 400
    assert refused.json() == {
        "error": "invalid_request",
        "error_description": "Hash is not authorized by the SAD",
    }
    assert "signature.made" not in app.service.tags()
    twice = sign(app, hall, sad, one, one)
    assert twice.json()["error_description"] == "Hash is not authorized by the SAD"
    verify(hall, sign(app, hall, sad, one).json()["signatures"][0], one)


@ONLY_SQLITE
def test_a_sad_is_bound_to_client_and_bearer(app: App, hall: TownHall) -> None:
    """SCAL2, EN 419 241-1: the SAD of one client is nothing in another's hands."""
    sad = authorize(app, hall, digest()).json()["SAD"]
    other = App(app.service, "other-system")
    stolen = sign(other, hall, sad, digest())
    assert stolen.status_code == 400
    assert stolen.json()["error_description"] == "Invalid parameter SAD"
    # nor does it open anything in the rest of the API
    headers = app.service.bearer("sign", name="sign-system")
    answer = app.service.http.post(
        "/api/v1/documents",
        files={"file": ("a.pdf", b"%PDF-1.7\n", "application/pdf")},
        headers=headers,
    )
    order = app.service.http.post(
        f"/api/v1/documents/{answer.json()['id']}/signatures", json={"sad": sad}, headers=headers
    )
    assert order.status_code == 404
    verify(hall, sign(app, hall, sad, digest()).json()["signatures"][0], digest())


@ONLY_SQLITE
def test_a_sad_ends(app: App, hall: TownHall) -> None:
    """§11.10: "Expired SAD: SAD expired"."""
    sad = authorize(app, hall, digest()).json()["SAD"]
    app.service.later(timedelta(seconds=301))
    late = sign(app, hall, sad, digest())
    assert late.json() == {"error": "invalid_request", "error_description": "SAD expired"}


@ONLY_SQLITE
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_signatures_one_after_the_other(app: App, hall: TownHall, version: str) -> None:
    """§11.9: "the RSSP SHALL invalidate the SAD when the authorized number of signatures has been
    created"; note 31: the second hash exists only after the first signature."""
    first, second, third = digest("1"), digest("2"), digest("3")
    name, algorithm = ("hash", "hashAlgo") if version == "v1" else ("hashes", "hashAlgorithmOID")
    sad = authorize(app, hall, first, version=version, numSignatures=2).json()["SAD"]
    verify(hall, sign(app, hall, sad, first, version=version).json()["signatures"][0], first)

    def extend(sad: str, *wanted: bytes) -> httpx.Response:
        body = {
            "credentialID": hall.seal.id,
            "SAD": sad,
            name: [b64(one) for one in wanted],
            algorithm: SHA256,
        }
        return app.call("credentials/extendTransaction", body, version=version)

    assert extend(sad, first).json()["error_description"] == "Hash is not authorized by the SAD"
    too_many = extend(sad, second, third)
    assert too_many.json()["error_description"] == "Numbers of signatures is too high"
    extended = extend(sad, second)
    assert extended.status_code == 200, extended.text
    old = sign(app, hall, sad, second, version=version)
    assert old.json()["error_description"] == "Invalid parameter SAD"
    new = extended.json()["SAD"]
    verify(hall, sign(app, hall, new, second, version=version).json()["signatures"][0], second)
    assert extend(new, third).json()["error_description"] == "SAD expired"


def test_pin_and_code(app: App, hall: TownHall) -> None:
    """v2 §8.3: `(PIN AND OTP) OR APPROVAL`; a code that is wrong costs no PIN attempt."""
    described = app.call(
        "credentials/info", {"credentialID": hall.person.id, "authInfo": True}
    ).json()
    assert described["auth"]["mode"] == "explicit"
    assert described["auth"]["expression"] == "(PIN AND OTP) OR APPROVAL"
    sent = app.call(
        "credentials/getChallenge", {"credentialID": hall.person.id, "authObjectID": "OTP"}
    )
    assert (sent.status_code, sent.content) == (204, b"")
    (message,) = messages(app.service)
    assert message.to == "thu@thanhhoa.gov.vn"
    code = code_sent(app.service)

    def ask(code: str, pin: str = PIN) -> httpx.Response:
        body = {
            "credentialID": hall.person.id,
            "numSignatures": 1,
            "hashes": [b64(digest())],
            "hashAlgorithmOID": SHA256,
            "authData": [{"id": "PIN", "value": pin}, {"id": "OTP", "value": code}],
        }
        return app.call("credentials/authorize", body)

    wrong = ask(f"{(int(code) + 1) % 10**6:06d}", "000000")
    assert wrong.status_code == 400
    assert wrong.json()["error"] == "invalid_otp"
    wrong_pin = ask(code, "999111")
    assert wrong_pin.json() == {
        "error": "invalid_authentication_data",
        "error_description": "The authentication data is invalid",
    }
    given = ask(code)
    assert given.status_code == 200, given.text
    assert ask(code).json()["error"] == "invalid_otp"  # used up
    with app.service.house.database.reading() as session:
        from signer.models import CredentialRow

        assert session.get_one(CredentialRow, hall.person.id).wrong_pins == 0


@ONLY_SQLITE
def test_no_address_no_remote_signing(app: App, hall: TownHall) -> None:
    """EN 419 241-1 SRA_SAP.1.1: two factors for a person, and never one for want of the other."""
    made = credentials.enrol(
        app.service.world.desk,
        profile="official",
        subject=Subject.official(
            "Phạm Minh Ví Dụ", citizen_id="038800000009", unit="UBND PHƯỜNG HẠC THÀNH"
        ),
        holder_id="CCCD:038800000009",
        unit="14797",
        pin=PIN,
        algorithm=KeyAlgorithm.P_256,
        now=app.service.now,
        by="operator:test",
    )
    body = {
        "credentialID": made.id,
        "numSignatures": 1,
        "hashes": [b64(digest())],
        "hashAlgorithmOID": SHA256,
        "authData": [{"id": "PIN", "value": PIN}, {"id": "OTP", "value": "000000"}],
    }
    for method, asked in (
        ("credentials/authorize", body),
        ("credentials/getChallenge", {"credentialID": made.id, "authObjectID": "OTP"}),
    ):
        refused = app.call(method, asked)
        assert refused.status_code == 400
        assert "no e-mail address" in refused.json()["error_description"]


def test_v1_sends_codes(app: App, hall: TownHall) -> None:
    """1.0.4 §11.8 credentials/sendOTP: 204; §11.6 `PIN` and `OTP`."""
    body = {"credentialID": hall.person.id}
    described = app.call("credentials/info", {**body, "authInfo": True}, version="v1").json()
    assert described["PIN"]["presence"] == described["OTP"]["presence"] == "true"
    assert described["authMode"] == "explicit"
    assert app.call("credentials/sendOTP", body, version="v1").status_code == 204
    assert app.call("credentials/sendOTP", body, version="v1").status_code == 429
    asked = {**body, "numSignatures": 1, "hash": [b64(digest())], "PIN": PIN}
    refused = app.call("credentials/authorize", asked, version="v1")
    assert refused.json() == {"error": "invalid_otp", "error_description": "The OTP is invalid"}
    given = app.call(
        "credentials/authorize", {**asked, "OTP": code_sent(app.service)}, version="v1"
    )
    assert given.status_code == 200, given.text


@ONLY_SQLITE
def test_codes_are_guessed_in_vain(app: App, hall: TownHall) -> None:
    """Five attempts at one code, each counted before it is compared; then the right one is late."""
    body = {"credentialID": hall.person.id}
    app.call("credentials/sendOTP", body, version="v1")
    code = code_sent(app.service)
    asked = {**body, "numSignatures": 1, "hash": [b64(digest())], "PIN": PIN}
    for guess in range(5):
        wrong = f"{(int(code) + 1 + guess) % 10**6:06d}"
        app.call("credentials/authorize", {**asked, "OTP": wrong}, version="v1")
    late = app.call("credentials/authorize", {**asked, "OTP": code}, version="v1")
    assert late.json()["error"] == "invalid_otp"
    assert app.service.tags().count("one-time-code.refused") == 6


@ONLY_SQLITE
def test_the_holder_approves_elsewhere(app: App, hall: TownHall) -> None:
    """§11.6, §11.7: 202 with a handle; authorizeCheck says 202 until the holder has approved."""
    from tests.api.csc_client import decide

    asked = {
        "credentialID": hall.person.id,
        "numSignatures": 1,
        "hashes": [b64(digest())],
        "hashAlgorithmOID": SHA256,
        "authData": [{"id": "APPROVAL"}],
    }
    answer = app.call("credentials/authorize", asked)
    assert answer.status_code == 202, answer.text
    handle = answer.json()["handle"]
    check = {"handle": handle}
    waiting = app.call("credentials/authorizeCheck", check)
    assert (waiting.status_code, waiting.json()) == (202, {"handle": handle})
    page = "/csc/" + messages(app.service)[0].text.rsplit("/csc/", 1)[1].strip()
    shown = app.service.http.get(page)
    assert digest().hex() in shown.text
    assert "Lê Văn Thử" in shown.text
    assert decide(app.service, page, "code").status_code == 200
    code = code_sent(app.service)
    assert decide(app.service, page, "approve", pin=PIN, code=code).status_code == 200
    other = App(app.service, "other-system")
    foreign = other.call("credentials/authorizeCheck", check)
    assert foreign.json()["error_description"] == "Invalid parameter handle"
    given = app.call("credentials/authorizeCheck", check)
    assert given.status_code == 200, given.text
    body = {
        "credentialID": hall.person.id,
        "SAD": given.json()["SAD"],
        "hashes": [b64(digest())],
        "signAlgo": RSA_SHA256,
    }
    assert app.call("signatures/signHash", body).status_code == 200
    assert app.call("credentials/authorizeCheck", check).status_code == 400


@ONLY_SQLITE
def test_wrong_pins_lock(app: App, hall: TownHall) -> None:
    """§11.6, note 29: "the RSSP MAY lock the credential"; "Credential locked"."""
    data = [{"id": "PIN", "value": "111999"}]
    for _ in range(5):
        refused = authorize(app, hall, digest(), authData=data)
    assert refused.json() == {"error": "invalid_request", "error_description": "Credential locked"}
    right = authorize(app, hall, digest())
    assert right.json()["error_description"] == "Credential locked"
    listed = app.call(
        "credentials/list",
        {"userID": "MST:2800000001", "credentialInfo": True, "onlyValid": True},
    ).json()
    assert listed["credentialIDs"] == []
    assert listed["onlyValid"] is True


@ONLY_SQLITE
def test_asynchronously(app: App, hall: TownHall) -> None:
    """§11.10 operationMode "A": responseID; §11.12 signPolling gives the signatures."""
    token = app.service_token()
    sad = authorize(app, hall, digest()).json()["SAD"]
    accepted = sign(app, hall, sad, digest(), operationMode="A", token=token)
    assert accepted.status_code == 200, accepted.text
    request = {"requestID": accepted.json()["responseID"]}
    done = app.call("signatures/signPolling", request)
    assert done.status_code == 200, done.text
    verify(hall, done.json()["signatures"][0], digest())
    other = App(app.service, "other-system")
    foreign = other.call("signatures/signPolling", request)
    assert foreign.json()["error_description"] == "Invalid parameter requestID"
    app.service.later(timedelta(hours=1))
    late = app.call("signatures/signPolling", request)
    assert late.json()["error_description"] == "Invalid parameter requestID"


@ONLY_SQLITE
def test_asynchronous_limits(app: App, hall: TownHall) -> None:
    """§11.10: "Out of bounds parameter validity_period", "Invalid parameter response_uri"."""
    sad = authorize(app, hall, digest()).json()["SAD"]
    said = {
        "validity_period": (1, "Out of bounds parameter validity_period"),
        "response_uri": ("https://app.example.vn/done", "Invalid parameter response_uri"),
        "operationMode": ("X", "Invalid parameter operationMode"),
    }
    for name, (value, words) in said.items():
        refused = sign(app, hall, sad, digest(), **{"operationMode": "A", name: value})
        assert refused.json()["error_description"] == words
    verify(hall, sign(app, hall, sad, digest()).json()["signatures"][0], digest())


@ONLY_SQLITE
def test_time_stamps(app: App, hall: TownHall) -> None:
    """§11.13: the hash is the message imprint; the nonce SHALL be in the token."""
    body = {"hash": b64(digest()), "hashAlgo": SHA256, "nonce": "1a2b3c"}
    for version in ("v1", "v2"):
        answer = app.call("signatures/timestamp", body, version=version)
        assert answer.status_code == 200, answer.text
        token = tsp.ContentInfo.load(base64.b64decode(answer.json()["timestamp"]))
        info = token["content"]["encap_content_info"]["content"].parsed
        assert info["message_imprint"]["hashed_message"].native == digest()
        assert info["nonce"].native == 0x1A2B3C
    words = {
        "Empty hash parameter": {**body, "hash": ""},
        "Invalid digest value length": {**body, "hash": b64(b"short")},
        "Invalid Base64 hash string parameter": {**body, "hash": "*"},
        "Invalid parameter hashAlgo": {**body, "hashAlgo": "1.3.14.3.2.26"},
        "Invalid parameter nonce": {**body, "nonce": "xyz"},
    }
    for said, asked in words.items():
        assert app.call("signatures/timestamp", asked).json()["error_description"] == said


@ONLY_SQLITE
def test_lists(app: App, hall: TownHall) -> None:
    """§11.4: the holder's credentials; a client for itself names the holder with `userID`."""
    listed = app.call(
        "credentials/list",
        {"userID": OFFICIAL_ID, "credentialInfo": True, "certificates": "chain", "certInfo": True},
    ).json()
    assert listed["credentialIDs"] == [hall.person.id]
    (info,) = listed["credentialInfos"]
    assert info["cert"]["status"] == "valid"
    assert len(info["cert"]["certificates"]) == 3
    assert info["cert"]["serialNumber"] == f"{hall.person.certificate.serial_number:X}"
    assert info["SCAL"] == "2"
    assert info["key"]["len"] == 2048
    missing = app.call("credentials/list", {}).json()
    assert missing["error_description"] == "Missing (or invalid type) string parameter userID"
    assert app.call("credentials/list", {"userID": "CCCD:038899999999"}).json() == {
        "credentialIDs": []
    }
    # 1.0.4: pages
    page = app.call(
        "credentials/list", {"userID": OFFICIAL_ID, "maxResults": 1}, version="v1"
    ).json()
    assert page == {"credentialIDs": [hall.person.id]}


@ONLY_SQLITE
def test_a_revoked_certificate_signs_nothing(app: App, hall: TownHall) -> None:
    """DOMAIN.md §2: status is checked before signing; an authorisation given before is no way
    round it."""
    sad = authorize(app, hall, digest()).json()["SAD"]
    credentials.suspend(
        app.service.house.desk, hall.seal.id, reason="test", now=app.service.now, by="operator:t"
    )
    refused = sign(app, hall, sad, digest())
    disabled = "The credential identified by credentialID is disabled"
    assert refused.json()["error_description"] == disabled
    assert "signature.refused" in app.service.tags()
