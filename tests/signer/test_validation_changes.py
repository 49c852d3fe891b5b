"""What may be added to a signed file (ISO 32000-2, 12.8.2; EN 319 142-1, 5.4 and 5.5)."""

from __future__ import annotations

import contextlib
import io

import pikepdf
import pytest
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields

from signer.signature import SignatureRequest
from signer.verdicts.policy import load_policy
from signer.verdicts.report import Changes
from signer.verdicts.structure import open_document
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Indication, SubIndication
from tests import attacks, attacks_prepared
from tests.pdf_surgery import append, changed, opened, size_of, stream
from tests.signed_samples import MINUTE, add_dss, document_timestamp, pki, plain_pdf, raised, sign
from tests.signer import software_desk
from tests.signer.test_validation import NOW, codes, fresh, judged, trust
from tests.small_pki import SIGNED_AT


def certified(permission: int) -> bytes:
    made = pki()
    how = fields.MDPPerm(permission)
    document = plain_pdf(2, form=True)
    return raised(document, made, made.official, 1, SIGNED_AT, "LT", certify=how)


def test_form_filling_needs_an_explicit_permission() -> None:
    """DESIGN.md §6: never let form filling pass without an explicit DocMDP P ≥ 2."""
    made = pki()
    approved = raised(plain_pdf(2, form=True), made, made.official, 1, SIGNED_AT, "LT")
    report = judged(attacks_prepared.filled(approved))
    assert report.sub_indication is SubIndication.FORMAT_FAILURE
    assert "validation-change-form" in codes(report)
    for permission, passes in ((1, False), (2, True), (3, True)):
        report = judged(attacks_prepared.filled(certified(permission)))
        assert report.passed is passes, (permission, report.to_text("en"))
        expected = Changes.PERMITTED if passes else Changes.NOT_ALLOWED
        assert report.signatures[0].changes is expected


def test_no_further_signature_after_p1() -> None:
    """ISO 32000-2, table 257: P=1 permits no changes; DSS and time-stamps stay possible."""
    made = pki()
    data = certified(1)
    archived = document_timestamp(data, made, SIGNED_AT + 3 * MINUTE, "Archive1")
    assert judged(archived).passed
    page_field = sign_anyway(data)
    report = judged(page_field, evidence=fresh(made, NOW))
    assert "validation-change-certified" in codes(report)
    assert report.indication is Indication.TOTAL_FAILED


def sign_anyway(data: bytes) -> bytes:
    """A second signature where pyHanko itself refuses to write one."""
    made = pki()
    unlocked = data.replace(b"/P 1", b"/P 2")
    later = sign(unlocked, made, made.agency, "Seal", SIGNED_AT + 5 * MINUTE)
    return data + later[len(data) :]


def test_a_second_signature_does_not_bless_changes_before_it() -> None:
    """An attacker who alters and then lets someone sign: the first signature still tells."""
    made = pki()
    data = raised(plain_pdf(2), made, made.official, 1, SIGNED_AT, "LT")
    pdf = opened(data)
    page, new = pdf.pages[0].obj, size_of(pdf)
    altered = append(
        data,
        {
            page.objgen[0]: changed(page, Contents=b"%d 0 R" % new),
            new: stream(attacks.FORGED),
        },
    )
    again = raised(altered, made, made.agency, 2, SIGNED_AT + 10 * MINUTE, "LTA")
    report = judged(again)
    assert report.indication is Indication.TOTAL_FAILED
    assert report.signatures[0].changes is Changes.NOT_ALLOWED
    assert report.signatures[1].indication is Indication.TOTAL_PASSED


def test_an_honest_time_stamp_over_a_forgery_helps_nobody() -> None:
    """The TSA stamps whatever it is given: a token proves time, not content."""
    made = pki()
    for _name, forged in attacks.pages(
        raised(plain_pdf(2), made, made.official, 1, SIGNED_AT, "LT")
    ):
        with contextlib.suppress(PdfError, ValueError):  # pyHanko refuses to write on some
            stamped = document_timestamp(forged, made, SIGNED_AT + 9 * MINUTE, "Archive1")
            assert not judged(stamped).passed


def test_locked_fields_stay_as_they_are() -> None:
    """ISO 32000-2, 12.8.2.4: FieldMDP names the fields that may not change any more."""
    made = pki()
    data = plain_pdf(2, form=True)
    pdf = opened(data)
    form, page, new = pdf.Root.AcroForm, pdf.pages[0].obj, size_of(pdf)
    listed = [one.unparse() for one in form.Fields] + [b"%d 0 R" % new]
    lock = b"<< /Type /SigFieldLock /Action /All >>"
    field = (
        b"<< /FT /Sig /T (Sig1) /Type /Annot /Subtype /Widget /Rect [0 0 0 0] /F 4 /P %d 0 R "
        b"/Lock %s >>" % (page.objgen[0], lock)
    )
    notes = [one.unparse() for one in page.Annots] + [b"%d 0 R" % new]
    prepared = append(
        data,
        {
            form.objgen[0]: changed(form, Fields=b"[" + b" ".join(listed) + b"]"),
            page.objgen[0]: changed(page, Annots=b"[" + b" ".join(notes) + b"]"),
            new: field,
        },
    )
    from tests.signed_samples import sign_existing

    signed = sign_existing(prepared, made, made.official, "Sig1", SIGNED_AT)
    signed = add_dss(signed, made, [made.official, made.tsa], SIGNED_AT + MINUTE)
    assert judged(signed).passed
    report = judged(attacks_prepared.filled(signed))
    assert "validation-change-locked" in codes(report)


def test_unused_objects_and_empty_updates_change_nothing() -> None:
    """An update nobody can see is no change; the verdict stays, coverage tells the truth."""
    made = pki()
    data = raised(plain_pdf(), made, made.official, 1, SIGNED_AT, "LT")
    new = size_of(opened(data))
    report = judged(append(data, {new: b"(unused)"}))
    assert report.passed, report.to_text("en")
    assert not report.signatures[0].covers_whole_file


@pytest.mark.parametrize("object_streams", [False, True])
def test_object_streams_are_followed(object_streams: bool) -> None:
    """Objects inside object streams are compared like any other."""
    import io

    made = pki()
    mode = pikepdf.ObjectStreamMode
    out = io.BytesIO()
    with opened(plain_pdf(3, form=True)) as pdf:
        pdf.save(out, object_stream_mode=mode.generate if object_streams else mode.disable)
    data = raised(out.getvalue(), made, made.official, 1, SIGNED_AT, "LTA")
    assert judged(data).passed
    for mutant in attacks.mutants(data, ("isa", "pages")):
        assert mutant.legitimate or not judged(mutant.data).passed, mutant


def test_both_parsers_are_asked() -> None:
    """Two independent parsers must agree on the signed content."""
    made = pki()
    data = raised(plain_pdf(), made, made.official, 1, SIGNED_AT, "LTA")
    document = open_document(data, load_policy().limits)
    assert isinstance(document.reader, PdfFileReader)
    assert isinstance(document.pdf, pikepdf.Pdf)
    # A table that only one of them could read differently: an entry beside its object.
    table = data.rindex(b"xref\n", 0, data.rindex(b"startxref"))
    digits = data.index(b" 00000 n", table) - 1
    spoiled = (
        data[:digits] + (b"1" if data[digits : digits + 1] != b"1" else b"2") + data[digits + 1 :]
    )
    assert not validate(spoiled, trust=trust(), now=NOW).passed


def test_a_name_makes_no_counter_signature() -> None:
    """EN 319 122-1 §5.2.7: it is one by where it stands; names are its author's choice."""
    data = software_desk.sign(plain_pdf(), SignatureRequest(field_name="a:counter-1"))
    (signature,) = judged(data).signatures
    assert signature.field == "a:counter-1"
    assert not signature.countersigns


@pytest.mark.parametrize("drawn_anew", [False, True])
def test_what_fields_are_drawn_with_is_fixed_where_viewers_draw_them(drawn_anew: bool) -> None:
    """ISO 32000-1 §12.7.2, NeedAppearances: viewers make the looks of all fields anew, from /DR and
    /DA. A white colour or another font added there after signing would change what is seen."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(plain_pdf(form=True))) as plain:
        if drawn_anew:
            plain.Root.AcroForm.NeedAppearances = True
        plain.save(out)
    data = software_desk.sign(out.getvalue(), SignatureRequest())
    pdf = opened(data)
    form = pdf.Root.AcroForm
    assert ("/NeedAppearances" in form) is drawn_anew
    for key, value in (("DA", b"(/Helv 0 Tf 1 1 1 rg)"), ("DR", b"<</Font<</Helv null>>>>")):
        update = append(data, {form.objgen[0]: changed(form, **{key: value})})
        (signature,) = judged(update).signatures
        assert (signature.changes is Changes.NOT_ALLOWED) is drawn_anew
    (signature,) = judged(append(data, {form.objgen[0]: changed(form)})).signatures
    assert signature.changes is not Changes.NOT_ALLOWED
