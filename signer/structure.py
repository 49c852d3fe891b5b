"""Open a signed PDF the strict way and say exactly which bytes each signature covers.

Two independent parsers read the file: qpdf (through pikepdf, with its repair switched off) and
pyHanko. They must agree on where every object lies, for the whole file and for each signed
revision; a signed revision must be a complete file by itself. What only one reader sees, or
sees only after repair, is where the published forgeries live (USF, ISA, SWA, shadow attacks:
pdf-insecurity.org).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import pikepdf
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.xref import ObjStreamRef

from signer.byte_range import ByteRangeFault, read_contents
from signer.errors import SignerError
from signer.pdf_dates import parse_pdf_date
from signer.policy import Limits
from signer.verdict import Finding, SubIndication, fails, warns

_STARTXREF = re.compile(rb"startxref[\r\n\t ]+(\d{1,12})[\r\n\t ]+%%EOF")
_WHITE = b"\x00\t\n\x0c\r "
ObjectId = tuple[int, int]


class Unreadable(SignerError):
    """No verdict can be given: not a PDF, encrypted, broken, or beyond the limits."""


@dataclass(frozen=True)
class Revision:
    """One saved state of the file: `data[:end]` is complete, `end` is just after its %%EOF."""

    number: int
    end: int


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


@dataclass(frozen=True)
class FieldLock:
    """A FieldMDP transform: which fields may not change any more (ISO 32000-2, 12.8.2.4)."""

    action: str
    fields: tuple[str, ...]

    def locks(self, name: str) -> bool:
        named = any(name == one or name.startswith(f"{one}.") for one in self.fields)
        return {"/All": True, "/Include": named, "/Exclude": not named}.get(self.action, True)


@dataclass
class Document:
    """A parsed file, its revisions and its signatures in the order of what they cover."""

    data: bytes
    pdf: pikepdf.Pdf
    reader: PdfFileReader
    revisions: tuple[Revision, ...]
    signatures: tuple[SignatureObject, ...] = ()
    findings: tuple[Finding, ...] = ()
    _opened: dict[int, pikepdf.Pdf] = field(default_factory=dict)

    def pdf_at(self, end: int) -> pikepdf.Pdf:
        """The document as it stood at a revision's end; raises PdfError when not complete."""
        if not self.data[end:].strip(_WHITE):
            return self.pdf
        if end not in self._opened:
            self._opened[end] = _open(self.data[:end])
        return self._opened[end]

    @property
    def repaired(self) -> bool:
        """Whether qpdf had anything to complain of, by now, in what was read of any revision."""
        return any(pdf.get_warnings() for pdf in (self.pdf, *self._opened.values()))

    def revision_of(self, end: int) -> Revision | None:
        """The revision a signature ending at `end` closes, or None when it closes none."""
        before = [revision for revision in self.revisions if revision.end <= end]
        if not before or self.data[before[-1].end : end].strip(_WHITE):
            return None
        return before[-1]


def _open(data: bytes) -> pikepdf.Pdf:
    return pikepdf.open(
        io.BytesIO(data),
        attempt_recovery=False,
        inherit_page_attributes=False,
        suppress_warnings=True,
    )


def open_document(data: bytes, limits: Limits) -> Document:
    """Read with both parsers, compare them, find the revisions and the signatures."""
    if len(data) > limits.bytes:
        raise Unreadable("validation-too-large", size=len(data), limit=limits.bytes)
    if b"%PDF-" not in data[:1024]:
        raise Unreadable("validation-not-a-pdf")
    findings: list[Finding] = []
    try:
        pdf = _open(data)
    except pikepdf.PasswordError:
        raise Unreadable("validation-encrypted") from None
    except (pikepdf.PdfError, RuntimeError, ValueError, OverflowError):
        raise Unreadable("validation-damaged") from None
    if pdf.is_encrypted:
        raise Unreadable("validation-encrypted")
    if not data.startswith(b"%PDF-") or pdf.get_warnings():
        findings.append(fails("validation-needs-repair", SubIndication.FORMAT_FAILURE))
    if len(pdf.get_xref_table()) > limits.objects:
        raise Unreadable("validation-too-many-objects", limit=limits.objects)
    try:
        reader = PdfFileReader(io.BytesIO(data), strict=True)
        revisions = tuple(_revisions(data, reader))
    except RecursionError:
        raise Unreadable("validation-too-deep") from None
    except (PdfError, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise Unreadable("validation-parsers-disagree", detail=type(error).__name__) from None
    if len(revisions) > limits.revisions:
        raise Unreadable("validation-too-many-revisions", limit=limits.revisions)
    if reader.xrefs.hybrid_xrefs_present:
        findings.append(fails("validation-hybrid", SubIndication.FORMAT_FAILURE))
    if not revisions or data[revisions[-1].end :].strip(_WHITE):
        findings.append(fails("validation-trailing-data", SubIndication.FORMAT_FAILURE))
    document = Document(data, pdf, reader, revisions)
    try:
        found = sorted(_signatures(document, limits), key=lambda one: (one.end, one.gap))
    except (pikepdf.PdfError, PdfError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise Unreadable("validation-damaged", detail=type(error).__name__) from None
    document.signatures = tuple(_signed_revision(document, one) for one in _distinct(found))
    findings += _agreement(document)
    findings += _active_content(pdf)
    document.findings = tuple(findings)
    return document


def _revisions(data: bytes, reader: PdfFileReader) -> Iterator[Revision]:
    """Each cross-reference section up to the %%EOF that closes it, oldest first."""
    ends: dict[int, int] = {}
    for match in _STARTXREF.finditer(data):
        ends.setdefault(int(match[1]), match.end())
    last = 0
    for number in range(reader.xrefs.total_revisions):
        end = ends.get(reader.xrefs.get_startxref_for_revision(number))
        # A linearised file opens with two sections; only the one that ends last closes it.
        if end is None or end <= last:
            continue
        last = end
        yield Revision(number, end)


def _agreement(document: Document) -> Iterator[Finding]:
    """Both parsers place every object alike, now and in each signed revision."""
    ends = {revision.end: revision for revision in document.revisions[-1:]}
    for one in document.signatures:
        revision = document.revision_of(one.end) if one.intact else None
        if revision is not None:
            ends[revision.end] = revision
    for end, revision in sorted(ends.items()):
        if not same_places(document, document.pdf_at(end), revision.number):
            yield fails("validation-parsers-disagree-on-objects", SubIndication.FORMAT_FAILURE)
            return


def same_places(document: Document, pdf: pikepdf.Pdf, revision: int) -> bool:
    """qpdf's cross-reference table of a revision equals pyHanko's, root and all."""
    xrefs = document.reader.xrefs
    seen = pdf.get_xref_table()
    size = max((number for number, _ in seen), default=0)
    for (number, generation), entry in seen.items():
        where = xrefs.get_historical_ref(generic.Reference(number, generation), revision)
        if isinstance(where, ObjStreamRef):
            if entry.type != 2 or (entry.obj_stream_number, entry.obj_stream_index) != (
                where.obj_stream_id,
                where.ix_in_stream,
            ):
                return False
        elif entry.type != 1 or where != entry.offset:
            return False
        elif not _starts_object(document.data, entry.offset, number, generation):
            return False
    explicit = {
        (ref.idnum, ref.generation)
        for number in range(revision + 1)
        for ref in xrefs.explicit_refs_in_revision(number)
    }
    for number, generation in explicit - seen.keys():
        if number and xrefs.get_historical_ref(generic.Reference(number, generation), revision):
            return False
    root = document.reader.get_historical_resolver(revision).trailer_view.raw_get("/Root")
    same_root = isinstance(root, generic.IndirectObject) and pdf.Root.objgen == (
        root.idnum,
        root.generation,
    )
    return same_root and size < 8_388_608


def _starts_object(data: bytes, offset: int, number: int, generation: int) -> bool:
    start = data[offset : offset + 40].lstrip(_WHITE)
    return bool(re.match(rb"%d[\0\t\n\f\r ]+%d[\0\t\n\f\r ]+obj" % (number, generation), start))


def _signatures(document: Document, limits: Limits) -> Iterator[SignatureObject]:
    """Every filled signature field, reached through the form or only through a page."""
    perms = document.pdf.Root.get("/Perms")
    certifying = perms.get("/DocMDP") if isinstance(perms, pikepdf.Dictionary) else None
    names: set[str] = set()
    for name, node in signature_fields(document.pdf, limits):
        value = node.get("/V")
        if value is None:
            continue
        if not isinstance(value, pikepdf.Dictionary):
            yield _rejected(name, "validation-signature-dictionary")
            continue
        if name in names:
            yield _rejected(name, "validation-duplicate-field")
            continue
        names.add(name)
        if len(names) > limits.signatures:
            raise Unreadable("validation-too-many-signatures", limit=limits.signatures)
        yield _signature(document, name, value, certifying, node.get("/Lock"))


def signature_fields(
    pdf: pikepdf.Pdf, limits: Limits
) -> Iterator[tuple[str, pikepdf.Object]]:
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
    document: Document,
    name: str,
    value: pikepdf.Object,
    certifying: pikepdf.Object | None,
    field_lock: object,
) -> SignatureObject:
    """One signature dictionary: its exact bytes, and what it says about itself."""
    if not value.is_indirect:
        return _rejected(name, "validation-signature-dictionary")
    entry = document.pdf.get_xref_table().get(value.objgen)
    contents, ranges = value.get("/Contents"), value.get("/ByteRange")
    subfilter = str(value.get("/SubFilter", ""))
    if entry is None or entry.type != 1 or not isinstance(contents, pikepdf.String):
        return _rejected(name, "validation-signature-dictionary", subfilter)
    try:
        start, end, total, der = read_contents(
            document.data, value.objgen, entry.offset, ranges, bytes(contents)
        )
        _read_alike(document, value, entry.offset, (start, end))
    except ByteRangeFault as fault:
        return _rejected(name, fault.code, subfilter)
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


def _read_alike(
    document: Document, value: pikepdf.Object, offset: int, gap: tuple[int, int]
) -> None:
    """pyHanko reads the same dictionary there; the /Contents bytes were compared already.

    It is given the object with an empty string in the gap: its reader takes one character of
    a hexadecimal string at a time.
    """
    begin = document.data.index(b"obj", offset) + 3
    close = document.data.index(b"endobj", gap[1])
    if close - gap[1] + gap[0] - begin > 65_536:
        raise ByteRangeFault("validation-signature-dictionary")
    text = document.data[begin : gap[0]] + b"<>" + document.data[gap[1] : close]
    container = generic.Reference(*value.objgen, document.reader)
    other = generic.read_object(io.BytesIO(text.lstrip(_WHITE)), container)
    same = isinstance(other, generic.DictionaryObject) and set(other) == set(value.keys())
    if same:
        theirs, ours = other.get("/ByteRange"), value["/ByteRange"]
        same = [int(one) for one in theirs] == [int(one) for one in ours] and all(
            str(other.raw_get(key)) == str(value.get(key, ""))
            for key in ("/SubFilter", "/Filter", "/Type")
            if key in other
        )
    if not same:
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
    is_certifying = (
        isinstance(certifying, pikepdf.Dictionary) and certifying.objgen == value.objgen
    )
    if is_certifying and certification is None:
        findings.append(fails("validation-docmdp", SubIndication.FORMAT_FAILURE))
    return certification, lock, findings


def _field_lock(values: pikepdf.Object) -> FieldLock:
    names = values.get("/Fields")
    listed = tuple(map(str, names)) if isinstance(names, pikepdf.Array) else ()
    return FieldLock(str(values.get("/Action", "/All")), listed)


def _rejected(name: str, code: str, subfilter: str = "") -> SignatureObject:
    """A field that claims to be signed but whose dictionary cannot be believed."""
    finding = fails(code, SubIndication.FORMAT_FAILURE, field=name)
    return SignatureObject(name, None, subfilter, 0, (0, 0), b"", None, None, None, (finding,))


def _distinct(found: list[SignatureObject]) -> Iterator[SignatureObject]:
    """No two signatures share a dictionary, a gap or an end; a later one covers the earlier."""
    ids = [one.object_id for one in found if one.object_id]
    previous = 0
    for one in found:
        if one.object_id and (ids.count(one.object_id) > 1 or one.gap[0] < previous):
            yield _rejected(one.field, "validation-overlapping-ranges", one.subfilter)
            continue
        previous = max(previous, one.end)
        yield one


def _signed_revision(document: Document, one: SignatureObject) -> SignatureObject:
    """What is signed must be a complete file by itself, trailer and all."""
    if not one.intact:
        return one
    if document.revision_of(one.end) is None:
        return _rejected(one.field, "validation-revision-incomplete", one.subfilter)
    try:
        signed = document.pdf_at(one.end)
    except (pikepdf.PdfError, RuntimeError, ValueError):
        return _rejected(one.field, "validation-revision-incomplete", one.subfilter)
    entry = signed.get_xref_table().get(one.object_id or (0, 0))
    if signed.get_warnings() or entry is None or entry.type != 1 or entry.offset > one.gap[0]:
        return _rejected(one.field, "validation-revision-incomplete", one.subfilter)
    return one


def _active_content(pdf: pikepdf.Pdf) -> Iterator[Finding]:
    """Content that computes what is shown: XFA never passes, scripts and actions are told."""
    root = pdf.Root
    form, names = root.get("/AcroForm"), root.get("/Names")
    if isinstance(form, pikepdf.Dictionary) and "/XFA" in form:
        yield fails("validation-xfa", SubIndication.SIG_CONSTRAINTS_FAILURE)
    holders: list[Callable[[], bool]] = [
        lambda: isinstance(names, pikepdf.Dictionary) and "/JavaScript" in names,
        lambda: "/AA" in root,
        lambda: _is_active(root.get("/OpenAction")),
    ]
    if any(check() for check in holders):
        yield warns("validation-active-content")


def _is_active(action: object) -> bool:
    return isinstance(action, pikepdf.Dictionary) and action.get("/S") in (
        "/JavaScript",
        "/Launch",
        "/SubmitForm",
        "/ImportData",
    )
