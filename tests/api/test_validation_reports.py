"""Reports over HTTP: every form, kept and sealed, by digest, many files, policies, SiVa's way."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from typing import Any

import pytest

from signer.levels import Level
from signer.signing import SignatureRequest, document_digest, sign_pdf
from signer.verdicts.validation import validate
from tests.api.conftest import ONLY_SQLITE, Service
from tests.signer import paper
from tests.signer.holders import BY, OFFICIAL_PIN, authorizer, enrol

REPORTS = ("simple", "detailed", "diagnostic", "etsi", "siva", "all")


@pytest.fixture
def signed(service: Service) -> bytes:
    world = service.world
    holders, data = enrol(world), paper.decision()
    give = authorizer(world, holders.official, OFFICIAL_PIN)
    return sign_pdf(
        world.desk, data, SignatureRequest(level=Level.B_LTA),
        authorization=give([document_digest(data)]), now=world.now, by=BY,
    ).data  # fmt: skip


@ONLY_SQLITE
def test_a_report_in_every_form(service: Service, signed: bytes) -> None:
    """Simple, detailed, diagnostic, ETSI, SiVa; JSON and XML; a sealed PDF; kept
    where asked; every one names its policy and version."""
    headers = service.bearer("validate")

    def ask(accept: str = "*/*", **form: str) -> Any:
        answer = service.http.post(
            "/api/v1/validations", files={"file": ("qd.pdf", signed)}, data=form,
            headers={**headers, "Accept": accept},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        return answer

    simple = ask(report="simple", language="en").json()
    assert simple["ValidationPolicy"]["PolicyName"] == "dauso 2026-3"
    one = simple["signatureOrTimestampOrEvidenceRecord"][0]["Signature"]
    assert (one["Indication"], one["SignatureFormat"]) == ("TOTAL_PASSED", "PAdES-BASELINE-LTA")
    detailed = ask(report="detailed").json()
    blocks = next(b for b in detailed["BasicBuildingBlocks"] if b["Type"] == "SIGNATURE")
    assert {"FC", "ISC", "VCI", "XCV", "CV", "SAV"} <= blocks.keys()
    statuses = {row["Status"] for row in blocks["FC"]["Constraint"]}
    assert statuses == {"OK"}
    xml = ask("application/xml", report="diagnostic")
    assert xml.headers["content-type"].startswith("application/xml")
    assert b"DiagnosticData" in xml.content
    etsi = ask("application/xml")
    assert b"http://uri.etsi.org/19102/v1.4.1#" in etsi.content
    siva = ask(report="siva").json()["validationReport"]["validationConclusion"]
    assert siva["signatures"][0]["indication"] == "TOTAL-PASSED"
    assert siva["policy"]["policyUrl"] == "/api/v1/validation-policies/dauso-2026-3"

    # The paper is sealed by the service: it validates like any other document of the house.
    sealed = ask("application/pdf").content
    verdict = validate(sealed, trust=service.world.trust, now=service.now)
    assert verdict.passed, verdict.to_text("en")
    assert verdict.signatures[0].level == "PAdES-BASELINE-LTA"

    # Kept: asked for again in other forms, by its own client only.
    kept = ask(archive="true").json()
    again = service.http.get(f"/api/v1/validations/{kept['id']}", headers=headers)
    assert again.json()["indication"] == "TOTAL_PASSED"
    assert again.json()["digest"] == hashlib.sha256(signed).hexdigest()
    path = f"/api/v1/validations/{kept['id']}?report=pdf"
    assert service.http.get(path, headers=headers).content.startswith(b"%PDF-")
    path = f"/api/v1/validations/{kept['id']}?report=detailed"
    assert service.http.get(path, headers=headers).json()["BasicBuildingBlocks"]
    stranger = service.bearer("validate", name="another")
    assert service.http.get(path, headers=stranger).status_code == 404
    assert "validation.kept" in service.tags()
    refused = service.http.post(
        "/api/v1/validations", files={"file": ("qd.pdf", signed)}, data={"report": "novel"},
        headers=headers,
    )  # fmt: skip
    assert refused.json()["code"] == "report-form-unknown"


@ONLY_SQLITE
def test_policies_many_files_and_hostile_ones(service: Service, signed: bytes) -> None:
    """Policies are data with versions, chosen by name; a batch is judged file by file, and what
    cannot be read is an answer too."""
    headers = service.bearer("validate")
    listed = service.http.get("/api/v1/validation-policies").json()
    assert [one["id"] for one in listed if one["current"]] == ["dauso-2026-3"]
    assert "dauso-2026-1" in {one["id"] for one in listed}  # old ones stay
    text = service.http.get("/api/v1/validation-policies/dauso-archive-2026-1").text
    assert "sha1: 2012-08-01" in text
    for name in ("../../x", "none", "renewal-2026-1"):
        answer = service.http.get(f"/api/v1/validation-policies/{name}")
        assert answer.status_code == 404
    unknown = service.http.post(
        "/api/v1/validations", files={"file": ("a.pdf", signed)}, data={"policy": "none"},
        headers=headers,
    )  # fmt: skip
    assert (unknown.status_code, unknown.json()["code"]) == (404, "policy-unknown")

    files = [("files", ("a.pdf", signed)), ("files", ("b.pdf", b"no pdf"))]
    data = {"policy": "dauso-archive-2026-1", "details": "true"}
    answer = service.http.post("/api/v1/validations/batch", files=files, data=data, headers=headers)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["file"] for one in lines] == ["a.pdf", "b.pdf"]
    assert [one["indication"] for one in lines] == ["TOTAL_PASSED", "INDETERMINATE"]
    assert lines[0]["details"]["policy"] == "dauso-archive 2026-1"

    # Every form can be made of a file that cannot be read.
    for form in (*REPORTS, "pdf"):
        answer = service.http.post(
            "/api/v1/validations", files={"file": ("b.pdf", b"no pdf")}, data={"report": form},
            headers=headers,
        )  # fmt: skip
        assert answer.status_code == 200, (form, answer.text)


@ONLY_SQLITE
def test_the_document_stays_with_its_owner(service: Service, signed: bytes) -> None:
    """By digest: the /Contents of a PDF and the digest over its /ByteRange; the
    wrong digest is a changed document; SiVa's clients ask in their own words."""
    import pikepdf

    headers = service.bearer("validate")
    with pikepdf.open(io.BytesIO(signed)) as pdf:
        fields = pdf.Root.AcroForm.Fields
        value = next(one.V for one in fields if one.V.SubFilter == "/ETSI.CAdES.detached")
        first, start, end, rest = map(int, value.ByteRange)
        contents = bytes(value.Contents)
    digest = hashlib.sha256(signed[first:start] + signed[end : end + rest]).digest()

    def ask(value: bytes, **more: object) -> dict[str, Any]:
        body = {
            "signature": base64.b64encode(contents).decode(),
            "digests": [{"algorithm": "SHA256", "value": base64.b64encode(value).decode()}],
            "details": True,
            **more,
        }
        answer = service.http.post("/api/v1/validations/by-digest", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    good = ask(digest)
    assert good["sub_indication"] in (None, "TRY_LATER")  # the lists are not in a PDF's /Contents
    assert good["signatures"][0]["signer"]
    assert "giá trị băm" in good["text"]["vi"]
    assert ask(b"\0" * 32)["sub_indication"] == "HASH_FAILURE"
    other = ask(digest, digests=[{"algorithm": "SHA512", "value": ""}])
    assert other["sub_indication"] == "SIGNED_DATA_NOT_FOUND"

    siva = service.http.post(
        "/api/v1/siva/validate",
        json={
            "document": base64.b64encode(signed).decode(), "filename": "qd.pdf",
            "signaturePolicy": "POLv4", "reportType": "Detailed",
        },
        headers=headers,
    ).json()["validationReport"]  # fmt: skip
    assert siva["validationConclusion"]["validSignaturesCount"] == 1
    assert siva["validationProcess"]["BasicBuildingBlocks"]
    hashcode = service.http.post(
        "/api/v1/siva/validateHashcode",
        json={
            "signatureFiles": [
                {
                    "signature": base64.b64encode(contents).decode(),
                    "datafiles": [
                        {
                            "filename": "qd.pdf", "hashAlgo": "SHA256",
                            "hash": base64.b64encode(digest).decode(),
                        }
                    ],
                }
            ]
        },
        headers=headers,
    ).json()["validationReport"]["validationConclusion"]  # fmt: skip
    assert hashcode["signaturesCount"] == 1
    broken = service.http.post(
        "/api/v1/siva/validate", json={"document": "%%", "filename": "x"}, headers=headers
    )
    assert broken.status_code == 422
