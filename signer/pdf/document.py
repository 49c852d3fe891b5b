"""Open and inspect a PDF before anything touches it.

A file is either understood without repair or refused with its reason: qpdf reads it strictly
(`attempt_recovery=False`), because a reader that repairs sees another document than the next one,
and a signature must mean the same to every reader. Only the tail, the cross-reference and the
objects asked for are read, so a 200 MB file costs its hash and little more.

    with Document.open(Original.of(data)) as document:
        document.require_signable()
        document.pages, document.sha256

A plain file, with one cross-reference table and nothing unusual in it, is read by our own grammar
(plain_file.py), much sooner than by qpdf, which is opened only when more is asked of it and for
every file that leaves the least doubt (docs/decisions/0205).
"""

from __future__ import annotations

import hashlib
import io
import mmap
import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import pikepdf
from pikepdf import settings as pikepdf_settings

from signer.errors import DocumentRefused
from signer.pdf.plain_file import PlainDictionary, PlainFile
from signer.pdf.plain_pages import Box, PlainLeaf, PlainPages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

_TAIL = 2048
_START = re.compile(rb"startxref\s+(\d{1,12})\s+%%EOF")
_PDFA_PART = re.compile(rb"pdfaid:part(?:>|\s*=\s*[\"'])\s*(\d)")
# What pikepdf and our reading of its objects raise over files that are not what they say.
_ODD = (
    pikepdf.PdfError,
    TypeError,
    ValueError,
    AttributeError,
    KeyError,
    RuntimeError,
    OverflowError,
)
_HIGHEST = re.compile(r"highest object number \((\d+)\)")
_HASH_CHUNK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What is refused unread. `bytes` bounds memory and time, `pages` the walk of the page tree."""

    bytes: int = 256 << 20
    pages: int = 20_000
    stream_bytes: int = 256 << 20
    fields: int = 20_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Original:
    """A file as it arrived, with the SHA-256 state over all of it: hashed once, at upload."""

    data: bytes | mmap.mmap = field(repr=False)
    state: Any = field(repr=False)
    path: Path | None = None

    @classmethod
    def of(cls, data: bytes | mmap.mmap, *, state: Any | None = None) -> Original:
        """`state` is a `hashlib.sha256()` that has already been fed exactly this data."""
        return cls(data, state if state is not None else hashlib.sha256(data))

    @classmethod
    def at(cls, path: Path) -> Original:
        """Mapped, not read: the kernel pages in what is looked at. Hashed in pieces beside it."""
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return cls(b"", hashlib.sha256())
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            state = hashlib.sha256()
            while piece := file.read(_HASH_CHUNK):
                state.update(piece)
        return cls(mapped, state, path)

    @property
    def sha256(self) -> bytes:
        return bytes(self.state.digest())

    def state_for(self, name: str) -> Any:
        """A hash state over the whole file; only SHA-256 is kept, another one reads it again."""
        return self.state.copy() if name == "sha256" else hashlib.new(name, self.data)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class SignatureField:
    """A field of type Sig; `signed` when it has a value."""

    name: str
    object: Any = field(repr=False)
    signed: bool
    sub_filter: str | None


class Document:
    """One opened file. Close it (or use `with`): qpdf holds its memory."""

    def __init__(self, original: Original, *, xref_at: int, limits: Limits) -> None:
        """Use `open`."""
        self.original = original
        self.xref_at = xref_at
        self.xref_is_stream = not original.data[xref_at : xref_at + 4].startswith(b"xref")
        self._limits = limits
        self._pages: dict[int, pikepdf.Object] = {}

    @classmethod
    def open(cls, original: Original, limits: Limits = DEFAULT_LIMITS) -> Document:
        """Raises DocumentRefused with a code for each way a file can be unfit."""
        document = cls(original, xref_at=_located(original, limits), limits=limits)
        if document.plain_pages is None:
            document.pdf = _strictly_read(original, limits)
        return document

    @cached_property
    def pdf(self) -> pikepdf.Pdf:
        """The file as qpdf reads it, strictly; opened when first asked for."""
        return _strictly_read(self.original, self._limits)

    def __enter__(self) -> Document:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if "pdf" in self.__dict__:
            self.pdf.close()

    @property
    def sha256(self) -> bytes:
        return self.original.sha256

    @cached_property
    def plain(self) -> PlainFile:
        """The file's own text of its objects, where it is as simple as most files are."""
        return PlainFile.of(self.original.data, self.xref_at)

    @cached_property
    def plain_pages(self) -> PlainPages | None:
        """Catalog and pages of such a file; None where qpdf has to say what they are."""
        return PlainPages.of(self.plain)

    @cached_property
    def page_objects(self) -> Any:
        """Every page, in order; walking a damaged tree is where many broken files show."""
        try:
            pages = self.pdf.pages
            count = len(pages)
        except (pikepdf.PdfError, ValueError, RuntimeError) as error:
            raise DocumentRefused("document-damaged", reason=_reason(error)) from None
        if count == 0:
            raise DocumentRefused("document-without-pages")
        if count > self._limits.pages:
            raise DocumentRefused("document-too-many-pages", limit=self._limits.pages)
        return pages

    @property
    def pages(self) -> int:
        if self.plain_pages is not None:
            return len(self.plain_pages.leaves)
        return len(self.page_objects)

    def page(self, number: int) -> pikepdf.Object:
        """The page object; 1 is the first page, -1 the last."""
        known = self._pages.get(number)
        if known is not None:
            return known
        index = self._index(number)
        if len(self.page_objects) != self.pages:
            raise DocumentRefused("document-damaged", reason="/Count")
        page: pikepdf.Object = self.page_objects[index].obj
        if not page.is_indirect or page.objgen[0] > self.last_object:
            # A page listed twice is copied by qpdf under a number that the file does not have.
            raise DocumentRefused("document-damaged", reason="page listed twice")
        self._pages[number] = page
        return page

    def leaf(self, number: int) -> PlainDictionary | pikepdf.Object:
        """The same page, in the file's own words where they are plain."""
        plain = self._plain_leaf(number)
        return plain.dictionary if plain is not None else self.page(number)

    def annotations(self, number: int) -> pikepdf.Object | None:
        """The page's /Annots, when it has any."""
        if "/Annots" not in self.leaf(number):
            return None
        return self.page(number).get("/Annots")

    def geometry(self, number: int) -> tuple[Box, int]:
        """The page's visible box and its rotation, inherited where it has none (§7.7.3.4)."""
        plain = self._plain_leaf(number)
        known = plain.geometry() if plain is not None else None
        try:
            box, rotation = known if known is not None else _geometry(self.page(number))
        except _ODD as error:
            raise DocumentRefused("document-damaged", reason=_reason(error)) from None
        if rotation not in (0, 90, 180, 270):
            raise DocumentRefused("document-damaged", reason="/Rotate")
        return box, rotation

    def _plain_leaf(self, number: int) -> PlainLeaf | None:
        index = self._index(number)
        plain = self.plain_pages
        return plain.leaves[index] if plain is not None and index < len(plain.leaves) else None

    def _index(self, number: int) -> int:
        count = self.pages
        index = number - 1 if number > 0 else count + number
        if not 0 <= index < count or number == 0:
            raise DocumentRefused("page-out-of-range", page=number, pages=count)
        return index

    @property
    def catalog(self) -> PlainDictionary | pikepdf.Object:
        """The document's root, in the file's own words where they are plain."""
        return self.plain_pages.catalog if self.plain_pages is not None else self.pdf.Root

    def of_catalog(self, key: str) -> Any:
        """What the catalog has under a key, or None; what is missing costs no exception."""
        if key not in self.catalog:
            return None
        return self.pdf.Root.get(key)

    @cached_property
    def last_object(self) -> int:
        """The highest object number in use. qpdf warns where the trailer's /Size falls short."""
        if self.plain.trailer is not None:  # its /Size is that of its one table
            return self.plain.count - 1
        last = int(self.pdf.trailer.get("/Size", 1)) - 1
        for warning in self.pdf.get_warnings():
            if found := _HIGHEST.search(str(warning)):
                last = max(last, int(found[1]))
        return last

    @cached_property
    def form(self) -> pikepdf.Object | None:
        form = self.of_catalog("/AcroForm")
        return form if isinstance(form, pikepdf.Dictionary) else None

    @cached_property
    def fields(self) -> tuple[SignatureField, ...]:
        """Signature fields in the form's order, names fully qualified (ISO 32000-1 §12.7.3)."""
        return tuple(self._walk_fields())

    @property
    def signatures(self) -> tuple[SignatureField, ...]:
        return tuple(one for one in self.fields if one.signed)

    @cached_property
    def top_level_names(self) -> frozenset[str]:
        """Partial names already taken in the form, whatever the fields' types."""
        if self.form is None:
            return frozenset()
        fields = self.form.get("/Fields", pikepdf.Array())
        return frozenset(
            str(one.get("/T", "")) for one in fields if isinstance(one, pikepdf.Dictionary)
        )

    @cached_property
    def doc_mdp(self) -> int | None:
        """The permission a certification signature left: 1 none, 2 forms, 3 forms and comments."""
        permissions = self.of_catalog("/Perms")
        certified = (
            permissions.get("/DocMDP") if isinstance(permissions, pikepdf.Dictionary) else None
        )
        if not isinstance(certified, pikepdf.Dictionary):
            return None
        for reference in certified.get("/Reference", pikepdf.Array()):
            if reference.get("/TransformMethod") == pikepdf.Name.DocMDP:
                parameters = reference.get("/TransformParams", pikepdf.Dictionary())
                return int(parameters.get("/P", 2))
        return 2

    @cached_property
    def pdfa_part(self) -> int | None:
        """1, 2, 3 or 4 when the file claims PDF/A: its signature must not break the claim."""
        found = _PDFA_PART.search(self._metadata())
        return int(found[1]) if found else None

    def _metadata(self) -> bytes:
        """The XMP packet; empty where there is none that can be read."""
        if self.plain_pages is not None:
            place = self.plain_pages.catalog.reference(b"/Metadata")
            packet = self.plain.stream(*place) if place is not None else None
            if packet is not None:
                return packet
        metadata = self.of_catalog("/Metadata")
        if not isinstance(metadata, pikepdf.Stream):
            return b""
        try:
            return metadata.read_bytes()
        except pikepdf.PdfError:
            return b""

    @cached_property
    def output_intent_components(self) -> int | None:
        """Of the PDF/A output intent's profile: 3 is RGB, 4 CMYK; None without an intent."""
        for intent in self.of_catalog("/OutputIntents") or ():
            profile = intent.get("/DestOutputProfile")
            if intent.get("/S") == pikepdf.Name.GTS_PDFA1 and isinstance(profile, pikepdf.Stream):
                return int(profile.get("/N", 0))
        return None

    def require_signable(self) -> None:
        """Refuse what a signature would break or could not mean anything on."""
        try:
            self.require_readable()
            certified = self.doc_mdp == 1
        except _ODD as error:
            raise DocumentRefused("document-damaged", reason=_reason(error)) from None
        if certified:
            raise DocumentRefused("document-certified")

    def require_readable(self) -> None:
        """What holds for a time-stamp too, which a certification of level 1 allows."""
        # A plain file's trailer names all there is, and /Encrypt is not among it.
        if self.plain.trailer is None and self.pdf.is_encrypted:
            raise DocumentRefused("document-encrypted")
        if self.form is not None and "/XFA" in self.form:
            raise DocumentRefused("document-xfa")
        if not self.pages:
            raise DocumentRefused("document-without-pages")

    def _walk_fields(self) -> Iterator[SignatureField]:
        if self.form is None:
            return
        budget = self._limits.fields
        waiting = [(one, "") for one in reversed(list(self.form.get("/Fields", pikepdf.Array())))]
        seen: set[tuple[int, int]] = set()
        while waiting:
            budget -= 1
            if budget < 0:
                raise DocumentRefused("document-damaged", reason="too many form fields")
            one, prefix = waiting.pop()
            if not isinstance(one, pikepdf.Dictionary) or one.objgen in seen:
                continue
            if one.is_indirect:
                seen.add(one.objgen)
            own = str(one.get("/T", ""))
            name = f"{prefix}.{own}" if prefix and own else prefix or own
            if one.get("/FT") == pikepdf.Name.Sig:
                value = one.get("/V")
                signed = isinstance(value, pikepdf.Dictionary)
                sub_filter = (
                    value.get("/SubFilter") if isinstance(value, pikepdf.Dictionary) else None
                )
                yield SignatureField(name, one, signed, str(sub_filter)[1:] if sub_filter else None)
            waiting.extend((kid, name) for kid in one.get("/Kids", pikepdf.Array()))


def _located(original: Original, limits: Limits) -> int:
    """Where its newest cross-reference is; what needs no parser to be refused is refused."""
    data = original.data
    if not len(data):
        raise DocumentRefused("document-empty")
    if len(data) > limits.bytes:
        raise DocumentRefused("document-too-large", limit_mb=limits.bytes >> 20)
    if data[:5] != b"%PDF-":
        raise DocumentRefused("document-not-pdf")
    return _last_xref(data)


def _strictly_read(original: Original, limits: Limits) -> pikepdf.Pdf:
    _guard_parser(limits.stream_bytes)
    try:
        pdf = pikepdf.open(
            _readable(original), attempt_recovery=False, inherit_page_attributes=False
        )
    except pikepdf.PasswordError:
        raise DocumentRefused("document-encrypted") from None
    except (pikepdf.PdfError, ValueError, RuntimeError, OverflowError) as error:
        raise DocumentRefused("document-damaged", reason=_reason(error)) from None
    try:
        rooted = isinstance(pdf.Root, pikepdf.Dictionary)
    except pikepdf.PdfError:
        rooted = False
    if not rooted:
        pdf.close()
        raise DocumentRefused("document-damaged", reason="no /Root")
    return pdf


def _last_xref(data: bytes | mmap.mmap) -> int:
    """Where the newest cross-reference begins, from the end of the file (ISO 32000-1 §7.5.5)."""
    at = data.rfind(b"startxref", max(0, len(data) - _TAIL))
    found = _START.match(data, at) if at >= 0 else None
    if found is None or not 0 < int(found[1]) < len(data):
        raise DocumentRefused("document-damaged", reason="startxref")
    return int(found[1])


def _geometry(page: pikepdf.Object) -> tuple[Box, int]:
    box = _inherited(page, "/CropBox") or _inherited(page, "/MediaBox")
    x1, y1, x2, y2 = map(float, box) if box is not None else (0.0, 0.0, 595.0, 842.0)
    rotation = int(_inherited(page, "/Rotate") or 0) % 360
    return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), rotation


def _inherited(page: pikepdf.Object, key: str) -> Any:
    node: Any = page
    for _ in range(64):
        if not isinstance(node, pikepdf.Dictionary):
            return None
        if key in node:
            return node[key]
        node = node.get("/Parent")
    return None


def raw(value: Any) -> bytes:
    """One value as PDF syntax, references kept as references."""
    if isinstance(value, pikepdf.Object):
        return value.unparse()
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int | Decimal):
        return str(value).encode()
    return b"null"


def raw_entries(dictionary: pikepdf.Object) -> dict[str, bytes]:
    """A dictionary taken apart one level deep, ready to be written again with changes."""
    return {key: raw(value) for key, value in dictionary.items()}


@cache
def _guard_parser(stream_bytes: int) -> None:
    """A few kilobytes of Flate can claim gigabytes; the limit is the process's."""
    pikepdf_settings.set_qpdf_limits(
        flate_max_memory=stream_bytes,
        png_max_memory=stream_bytes,
        tiff_max_memory=stream_bytes,
        run_length_max_memory=stream_bytes,
    )


def _readable(original: Original) -> Any:
    if original.path is not None:
        return original.path
    return io.BytesIO(original.data)


def _reason(error: Exception) -> str:
    """qpdf's words without the file's name, which may tell more than the reader should know."""
    return str(error).rsplit(": ", 1)[-1][:120]
