"""What one update did to the form: signatures signed, fields filled, anything else refused."""

from __future__ import annotations

import pikepdf

from signer.pdf.byte_range import ObjectId
from signer.pdf.pdf_values import (
    area,
    differs_here,
    extends,
    inherited,
    reference,
    streams_of,
    widgets_of,
)
from signer.verdicts.object_graph import Path
from signer.verdicts.update_ledger import Act, Deed, Ledger

_FIELD_KEYS = frozenset(
    [
        "/Type",
        "/Subtype",
        "/FT",
        "/T",
        "/TU",
        "/Ff",
        "/V",
        "/F",
        "/P",
        "/Rect",
        "/AP",
        "/AS",
        "/MK",
        "/DA",
        "/DR",
        "/Q",
        "/BS",
        "/Border",
        "/Lock",
        "/SV",
        "/Kids",
        "/Parent",
        "/StructParent",
        "/M",
        "/NM",
    ]
)


class FormUpdate:
    """Walks the field trees of both revisions together; writes what it finds in the books."""

    def __init__(self, books: Ledger) -> None:
        self._books = books

    def judge(self, before: pikepdf.Object | None, after: pikepdf.Object | None) -> None:
        root = self._books.old.pdf.Root.objgen
        if after is None:
            self._books.violation("validation-change-form-structure", "/AcroForm")
            return
        known = before if before is not None else pikepdf.Dictionary()
        self._books.explain(before, lambda holder, path: holder == root and path == ("/AcroForm",))
        for key in self._books.other_keys(known, after, {"/Fields", "/SigFlags", "/DR", "/DA"}):
            if before is None and key == "/NeedAppearances" and not after.get(key):
                continue
            self._books.violation("validation-change-form-structure", key)
        # Where viewers draw the fields anew, what they draw with says what is seen.
        drawn = bool(known.get("/NeedAppearances"))
        for key in ("/DR", "/DA"):
            fixed = key in known or (drawn and key in after)
            if fixed and (drawn or not extends(known.get(key), after.get(key))):
                if drawn and not differs_here(known.get(key), after.get(key)):
                    continue
                self._books.violation("validation-change-form-structure", key)
        form = reference(before)
        fields = known.get("/Fields")
        self._books.explain(
            fields,
            lambda holder, path: path[-1:] == ("/Fields",) and holder in (form, root),
        )
        resources = known.get("/DR")
        self._books.explain(resources, lambda _holder, path: path[-1:] == ("/DR",))
        self._fields(fields, after.get("/Fields"), "", 0)

    def _fields(
        self,
        before: object,
        after: object,
        prefix: str,
        depth: int,
        *,
        kind: object = None,
        signed: bool = False,
    ) -> None:
        """`kind` is the /FT of the field above, as the tree has it: a kid may name no /Parent.
        `signed`: that field is being signed, its widgets may show it."""
        old_list = list(before) if isinstance(before, pikepdf.Array) else []
        new_list = list(after) if isinstance(after, pikepdf.Array) else []
        if isinstance(before, pikepdf.Array) and before.is_indirect:
            self._books.arrays.add(before.objgen)
        if depth > self._books.policy.limits.depth or len(new_list) < len(old_list):
            self._books.violation("validation-change-form-structure", prefix or "/Fields")
            return
        for one, other in zip(old_list, new_list, strict=False):
            if reference(one) != reference(other) or reference(one) is None:
                if differs_here(one, other):
                    self._books.violation("validation-change-form-structure", prefix or "/Fields")
                continue
            if isinstance(one, pikepdf.Dictionary) and isinstance(other, pikepdf.Dictionary):
                self._field(one, other, prefix, depth, kind=kind, signed=signed)
        extra = new_list[len(old_list) :]
        for other in extra:
            if depth:
                self._books.violation("validation-change-form-structure", prefix)
            else:
                self._new_field(other)

    def _field(
        self,
        before: pikepdf.Object,
        after: pikepdf.Object,
        prefix: str,
        depth: int,
        *,
        kind: object,
        signed: bool,
    ) -> None:
        own = before.get("/T")
        name = ".".join(part for part in (prefix, str(own) if own is not None else "") if part)
        kids = before.get("/Kids")
        kinds = {kind, inherited(before, "/FT"), inherited(after, "/FT")}
        is_signature = "/Sig" in {str(one) for one in kinds}
        signing = is_signature and "/V" not in before and "/V" in after
        if isinstance(kids, pikepdf.Array) or "/Kids" in after:
            below = "/Sig" if is_signature else kind
            self._fields(kids, after.get("/Kids"), name, depth + 1, kind=below, signed=signing)
        appearance = self._appearance_changed(before, after)
        if before.objgen not in self._books.changed and not appearance:
            return
        changed = self._books.other_keys(before, after, {"/Kids"})
        if not changed and not appearance:
            return
        self._books.explain(before, self._field_home)
        if signed and _only_shows(before) and _only_shows(after):
            # A field and its widget need not be one object (ISO 32000-2, 12.5.6.19).
            if set(changed) - {"/AP", "/AS", "/M", "/MK", "/F"}:
                self._books.violation("validation-change-field", name)
            return
        free = {"/V", "/AP", "/AS", "/M"} | ({"/MK", "/F"} if signing else {"/I"})
        if (is_signature and not signing) or set(changed) - free:
            self._books.violation("validation-change-field", name)
        elif signing:
            self._signed(name, after, list(widgets_of(after)))
        else:
            for stream in streams_of(before.get("/AP")):
                self._books.explain(stream, lambda _holder, path: "/AP" in path)
            self._books.deeds.append(Deed(Act.FORM, name))

    def _appearance_changed(self, before: pikepdf.Object, after: pikepdf.Object) -> bool:
        touched = {one.objgen for one in streams_of(before.get("/AP"))} & self._books.changed
        return bool(touched) or differs_here(before.get("/AP"), after.get("/AP"))

    def _new_field(self, value: object) -> None:
        """A field that was not there: only a signature, signed or invisible."""
        if not isinstance(value, pikepdf.Dictionary) or value.get("/FT") != "/Sig":
            self._books.violation("validation-change-form-structure", "/Fields")
            return
        name = str(value.get("/T", ""))
        widgets = list(widgets_of(value))
        for one in (value, *widgets):
            if set(one.keys()) - _FIELD_KEYS:
                self._books.violation("validation-change-field", name)
        if "/Parent" in value:
            self._books.violation("validation-change-form-structure", name)
        self._books.new_widgets |= {one.objgen for one in widgets if one.is_indirect}
        if "/V" in value:
            self._signed(name, value, widgets)
        elif any(self._share(one) > 0 for one in widgets):
            self._books.violation("validation-change-visible-empty-field", name)
        else:
            self._books.deeds.append(Deed(Act.SIGNATURE, name))

    def _signed(self, name: str, node: pikepdf.Object, widgets: list[pikepdf.Object]) -> None:
        value = node.get("/V")
        if not isinstance(value, pikepdf.Dictionary) or "/ByteRange" not in value:
            self._books.violation("validation-change-field", name)
            return
        shares = [self._share(one) for one in widgets]
        if value.get("/SubFilter") == "/ETSI.RFC3161":
            if any(share > 0 for share in shares):
                self._books.violation("validation-change-visible-timestamp", name)
            self._books.archive(name)
            return
        if any(share > self._books.policy.widget_share for share in shares):
            self._books.violation("validation-change-covers-page", name)
        self._books.deeds.append(Deed(Act.SIGNATURE, name))

    def _share(self, widget: pikepdf.Object) -> float:
        """How much of its page a widget may cover: 0 when it shows nothing."""
        box = widget.get("/Rect")
        if "/AP" not in widget or not isinstance(box, pikepdf.Array) or len(box) != 4:
            return 0.0
        size = area(box)
        page = self._page_of(widget)
        media = page and inherited(page, "/MediaBox")
        whole = area(media) if isinstance(media, pikepdf.Array) and len(media) == 4 else 0.0
        if size <= 0:
            return 0.0
        return size / whole if whole > 0 else 1.0

    def _page_of(self, widget: pikepdf.Object) -> pikepdf.Object | None:
        page = widget.get("/P")
        if isinstance(page, pikepdf.Dictionary) and reference(page) in self._books.new.pages:
            return page
        first = next(iter(self._books.new.pages), None)
        return self._books.new.pdf.get_object(first) if first else None

    def _field_home(self, holder: ObjectId | None, path: Path) -> bool:
        return holder in self._books.arrays or bool(
            {"/Fields", "/Kids", "/Annots", "/Parent", "/Obj"} & set(path)
        )


def _only_shows(node: pikepdf.Object) -> bool:
    """A widget that is no field of its own: it has neither name nor value nor children."""
    own = {"/T", "/V", "/Kids", "/FT"} & set(node.keys())
    return node.get("/Subtype") == "/Widget" and not own
