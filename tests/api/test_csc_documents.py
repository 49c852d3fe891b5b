"""Remote signing of documents: whole PDFs, digests of PDFs, and PSS parameters."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import pytest
from asn1crypto import cms
from asn1crypto.algos import RSASSAPSSParams
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from sqlalchemy import update

from api.csc.models import Operation
from hsm.errors import HsmError
from signer import joint
from signer.verdicts.validation import validate
from tests.api.conftest import ONLY_SQLITE, Service
from tests.api.csc_client import RSA_SHA256, SHA256, App, b64, digest
from tests.api.csc_client import hall as hall  # fixtures
from tests.api.csc_client import quick_keys as quick_keys
from tests.certify.town_hall import DEMO, SEAL_PIN, TownHall

pytestmark = ONLY_SQLITE
DECISION = (DEMO / "decision.pdf").read_bytes()


@pytest.fixture
def app(service: Service, hall: TownHall) -> App:
    return App(service, "procedure-system")


def authorize(app: App, hall: TownHall, *wanted: bytes, oid: str = SHA256) -> str:
    body = {
        "credentialID": hall.seal.id,
        "numSignatures": len(wanted),
        "hashes": [b64(one) for one in wanted],
        "hashAlgorithmOID": oid,
        "authData": [{"id": "PIN", "value": SEAL_PIN}],
    }
    answer = app.call("credentials/authorize", body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["SAD"])


def document(data: bytes = DECISION, **more: object) -> dict[str, object]:
    return {"document": b64(data), "signature_format": "P", "signAlgo": RSA_SHA256, **more}


def test_documents(app: App, hall: TownHall) -> None:
    """§11.11: an AdES signature of the level asked for; "RSSP SHALL verify the document hash
    matches" the authorised one."""
    other = DECISION + b"\n"
    sad = authorize(app, hall, hashlib.sha256(DECISION).digest(), hashlib.sha256(other).digest())
    reason = {"attribute_name": "Reason", "attribute_value": b64("Phê duyệt".encode())}
    body = {
        "credentialID": hall.seal.id,
        "SAD": sad,
        "documents": [
            document(conformance_level="AdES-B-LTA", signed_props=[reason]),
            document(other, conformance_level="Ades-B-B", signed_envelope_property="Certification"),
        ],
        "returnValidationInfo": True,
    }
    answer = app.call("signatures/signDoc", body)
    assert answer.status_code == 200, answer.text
    first, second = map(base64.b64decode, answer.json()["DocumentWithSignature"])
    report = validate(first, trust=app.service.house.trust, now=app.service.now)
    assert report.passed, report.to_text("en")
    assert report.signatures[0].level == "PAdES-BASELINE-LTA"
    assert b"/DocMDP" in second
    info = answer.json()["validationInfo"]
    assert info["ocsp"]
    assert info["certificates"]
    again = app.call("signatures/signDoc", body)
    assert again.json()["error_description"] == "SAD expired"


def test_no_document_without_all(app: App, hall: TownHall) -> None:
    """All or none: one unauthorised or unsignable document, and none is signed."""
    sad = authorize(app, hall, hashlib.sha256(DECISION).digest())
    body = {"credentialID": hall.seal.id, "SAD": sad, "documents": [document(), document(b"x" * 9)]}
    refused = app.call("signatures/signDoc", body)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    body["documents"] = [document(), document(DECISION + b"\n")]
    refused = app.call("signatures/signDoc", body)
    words = "documentDigests or documents are not authorized by the SAD"
    assert refused.json()["error_description"] == words
    assert "signature.made" not in app.service.tags()
    body["documents"] = [document()]
    assert app.call("signatures/signDoc", body).status_code == 200


def test_digests(app: App, hall: TownHall) -> None:
    """§11.11 documentDigests: a CMS over the digest, for a PDF that stays with the client."""
    sad = authorize(app, hall, digest("a"), digest("b"))
    entry = {
        "hashes": [b64(digest("a")), b64(digest("b"))],
        "hashAlgorithmOID": SHA256,
        "signature_format": "P",
        "conformance_level": "AdES-B-T",
        "signAlgo": RSA_SHA256,
    }
    body = {"credentialID": hall.seal.id, "SAD": sad, "documentDigests": [entry]}
    answer = app.call("signatures/signDoc", body)
    assert answer.status_code == 200, answer.text
    one, two = (
        cms.ContentInfo.load(base64.b64decode(text))["content"]
        for text in answer.json()["SignatureObject"]
    )
    for signed, wanted in ((one, digest("a")), (two, digest("b"))):
        (signer,) = signed["signer_infos"]
        attributes = {at["type"].native: at["values"] for at in signer["signed_attrs"]}
        assert attributes["message_digest"][0].native == wanted
        key = hall.seal.certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(
            signer["signature"].native,
            signer["signed_attrs"].untag().dump(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
        assert [at["type"].native for at in signer["unsigned_attrs"]] == [
            "signature_time_stamp_token"
        ]
    long_term = {**entry, "conformance_level": "AdES-B-LT"}
    refused = app.call("signatures/signDoc", {**body, "documentDigests": [long_term]})
    assert refused.json()["error_description"] == "Invalid parameter conformance_level"


def test_the_words_of_sign_doc(app: App, hall: TownHall) -> None:
    """§11.11, the table of error cases."""
    digests = [{"hashes": b64(digest()), "signature_format": "P", "signAlgo": RSA_SHA256}]
    prop = {"attribute_name": "Sealed", "attribute_value": ""}
    cases: list[tuple[dict[str, object], str]] = [
        ({"documents": []}, "Empty documentDigests and documents objects"),
        ({"documentDigests": digests}, "Both documentDigests and documents parameters passed"),
        ({"documents": "x"}, "Invalid parameter documents"),
        ({"documents": [5]}, "Invalid parameter documents"),
        ({"documents": [document(document="*")]}, "Invalid Base64 documents string parameter"),
        ({"documents": [document(signature_format="Q")]}, "Invalid parameter signature_format"),
        ({"documents": [document(conformance_level="Z")]}, "Invalid parameter conformance_level"),
        (
            {"documents": [document(signed_envelope_property="Attached")]},
            "Invalid parameter signed_envelope_property",
        ),
        ({"documents": [document(signed_props=[prop])]}, "Invalid parameter signed_props (Sealed)"),
        (
            {"documents": [document(signature_format=None)]},
            "Missing (or invalid type) string parameter signature_format",
        ),
        ({"documents": [document(signAlgo="1.2.3")]}, "Invalid parameter signAlgo"),
        ({"signatureQualifier": "eu_eidas_qes"}, "Invalid parameter signatureQualifier"),
        ({"signatureQualifier": "vn_et_citizen"}, "Invalid parameter signatureQualifier"),
    ]
    token = app.service_token()
    for change, words in cases:
        body = {"credentialID": hall.seal.id, "SAD": "x", "documents": [document()], **change}
        answer = app.call("signatures/signDoc", body, token=token)
        expected = {"error": "invalid_request", "error_description": words}
        assert answer.json() == expected, change


def test_documents_later(app: App, hall: TownHall) -> None:
    """operationMode "A" with documents; §11.12 "still processing: 202 accepted_request"."""
    sad = authorize(app, hall, hashlib.sha256(DECISION).digest())
    body = {
        "credentialID": hall.seal.id,
        "SAD": sad,
        "documents": [document(conformance_level="AdES-B-T")],
        "operationMode": "A",
    }
    accepted = app.call("signatures/signDoc", body)
    assert accepted.status_code == 200, accepted.text
    request = {"requestID": accepted.json()["responseID"]}
    fetched = app.call("signatures/signPolling", request)
    assert fetched.status_code == 200, fetched.text
    signed = base64.b64decode(fetched.json()["DocumentWithSignature"][0])
    report = validate(signed, trust=app.service.house.trust, now=app.service.now)
    assert report.signatures[0].level == "PAdES-BASELINE-T"
    database = app.service.house.database
    with database.transaction() as session:
        session.execute(update(Operation).values(state="working"))
    working = app.call("signatures/signPolling", request)
    assert (working.status_code, working.json()["error"]) == (202, "accepted_request")
    app.service.later(timedelta(minutes=11))
    lost = app.call("signatures/signPolling", request)
    assert "interrupted" in lost.json()["error_description"]


def test_a_token_that_fails_loses_nothing(
    app: App, hall: TownHall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN.md §3.3: nothing was delivered, so the hash is free again; asked for later, it is
    signed."""
    sad = authorize(app, hall, digest("1"), digest("2"))
    body = {
        "credentialID": hall.seal.id,
        "SAD": sad,
        "hashes": [b64(digest("1")), b64(digest("2"))],
        "signAlgo": RSA_SHA256,
    }

    def broken(*_: object, **__: object) -> None:
        raise HsmError("token-refused", reason="test")

    with monkeypatch.context() as patch:
        patch.setattr(joint, "key_of", broken)
        refused = app.call("signatures/signHash", body)
        assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
        later = app.call("signatures/signHash", {**body, "operationMode": "A"})
        request = {"requestID": later.json()["responseID"]}
        failed = app.call("signatures/signPolling", request)
        assert failed.json()["error"] == "server_error"
    assert app.service.tags().count("signature.voided") == 4
    assert len(app.call("signatures/signHash", body).json()["signatures"]) == 2


def test_pss_and_stronger_hashes(app: App, hall: TownHall) -> None:
    """RFC 4055 §3.1 parameters, RFC 8017 §8.1; SHA-512 (§7.5: "as strong or stronger than
    SHA-256")."""
    sha512 = "2.16.840.1.101.3.4.2.3"
    wanted = hashlib.sha512(b"x").digest()
    sad = authorize(app, hall, wanted, oid=sha512)
    parameters = RSASSAPSSParams(
        {
            "hash_algorithm": {"algorithm": "sha512"},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha512"}},
            "salt_length": 64,
        }
    ).dump()
    body = {
        "credentialID": hall.seal.id,
        "SAD": sad,
        "hashes": [b64(wanted)],
        "hashAlgorithmOID": sha512,
        "signAlgo": "1.2.840.113549.1.1.10",
        "signAlgoParams": b64(parameters),
    }
    answer = app.call("signatures/signHash", body)
    assert answer.status_code == 200, answer.text
    key = hall.seal.certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(
        base64.b64decode(answer.json()["signatures"][0]),
        wanted,
        padding.PSS(padding.MGF1(hashes.SHA512()), 64),
        utils.Prehashed(hashes.SHA512()),
    )


def test_other_formats(app: App, hall: TownHall) -> None:
    """§11.11: "C" a CAdES and "X" a XAdES signature, in the envelope that was asked for."""
    house, now = app.service.house, app.service.now
    xml, text = b"<a><b>1</b></a>", "văn bản".encode()
    inside = [
        document(text, signature_format="C", conformance_level="AdES-B-LTA"),
        document(xml, signature_format="X", conformance_level="AdES-B-LT"),
        document(text, signature_format="X", signed_envelope_property="Enveloping"),
    ]
    sad = authorize(app, hall, *(hashlib.sha256(one).digest() for one in (text, xml)))
    body = {"credentialID": hall.seal.id, "SAD": sad, "documents": inside[:2]}
    answer = app.call("signatures/signDoc", body)
    assert answer.status_code == 200, answer.text
    levels = []
    for one in answer.json()["DocumentWithSignature"]:
        report = validate(base64.b64decode(one), trust=house.trust, now=now)
        assert report.passed, report.to_text("en")
        levels.append(report.signatures[0].level)
    assert levels == ["CAdES-BASELINE-LTA", "XAdES-BASELINE-LT"]

    sad = authorize(app, hall, hashlib.sha256(text).digest())
    beside = document(text, signature_format="C", signed_envelope_property="Detached")
    for wrong, name in (
        ([beside, inside[2]], "signed_envelope_property"),
        ([document(text, signature_format="J")], "signature_format"),
        ([document(text, signature_format="C", signed_envelope_property="Enveloped")], "signed_en"),
    ):
        refused = app.call(
            "signatures/signDoc", {"credentialID": hall.seal.id, "SAD": sad, "documents": wrong}
        )
        assert refused.status_code == 400
        assert name in refused.json()["error_description"]
    body = {"credentialID": hall.seal.id, "SAD": sad, "documents": [beside]}
    answer = app.call("signatures/signDoc", body)
    (made,) = answer.json()["SignatureObject"]
    report = validate(base64.b64decode(made), trust=house.trust, now=now, content=text)
    assert report.signatures[0].level == "CAdES-BASELINE-B"

    sad = authorize(app, hall, hashlib.sha256(text).digest())
    entry = {
        "hashes": [b64(hashlib.sha256(text).digest())],
        "hashAlgorithmOID": SHA256,
        "signature_format": "C",
        "signed_envelope_property": "Detached",
        "conformance_level": "AdES-B-T",
        "signAlgo": RSA_SHA256,
    }
    body = {"credentialID": hall.seal.id, "SAD": sad, "documentDigests": [entry]}
    (made,) = app.call("signatures/signDoc", body).json()["SignatureObject"]
    report = validate(base64.b64decode(made), trust=house.trust, now=now, content=text)
    assert report.signatures[0].level == "CAdES-BASELINE-T"
