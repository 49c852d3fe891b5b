"""Forgeries by the published recipes, made from properly signed files.

Sources: "1 Trillion Dollar Refund" (USF, ISA, SWA; CCS 2019), "Shadow Attacks" (hide, replace,
hide-and-replace; NDSS 2021), "Breaking the Specification: PDF Certification" (EAA, SSA; S&P
2021), RFC 5652/5035/3161 (substituted certificates, downgraded digests, misused time-stamps).

A mutant is never TOTAL_PASSED, except where it is nothing but an earlier, honest state of the
file (`legitimate`): then the report must not claim more than that state deserves.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pikepdf
from pikepdf import Array, Dictionary, Name, String

from signer.verdicts.report import Report
from tests.attacks_on_cms import forged_values
from tests.pdf_surgery import (
    append,
    body,
    changed,
    contents,
    flipped,
    gaps,
    opened,
    patched,
    size_of,
    stream,
    with_contents,
)

FORGED = b"BT /F1 24 Tf 72 500 Td (FORGED 9,000,000,000) Tj ET"


@dataclass(frozen=True)
class Mutant:
    """One forgery; `legitimate` when it is only an earlier honest state or a weaker proof."""

    recipe: str
    name: str
    data: bytes = field(repr=False)
    legitimate: bool = False


Recipe = Callable[[bytes], Iterable[tuple[str, bytes]]]


def signature_objects(pdf: pikepdf.Pdf) -> list[tuple[pikepdf.Object, pikepdf.Object]]:
    """(field, signature dictionary) pairs of a file."""
    return [
        (one, one.V) for one in pdf.Root.AcroForm.Fields if one.get("/FT") == "/Sig" and "/V" in one
    ]


def _content_of(page: pikepdf.Object) -> int:
    """The number of a page's content stream, or of the first of several."""
    held = page.Contents
    return (held[0] if isinstance(held, Array) else held).objgen[0]


def universal_forgery(data: bytes) -> Iterator[tuple[str, bytes]]:
    """USF: a signature dictionary whose /Contents or /ByteRange says nothing."""
    pdf = opened(data)
    _field, value = signature_objects(pdf)[0]
    number = value.objgen[0]
    page = pdf.pages[0].obj
    fake = size_of(pdf)
    evil = {page.objgen[0]: changed(page, Contents=b"%d 0 R" % fake), fake: stream(FORGED)}
    ranges = (
        None,
        b"null",
        b"[]",
        b"[0 0 0 0]",
        b"[0 -1 -1 0]",
        b"[0 1 2]",
        b"[0 99999999 9 9]",
        b"/a",
        b"[0 10 20 30 40 50]",
        b"[0 1.5 20 30]",
    )
    for new in ranges:
        keys = {"Contents": b"<%s>" % bytes(value.Contents).hex().encode(), "ByteRange": new}
        yield f"byterange={new!r}", append(data, {number: changed(value, **keys), **evil})
    own = value.ByteRange.unparse(resolved=True)
    for hexed in (
        None,
        b"null",
        b"<>",
        b"<00>",
        b"()",
        b"<0000000000>",
        b"<3000>",
        b"/x",
        b"(\\0)",
    ):
        keys = {"Contents": hexed, "ByteRange": own}
        yield f"contents={hexed!r}", append(data, {number: changed(value, **keys), **evil})
    match = re.search(rb"/ByteRange\s*\[[^\]]*\]", data)
    if match:
        width = match.end() - match.start()
        for new in (
            b"/ByteRange null",
            b"/ByteRange []",
            b"/ByteRang0 [0 1 2 3]",
            b"/ByteRange [0 0 0 0]",
            b"/ByteRange [0 -1 1 -1]",
        ):
            yield f"in place {new!r}", patched(data, match.start(), new.ljust(width)[:width])
    for gap in gaps(data):
        yield "empty string in the gap", patched(data, gap[0], b"<>".ljust(gap[1] - gap[0]))
        yield "zeros in the gap", with_contents(data, gap, b"")


def incremental_saving(data: bytes) -> Iterator[tuple[str, bytes]]:
    """ISA: content replaced in an update, with less and less of a proper structure."""
    pdf = opened(data)
    page, root = pdf.pages[0].obj, pdf.Root
    new = size_of(pdf)
    replaced = {page.objgen[0]: changed(page, Contents=b"%d 0 R" % new), new: stream(FORGED)}
    yield "page content", append(data, replaced)
    yield "no xref, no trailer", append(data, replaced, xref=False, trailer=False, end=False)
    yield "no xref", append(data, replaced, xref=False)
    yield "no trailer", append(data, replaced, trailer=False)
    yield "no end mark", append(data, replaced, end=False)
    yield "only objects and an end mark", append(data, replaced, xref=False, trailer=False)
    value = signature_objects(pdf)[0][1]
    copy = changed(value, Contents=b"<%s>" % bytes(value.Contents).hex().encode())
    with_copy = {**replaced, value.objgen[0]: copy}
    yield "with a copy of the signature", append(data, with_copy)
    yield "copy, no xref", append(data, with_copy, xref=False)
    yield "copy, no end mark", append(data, with_copy, end=False)
    stream_number = _content_of(page)
    yield "content stream", append(data, {stream_number: stream(FORGED)})
    yield "new catalog", append(data, {new: changed(root, Lang=String("xx"))}, root=(new, 0))
    yield "same catalog elsewhere", append(data, {new: body(root)}, root=(new, 0))
    for key, literal in (
        ("OpenAction", b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"),
        ("OpenAction", b"<< /S /Launch /F (cmd.exe) >>"),
        ("AA", b"<< /WC << /S /JavaScript /JS (1) >> >>"),
        ("Names", b"<< /JavaScript << /Names [(a) << /S /JavaScript /JS (1) >>] >> >>"),
        ("OCProperties", b"<< /OCGs [] /D << >> >>"),
        ("PageLabels", b"<< /Nums [0 << /P (X) >>] >>"),
        ("ViewerPreferences", b"<< /DisplayDocTitle true >>"),
        ("Outlines", b"<< /Type /Outlines >>"),
        ("StructTreeRoot", b"<< /Type /StructTreeRoot >>"),
        ("PageMode", b"/UseAttachments"),
        ("Perms", b"<< >>"),
        ("AcroForm", b"<< /Fields [] >>"),
        ("AcroForm", None),
    ):
        yield (
            f"catalog {key} {literal!r}",
            append(data, {root.objgen[0]: changed(root, **{key: literal})}),
        )
    font = next(
        (
            one.objgen[0]
            for one in pdf.objects
            if isinstance(one, Dictionary) and one.get("/Type") == "/Font" and one.is_indirect
        ),
        None,
    )
    if font:
        text = b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"
        yield "font swapped", append(data, {font: text})
        yield "font freed", append(data, {font: None})
    yield "page freed", append(data, {page.objgen[0]: None})
    yield "content freed", append(data, {stream_number: None})


def wrapping(data: bytes) -> Iterator[tuple[str, bytes]]:
    """SWA: the signed parts pulled apart, forged bytes in between."""
    for number, (start, end, covered) in enumerate(gaps(data)):
        match = next(
            one
            for one in re.finditer(rb"/ByteRange\s*\[[^\]]*\]", data)
            if b"%d" % end in one.group() and b"%d" % start in one.group()
        )
        width = match.end() - match.start()
        tail = data[end:covered]
        for shift in (1, 64, 4096):
            moved = b"/ByteRange [0 %d %d %d]" % (start, end + shift, len(tail))
            if len(moved) <= width:
                wide = data[:end] + b"\n".ljust(shift) + data[end:]
                yield f"gap {number} +{shift}", patched(wide, match.start(), moved.ljust(width))
        inside = data[: end - 40] + b"> /Forged (" + b"x" * 27 + b")>" + data[end:]
        yield f"second value in gap {number}", inside[: len(data)]
        for wrong in (
            (0, start - 1, end, covered - end),
            (0, start, end - 1, covered - end + 1),
            (0, start + 1, end, covered - end),
            (0, start, end + 1, covered - end - 1),
            (1, start - 1, end, covered - end),
            (0, start, end, covered - end - 1),
            (0, start, start, covered - start),
            (0, end, start, covered - start),
        ):
            text = b"/ByteRange [%d %d %d %d]" % wrong
            if len(text) <= width:
                yield f"range {wrong} of {number}", patched(data, match.start(), text.ljust(width))


def pages(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Pages added, removed, moved, turned, cropped in an update."""
    pdf = opened(data)
    tree, page = pdf.Root.Pages, pdf.pages[0].obj
    new, number = size_of(pdf), tree.objgen[0]
    kids = [b"%d %d R" % one.objgen for one in tree.Kids]

    def with_kids(items: list[bytes]) -> bytes:
        return changed(tree, Kids=b"[" + b" ".join(items) + b"]", Count=b"%d" % len(items))

    blank = b"<< /Type /Page /Parent %d 0 R /MediaBox [0 0 595 842] >>" % number
    yield "added last", append(data, {number: with_kids([*kids, b"%d 0 R" % new]), new: blank})
    yield "added first", append(data, {number: with_kids([b"%d 0 R" % new, *kids]), new: blank})
    yield "removed", append(data, {number: with_kids(kids[1:])})
    yield "doubled", append(data, {number: with_kids([*kids, kids[0]])})
    yield "replaced", append(data, {number: with_kids([b"%d 0 R" % new, *kids[1:]]), new: blank})
    if len(kids) > 1:
        yield "swapped", append(data, {number: with_kids([kids[1], kids[0], *kids[2:]])})
    yield "tree attribute", append(data, {number: changed(tree, Rotate=b"180")})
    for key, literal in (
        ("Rotate", b"180"),
        ("CropBox", b"[0 0 10 10]"),
        ("MediaBox", b"[0 0 9 9]"),
        ("UserUnit", b"2"),
        ("Resources", b"<< >>"),
        ("Contents", None),
        ("AA", b"<< /O << /S /JavaScript /JS (1) >> >>"),
        ("Trans", b"<< >>"),
    ):
        yield f"page {key}", append(data, {page.objgen[0]: changed(page, **{key: literal})})


def annotated(data: bytes) -> Iterator[tuple[str, bytes]]:
    """EAA: annotations that hide or replace what is seen, added after signing."""
    pdf = opened(data)
    page, new = pdf.pages[0].obj, size_of(pdf)
    old = [one.unparse() for one in page.get("/Annots", [])]
    kinds = (
        b"FreeText", b"Stamp", b"Redact", b"Highlight", b"Text", b"Square", b"Ink", b"Link",
        b"Widget", b"Popup", b"FileAttachment", b"Watermark", b"Line", b"3D", b"Screen",
    )  # fmt: skip
    for kind in kinds:
        note = (
            b"<< /Type /Annot /Subtype /%s /Rect [0 0 595 842] /F 4 /Contents (x) "
            b"/AP << /N %d 0 R >> >>" % (kind, new + 1)
        )
        shape = stream(
            FORGED, {"/Type": Name.XObject, "/Subtype": Name.Form, "/BBox": Array([0, 0, 595, 842])}
        )
        listed = b"[" + b" ".join([*old, b"%d 0 R" % new]) + b"]"
        yield (
            f"annotation {kind!r}",
            append(data, {page.objgen[0]: changed(page, Annots=listed), new: note, new + 1: shape}),
        )
    if old:
        yield "annotations removed", append(data, {page.objgen[0]: changed(page, Annots=b"[]")})
        for one, _value in signature_objects(pdf):
            yield f"widget of {one.T} hidden", append(data, {one.objgen[0]: changed(one, F=b"2")})
            yield (
                f"widget of {one.T} moved",
                append(data, {one.objgen[0]: changed(one, Rect=b"[0 0 595 842]")}),
            )


def sneaky_fields(data: bytes) -> Iterator[tuple[str, bytes]]:
    """SSA and spoofed dictionaries: fields that look like, or share, a signature."""
    pdf = opened(data)
    form, page, new = pdf.Root.AcroForm, pdf.pages[0].obj, size_of(pdf)
    fields = [b"%d %d R" % one.objgen for one in form.Fields]
    holder = form.objgen[0] if form.is_indirect else pdf.Root.objgen[0]

    def with_field(text: bytes, extra: dict[int, bytes] | None = None, shown: bool = True) -> bytes:
        listed = b"[" + b" ".join([*fields, b"%d 0 R" % new]) + b"]"
        if form.is_indirect:
            update = {holder: changed(form, Fields=listed)}
        else:
            update = {holder: changed(pdf.Root, AcroForm=changed(form, Fields=listed))}
        if shown:
            notes = [one.unparse() for one in page.get("/Annots", [])] + [b"%d 0 R" % new]
            update[page.objgen[0]] = changed(page, Annots=b"[" + b" ".join(notes) + b"]")
        return append(data, {**update, new: text, **(extra or {})})

    shape = {
        new + 1: stream(
            FORGED, {"/Type": Name.XObject, "/Subtype": Name.Form, "/BBox": Array([0, 0, 595, 842])}
        )
    }
    widget = b"/Type /Annot /Subtype /Widget /F 4 /P %d 0 R " % page.objgen[0]
    seen = b"/Rect [0 0 595 842] /AP << /N %d 0 R >> " % (new + 1)
    small = b"/Rect [70 70 90 90] /AP << /N %d 0 R >> " % (new + 1)
    yield (
        "empty visible signature",
        with_field(b"<< /FT /Sig /T (S9) " + widget + seen + b">>", shape),
    )
    yield (
        "small empty visible signature",
        with_field(b"<< /FT /Sig /T (S9) " + widget + small + b">>", shape),
    )
    for kind in (b"Tx", b"Btn", b"Ch"):
        yield (
            f"new field {kind!r}",
            with_field(b"<< /FT /%s /T (note) /V (x) " % kind + widget + seen + b">>", shape),
        )
    for owner, value in signature_objects(pdf):
        reference = b"%d %d R" % value.objgen
        hexed = b"<%s>" % bytes(value.Contents).hex().encode()
        clone = {new + 2: changed(value, Contents=hexed), **shape}
        name = str(owner.T).encode()
        yield (
            f"shares the dictionary of {owner.T}",
            with_field(b"<< /FT /Sig /T (S9) /V %s " % reference + widget + small + b">>", shape),
        )
        yield (
            f"same name and dictionary as {owner.T}",
            with_field(
                b"<< /FT /Sig /T (%s) /V %s " % (name, reference) + widget + small + b">>", shape
            ),
        )
        yield (
            f"clone of {owner.T}",
            with_field(
                b"<< /FT /Sig /T (S9) /V %d 0 R " % (new + 2) + widget + small + b">>", clone
            ),
        )
        yield (
            f"field of {owner.T} points to a clone",
            append(data, {owner.objgen[0]: changed(owner, V=b"%d 0 R" % (new + 2)), **clone}),
        )
        for key, literal in (("V", None), ("FT", b"/Tx"), ("T", b"(Other)"), ("AA", b"<< >>")):
            yield (
                f"{owner.T} loses {key}",
                append(data, {owner.objgen[0]: changed(owner, **{key: literal})}),
            )
        for key, literal in (
            ("SubFilter", b"/adbe.x509.rsa_sha1"),
            ("SubFilter", None),
            ("Type", b"/DocTimeStamp"),
            ("Filter", b"/X"),
            ("M", b"(D:2001)"),
        ):
            keys = {"Contents": hexed, key: literal}
            yield (
                f"{owner.T} with {key}={literal!r}",
                append(data, {value.objgen[0]: changed(value, **keys)}),
            )
    yield (
        "fields emptied",
        append(
            data,
            {
                holder: changed(form, Fields=b"[]")
                if form.is_indirect
                else changed(pdf.Root, AcroForm=changed(form, Fields=b"[]"))
            },
        ),
    )


def byte_flips(data: bytes, every: int = 40, seed: int = 6) -> Iterator[tuple[str, bytes]]:
    """One bit anywhere: content, dictionaries, every part of every CMS, padding, tables."""
    draw = random.Random(seed)
    spots = {draw.randrange(9, len(data) - 8) for _each in range(every)}
    for start, end, covered in gaps(data):
        used = len(contents(data, (start, end, covered))) * 2
        spots |= {start + 1 + draw.randrange(used) for _each in range(every // 4)}
        spots |= {start + 1 + used + draw.randrange(max(1, end - start - 2 - used))}
        spots |= {start - 3, end + 1}
    for at in sorted(spots):
        gap = next((one for one in gaps(data) if one[0] < at < one[1] - 1), None)
        if gap:
            digit = data[at : at + 1]
            other = b"%x" % (int(digit, 16) ^ 1 << draw.randrange(4))
            if _same_letter(data, at, other, gap[0]):
                continue
            yield f"hex digit {at}", patched(data, at, other)
        else:
            yield f"bit at {at}", flipped(data, at, 1 << draw.randrange(7))


def _same_letter(data: bytes, at: int, other: bytes, gap: int) -> bool:
    """Whether the octet stays the same letter, great or small: one name to RFC 5280, 7.1."""
    first = at - (at - gap - 1) % 2
    whole = patched(data, at, other)[first : first + 2]
    before, after = (bytes.fromhex(one.decode()) for one in (data[first : first + 2], whole))
    return before.isalpha() and before.lower() == after.lower()


def flips(data: bytes, every: int = 40, seed: int = 6) -> Iterator[Mutant]:
    """`byte_flips`; where the bit is nobody's claim the file is as good as another honest one."""
    loose = nobody_claims(data)
    for name, forged in byte_flips(data, every, seed):
        if forged != data:
            at = next(
                i for i, (one, other) in enumerate(zip(data, forged, strict=True)) if one != other
            )
            yield Mutant("flips", name, forged, any(low <= at < high for low, high in loose))


def octets(data: bytes, *, part: int = 0, parts: int = 1, seed: int = 6) -> Iterator[Mutant]:
    """Every octet of every signature and time-stamp with one bit changed, a part of them at a time.

    Flips all over a file seldom meet the few octets that nobody signs; here each is met.
    """
    draw = random.Random(seed)
    for number, gap in enumerate(gaps(data)):
        value = contents(data, gap)
        for at, octet in enumerate(value):
            bit = draw.randrange(8)
            if at % parts == part:
                changed_value = value[:at] + bytes([octet ^ 1 << bit]) + value[at + 1 :]
                forged = with_contents(data, gap, changed_value)
                yield Mutant("octets", f"octet {at}, bit {bit} of signature {number}", forged)


def nobody_claims(data: bytes) -> list[tuple[int, int]]:
    """Where, behind all that is signed, any honest program could have written something else.

    The date and the program of the last saving, the identifier that changes with each saving (ISO
    32000-2, 14.3.3, 14.4), which extension at which level is used (7.12). No signature is over
    them, no reader shows them as content, and a verdict says `archive_data_only`.
    """
    start = max((covered for _start, _end, covered in gaps(data)), default=len(data))
    found = [match.span(match.lastindex or 0) for match in _LOOSE.finditer(data, start)]
    found += [match.span(1) for match in _SECOND_ID.finditer(data, start)]
    return found


_LOOSE = re.compile(
    rb"(?:/ModDate|/Producer) \((.*?[^\\])\)|/BaseVersion (/\S+)|/ExtensionLevel (\d+)", re.DOTALL
)
_SECOND_ID = re.compile(rb"/ID \[\s*<[0-9a-f]*>\s*<([0-9a-f]*)>")


def other_roles(data: bytes) -> Iterator[tuple[str, bytes]]:
    """An update that gives what is shown another honest role, or another name, and new content.

    ISO 32000-1 §7.3.5: /P#61ges is /Pages; §7.5.5: what /Prev does not lead to does not exist.
    """
    pdf = opened(data)
    catalog, page, free = pdf.Root, pdf.pages[0].obj, size_of(pdf)
    root, content = catalog.objgen[0], _content_of(page)
    evil = {content: stream(FORGED)}
    metadata = {content: stream(FORGED, {"/Type": "/Metadata", "/Subtype": "/XML"})}
    for name, keys, objects in (
        ("metadata", {"Metadata": b"%d 0 R" % content}, metadata),
        ("a certificate", {"DSS": b"<</Certs[%d 0 R]>>" % content}, evil),
        ("a CRL of a VRI", {"DSS": b"<</VRI<</A<</CRL[%d 0 R]>>>>>>" % content}, evil),
        ("an extension", {"Extensions": b"<</ADBE %d 0 R>>" % content}, evil),
    ):
        yield f"content as {name}", append(data, {root: changed(catalog, **keys), **objects})
    tree = {
        free: b"<</Type/Pages/Count 1/Kids[%d 0 R]>>" % (free + 1),
        free + 1: changed(page, Parent=b"%d 0 R" % free, Contents=b"%d 0 R" % (free + 2)),
        free + 2: stream(FORGED),
    }
    again = body(catalog).rstrip()[:-2]
    yield (
        "/Pages by another name",
        append(data, {root: again + b" /P#61ges %d 0 R >>" % free, **tree}),
    )
    form, fields = catalog.AcroForm, signature_objects(pdf)
    for key, said in (("NeedAppearances", b"true"), ("CO", b"[]"), ("XFA", b"[]")):
        holder = form.objgen[0] or root
        new = changed(form, **{key: said})
        put = new if form.objgen[0] else changed(catalog, AcroForm=new)
        yield f"form with {key}", append(data, {holder: put})
    for (one, value), (other, _value) in pairwise(fields):
        swapped = {one.objgen[0]: changed(one, V=b"%d 0 R" % other.V.objgen[0])}
        swapped[other.objgen[0]] = changed(other, V=b"%d 0 R" % value.objgen[0])
        yield "values of two fields swapped", append(data, swapped)
    _field, value = fields[0]
    for name, more in (("contents", b"/C#6fntents <00>"), ("range", b"/By#74eRange [0 1 2 3]")):
        twice = body(value).rstrip()[:-2] + more + b">>"
        yield f"{name} by another name", append(data, {value.objgen[0]: twice})
    for key in ("Outlines", "Names", "OCProperties", "URI", "Collection", "Requirements"):
        yield f"catalogue with {key}", append(data, {root: changed(catalog, **{key: b"<<>>"})})


def cms_tricks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Downgraded digests, substituted certificates, misplaced and missing time-stamps."""
    spots = gaps(data)
    for number, name, forged in forged_values([contents(data, gap) for gap in spots]):
        gap = spots[number]
        if 2 * len(forged) <= gap[1] - gap[0] - 2:
            yield f"{name} in {number}", with_contents(data, gap, forged)


def damage(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Cut, doubled, prefixed and followed by foreign bytes."""
    for share in (0.2, 0.5, 0.9, 0.99):
        yield f"cut at {share}", data[: int(len(data) * share)]
    yield "last 10 bytes gone", data[:-10]
    yield "junk before", b"junk\n" + data
    yield "junk after", data + b"junk after the end"
    yield "objects after", data + b"99 0 obj\n<< >>\nendobj\n"
    yield "another file after", data + data
    yield "second end mark", data + b"%%EOF\nx"
    yield "false startxref after", data + b"\nstartxref\n0\n%%EOF\n"
    yield "startxref into the content", data + b"\nstartxref\n17\n%%EOF\n"
    hexed = gaps(data)[0]
    yield "hex in the gap with blanks", patched(data, hexed[1] - 9, b"        ")


RECIPES: dict[str, Recipe] = {
    "usf": universal_forgery,
    "isa": incremental_saving,
    "swa": wrapping,
    "pages": pages,
    "eaa": annotated,
    "ssa": sneaky_fields,
    "roles": other_roles,
    "cms": cms_tricks,
    "damage": damage,
}


_FEWER_CERTIFICATES = ("no certificates", "only certificate")
NAMES = (*RECIPES, "flips", "truncation")


def mutants(data: bytes, recipes: Iterable[str] = NAMES) -> Iterator[Mutant]:
    """Every forgery of one signed file, and its honest earlier states."""
    for recipe in recipes:
        if recipe == "truncation":
            for match in list(re.finditer(rb"%%EOF\r?\n?", data))[:-1]:
                cut = data[: match.end()]
                yield Mutant("truncation", f"until {match.end()}", cut, legitimate=True)
        elif recipe == "flips":
            yield from flips(data)
        else:
            for name, forged in RECIPES[recipe](data):
                if forged != data:
                    # What a security store holds need not stand in the signature too.
                    held = name.startswith(_FEWER_CERTIFICATES) and b"/DSS" in data
                    yield Mutant(recipe, name, forged, legitimate=held)


def deceives(mutant: Mutant, verdict: Report, honest: Report) -> bool:
    """Whether a verdict takes a mutant for more than it is.

    One that is not `legitimate` may pass in one case alone: a bit made the name of an attribute
    that nobody signed unreadable, the level fell with it, and the verdict tells of it.
    """
    if not verdict.passed:
        return False
    pairs = list(zip(verdict.signatures, honest.signatures, strict=False))
    more = len(verdict.signatures) > len(honest.signatures) or any(
        level_rank(one.level) > level_rank(whole.level)
        or one.signer != whole.signer
        or one.signing_time != whole.signing_time
        or one.covered_bytes > len(mutant.data)
        for one, whole in pairs
    )
    fallen = any(
        level_rank(one.level) < level_rank(whole.level)
        and "validation-unknown-attribute" in {found.code for found in one.findings}
        for one, whole in pairs
    )
    return more or not (
        mutant.legitimate or (mutant.recipe in ("flips", "octet", "octets") and fallen)
    )


def level_rank(level: str | None) -> int:
    """B, T, LT, LTA of `PAdES-BASELINE-LTA`, as a number."""
    return ("B", "T", "LT", "LTA").index((level or "-B").rpartition("-")[2])
