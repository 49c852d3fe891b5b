"""Forgeries whose author wrote the document before it was signed: shadow and certification attacks.

Sources: "Shadow Attacks" (hide, replace, hide-and-replace; NDSS 2021), "Breaking the Specification:
PDF Certification" (EAA, SSA; S&P 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pikepdf import Array, Name, String

from tests.attacks import FORGED, Mutant, annotated, sneaky_fields
from tests.pdf_surgery import append, body, changed, opened, size_of, stream

SignAt = Callable[[bytes], bytes]


def prepared(sign: SignAt, certify: Callable[[bytes, int], bytes]) -> Iterator[Mutant]:
    """Shadow and certification attacks: the attacker wrote the document before it was signed."""
    for name, document, update in _shadow_documents():
        yield Mutant("shadow", name, update(sign(document)))
    for level in (1, 2, 3):
        certified = certify(plain_document(form=True), level)
        for name, forged in (*annotated(certified), *sneaky_fields(certified)):
            yield Mutant("certified", f"P={level} {name}", forged)
        if level == 1:
            yield Mutant("certified", "P=1 filled", filled(certified))
    signed = sign(plain_document(form=True))
    yield Mutant("shadow", "form filled without certification", filled(signed))
    for key, literal in (("DV", b"(x)"), ("Rect", b"[0 0 595 842]"), ("FT", b"/Btn"),
                         ("F", b"2"), ("MaxLen", b"1"), ("AA", b"<< >>")):  # fmt: skip
        certified = certify(plain_document(form=True), 2)
        pdf = opened(certified)
        note = pdf.Root.AcroForm.Fields[0]
        yield Mutant(
            "certified",
            f"P=2 field {key}",
            append(certified, {note.objgen[0]: changed(note, **{key: literal})}),
        )


def plain_document(form: bool = False) -> bytes:
    from tests.signed_samples import plain_pdf

    return plain_pdf(2, form=form)


def filled(data: bytes) -> bytes:
    """The text field of `plain_document(form=True)` filled in, with an appearance."""
    pdf = opened(data)
    note, new = pdf.Root.AcroForm.Fields[0], size_of(pdf)
    keys = {"/Type": Name.XObject, "/Subtype": Name.Form, "/BBox": Array([0, 0, 228, 20])}
    look = b"<< /N %d 0 R >>" % new
    return append(
        data,
        {
            note.objgen[0]: changed(note, V=String("9,000,000,000"), AP=look),
            new: stream(b"BT /Helv 10 Tf (9,000,000,000) Tj ET", keys),
        },
    )


def _shadow_documents() -> Iterator[tuple[str, bytes, SignAt]]:
    """(name, document to be signed, what the attacker does afterwards)."""
    base = plain_document()
    pdf = opened(base)
    page, new = pdf.pages[0].obj, size_of(pdf)
    first = page.Contents.objgen[0]
    hidden = append(base, {new: stream(FORGED)})

    def switch(data: bytes) -> bytes:
        later = opened(data)
        own = later.pages[0].obj
        return append(data, {own.objgen[0]: changed(own, Contents=b"%d 0 R" % new)})

    yield "hide and replace: page points to a hidden stream", hidden, switch

    # The same object number twice in the signed bytes; only the table moves afterwards.
    twice = append(base, {first: stream(FORGED)})
    forged_at = opened(twice).get_xref_table()[(first, 0)].offset or 0
    honest = append(twice, {first: body(page.Contents)})

    def move_the_entry(data: bytes) -> bytes:
        again = append(data, {})
        row = b"%d 1\n%010d 00000 n \n" % (first, forged_at)
        at = again.rindex(b"xref\ntrailer") + 5
        return again[:at] + row + again[at:]

    yield "hide and replace: only the cross-reference moves", honest, move_the_entry

    other = stream(
        b"0 0 0 rg 0 0 595 842 re f",
        {"/Type": Name.XObject, "/Subtype": Name.Form, "/BBox": Array([0, 0, 595, 842])},
    )
    cover = append(
        base,
        {
            page.objgen[0]: changed(
                page,
                Contents=b"[%d 0 R %d 0 R]" % (first, new + 1),
                Resources=b"<< /XObject << /X %d 0 R >> >>" % new,
            ),
            new: other,
            new + 1: stream(b"/X Do"),
        },
    )
    yield "hide: the cover is freed", cover, lambda data: append(data, {new: None})
    yield "hide: the cover becomes empty", cover, lambda data: append(data, {new: stream(b"")})
    yield "hide: the cover's reference is freed", cover, lambda data: append(data, {new + 1: None})

    # A reference to an object that does not exist yet when the document is signed.
    dangling = append(
        base,
        {
            page.objgen[0]: changed(page, Contents=b"[%d 0 R %d 0 R]" % (first, new + 30)),
        },
    )
    yield (
        "hide: the missing object appears",
        dangling,
        lambda data: append(data, {new + 30: stream(FORGED)}),
    )
    missing = append(base, {page.objgen[0]: changed(page, Contents=b"%d 0 R" % (new + 30))})
    yield (
        "hide: the missing content appears",
        missing,
        lambda data: append(data, {new + 30: stream(FORGED)}),
    )
    note = b"<< /Type /Annot /Subtype /Stamp /Rect [0 0 595 842] /AP << /N %d 0 R >> >>" % (new + 1)
    stamped = append(
        base, {page.objgen[0]: changed(page, Annots=b"[%d 0 R]" % new), new: note, new + 1: other}
    )
    yield (
        "replace: the stamp's look",
        stamped,
        lambda data: append(
            data,
            {
                new + 1: stream(
                    FORGED,
                    {
                        "/Type": Name.XObject,
                        "/Subtype": Name.Form,
                        "/BBox": Array([0, 0, 595, 842]),
                    },
                )
            },
        ),
    )
    yield "replace: the stamp goes", stamped, lambda data: append(data, {new: None})
    # One array is the list of annotations and, at the same time, the content of the page.
    shared = append(
        base,
        {
            page.objgen[0]: changed(page, Annots=b"%d 0 R" % new, Contents=b"%d 0 R" % new),
            new: b"[%d 0 R]" % first,
        },
    )
    yield (
        "replace: a list with two roles",
        shared,
        lambda data: append(
            data, {new: b"[%d 0 R %d 0 R]" % (first, new + 40), new + 40: stream(FORGED)}
        ),
    )
    # An indirect number that turns the page around.
    turned = append(base, {page.objgen[0]: changed(page, Rotate=b"%d 0 R" % new), new: b"0"})
    yield "replace: an indirect number", turned, lambda data: append(data, {new: b"180"})
    inside = append(
        base, {page.objgen[0]: changed(page, Contents=b"%d 0 R" % new), new: b"[%d 0 R]" % first}
    )
    yield (
        "replace: an indirect list of contents",
        inside,
        lambda data: append(data, {new: b"[%d 0 R]" % (new + 50), new + 50: stream(FORGED)}),
    )
