"""CAdES, XAdES and ASiC-E over HTTP and on the command line: signed, fetched, validated."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from api.commands.__main__ import main
from hsm.mechanisms import KeyAlgorithm
from signer.verdicts.validation import validate
from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import DEMO, PIN, TownHall
from tests.signer.signed_files import DOSSIER, REPORT

DECISION = (DEMO / "decision.pdf").read_bytes()
TWO = [
    ("files", ("báo cáo.txt", REPORT.data, "text/plain")),
    ("files", ("quyết định.pdf", DECISION, "application/pdf")),
]


def order(hall: TownHall, **how: Any) -> dict[str, str]:
    return {"credential_id": hall.person.id, "pin": PIN, "how": json.dumps(how)}


@ONLY_SQLITE
@pytest.mark.parametrize(
    ("format_", "media_type", "files"),
    [
        ("cades-detached", "application/pkcs7-signature", TWO[:1]),
        ("cades-enveloping", "application/pkcs7-mime", TWO[:1]),
        (
            "xades-enveloped",
            "application/xml",
            [("files", ("ho-so.xml", DOSSIER.data, "text/xml"))],
        ),
        ("asic-e-cades", "application/vnd.etsi.asic-e+zip", TWO),
        ("asic-e-xades", "application/vnd.etsi.asic-e+zip", TWO),
    ],
)
def test_in_one_call_and_validated(
    service: Service, hall: TownHall, format_: str, media_type: str, files: list[Any]
) -> None:
    """Over HTTP: what was signed is TOTAL_PASSED."""
    answer = service.http.post(
        "/api/v1/signatures/files",
        files=files,
        data=order(hall, format=format_, level="B-LTA"),
        headers=service.bearer("sign", "validate"),
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == media_type
    asked = [("file", ("signed", answer.content, media_type))]
    if format_ == "cades-detached":
        asked.append(("content", ("báo cáo.txt", REPORT.data, "text/plain")))
    report = service.http.post(
        "/api/v1/validations", files=asked, headers=service.bearer("sign", "validate")
    )
    assert report.status_code == 200, report.text
    assert report.json()["verdict"] == "valid", report.json()["text"]["en"]
    (signature,) = report.json()["signatures"]
    family = "XAdES" if "xades" in format_ else "CAdES"
    assert signature["level"] == f"{family}-BASELINE-LTA"
    assert signature["covers_whole_file"]


@ONLY_SQLITE
def test_in_steps(service: Service, hall: TownHall) -> None:
    """Upload, authorise what was shown, sign into one container, fetch."""
    headers = service.bearer("sign")
    documents = [
        service.http.post("/api/v1/documents", files=[("file", one)], headers=headers).json()
        for _, one in TWO
    ]
    ids = [one["id"] for one in documents]
    given = service.http.post(
        "/api/v1/authorizations",
        json={"credential_id": hall.person.id, "pin": PIN, "document_ids": ids},
        headers=headers,
    ).json()
    wanted = {
        "sad": given["sad"],
        "document_ids": ids,
        "format": "asic-e-cades",
        "level": "B-LT",
    }
    signed = service.http.post("/api/v1/signatures/documents", json=wanted, headers=headers)
    assert signed.status_code == 201, signed.text
    assert signed.json()["name"].endswith(".asice")
    fetched = service.http.get(signed.json()["content_url"], headers=headers)
    assert fetched.headers["content-type"] == "application/zip"
    assert hashlib.sha256(fetched.content).hexdigest() == signed.json()["digest"]
    assert validate(fetched.content, trust=service.house.trust, now=service.now).passed
    again = service.http.post("/api/v1/signatures/documents", json=wanted, headers=headers)
    assert again.status_code in {403, 404, 409, 410}


@ONLY_SQLITE
@pytest.mark.parametrize(
    ("how", "files", "code"),
    [
        ({"format": "xades-enveloped"}, TWO[:1], "xml-malformed"),
        ({"format": "cades-detached"}, TWO, "format-takes-one-file"),
        ({"format": "asic-e-cades"}, [TWO[0], TWO[0]], "file-names-alike"),
        ({"format": "cades-detached", "level": "B-X"}, TWO[:1], "level-unknown"),
    ],
)
def test_refusals(
    service: Service, hall: TownHall, how: dict[str, str], files: list[Any], code: str
) -> None:
    """One clear message in two languages; nothing signed."""
    answer = service.http.post(
        "/api/v1/signatures/files", files=files, data=order(hall, **how),
        headers=service.bearer("sign"),
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["messages"]["vi"]
    assert "signature.made" not in service.tags()


@ONLY_SQLITE
def test_pss_only_for_rsa(service: Service, hall: TownHall) -> None:
    """A scheme that does not fit the key is refused before anything is signed."""
    answer = service.http.post(
        "/api/v1/signatures/files",
        files=TWO[:1],
        data=order(hall, format="cades-detached", level="B-B", scheme="rsa-pss"),
        headers=service.bearer("sign"),
    )
    assert hall.person.algorithm is KeyAlgorithm.P_256
    assert (answer.status_code, answer.json()["code"]) == (422, "scheme-unfit")


@ONLY_SQLITE
def test_certification_and_locks_of_a_pdf(service: Service, hall: TownHall) -> None:
    """ISO 32000-1 §12.8.2.2 and §12.8.2.4: DocMDP 1 to 3 and each FieldMDP action, by the API."""
    headers = service.bearer("sign")
    for permission, lock in (
        (1, {}),
        (2, {"lock_fields": []}),
        (3, {"lock_fields_except": ["Ghi chú"]}),
        (None, {"lock_fields": ["Họ tên"]}),
    ):
        how = {"level": "B-B", **lock, **({"certify": permission} if permission else {})}
        answer = service.http.post(
            "/api/v1/signatures",
            files={"file": ("a.pdf", DECISION, "application/pdf")},
            data={**order(hall), "how": json.dumps(how)},
            headers=headers,
        )
        assert answer.status_code == 201, answer.text
        report = validate(answer.content, trust=service.house.trust, now=service.now)
        assert report.signatures[0].certification == permission
        assert (b"/FieldMDP" in answer.content) == bool(lock)
    both = {"level": "B-B", "lock_fields": [], "lock_fields_except": []}
    answer = service.http.post(
        "/api/v1/signatures",
        files={"file": ("a.pdf", DECISION, "application/pdf")},
        data={**order(hall), "how": json.dumps(both)},
        headers=headers,
    )
    assert answer.status_code == 422


@ONLY_SQLITE
def test_dauso_validate_reads_all_of_them(
    service: Service, hall: TownHall, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`dauso validate` with the second file of a detached signature; the exit codes."""
    answer = service.http.post(
        "/api/v1/signatures/files",
        files=TWO[:1],
        data=order(hall, format="cades-detached", level="B-LTA"),
        headers=service.bearer("sign"),
    )
    signature, report, root = (tmp_path / one for one in ("a.p7s", "a.txt", "root.pem"))
    signature.write_bytes(answer.content)
    report.write_bytes(REPORT.data)
    anchor = service.world.authority.issuer("root").certificate
    root.write_bytes(anchor.public_bytes(Encoding.PEM))
    with_file = ["--content", str(report)]
    for more, code in ((with_file, 0), ([], 2), (["--content", str(root)], 1)):
        arguments = ["validate", str(signature), "--trust", str(root), "--json", *more]
        capsys.readouterr()  # what the service has logged
        assert main(arguments) == code
        shown = json.loads(capsys.readouterr().out)
        assert shown["signatures"][0]["signer"] or code
