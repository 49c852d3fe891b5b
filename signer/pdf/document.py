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

import re
from typing import TYPE_CHECKING, Any

import pikepdf

from signer.errors import DocumentRefused
from signer.pdf.form_fields import SignatureField, signature_fields
from signer.pdf.once import once
from signer.pdf.original import DEFAULT_LIMITS, Limits, Original
from signer.pdf.plain_file import PlainDictionary, PlainFile
from signer.pdf.plain_pages import Box, PlainLeaf, PlainPages
from signer.pdf.strict_reading import ODD, located, reason, strictly_read

if TYPE_CHECKING:
    from types import TracebackType

_PDFA_PART = re.compile(rb"pdfaid:part(?:>|\s*=\s*[\"'])\s*(\d)")
_HIGHEST = re.compile(r"highest object number \((\d+)\)")


class Document:
    """One opened file. Close it (or use `with`): qpdf holds its memory."""

    def __init__(self, original: Original, *, xref_at: int, limits: Limits) -> None:
        """Use `open`."""
        self.original = original
        self.xref_at = xref_at
        self.xref_is_stream = original.data[xref_at : xref_at + 4] != b"xref"
        self._limits = limits
        self._pages: dict[int, pikepdf.Object] = {}

    @classmethod
    def open(cls, original: Original, limits: Limits = DEFAULT_LIMITS) -> Document:
        """Raises DocumentRefused with a code for each way a file can be unfit."""
        document = cls(original, xref_at=located(original, limits), limits=limits)
        if document.plain_pages is None:
            document.pdf = strictly_read(original, limits)
        return document

    @once
    def pdf(self) -> pikepdf.Pdf:
        """The file as qpdf reads it, strictly; opened when first asked for."""
        return strictly_read(self.original, self._limits)

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

    @once
    def plain(self) -> PlainFile:
        """The file's own text of its objects, where it is as simple as most files are."""
        return PlainFile.of(self.original.data, self.xref_at)

    @once
    def plain_pages(self) -> PlainPages | None:
        """Catalog and pages of such a file; None where qpdf has to say what they are."""
        found = PlainPages.of(self.plain)
        return found if found is not None and len(found.leaves) <= self._limits.pages else None

    @once
    def page_objects(self) -> Any:
        """Every page, in order; walking a damaged tree is where many broken files show."""
        try:
            pages = self.pdf.pages
            count = len(pages)
        except (pikepdf.PdfError, ValueError, RuntimeError) as error:
            raise DocumentRefused("document-damaged", reason=reason(error)) from None
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
        return self.page(number).get("/Annots") if "/Annots" in self.leaf(number) else None

    def geometry(self, number: int) -> tuple[Box, int]:
        """The page's visible box and its rotation, inherited where it has none (§7.7.3.4)."""
        plain = self._plain_leaf(number)
        known = plain.geometry() if plain is not None else None
        try:
            box, rotation = known if known is not None else _geometry(self.page(number))
        except ODD as error:
            raise DocumentRefused("document-damaged", reason=reason(error)) from None
        if rotation not in (0, 90, 180, 270):
            raise DocumentRefused("document-damaged", reason="/Rotate")
        return box, rotation

    def _plain_leaf(self, number: int) -> PlainLeaf | None:
        plain = self.plain_pages
        return plain.leaves[self._index(number)] if plain is not None else None

    def _index(self, number: int) -> int:
        count = self.pages
        index = number - 1 if number > 0 else count + number
        if number == 0 or not 0 <= index < count:
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

    @once
    def last_object(self) -> int:
        """The highest object number in use. qpdf warns where the trailer's /Size falls short."""
        if self.plain.trailer is not None:  # its /Size is that of its one table
            return self.plain.count - 1
        last = int(self.pdf.trailer.get("/Size", 1)) - 1
        for warning in self.pdf.get_warnings():
            if found := _HIGHEST.search(str(warning)):
                last = max(last, int(found[1]))
        return last

    @once
    def form(self) -> pikepdf.Object | None:
        form = self.of_catalog("/AcroForm")
        return form if isinstance(form, pikepdf.Dictionary) else None

    @once
    def fields(self) -> tuple[SignatureField, ...]:
        """Signature fields in the form's order, names fully qualified (ISO 32000-1 §12.7.3)."""
        return tuple(signature_fields(self.form, self._limits.fields))

    @property
    def signatures(self) -> tuple[SignatureField, ...]:
        return tuple(one for one in self.fields if one.signed)

    @once
    def top_level_names(self) -> frozenset[str]:
        """Partial names already taken in the form, whatever the fields' types."""
        if self.form is None:
            return frozenset()
        fields = self.form.get("/Fields", pikepdf.Array())
        return frozenset(
            str(one.get("/T", "")) for one in fields if isinstance(one, pikepdf.Dictionary)
        )

    @once
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

    @once
    def pdfa_part(self) -> int | None:
        """1, 2, 3 or 4 when the file claims PDF/A: its signature must not break the claim."""
        found = _PDFA_PART.search(self._metadata())
        return int(found[1]) if found else None

    def _metadata(self) -> bytes:
        """The XMP packet; empty where there is none that can be read."""
        if self.plain_pages is not None:
            place = self.plain_pages.catalog.reference("/Metadata")
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

    @once
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
        except ODD as error:
            raise DocumentRefused("document-damaged", reason=reason(error)) from None
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
