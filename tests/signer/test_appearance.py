"""Looks: the cases of decree 30/2020 annex I, drawn, rendered, copied out, checked as PDF/A."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np
import page as page_validation
import pikepdf
import pypdfium2 as pdfium
import pytest

from signer.errors import DocumentRefused, SignerError
from signer.keys import images
from signer.looks.appearance import SEAL_DIAMETER, Appearance
from signer.looks.drawing import shown_time
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.signature import SignatureRequest
from tests.interop import maven_judges
from tests.signer import paper
from tests.signer.pictures import seal_png, signature_png
from tests.signer.software_ca import NOW
from tests.signer.software_desk import pyhanko_verdicts, qpdf_check, sign

SIGNATURE = images.check(signature_png(), "signature")
SEAL = images.check(seal_png(), "seal")
SCALE = 2


def signed(appearance: Appearance, data: bytes | None = None, picture: object = SIGNATURE) -> bytes:
    return sign(data or paper.decision(), SignatureRequest(appearance=appearance), picture=picture)


def rendered(data: bytes, number: int = -1) -> np.ndarray:
    with pdfium.PdfDocument(data) as pdf:
        pdf.init_forms()
        return np.asarray(
            pdf[number % len(pdf)].render(scale=SCALE).to_pil().convert("RGB")
        ).astype(int)


def drawn(before: bytes, after: bytes, number: int = -1) -> tuple[float, float, float, float]:
    """The box of what has changed on a page, in points from its lower left corner."""
    one, two = rendered(before, number), rendered(after, number)
    rows, columns = np.nonzero(np.abs(one - two).sum(axis=2) > 40)
    height = one.shape[0]
    return (columns.min() / SCALE, (height - rows.max()) / SCALE,
            columns.max() / SCALE, (height - rows.min()) / SCALE)  # fmt: skip


def rect(data: bytes, index: int = -1) -> list[float]:
    with pikepdf.open(io.BytesIO(data)) as pdf:
        return [float(one) for one in pdf.Root.AcroForm.Fields[index].Rect]


def text_of(data: bytes, tmp_path: Path) -> str:
    (tmp_path / "t.pdf").write_bytes(data)
    run = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "t.pdf", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


def test_a_picture_stands_between_title_and_name() -> None:
    """Annex I: the picture of the signature is centred between title and full name."""
    data = paper.decision()
    after = signed(Appearance.person())
    x1, y1, x2, y2 = drawn(data, after)
    with pdfium.PdfDocument(data) as pdf:
        text = pdf[0].get_textpage()
        name = text.get_rect(text.count_rects() - 1)
        title = text.get_rect(text.count_rects() - 2)
    assert abs((x1 + x2) / 2 - (name[0] + name[2]) / 2) < 4
    assert y1 >= name[3] - 1
    assert y2 <= title[1] + 1
    assert abs((y1 + y2) / 2 - (name[3] + title[1]) / 2) < 6


def test_the_title_is_an_anchor_too() -> None:
    """Below a title in capitals, above a name."""
    below = rect(signed(Appearance.person(anchor="PHÓ CHỦ TỊCH")))
    above = rect(signed(Appearance.person(anchor="Nguyễn Thị Mẫu")))
    assert abs(below[0] - above[0]) < 6
    assert abs(below[1] - above[1]) < 6


def test_a_missing_anchor_and_a_crowded_one_are_refused() -> None:
    """A signature never covers text."""
    with pytest.raises(SignerError) as caught:
        signed(Appearance.person(anchor="Trần Văn Khác"))
    assert caught.value.code == "anchor-not-found"
    with pytest.raises(SignerError) as caught:
        signed(Appearance.person(anchor="KT. CHỦ TỊCH"))
    assert caught.value.code == "no-room-at-anchor"


def test_a_block_that_is_signed_is_named_as_such() -> None:
    """Whoever signs a document twice by mistake is told that, not how many points are free."""
    with pytest.raises(SignerError) as caught:
        signed(Appearance.person(), signed(Appearance.person()))
    assert caught.value.code == "block-already-signed"


def test_the_seal_covers_one_third_of_the_picture_from_the_left() -> None:
    """Annex I: true size, over about one third of the signature's picture, to its left."""
    person = signed(Appearance.person())
    sealed = signed(Appearance.seal(), person, SEAL)
    x1, y1, x2, y2 = rect(person)
    sx1, sy1, sx2, sy2 = rect(sealed)
    assert sx2 == pytest.approx(x1 + (x2 - x1) / 3, abs=0.01)
    assert sx2 - sx1 == pytest.approx(SEAL_DIAMETER, abs=0.01)
    assert sy2 - sy1 == pytest.approx(SEAL_DIAMETER, abs=0.01)
    assert sy1 < (y1 + y2) / 2 < sy2
    pixels = rendered(sealed)
    red = (pixels[..., 0] > 150) & (pixels[..., 1] < 110) & (pixels[..., 2] < 110)
    blue = (pixels[..., 2] > 120) & (pixels[..., 0] < 110)
    assert red.sum() > 2000
    assert blue.sum() > 500


def test_a_seal_without_a_person_has_no_place() -> None:
    """The seal goes on the person's signature."""
    with pytest.raises(SignerError) as caught:
        signed(Appearance.seal(), picture=SEAL)
    assert caught.value.code == "seal-without-person"


def test_a_second_signature_never_hides_the_first() -> None:
    """A signature never covers text (decree 30/2020, annex I)."""
    once = signed(Appearance(box=(100, 100, 220, 160)))
    with pytest.raises(DocumentRefused) as caught:
        signed(Appearance(box=(200, 150, 300, 200)), once)
    assert caught.value.code == "appearance-covers-signature"
    first, second = pyhanko_verdicts(signed(Appearance(box=(230, 100, 340, 160)), once))
    assert first.bottom_line
    assert second.bottom_line


def test_a_box_on_text_is_refused() -> None:
    """A signature never covers text (decree 30/2020, annex I), wherever somebody puts it."""
    with pytest.raises(DocumentRefused) as caught:
        signed(Appearance(page=1, box=(60, 700, 300, 800)))
    assert caught.value.code == "appearance-covers-text"
    signed(Appearance(page=1, box=(60, 60, 300, 160)))


def test_a_seal_hides_nobody() -> None:
    """A second signature never hides the first: one third of one picture, and no other seal."""
    person = signed(Appearance.person())
    x1, y1, x2, y2 = rect(person)
    with pytest.raises(DocumentRefused) as caught:
        signed(Appearance.seal(box=(x1, y1, x2, y2)), person, SEAL)
    assert caught.value.code == "appearance-covers-signature"
    sealed = signed(Appearance.seal(), person, SEAL)
    with pytest.raises(DocumentRefused) as caught:
        signed(Appearance.seal(), sealed, SEAL)
    assert caught.value.code == "appearance-covers-signature"


def test_a_note_beside_an_earlier_note() -> None:
    """SAO LỤC is a copy of a copy: the note of SAO Y stands in the corner already."""
    first = signed(Appearance.copy_note(form="SAO Y", agency="UBND phường Hạc Thành"))
    second = signed(Appearance.copy_note(form="SAO LỤC", agency="UBND tỉnh Thanh Hóa"), first)
    (left, low, *_), (_, second_low, second_right, _) = rect(first), rect(second)
    assert left - 10 < second_right <= left  # beside it, and close
    assert min(low, second_low) > 842 * 0.92


def test_a_note_never_covers_a_letterhead() -> None:
    """Where no corner is free the refusal says so."""
    with pytest.raises(SignerError) as caught:
        signed(Appearance.annex(number="x" * 130))
    assert caught.value.code == "no-room-at-corner"


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (Appearance("bogus"), "template-unknown"),
        (Appearance("annex"), "note-words"),
        (Appearance("copy-note", lines=("SAO Y", " ")), "note-words"),
        (Appearance("copy-note", lines=("CHỨNG THỰC", "UBND")), "copy-form-unknown"),
        (Appearance("annex", lines=("12/\0QĐ",)), "glyph-missing"),
        (Appearance(name="\u202eabc", box=(60, 60, 300, 160)), "glyph-missing"),
    ],
)
def test_words_that_a_template_does_not_take(look: Appearance, code: str) -> None:
    """Refused with what is wrong, before a page is looked at."""
    with pytest.raises(SignerError) as caught:
        signed(look)
    assert caught.value.code == code


def test_a_name_that_is_written_again_below() -> None:
    """The list of recipients may name the signer too: the block with room is meant."""
    again = "- Nguyễn Thị Mẫu (để báo cáo);"
    data = with_text(paper.decision(), 380, 330, again, above="Nơi nhận:")
    x1, y1, x2, y2 = rect(signed(Appearance.person(), data))
    alone = rect(signed(Appearance.person()))
    assert (x1, y1, x2, y2) == pytest.approx(alone, abs=0.1)


def test_a_block_at_the_edge_of_the_page() -> None:
    """The picture is narrower where the page ends beside the name."""
    data = with_text(cropped(paper.decision(), right=490), 0, 0, "")
    x1, _, x2, _ = rect(signed(Appearance.person(), data))
    assert x2 <= 490
    assert 40 < x2 - x1 < 130


def test_the_annex_note_is_top_right_without_a_picture(tmp_path: Path) -> None:
    """Annex I: first page, top right, number and symbol, then the time; 10 pt upright black."""
    data = paper.decision(pages=3)
    after = signed(Appearance.annex(number="12/QĐ-UBND"), data)
    x1, y1, x2, _ = drawn(data, after, 0)
    assert x1 > 595 / 2
    assert x2 < 595
    assert y1 > 842 * 0.93
    words = text_of(after, tmp_path)
    assert "12/QĐ-UBND" in words
    assert "02-03-2026 15:30:00 +07:00" in words


def test_notes_stand_on_the_first_page() -> None:
    """Annex I: "trang đầu", also where the request names no page and the usual one is the last."""
    data = paper.decision(pages=3)
    after = signed(Appearance("annex", lines=("12/QĐ-UBND",)), data)
    assert drawn(data, after, 0)[0] > 595 / 2
    with pikepdf.open(io.BytesIO(after)) as pdf:
        assert pdf.Root.AcroForm.Fields[0].P.objgen == pdf.pages[0].objgen


@pytest.mark.parametrize("form", ["SAO Y", "SAO LỤC", "TRÍCH SAO"])
def test_the_copy_note_says_form_agency_and_time(form: str, tmp_path: Path) -> None:
    """Annex I: form of copy, agency, signing time; never the words of a certified copy."""
    after = signed(Appearance.copy_note(form=form, agency="UBND phường Hạc Thành"))
    words = " ".join(text_of(after, tmp_path).split())
    assert form in words
    assert "UBND phường Hạc Thành" in words
    assert "02-03-2026 15:30:00 +07:00" in words
    assert "CHỨNG THỰC" not in words


def test_a_delegated_signer_is_named_with_the_prefix(tmp_path: Path) -> None:
    """TM., Q., KT., TL., TUQ.: the superior's title, then one's own."""
    look = Appearance.person(
        page=1, box=(60, 60, 300, 210), prefix="KT.", superior="Chủ tịch", title="Phó Chủ tịch",
        name="Lê Văn Thử",
    )  # fmt: skip
    words = text_of(signed(look), tmp_path)
    assert words.index("KT. CHỦ TỊCH") < words.rindex("PHÓ CHỦ TỊCH") < words.rindex("Lê Văn Thử")
    with pytest.raises(SignerError):
        Appearance.person(prefix="PP.")


def test_every_vietnamese_letter_is_copied_out_right(tmp_path: Path) -> None:
    """ISO 32000-1 §9.10.3 ToUnicode: what is copied is what was written, in NFC."""
    letters = "ăâđêôơưÀẢÃÁẠẰẲẴẮẶẦẨẪẤẬĐÈẺẼÉẸỀỂỄẾỆÌỈĨÍỊÒỎÕÓỌỒỔỖỐỘỜỞỠỚỢÙỦŨÚỤỪỬỮỨỰỲỶỸÝỴ"
    lines = (letters[:34], letters[34:], letters.lower())
    look = Appearance(template="annex", page=1, lines=lines, box=(60, 60, 400, 160))
    words = text_of(signed(look), tmp_path)
    for line in look.lines:
        assert line in words


def test_decomposed_text_is_written_composed(tmp_path: Path) -> None:
    """A name typed on another system may come in NFD."""
    import unicodedata

    name = unicodedata.normalize("NFD", "Nguyễn Thị Mẫu Ước")
    look = Appearance(page=1, box=(60, 60, 300, 160), name=name)
    assert "Nguyễn Thị Mẫu Ước" in text_of(signed(look), tmp_path)


def test_a_letter_the_font_lacks_is_refused() -> None:
    """Never an empty box in a signed document."""
    with pytest.raises(SignerError) as caught:
        signed(Appearance(page=1, box=(60, 60, 300, 160), name="漢字"))
    assert caught.value.code == "glyph-missing"


def test_widths_are_those_of_the_font() -> None:
    """Widths × 1000/unitsPerEm (Tinos has 2048): what pyHanko gets wrong."""
    from fontTools.ttLib import TTFont

    after = signed(Appearance(template="annex", page=1, lines=("ABC",), show_time=False))
    with pikepdf.open(io.BytesIO(after)) as pdf:
        form = pdf.Root.AcroForm.Fields[0].AP.N
        (font,) = form.Resources.Font.values()
        cid_font = font.DescendantFonts[0]
        program = TTFont(io.BytesIO(cid_font.FontDescriptor.FontFile2.read_bytes()))
        numbers = list(cid_font.W)
        widths = dict(zip(numbers[::2], (float(one[0]) for one in numbers[1::2]), strict=True))
    assert program["head"].unitsPerEm == 2048
    order = program.getGlyphOrder()
    assert len(widths) == 3
    for number, width in widths.items():
        assert width == pytest.approx(
            program["hmtx"][order[int(number)]][0] * 1000 / 2048, abs=0.01
        )


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_stamp_stands_upright_on_a_turned_page(rotation: int) -> None:
    """A box is given as the page is shown, whatever /Rotate says."""
    with pikepdf.open(io.BytesIO(paper.decision())) as pdf:
        pdf.pages[0].obj.Rotate = rotation
        out = io.BytesIO()
        pdf.save(out)
    left = 500.0 if rotation == 270 else 60.0  # where that page is free
    data, box = out.getvalue(), (left, 40.0, left + 160, 120.0)
    x1, y1, x2, y2 = drawn(data, signed(Appearance(page=1, box=box), data))
    assert box[0] - 1 <= x1 < x2 <= box[2] + 1
    assert box[1] - 1 <= y1 < y2 <= box[3] + 1
    assert (x2 - x1) > (y2 - y1)  # the signature is wider than high: it was not turned


def test_a_shifted_crop_box_is_respected() -> None:
    """(0, 0) is the lower left corner of what is shown."""
    with pikepdf.open(io.BytesIO(paper.decision())) as pdf:
        pdf.pages[0].obj.MediaBox = [100, 200, 695, 1042]
        out = io.BytesIO()
        pdf.save(out)
    after = signed(Appearance(page=1, box=(10, 10, 110, 60)), out.getvalue())
    x1, y1, x2, y2 = rect(after)
    assert (x1, y1, x2, y2) == (110, 210, 210, 260)


@pytest.mark.parametrize("flavour", ["a-1b", "a-2b", "a-3b"])
def test_pdfa_stays_pdfa(flavour: str, tmp_path: Path) -> None:
    """PDF/A stays PDF/A: a soft mask is transparency, which PDF/A-1 forbids (ISO 19005-1 §6.4)."""
    data = paper.decision(pdfa=flavour)
    person = signed(Appearance.person(), data)
    assert pdfa_complaints(person, flavour) == []
    sealed = signed(Appearance.seal(), person, SEAL)
    (tmp_path / "a.pdf").write_bytes(sealed)
    assert qpdf_check(tmp_path / "a.pdf") == ""
    # page-validation wants every ByteRange to reach the end of the file, which only the newest
    # signature's can (ISO 19005-2 §6.4.3 speaks of the file as it was signed; veraPDF agrees).
    assert [one for one in pdfa_complaints(sealed, flavour) if "BYTERANGE" not in one] == []
    with pikepdf.open(io.BytesIO(sealed)) as pdf:
        image = pdf.Root.AcroForm.Fields[0].AP.N.Resources.XObject.I
        assert ("/SMask" in image) is (flavour != "a-1b")


def test_verapdf_agrees(tmp_path: Path) -> None:
    """A second judge for the same claim, where Java is to be had."""
    reason = maven_judges.why_absent("verapdf")
    if reason is not None:
        pytest.skip(reason)
    path = tmp_path / "sealed.pdf"
    person = signed(Appearance.person(), paper.decision(pdfa="a-2b"))
    path.write_bytes(signed(Appearance.seal(), person, SEAL))
    assert maven_judges.verapdf([path], flavour="2b") == {str(path): []}


def test_pdfa_without_an_output_intent_gets_a_profile() -> None:
    """ISO 19005-2 §6.2.4.3: device colours only under an output intent."""
    with pikepdf.open(io.BytesIO(paper.decision(pdfa="a-2b"))) as pdf:
        del pdf.Root.OutputIntents
        out = io.BytesIO()
        pdf.save(out)
    after = signed(Appearance.person(), out.getvalue())
    with pikepdf.open(io.BytesIO(after)) as pdf:
        resources = pdf.Root.AcroForm.Fields[0].AP.N.Resources
        assert resources.ColorSpace.C[0] == "/ICCBased"
        assert "/SMask" not in resources.XObject.I


def test_nothing_is_drawn_outside_the_page() -> None:
    """A box beyond the page is a mistake of the caller, said at once."""
    with pytest.raises(DocumentRefused) as caught:
        signed(Appearance(page=1, box=(500, 700, 700, 800)))
    assert caught.value.code == "box-outside-page"


def test_the_time_shown_is_vietnams() -> None:
    """DOMAIN.md §3: dd-mm-yyyy hh:mm:ss +07:00, whatever the server's zone."""
    assert shown_time(NOW) == "02-03-2026 15:30:00 +07:00"


def test_the_stamp_is_drawn_once_per_holder_and_template() -> None:
    """PERFORMANCE.md: serialised once; only the time differs."""
    from signer.looks import appearance
    from signer.looks.drawing import StampShelf

    shelf, look = StampShelf(), Appearance(page=1, box=(60, 60, 300, 160), show_time=True)
    stamps = set()
    for data in (paper.decision(), paper.shaped("classic")):
        with Document.open(Original.of(data)) as document:
            placed = appearance.place(document, look, signer="A", picture=SIGNATURE, shelf=shelf)
            stamps.add(id(placed.stamp))
    assert len(stamps) == 1


def with_text(data: bytes, x: float, y: float, text: str, *, above: str = "") -> bytes:
    """The decision with one or two lines more, in its own manner of writing."""
    import typst

    made = typst.Compiler(
        f"""#set page(width: 595.28pt, height: 841.89pt, margin: 0pt, fill: none)
        #set text(font: "Tinos", size: 11pt)
        #place(top + left, dx: {x}pt, dy: {841.89 - y - 24}pt)[{above} \\ {text}]""".encode(),
        font_paths=typst.Fonts(font_paths=[paper.FONTS]),
    ).compile()
    assert isinstance(made, bytes)
    with pikepdf.open(io.BytesIO(data)) as pdf, pikepdf.open(io.BytesIO(made)) as more:
        pdf.pages[0].add_overlay(more.pages[0])
        out = io.BytesIO()
        pdf.save(out)
    return out.getvalue()


def cropped(data: bytes, *, right: float) -> bytes:
    with pikepdf.open(io.BytesIO(data)) as pdf:
        pdf.pages[0].obj.CropBox = [0, 0, right, 841.89]
        out = io.BytesIO()
        pdf.save(out)
    return out.getvalue()


def pdfa_complaints(data: bytes, flavour: str) -> list[str]:
    """What page-validation finds wrong under the flavour the file claims."""
    profile = getattr(page_validation.ValidationProfile, f"PDF_{flavour.upper().replace('-', '_')}")
    report = page_validation.validate_pdf_bytes(data, profile=profile)
    return [] if report.is_compliant else [str(one) for one in report.failures]
