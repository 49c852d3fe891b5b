"""Options of a copy: the recognised text under the image, the capture's record attached."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import page as page_validation
import pikepdf
import pytest
from PIL import Image

from certify.errors import CertifyError
from certify.issuance import certify_copy
from certify.money.payments import pay
from certify.pages.assembly import CAPTURE_DATA
from certify.pages.prepared import prepare_copy
from certify.scans import recognition
from certify.scans.captures import captured_pages, record_capture
from certify.scans.comparison import Checklist, record_comparison
from certify.scans.recognition import recognise
from tests.certify.test_capture import saved, scan
from tests.certify.test_cleaning import ONLY_SQLITE
from tests.certify.town_hall import BY, TRANSCRIPT, TownHall
from tests.interop import maven_judges

pytestmark = ONLY_SQLITE
KNOWN = {"PDFA2B-SIGNATURE-BYTERANGE-001", "PDFA3B-SIGNATURE-BYTERANGE-001"}
"""Archive data follow the last signature; veraPDF and EU DSS accept that."""


@pytest.mark.skipif(recognition.engine() is None, reason="tesseract with Vietnamese is not here")
def test_words_under_the_image_and_the_capture_attached(hall: TownHall, tmp_path: Path) -> None:
    """ "PDF/A-2b (3b when the capture data are attached), OCR text layer as an option
    (Vietnamese), Vietnamese extracts correctly"."""
    office = replace(hall.office, attach_capture_data=True)
    case = hall.opened(original=replace(TRANSCRIPT, pages=1))
    upper = saved(scan().crop((0, 0, 1654, 1000)))
    record_capture(office, case.id, [upper], now=hall.now, by=BY)
    acts = {"now": hall.now, "by": BY}
    assert recognise(office, case.id, **acts) == 1
    assert recognise(office, case.id, **acts) == 1, "what is known is not read again"
    record_comparison(office, case.id, pages=[True], checklist=Checklist(), **acts)
    pay(office, case.id, method="cash", **acts)
    copy = certify_copy(office, case.id, **hall.hands, **acts)

    path = tmp_path / "copy.pdf"
    path.write_bytes(copy.data)
    asked = ["/usr/bin/pdftotext", "-layout", str(path), "-"]
    words = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    for wanted in ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "BỘ GIÁO DỤC VÀ ĐÀO TẠO"):
        assert wanted in words
    assert "CHỨNG THỰC BẢN SAO" in words, "the statement's own text is still there"

    report = page_validation.validate_pdf_bytes(copy.data, profile="3b")
    assert {failure.rule_id for failure in report.failures} <= KNOWN
    if maven_judges.why_absent("verapdf") is None:
        assert maven_judges.verapdf([path], flavour="3b") == {str(path): []}
    with pikepdf.open(io.BytesIO(copy.data)) as pdf:
        spec = pdf.Root.AF[0]
        assert (str(spec.AFRelationship), str(spec.UF)) == ("/Data", CAPTURE_DATA)
        record = json.loads(bytes(spec.EF.F.read_bytes()))
    assert record["pages"][0]["digest"] == hashlib.sha256(upper).hexdigest()
    assert "official" not in json.dumps(record)


def test_without_the_engine_it_says_so(hall: TownHall, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that is not there holds nothing up: the error says what to install."""
    monkeypatch.setattr(recognition.shutil, "which", lambda name: None)
    case = hall.captured()
    with pytest.raises(CertifyError) as raised:
        recognise(hall.office, case.id, now=hall.now, by=BY)
    assert raised.value.code == "ocr-unavailable"
    assert "tesseract-ocr-vie" in str(raised.value)


@pytest.mark.skipif(recognition.engine() is None, reason="tesseract with Vietnamese is not here")
def test_a_bad_image_is_an_error_not_a_layer(hall: TownHall) -> None:
    """What comes back is checked: one page of PDF or nothing."""
    case = hall.captured()
    _, (page, _) = captured_pages(hall.office, case.id)
    with pytest.raises(CertifyError) as raised:
        recognition.text_layer(b"no image", page)
    assert raised.value.code == "ocr-failed"
    small = io.BytesIO()
    Image.new("RGB", (40, 40), "white").save(small, "PNG")
    assert recognition.text_layer(small.getvalue(), page).startswith(b"%PDF")


def test_what_is_shown_is_what_is_signed(hall: TownHall) -> None:
    """The certifying person sees the very bytes that get their signature, number included."""
    case = hall.compared()
    acts = {"now": hall.now, "by": BY}
    people = {"person_id": hall.person.id, "seal_id": hall.seal.id}
    shown = prepare_copy(hall.office, case.id, **people, **acts)
    again = prepare_copy(hall.office, case.id, **people, **acts)
    assert (shown.number, shown.pdf) == ("01", again.pdf)
    copy = certify_copy(hall.office, case.id, **hall.hands, **acts)
    assert copy.data.startswith(shown.pdf)
    assert copy.number == "01"
