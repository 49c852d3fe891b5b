"""Written refusals, page-by-page comparison, and copies of digital documents."""

from __future__ import annotations

import io
import subprocess
from datetime import timedelta
from pathlib import Path

import page as page_validation
import pikepdf
import pytest

from certify.counter.case_lookup import find_case
from certify.counter.refusal import find_refusal, issue_refusal
from certify.counter.viewers import Viewer
from certify.counter.visit_models import DigitalCopyRow
from certify.digital_copies import find_digital_copy, make_digital_copy, void_unfinished
from certify.errors import CertifyError, NotFound
from certify.models import CaseState
from certify.register import entries
from certify.scans.comparison import Checklist, Ground, PageFinding, examine, freeze
from certify.scans.page_findings import conclude, pages_found, record_page
from certify.stores import store
from certify.stores.store import items
from records import audit
from records.errors import DomainError
from signer.signing import SignatureRequest, document_digest
from tests.certify.test_cleaning import ONLY_SQLITE
from tests.certify.town_hall import BY, MAU, PIN, SEAL_PIN, UNIT, TownHall

CLERK = Viewer.official(unit=UNIT, by=BY)
ELSEWHERE = Viewer.official(unit="14758", by="official:x")


def text_of(data: bytes, path: Path) -> str:
    path.write_bytes(data)
    asked = ["/usr/bin/pdftotext", "-layout", str(path), "-"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


def test_a_refusal_is_written_and_reasoned(hall: TownHall, tmp_path: Path) -> None:
    """DOMAIN.md §4 *Refuse*: "A refusal is written and reasoned"; and no number is given."""
    office, now = hall.office, hall.now
    case = hall.opened()
    with pytest.raises(CertifyError) as raised:
        issue_refusal(office, case.id, person=(hall.person.id, PIN), now=now, by=BY)
    assert raised.value.code == "case-state-wrong"
    met = examine(
        office, case.id, checklist=Checklist(altered=True, damaged=True), viewer=CLERK, now=now,
        by=BY,
    )  # fmt: skip
    assert met == (Ground.ALTERED, Ground.DAMAGED)
    with pytest.raises(DomainError) as wrong:
        issue_refusal(office, case.id, person=(hall.person.id, "000000"), now=now, by=BY)
    assert wrong.value.code == "pin-wrong"
    assert find_refusal(office, case.id) is None
    made = issue_refusal(
        office, case.id, person=(hall.person.id, PIN), viewer=CLERK, now=now, by=BY,
        explanation="Ngày sinh trên bản chính bị tẩy và viết lại bằng mực khác.",
    )  # fmt: skip
    again = issue_refusal(office, case.id, person=(hall.person.id, PIN), now=now, by=BY)
    assert (again.digest, again.code) == (made.digest, made.code), "made once"
    words = " ".join(text_of(made.data, tmp_path / "refusal.pdf").split())
    for wanted in ("TỪ CHỐI CHỨNG THỰC", "Nguyễn Thị Mẫu", "bị tẩy xóa", "khoản 1 Điều 22",
                   "bị hư hỏng", "viết lại bằng mực khác", "Lê Văn Thử"):  # fmt: skip
        assert wanted in words
    assert "Số chứng thực" not in words
    report = page_validation.validate_pdf_bytes(made.data, profile="2b")
    found = {failure.rule_id for failure in report.failures}
    assert found <= {"PDFA2B-SIGNATURE-BYTERANGE-001"}, "archive data follow the signature"
    (item,) = items(office, owner_id=MAU.owner_id)
    assert (item.id, item.certified, item.digest) == (made.item_id, False, made.digest)
    assert entries(office, unit=UNIT, year=now.year) == []
    with pytest.raises(NotFound):
        find_refusal(office, case.id, viewer=ELSEWHERE)
    assert audit.verify(office.database).ok


@ONLY_SQLITE
def test_page_by_page(hall: TownHall) -> None:
    """ "page-by-page side-by-side comparison with a recorded finding per page"."""
    office = hall.office
    case = hall.captured()
    acts = {"viewer": CLERK, "now": hall.now, "by": BY}
    record_page(office, case.id, 1, PageFinding(matches=False, note="mờ"), **acts)
    record_page(office, case.id, 1, PageFinding(matches=True), **acts)
    with pytest.raises(CertifyError) as raised:
        conclude(office, case.id, checklist=Checklist(), **acts)
    assert (raised.value.code, raised.value.params["pages"]) == ("comparison-unfinished", "2")
    with pytest.raises(NotFound):
        record_page(office, case.id, 3, PageFinding(matches=True), **acts)
    with pytest.raises(NotFound):
        record_page(
            office, case.id, 2, PageFinding(matches=True), viewer=ELSEWHERE, now=hall.now, by="x:y"
        )
    record_page(office, case.id, 2, PageFinding(matches=True), **acts)
    assert list(pages_found(office, case.id, viewer=CLERK)) == [1, 2]
    assert conclude(office, case.id, checklist=Checklist(), **acts).passed
    assert find_case(office, case.id).state is CaseState.COMPARED
    freeze(office, case.id, reason="nghi ngờ giấy tờ giả", **acts)
    with pytest.raises(CertifyError) as raised:
        issue_refusal(office, case.id, person=(hall.person.id, PIN), now=hall.now, by=BY)
    assert raised.value.code == "case-state-wrong"


def signed_original(hall: TownHall, pages: int = 3) -> bytes:
    """A decision of three pages that an official has signed."""
    from signer.keys import activation
    from signer.levels import Level
    from signer.signing import sign_pdf
    from tests.signer.paper import decision

    data = decision(pages=pages)
    given = activation.authorize(
        hall.office.desk, credential_id=hall.person.id, pin=PIN, digests=[document_digest(data)],
        client="test", now=hall.now, by=BY,
    )  # fmt: skip
    request = SignatureRequest(level=Level.B_LTA)
    return sign_pdf(hall.office.desk, data, request, authorization=given, now=hall.now, by=BY).data


def test_copies_of_a_digital_original(hall: TownHall, tmp_path: Path) -> None:
    """DOMAIN.md §4: "signatures are validated and the report kept, and the result is a SAO Y";
    §3: "top right of the first page, no image"; "the two never share a template"."""
    office = hall.office
    source = signed_original(hall)
    order = {
        "unit": UNIT, "title": "Quyết định 01/QĐ-UBND", "seal": (hall.seal.id, SEAL_PIN),
        "viewer": CLERK, "now": hall.now, "by": BY,
    }  # fmt: skip
    made = make_digital_copy(office, form="SAO Y", source=source, owner_id=MAU.owner_id, **order)
    assert made.data.startswith(source), "the original and its signatures stay as they are"
    words = text_of(made.data, tmp_path / "sao-y.pdf")
    head = words[:800]
    assert "SAO Y" in head
    assert "ỦY BAN NHÂN DÂN PHƯỜNG HẠC THÀNH" in " ".join(head.split())
    assert "hứng thực" not in words
    assert "+07:00" in head
    assert b'"signatures"' in office.blobs.get(made.report_digest)
    assert office.blobs.get(made.source_digest) == source
    (item,) = items(office, owner_id=MAU.owner_id)
    assert (item.certified, item.title) == (False, "SAO Y: Quyết định 01/QĐ-UBND")
    extract = make_digital_copy(office, form="TRÍCH SAO", source=source, pages=[2], **order)
    with pikepdf.open(io.BytesIO(extract.data)) as pdf:
        assert len(pdf.pages) == 1
    assert "TRÍCH SAO" in text_of(extract.data, tmp_path / "extract.pdf")
    shown = subprocess.run(
        ["/usr/bin/pdfsig", "-nocert", str(tmp_path / "sao-y.pdf")],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    assert shown.count("Signature is Valid") >= 2
    assert entries(office, unit=UNIT, year=hall.now.year) == []
    assert find_digital_copy(office, made.id, viewer=Viewer.citizen(MAU.owner_id)).data == made.data
    with pytest.raises(NotFound):
        find_digital_copy(office, made.id, viewer=ELSEWHERE)
    # Files are stored once: what its owner deletes from the store stays the agency's document.
    for title, data in (("bản gốc", source), ("báo cáo", office.blobs.get(made.report_digest))):
        own = store.add(
            office, owner_id=MAU.owner_id, kind="own-paper", title=title, data=data,
            now=hall.now, by=BY,
        )  # fmt: skip
        store.purge(office, own.id, owner_id=MAU.owner_id, now=hall.now, by=BY)
    store.purge(office, item.id, owner_id=MAU.owner_id, now=hall.now, by=BY)
    assert find_digital_copy(office, made.id, viewer=CLERK).data == made.data
    assert office.blobs.get(made.source_digest) == source
    assert office.blobs.exists(made.report_digest)


@ONLY_SQLITE
def test_what_cannot_be_copied_digitally(hall: TownHall) -> None:
    """Unsigned, changed after signing, an unknown form, pages that are not there: refused."""
    from tests.signer.paper import decision

    office = hall.office
    source = signed_original(hall)
    changed = source.replace(b"/Count 3", b"/Count 2", 1)
    order = {"unit": UNIT, "title": "Văn bản", "seal": (hall.seal.id, SEAL_PIN), "now": hall.now}
    for data, form, pages, code in (
        (decision(), "SAO Y", None, "digital-original-unsigned"),
        (changed, "SAO Y", None, "digital-original-not-valid"),
        (b"no pdf", "SAO Y", None, "digital-original-unsigned"),
        (source, "CHỨNG THỰC", None, "digital-copy-form-unknown"),
        (source, "TRÍCH SAO", [4], "extract-pages-invalid"),
        (source, "TRÍCH SAO", None, "extract-pages-invalid"),
    ):
        with pytest.raises(CertifyError) as raised:
            make_digital_copy(office, form=form, source=data, pages=pages, by=BY, **order)
        assert raised.value.code == code
    with office.database.transaction() as session:
        states = {row.state for row in session.query(DigitalCopyRow)}
        assert states == {"void"}
        session.query(DigitalCopyRow).update({"state": "intended"})
    later = hall.now + timedelta(minutes=11)
    assert void_unfinished(office, now=later, by="system:recovery") == 2
