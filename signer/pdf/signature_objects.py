"""Find the signature dictionaries of a PDF and say exactly which bytes each one covers.

ISO 32000-2, 12.8 and EN 319 142-1. Before any cryptography: is the dictionary whole, its range
exact, and what does it forbid for later revisions (DocMDP, FieldMDP)?
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pikepdf
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.pdf.byte_range import ByteRangeFault, ObjectId, read_contents
from signer.pdf.pdf_dates import parse_pdf_date
from signer.verdicts.policy import Limits
from signer.verdicts.verdict import Finding, SubIndication, Unreadable, fails

_WHITE = b"\x00\t\n\x0c\r "
_LARGEST_DICTIONARY = 65_536


@dataclass(frozen=True)
class FieldLock:
    """A FieldMDP transform: which fields may not change any more (ISO 32000-2, 12.8.2.4)."""

    action: str
    fields: tuple[str, ...]

    def locks(self, name: str) -> bool:
        named = any(name == one or name.startswith(f"{one}.") for one in self.fields)
        return {"/All": True, "/Include": named, "/Exclude": not named}.get(self.action, True)


@dataclass(frozen=True)
class SignatureObject:
    """One signature dictionary found in a field, before any cryptography."""

    field: str
    object_id: ObjectId | None
    subfilter: str
    end: int
    gap: tuple[int, int]
    contents: bytes
    claimed_time: datetime | None
    certification: int | None
    locked: FieldLock | None
    findings: tuple[Finding, ...] = ()

    @property
    def is_timestamp(self) -> bool:
        return self.subfilter == "/ETSI.RFC3161"

    @property
    def intact(self) -> bool:
        return not any(found.sub for found in self.findings)


def find_signatures(
    data: bytes, pdf: pikepdf.Pdf, reader: PdfFileReader, limits: Limits
) -> list[SignatureObject]:
    """Every filled signature field of the form, in the order of what the signatures cover.

    No two may share a dictionary or a gap, and a later one covers the earlier whole.
    """
    source = _Source(data, pdf, reader)
    found = sorted(_signatures(source, limits), key=lambda one: (one.end, one.gap))
    return list(_distinct(found))


@dataclass(frozen=True)
class _Source:
    data: bytes
    pdf: pikepdf.Pdf
    reader: PdfFileReader


def _signatures(source: _Source, limits: Limits) -> Iterator[SignatureObject]:
    perms = source.pdf.Root.get("/Perms")
    certifying = perms.get("/DocMDP") if isinstance(perms, pikepdf.Dictionary) else None
    names: set[str] = set()
    for name, node in signature_fields(source.pdf, limits):
        value = node.get("/V")
        if value is None:
            continue
        if not isinstance(value, pikepdf.Dictionary):
            yield rejected(name, "validation-signature-dictionary")
            continue
        if name in names:
            yield rejected(name, "validation-duplicate-field")
            continue
        names.add(name)
        if len(names) > limits.signatures:
            raise Unreadable("validation-too-many-signatures", limit=limits.signatures)
        yield _signature(source, name, value, certifying, node.get("/Lock"))


def signature_fields(pdf: pikepdf.Pdf, limits: Limits) -> Iterator[tuple[str, pikepdf.Object]]:
    """(full name, field) of each /Sig field: /FT is inherited, trees may be hostile."""
    form = pdf.Root.get("/AcroForm")
    fields = form.get("/Fields") if isinstance(form, pikepdf.Dictionary) else None
    seen: set[ObjectId] = set()
    stack: list[tuple[pikepdf.Object, str, object, int]] = []
    if isinstance(fields, pikepdf.Array):
        stack = [(one, "", None, 0) for one in reversed(list(fields))]
    while stack:
        node, prefix, kind, depth = stack.pop()
        if not isinstance(node, pikepdf.Dictionary):
            continue
        if node.is_indirect:
            if node.objgen in seen:
                continue
            seen.add(node.objgen)
        if depth > limits.depth or len(seen) > limits.fields:
            raise Unreadable("validation-form-too-deep")
        kind = node.get("/FT", kind)
        own = node.get("/T")
        name = ".".join(part for part in (prefix, str(own) if own is not None else "") if part)
        kids = node.get("/Kids")
        if isinstance(kids, pikepdf.Array) and "/V" not in node:
            stack += [(kid, name, kind, depth + 1) for kid in reversed(list(kids))]
        if kind == "/Sig" and (own is not None or "/V" in node):
            yield name, node


def _signature(
    source: _Source,
    name: str,
    value: pikepdf.Object,
    certifying: pikepdf.Object | None,
    field_lock: object,
) -> SignatureObject:
    """One signature dictionary: its exact bytes, and what it says about itself."""
    if not value.is_indirect:
        return rejected(name, "validation-signature-dictionary")
    entry = source.pdf.get_xref_table().get(value.objgen)
    contents, ranges = value.get("/Contents"), value.get("/ByteRange")
    subfilter = str(value.get("/SubFilter", ""))
    if entry is None or entry.offset is None or not isinstance(contents, pikepdf.String):
        return rejected(name, "validation-signature-dictionary", subfilter)
    try:
        start, end, total, der = read_contents(
            source.data, value.objgen, entry.offset, ranges, bytes(contents)
        )
        _read_alike(source, value, entry.offset, (start, end))
    except ByteRangeFault as fault:
        return rejected(name, fault.code, subfilter)
    certification, lock, findings = _transforms(value, certifying, field_lock)
    claimed = value.get("/M")
    when = parse_pdf_date(str(claimed)) if isinstance(claimed, pikepdf.String) else None
    return SignatureObject(
        field=name,
        object_id=value.objgen,
        subfilter=subfilter,
        end=total,
        gap=(start, end),
        contents=der,
        claimed_time=when,
        certification=certification,
        locked=lock,
        findings=tuple(findings),
    )


def _read_alike(source: _Source, value: pikepdf.Object, offset: int, gap: tuple[int, int]) -> None:
    """pyHanko reads the same dictionary there; the /Contents bytes were compared already.

    It is given the object with an empty string in the gap: its reader takes one character of
    a hexadecimal string at a time.
    """
    begin = source.data.index(b"obj", offset) + 3
    close = source.data.index(b"endobj", gap[1])
    if close - gap[1] + gap[0] - begin > _LARGEST_DICTIONARY:
        raise ByteRangeFault("validation-signature-dictionary")
    text = source.data[begin : gap[0]] + b"<>" + source.data[gap[1] : close]
    container = generic.Reference(*value.objgen, source.reader)
    other = generic.read_object(io.BytesIO(text.lstrip(_WHITE)), container)
    if isinstance(other, generic.DictionaryObject) and set(other) == set(value.keys()):
        theirs, ours = other.get("/ByteRange"), value["/ByteRange"]
        if (
            isinstance(theirs, list)
            and [str(one) for one in theirs] == [str(one) for one in ours]
            and all(
                str(other.raw_get(key)) == str(value.get(key, ""))
                for key in ("/SubFilter", "/Filter", "/Type")
                if key in other
            )
        ):
            return
    raise ByteRangeFault("validation-parsers-disagree-on-objects")


def _transforms(
    value: pikepdf.Object, certifying: pikepdf.Object | None, field_lock: object
) -> tuple[int | None, FieldLock | None, list[Finding]]:
    """DocMDP and FieldMDP of a signature (ISO 32000-2, 12.8.2)."""
    certification, lock = None, None
    findings: list[Finding] = []
    if isinstance(field_lock, pikepdf.Dictionary):
        lock = _field_lock(field_lock)
        if field_lock.get("/P") in (1, 2, 3):
            certification = int(field_lock["/P"])
    references = value.get("/Reference")
    for reference in list(references)[:16] if isinstance(references, pikepdf.Array) else []:
        if not isinstance(reference, pikepdf.Dictionary):
            continue
        params = reference.get("/TransformParams")
        values = params if isinstance(params, pikepdf.Dictionary) else pikepdf.Dictionary()
        method = reference.get("/TransformMethod")
        if method == "/DocMDP":
            allowed = values.get("/P", 2)
            own = int(allowed) if allowed in (1, 2, 3) else 1
            certification = min(own, certification or 3)
        elif method == "/FieldMDP":
            lock = _field_lock(values)
    is_certifying = isinstance(certifying, pikepdf.Dictionary) and certifying.objgen == value.objgen
    if is_certifying and certification is None:
        findings.append(fails("validation-docmdp", SubIndication.FORMAT_FAILURE))
    return certification, lock, findings


def _field_lock(values: pikepdf.Object) -> FieldLock:
    names = values.get("/Fields")
    listed = tuple(map(str, names)) if isinstance(names, pikepdf.Array) else ()
    return FieldLock(str(values.get("/Action", "/All")), listed)


def rejected(name: str, code: str, subfilter: str = "") -> SignatureObject:
    """A field that claims to be signed but whose dictionary cannot be believed."""
    finding = fails(code, SubIndication.FORMAT_FAILURE, field=name)
    return SignatureObject(name, None, subfilter, 0, (0, 0), b"", None, None, None, (finding,))


def _distinct(found: list[SignatureObject]) -> Iterator[SignatureObject]:
    """No two signatures share a dictionary, a gap or an end; a later one covers the earlier."""
    ids = [one.object_id for one in found if one.object_id]
    previous = 0
    for one in found:
        if one.object_id and (ids.count(one.object_id) > 1 or one.gap[0] < previous):
            yield rejected(one.field, "validation-overlapping-ranges", one.subfilter)
            continue
        previous = max(previous, one.end)
        yield one
