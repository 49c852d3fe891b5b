"""What may come beside a file: the document of a detached signature, an evidence record."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from api import long_life
from signer.long_life.evidence_store import evidence_of
from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import PIN, TownHall
from tests.signer.signed_files import REPORT, TABLE
from tests.signer.test_originals import taken_out

DOCUMENT = ("báo cáo.txt", REPORT.data, "text/plain")


def signed(service: Service, hall: TownHall, *files: Any, **how: str) -> bytes:
    answer = service.http.post(
        "/api/v1/signatures/files",
        files=[("files", one) for one in files],
        data={"credential_id": hall.person.id, "pin": PIN, "how": json.dumps(how)},
        headers=service.bearer("sign", "validate"),
    )
    assert answer.status_code == 201, answer.text
    made: bytes = answer.content
    return made


@ONLY_SQLITE
def test_document_and_record_beside_a_file(service: Service, hall: TownHall) -> None:
    """Detached on the public page in either order; records and the look ahead for every format."""
    detached = signed(service, hall, DOCUMENT, format="cades-detached", level="B-LTA")
    signature = ("báo cáo.p7s", detached, "application/pkcs7-signature")
    page = service.http.get("/verify").text
    assert 'name="document"' in page

    def shown(**files: Any) -> str:
        answer = service.http.post("/verify", files=files, headers={"HX-Request": "true"})
        return str(answer.text)

    for pair in ((signature, DOCUMENT), (DOCUMENT, signature)):
        part = shown(file=pair[0], document=pair[1])
        assert "ds-good" in part
        assert "Tài liệu được ký: báo cáo.txt" in part
    changed = (DOCUMENT[0], REPORT.data + b".", "text/plain")
    assert "ds-bad" in shown(file=signature, document=changed)
    # A browser sends the field that was left empty without a name.
    alone = shown(file=signature, document=("", b"", "application/octet-stream"))
    assert "ds-good" not in alone
    assert "Tài liệu được ký" not in alone

    headers = service.bearer("sign", "validate")
    table = ("số.csv", TABLE.data, "text/csv")
    container = signed(service, hall, DOCUMENT, table, format="asic-e-xades", level="B-LTA")

    # A signature over several files: all of them, in any order, by every way there is.
    several = ("chữ ký.xml", taken_out(container), "text/xml")
    other_xml = ("hồ sơ.xml", b"<a/>", "text/xml")
    page = [("file", DOCUMENT), ("document", other_xml), ("document", several)]
    part = service.http.post("/verify", files=page, headers={"HX-Request": "true"}).text
    assert "không thuộc chữ ký nào ở đây: hồ sơ.xml" in part
    for first, *others in ((several, DOCUMENT, table), (DOCUMENT, several, table)):
        sent = [("file", first), *(("document", one) for one in others)]
        part = service.http.post("/verify", files=sent, headers={"HX-Request": "true"}).text
        assert "ds-good" in part
        assert "Tài liệu được ký: báo cáo.txt, số.csv" in part
    for contents, found in (([table, DOCUMENT], None), ([DOCUMENT], "SIGNED_DATA_NOT_FOUND")):
        sent = [("file", several), *(("content", one) for one in contents)]
        answer = service.http.post("/api/v1/validations", files=sent, headers=headers).json()
        assert answer["sub_indication"] == found
    assert "số.csv" in answer["text"]["vi"]
    crowd = [("file", several), *[("content", DOCUMENT)] * 101]
    assert service.http.post("/api/v1/validations", files=crowd, headers=headers).status_code == 422

    # The look ahead, from what the file itself holds.
    def preview(data: bytes, *more: Any) -> Any:
        return service.http.post(
            "/api/v1/validations/preview",
            files=[("file", ("a", data)), *more],
            data={"at": "2027-06-01"},
            headers=headers,
        )

    for ahead in (preview(detached, ("content", DOCUMENT)), preview(container)):
        assert ahead.status_code == 200, ahead.text
        found = ahead.json()
        assert (found["answer"], found["proof"]) == ("stands", "archive-time-stamp")
    both = [("content", DOCUMENT), ("content", table)]
    assert preview(several[1], *both).json()["proof"] == "archive-time-stamp"
    assert preview(several[1], *both[1:]).json()["code"] == "validation-others-missing"
    both.append(("content", other_xml))
    assert preview(several[1], *both).json()["code"] == "validation-original-surplus"
    assert preview(detached).json()["code"] == "validation-content-missing"
    for unsigned in (b"<a/>", b"a text", b"PK\x05\x06" + bytes(18)):
        assert preview(unsigned).json()["code"] == "not-signed"
    assert preview(b"PK").status_code == 422

    # An evidence record that somebody else kept.
    long_life.keep(service.house, now=service.now, by="system:renewal")
    kept = evidence_of(service.house, hashlib.sha256(container).hexdigest())
    assert kept is not None

    def judged(data: bytes, **parts: Any) -> Any:
        files = [
            ("file", ("a", data)),
            *(("companions", ("c", one)) for one in parts["companions"]),
        ]
        files += [("evidence", ("r.ers", parts["record"]))] if "record" in parts else []
        return service.http.post(
            "/api/v1/validations", files=files, data={"details": "true"}, headers=headers
        )

    def codes(answer: Any) -> list[str]:
        assert answer.status_code == 200, answer.text
        return [one["code"] for one in answer.json()["details"]["findings"]]

    given = {"record": kept.record, "companions": kept.companions}
    assert codes(judged(container, **given)) == ["evidence-since"]
    assert codes(judged(container, record=b"0", companions=[])) == ["evidence-damaged"]
    assert codes(judged(detached, **given))[0] == "evidence-about-something-else"
    assert judged(container, companions=[b"0"]).json()["code"] == "evidence-record-missing"
    assert judged(container, record=b"0", companions=[b"0"] * 21).status_code == 422
