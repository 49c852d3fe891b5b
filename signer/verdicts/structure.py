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
from typing import Any, BinaryIO, cast

import pikepdf
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.xref import ObjStreamRef

from signer.pdf.signature_objects import SignatureObject, find_signatures, rejected
from signer.pdf.strict_reading import crossed
from signer.verdicts.policy import Limits
from signer.verdicts.verdict import Finding, SubIndication, Unreadable, fails, warns

_STARTXREF = re.compile(rb"startxref[\r\n\t ]+(\d{1,12})[\r\n\t ]+%%EOF")
_MOST_WHITE = 64
_COPIED = 4 << 20
_WHITE = b"\x00\t\n\x0c\r "


@dataclass(frozen=True)
class Revision:
    """One saved state of the file: `data[:end]` is complete, `end` is just after its %%EOF."""

    number: int
    end: int


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
        if _only_white(self.data, end, len(self.data)):
            return self.pdf
        if end not in self._opened:
            small = end <= _COPIED
            source = io.BytesIO(self.data[:end]) if small else Prefix(self.data, end)
            self._opened[end] = _open(source, self.data)
        return self._opened[end]

    @property
    def repaired(self) -> bool:
        """Whether qpdf had anything to complain of, by now, in what was read of any revision."""
        return any(pdf.get_warnings() for pdf in (self.pdf, *self._opened.values()))

    def revision_of(self, end: int) -> Revision | None:
        """The revision a signature ending at `end` closes, or None when it closes none."""
        before = [revision for revision in self.revisions if revision.end <= end]
        if not before or not _only_white(self.data, before[-1].end, end):
            return None
        return before[-1]


class Prefix(io.RawIOBase):
    """The first `end` bytes of a file as a file, without copying a 200 MB document."""

    def __init__(self, data: bytes, end: int) -> None:
        self._view, self._at = memoryview(data)[:end], 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        part = self._view[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def _only_white(data: bytes, start: int, end: int) -> bool:
    """Whether nothing but a little white space stands there."""
    return end - start <= _MOST_WHITE and not data[start:end].strip(_WHITE)


def _open(source: BinaryIO | Prefix, data: bytes) -> pikepdf.Pdf:
    pdf = pikepdf.open(
        cast("BinaryIO", source),
        attempt_recovery=False,
        inherit_page_attributes=False,
        suppress_warnings=True,
    )
    if crossed(pdf, data):
        raise pikepdf.PdfError("a cross-reference entry leads to another object")
    return pdf


def open_document(data: bytes, limits: Limits) -> Document:
    """Read with both parsers, compare them, find the revisions and the signatures."""
    if len(data) > limits.bytes:
        raise Unreadable("validation-too-large", size=len(data), limit=limits.bytes)
    if b"%PDF-" not in data[:1024]:
        raise Unreadable("validation-not-a-pdf")
    findings: list[Finding] = []
    try:
        pdf = _open(io.BytesIO(data), data)
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
    if not revisions or not _only_white(data, revisions[-1].end, len(data)):
        findings.append(fails("validation-trailing-data", SubIndication.FORMAT_FAILURE))
    document = Document(data, pdf, reader, revisions)
    try:
        found = find_signatures(data, pdf, reader, limits)
    except (pikepdf.PdfError, PdfError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise Unreadable("validation-damaged", detail=type(error).__name__) from None
    document.signatures = tuple(_signed_revision(document, one) for one in found)
    if reader.xrefs.hybrid_xrefs_present and _read_differently(document):
        findings.append(fails("validation-hybrid", SubIndication.FORMAT_FAILURE))
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


def _read_differently(document: Document) -> bool:
    """Whether a hybrid section (ISO 32000-1 §7.5.8.4) shows one program what another does not see.

    Its stream may add objects that no table has: programs that do not know it miss them, as the
    signer knew when signing. It may not stand in for an object of a table, nor come after the
    first signature.
    """
    xrefs, ends = document.reader.xrefs, {one.number: one.end for one in document.revisions}
    first = min((one.end for one in document.signatures), default=len(document.data))
    in_tables: set[int] = set()
    for number in range(xrefs.total_revisions):
        section = xrefs.get_xref_data(number)
        in_tables |= section.standard_xrefs.keys() | section.xrefs_in_objstm.keys()
        if section.hybrid is None:
            continue
        hidden = {one for one, _ in section.hybrid.xref_data.explicit_refs_in_revision}
        if hidden & in_tables or ends.get(number, first + 1) > first:
            return True
        in_tables |= hidden
    return False


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
        elif (
            entry.offset is None
            or where != entry.offset
            or not _starts_object(document.data, entry.offset, number, generation)
        ):
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


def _signed_revision(document: Document, one: SignatureObject) -> SignatureObject:
    """What is signed must be a complete file by itself, trailer and all."""
    if not one.intact:
        return one
    if document.revision_of(one.end) is None:
        return rejected(one.field, "validation-revision-incomplete", one.subfilter)
    try:
        signed = document.pdf_at(one.end)
    except (pikepdf.PdfError, RuntimeError, ValueError):
        return rejected(one.field, "validation-revision-incomplete", one.subfilter)
    entry = signed.get_xref_table().get(one.object_id or (0, 0))
    place = entry.offset if entry else None
    if signed.get_warnings() or place is None or place > one.gap[0]:
        return rejected(one.field, "validation-revision-incomplete", one.subfilter)
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
